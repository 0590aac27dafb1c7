/* SPDX-License-Identifier: MIT */
#include "probe/bartree.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define COLD                                                                                       \
	"Shut down, take power off machine and box for ten seconds, power the box, then the machine. "

/* clang-format off */
/*
 * R, K and A of docs/doctor.md. host_reset and realloc are options of one boot: the undo is to boot without.
 */
static const struct bar_answer answers[BAR_ADVICE_COUNT] = {
	[BAR_FINE] = { "fine", REMEDY_NONE, "", "", 0 },
	[BAR_FIRMWARE] = { "firmware", REMEDY_FIRMWARE,
		"In the firmware's setup turn on 'Above 4G decoding' and 'Resizable BAR', and turn off CSM; then boot cold.",
		"Set them back.", ADVICE_BAR_LARGE },
	[BAR_NOT_NESTED] = { "windows not nested", REMEDY_POWER_CYCLE,
		COLD "Load no driver for it before its windows lie inside each other.", "", 0 },
	[BAR_LOOK_FIRST] = { "look first", REMEDY_POWER_CYCLE,
		COLD "Boot with the box attached and the options as they are, then run berth doctor where it may read "
		"the kernel log (as root, or with --kmsg): whether the card is found before the Thunderbolt driver "
		"decides which option helps.", "", 0 },
	[BAR_FIRMWARE_TUNNEL] = { "firmware tunnel", REMEDY_REBOOT,
		"Firmware built the tunnel, with room for the card: keep it by booting with "
		"'thunderbolt.host_reset=0 pci=realloc=off'. A replug then falls back to a 256 MiB window.",
		"Boot without these two options.",
		ADVICE_HOST_RESET_OFF | ADVICE_REALLOC_OFF | ADVICE_BAR_LARGE },
	[BAR_KEPT_TUNNEL] = { "kept tunnel", REMEDY_POWER_CYCLE,
		COLD "The options keep firmware's tunnel already; a card plugged in later gets only what is left.", "",
		ADVICE_HOST_RESET_OFF | ADVICE_REALLOC_OFF },
	[BAR_ONLY_REALLOC] = { "only realloc", REMEDY_REBOOT,
		"Take 'thunderbolt.host_reset=0' off the kernel command line and keep 'pci=realloc': each helps on some "
		"machine, together they take the room away.",
		"Put thunderbolt.host_reset=0 back.", ADVICE_HOST_RESET_ON | ADVICE_REALLOC_ON },
	[BAR_REALLOC_COLD] = { "realloc, cold", REMEDY_POWER_CYCLE,
		COLD "Keep 'pci=realloc', which this machine may need, and the default host reset.", "",
		ADVICE_HOST_RESET_ON | ADVICE_REALLOC_ON },
	[BAR_HOT_ADD] = { "hot add", REMEDY_REBOOT,
		"The tunnel is built while Linux runs: leave thunderbolt.host_reset at its default and reserve a little, "
		"'pci=hpbussize=0x20,hpmmiosize=32M,hpmmioprefsize=32M'. Larger values are multiplied by every hot-plug "
		"bridge.",
		"Boot without the pci= option.", ADVICE_HOST_RESET_ON | ADVICE_WINDOWS_MORE },
	[BAR_HOT_ADD_RESIZE] = { "hot add, resize", REMEDY_COMMAND,
		"As root, with no driver bound to any function of the card: remove the empty hot-plug ports beside it "
		"(echo 1 > /sys/bus/pci/devices/PORT/remove), write the number of the wanted size to "
		"/sys/bus/pci/devices/{dev}/resourceN_resize, then echo 1 > /sys/bus/pci/rescan. "
		"'berth doctor bar {dev}' names the ports and the size.",
		"Reboot: nothing of it lasts.", ADVICE_HOST_RESET_ON | ADVICE_BAR_LARGE },
	[BAR_HOT_ADD_KERNEL] = { "hot add, kernel", REMEDY_REBOOT,
		"Boot Linux 7.1 or newer: before it, a card plugged in while Linux runs is given its smallest BAR, and a "
		"larger one seldom finds room. Leave thunderbolt.host_reset at its default.",
		"Boot the kernel of before.", ADVICE_HOST_RESET_ON | ADVICE_KERNEL_NEWER | ADVICE_BAR_LARGE },
};
/* clang-format on */

const struct bar_answer *bartree_answer(enum bar_advice a)
{
	return &answers[a];
}

static enum bar_advice decide_early(const struct bar_case *c)
{
	if (c->realloc_on && c->host_reset == TRI_NO)
		return BAR_ONLY_REALLOC;
	if (c->realloc_on)
		return BAR_REALLOC_COLD;
	if (c->host_reset == TRI_NO && c->realloc_off)
		return BAR_KEPT_TUNNEL;
	return BAR_FIRMWARE_TUNNEL;
}

static enum bar_advice decide_late(const struct bar_case *c)
{
	if (c->realloc_on && c->host_reset == TRI_NO)
		return BAR_ONLY_REALLOC;
	if (!c->windows_set && (c->unassigned || c->host_reset == TRI_NO))
		return BAR_HOT_ADD;
	if (c->kernel.known && !kver_at_least(c->kernel, "7.1"))
		return BAR_HOT_ADD_KERNEL;
	return BAR_HOT_ADD_RESIZE;
}

enum bar_advice bartree_decide(const struct bar_case *c)
{
	if (!c->unassigned && !c->small)
		return BAR_FINE;
	if (!c->tunnelled)
		return BAR_FIRMWARE;
	if (c->nested == TRI_NO)
		return BAR_NOT_NESTED;
	if (c->seen_early == TRI_UNKNOWN)
		return BAR_LOOK_FIRST;
	/* K: from 7.2 on its ports come up only when the host router is reset; then nothing can be kept. */
	if (c->seen_early == TRI_YES && c->port_up_failed && kver_at_least(c->kernel, "7.2"))
		return decide_late(c);
	return c->seen_early == TRI_YES ? decide_early(c) : decide_late(c);
}

/* --- the case --- */

bool bar_could_grow(const struct bar *b, uint64_t *most)
{
	int top = -1;

	*most = b->size_bytes;
	if (!fact_known(&b->resizable) || !b->resizable.v || !b->sizes)
		return false;
	for (int bit = 0; bit + 20 <= 62; bit++)
		if (b->sizes >> bit & 1)
			top = bit;
	if (top < 0)
		return false;
	*most = UINT64_C(1) << (top + 20);
	return *most > b->size_bytes;
}

const struct bar *gpu_memory_bar(const struct gpu *g)
{
	const struct bar *best = NULL;

	for (int i = 0; i < PROBE_BARS - 1; i++) {
		const struct bar *b = &g->bars[i];

		if (b->size_bytes && !b->io && b->prefetchable &&
		    (!best || b->size_bytes > best->size_bytes))
			best = b;
	}
	return best;
}

static bool any_unassigned(const struct gpu *g)
{
	for (int i = 0; i < PROBE_BARS - 1; i++)
		if (g->bars[i].unassigned && !g->bars[i].io)
			return true;
	return false;
}

static bool is_small(const struct gpu *g)
{
	const struct bar *b = gpu_memory_bar(g);
	uint64_t most;

	if (!b)
		return false;
	if (bar_could_grow(b, &most))
		return true;
	/* Without the list of sizes: the classic 256 MiB before a memory many times larger. */
	return !fact_known(&b->resizable) && b->size_bytes <= (UINT64_C(256) << 20) &&
	       fact_known(&g->vram_total) && (uint64_t)g->vram_total.v >= 4 * b->size_bytes;
}

/* The last line about one BAR of a function, "pci 0000:03:00.0: BAR 0 ..."; NULL: none. */
static const struct kline *bar_line(const struct kmsg *k, const char *pci, int bar)
{
	char name[16], other[24];

	snprintf(name, sizeof(name), ": BAR %d", bar);
	for (uint32_t i = k->n; i-- > 0;) {
		const char *at = strstr(k->lines[i].text, name);

		if (at && !isdigit((unsigned char)at[strlen(name)]) &&
		    kline_pci(k->lines[i].text, other) && strcmp(other, pci) == 0)
			return &k->lines[i];
	}
	return NULL;
}

const struct kline *bar_forgotten(const struct evidence *ev, const struct gpu *g)
{
	for (int i = 0; i < PROBE_BARS - 1; i++) {
		const struct kline *l = g->bars[i].size_bytes ? NULL
							      : bar_line(&ev->log, g->pci, i);

		if (l && strstr(l->text, "failed to assign") && strstr(l->text, "[mem"))
			return l;
	}
	return NULL;
}

/* The line that says a function was found: "pci 0000:03:00.0: [10de:2d04] type 00 class 0x030000". */
static int found_at(const struct evidence *ev, const char *pci)
{
	const struct kmsg *k = &ev->log;

	for (uint32_t i = 0; i < k->n; i++) {
		const char *t = k->lines[i].text;

		if (strncmp(t, "pci ", 4) == 0 && strncmp(t + 4, pci, strlen(pci)) == 0 &&
		    strstr(t, "] type 0"))
			return (int)i;
	}
	return -1;
}

/* The first line the Thunderbolt driver says by itself. */
static int driver_at(const struct evidence *ev)
{
	for (uint32_t i = 0; i < ev->log.n; i++)
		if (strncmp(ev->log.lines[i].text, "thunderbolt ", 12) == 0)
			return (int)i;
	return -1;
}

/* A log without a word of the driver: what was found this soon after its first line, firmware had built. */
#define EARLY_USEC 10000000

/* The card's line first: firmware's tunnel. The driver's first: hot-add. */
static enum tri seen_early(const struct evidence *ev, const struct gpu *g)
{
	int card = found_at(ev, g->pci), driver = driver_at(ev);
	const struct kline *lines = ev->log.lines;

	if (!ev->log.read || card < 0)
		return TRI_UNKNOWN;
	if (driver >= 0)
		return card < driver ? TRI_YES : TRI_NO;
	if (!lines[0].timed || !lines[card].timed)
		return TRI_UNKNOWN;
	return lines[card].usec - lines[0].usec < EARLY_USEC ? TRI_YES : TRI_NO;
}

static enum tri host_reset(const struct evidence *ev)
{
	const char *v = ev_value(ev, "sys/module/thunderbolt/parameters/host_reset");

	if (!v)
		v = ev_cmdline(ev, "thunderbolt.host_reset=");
	if (!v)
		return TRI_UNKNOWN;
	return strchr("0Nn", v[0]) ? TRI_NO : TRI_YES;
}

void bartree_case(const struct evidence *ev, const struct gpu *g, struct bar_case *c)
{
	*c = (struct bar_case) {
		.unassigned = any_unassigned(g) || bar_forgotten(ev, g),
		.small = is_small(g),
		.tunnelled = gpu_is_external(g),
		.seen_early = seen_early(ev, g),
		.host_reset = host_reset(ev),
		.realloc_on = ev_cmdline_item(ev, "pci=", "realloc") ||
			      ev_cmdline_item(ev, "pci=", "realloc=on"),
		.realloc_off = ev_cmdline_item(ev, "pci=", "realloc=off"),
		.windows_set = ev_cmdline_item(ev, "pci=", "hpmmioprefsize=") ||
			       ev_cmdline_item(ev, "pci=", "hpmmiosize=") ||
			       ev_cmdline_item(ev, "pci=", "hpmemsize="),
		.port_up_failed = kmsg_find(&ev->log, 0, "failed to reach state TB_PORT_UP") >= 0,
		.nested = windows_nested(ev, g),
		.kernel = ev->kernel,
	};
}

void bartree_advise(const struct evidence *ev, struct finding *f)
{
	const struct ev_function *at = ev_function(ev, f->device);
	const struct gpu *g = at ? &ev->r->gpus[at->gpu] : NULL; /* or the one below a bridge */
	struct bar_case c;
	enum bar_advice a = BAR_LOOK_FIRST;

	if (g) {
		bartree_case(ev, g, &c);
		/* The log may know of a fault that is mended by now, or that another function had. */
		if (!c.small)
			c.unassigned = true;
		a = bartree_decide(&c);
	}
	const struct bar_answer *answer = bartree_answer(a);

	if (g)
		text_copy(f->device, sizeof(f->device), g->pci);
	finding_remedy(f, answer->kind, answer->remedy, answer->undo, answer->advice);
}

/* --- windows --- */

static bool fits(uint64_t start, uint64_t size, const struct window *plain,
		 const struct window *prefetch)
{
	return !size || window_holds(plain, start, size) || window_holds(prefetch, start, size);
}

enum tri windows_nested(const struct evidence *ev, const struct gpu *g)
{
	const struct ev_function *f = ev_function(ev, g->pci);
	const struct ev_function *above = f ? ev_above(ev, f) : NULL;
	struct window plain, prefetch, up, up_prefetch;
	const char *text = above ? ev_function_value(ev, above, "resource") : NULL;

	bridge_windows(text, &plain, &prefetch);
	if (!plain.size && !prefetch.size)
		return TRI_UNKNOWN; /* not recorded, or closed: a BAR without address says that */
	for (int i = 0; i < PROBE_BARS - 1; i++) {
		const struct bar *b = &g->bars[i];

		if (!b->io && !b->unassigned && !fits(b->address, b->size_bytes, &plain, &prefetch))
			return TRI_NO;
	}
	while ((above = ev_above(ev, above))) {
		bridge_windows(ev_function_value(ev, above, "resource"), &up, &up_prefetch);
		if (!up.size && !up_prefetch.size)
			return TRI_UNKNOWN;
		if (!fits(plain.start, plain.size, &up, &up_prefetch) ||
		    !fits(prefetch.start, prefetch.size, &up, &up_prefetch))
			return TRI_NO;
		plain = up;
		prefetch = up_prefetch;
	}
	return TRI_YES;
}

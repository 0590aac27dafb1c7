/* SPDX-License-Identifier: MIT */
/* `doctor link DEVICE` and `doctor bar DEVICE`: one subject of one GPU, explained. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/bartree.h"
#include "probe/doctor_main_priv.h"
#include "probe/lines_priv.h"

static void title(FILE *to, const struct gpu *g)
{
	char buf[200];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	gpu_title(&t, g);
	fprintf(to, "%.*s\n", (int)line_fitting(buf, LINE_COLUMNS), buf);
}

/* --- link --- */

static const char *rate(char *buf, size_t size, const struct fact *speed, const struct fact *width)
{
	if (!fact_known(speed) || !fact_known(width))
		snprintf(buf, size, "unknown (%s)",
			 why_name(fact_known(speed) ? width->why : speed->why));
	else
		snprintf(buf, size, "%lld.%lld GT/s x%lld", (long long)speed->v / 1000,
			 (long long)speed->v % 1000 / 100, (long long)width->v);
	return buf;
}

static const char *throughput(char *buf, size_t size, const struct fact *f)
{
	if (!fact_known(f))
		snprintf(buf, size, "unknown (%s)", why_name(f->why));
	else
		snprintf(buf, size, "%lld.%02lld GB/s", (long long)f->v / 1000000000,
			 (long long)f->v % 1000000000 / 10000000);
	return buf;
}

/* What a kind of hop means for its numbers. */
static const char *const hop_says[HOP_COUNT] = {
	[HOP_UNKNOWN] = "what it is cannot be told",
	[HOP_PCIE] = "a slot, a cable or a trace: what it reports is true",
	[HOP_ON_CARD] = "inside the card, behind its own switch: its numbers mean nothing",
	[HOP_TUNNEL] = "carried by Thunderbolt or USB4: its numbers mean nothing",
	[HOP_SWITCH] = "between the two ports of one switch: there is no link",
	[HOP_ON_DIE] = "part of the processor: there is no link",
	[HOP_ON_PACKAGE] = "a coherent link of the package",
	[HOP_CONVENTIONAL] = "conventional PCI: a bus that others share",
};

static const char *const cause_says[LINK_CAUSE_COUNT] = {
	[LINK_CAUSE_NONE] = "It is as fast as both its ends can be.",
	[LINK_CAUSE_IDLE] =
		"It is slower now because nothing is asked of it; under load it comes back.",
	[LINK_CAUSE_DOWN] =
		"It is below what both its ends can do, also under load: seat the card anew, or try another slot.",
	[LINK_CAUSE_SLOT] =
		"The slot, or the bridge above, has less to give than the card could take.",
	[LINK_CAUSE_TUNNEL] =
		"Thunderbolt or USB4 carries it; what the PCIe files say there is virtual.",
	[LINK_CAUSE_UNKNOWN] = "Why cannot be told.",
};

static void explain_hop(FILE *to, const struct link *l, uint32_t i)
{
	const struct hop *h = &l->hops[i];
	const char *says = h->kind < HOP_COUNT ? hop_says[h->kind] : NULL;
	char now[64], max[64], label[24];
	struct line line;

	line_init(&line);
	snprintf(label, sizeof(label), "hop %u", i + 1);
	text_add(&line.t, "%s to %s; ", h->pci, h->above[0] ? h->above : "the processor");
	if (h->kind == HOP_PCIE || h->kind == HOP_UNKNOWN || h->kind == HOP_CONVENTIONAL)
		text_add(&line.t, "now %s, at most %s; ",
			 rate(now, sizeof(now), &h->speed_mts, &h->width),
			 rate(max, sizeof(max), &h->max_speed_mts, &h->max_width));
	text_add(&line.t, "%s%s", says ? says : hop_says[HOP_UNKNOWN],
		 l->bottleneck == (int)i ? "; THE NARROWEST" : "");
	line_print(to, label, line.buf);
}

static void explain_tunnel(FILE *to, const struct report *r, const struct gpu *g)
{
	const struct tunnel *t = &g->tunnel;
	const struct usb4 *u = &r->usb4;
	char buf[64];
	struct line l;

	if (!t->tunnelled && !t->external)
		return;
	line_init(&l);
	if (t->router >= 0 && (uint32_t)t->router < u->n_routers)
		text_add(&l.t, "router %s (%s); ", u->routers[t->router].name,
			 t->router_certainty == CERTAINTY_CERTAIN ? "certain" : "likely");
	else if (t->candidates[0])
		text_add(&l.t, "one of the routers %s; ", t->candidates);
	text_add(&l.t, "leaves %s for PCIe%s%s", throughput(buf, sizeof(buf), &t->pcie_bytes_per_s),
		 t->how[0] ? "; " : "", t->how);
	line_print(to, "tunnel", l.buf);
}

void explain_link(FILE *to, const struct evidence *ev, const struct gpu *g)
{
	const struct link *k = &g->link;
	char buf[64];
	struct line l;

	title(to, g);
	if (!k->n_hops) {
		line_init(&l);
		text_add(&l.t, "unknown (%s)", why_name(k->why));
		line_print(to, "link", l.buf);
		return;
	}
	for (uint32_t i = 0; i < k->n_hops; i++)
		explain_hop(to, k, i);
	if (k->cut)
		line_print(to, "", "There are more hops than berth follows.");
	explain_tunnel(to, ev->r, g);
	/* Part of the processor, or not a real device: what the hops said is all. */
	if (!fact_known(&k->bytes_per_s) && k->bytes_per_s.why == WHY_NOT_APPLICABLE)
		return;
	line_init(&l);
	text_add(&l.t, "%s", throughput(buf, sizeof(buf), &k->bytes_per_s));
	if (fact_known(&k->load_10gb_ms))
		text_add(&l.t, ": 10 GB take %lld.%lld s", (long long)k->load_10gb_ms.v / 1000,
			 (long long)k->load_10gb_ms.v % 1000 / 100);
	line_print(to, "expect", l.buf);
	line_print(to, "because",
		   cause_says[k->cause < LINK_CAUSE_COUNT ? k->cause : LINK_CAUSE_UNKNOWN]);
}

/* --- BARs --- */

static void explain_bar(FILE *to, const struct gpu *g, int i)
{
	const struct bar *b = &g->bars[i];
	char size[TEXT_SIZE_MAX], label[16];
	struct line l;
	uint64_t most;

	if (!b->size_bytes)
		return;
	snprintf(label, sizeof(label), i == PROBE_BARS - 1 ? "ROM" : "BAR %d", i);
	line_init(&l);
	text_add(&l.t, "%s%s%s", text_size(size, b->size_bytes), b->io ? " of I/O ports" : "",
		 b->prefetchable ? ", prefetchable" : "");
	if (b->unassigned)
		text_add(&l.t, ", WITHOUT AN ADDRESS");
	else
		text_add(&l.t, " at 0x%" PRIx64, b->address);
	if (!fact_known(&b->resizable)) {
		if (b->prefetchable)
			text_add(&l.t, "; other sizes unknown (%s)", why_name(b->resizable.why));
	} else if (!b->resizable.v) {
		text_add(&l.t, "; cannot be resized");
	} else {
		text_add(&l.t, "; can be");
		for (int bit = 0; bit <= 42; bit++)
			if (b->sizes >> bit & 1)
				text_add(&l.t, " %s (write %d)",
					 text_size(size, UINT64_C(1) << (bit + 20)), bit);
		if (!bar_could_grow(b, &most))
			text_add(&l.t, "; it has the largest");
	}
	line_print(to, label, l.buf);
}

static void put_window(struct line *l, const char *what, const struct window *w)
{
	char size[TEXT_SIZE_MAX];

	if (w->size)
		line_part(l, "%s %s at 0x%" PRIx64, what, text_size(size, w->size), w->start);
}

static void explain_bridge(FILE *to, const struct evidence *ev, const struct ev_function *b,
			   const char *label)
{
	const char *resource = ev_function_value(ev, b, "resource");
	struct window plain, prefetch;
	struct line l;

	bridge_windows(resource, &plain, &prefetch);
	line_init(&l);
	text_add(&l.t, "%s%s", b->pci, b->role == EV_EMPTY_PORT ? " (empty)" : "");
	if (!plain.size && !prefetch.size)
		line_part(&l, "its windows are %s",
			  resource ? "closed or not shown" : "not recorded");
	put_window(&l, "memory", &plain);
	put_window(&l, "prefetchable", &prefetch);
	line_print(to, label, l.buf);
}

/* Empty ports beside the way: removing them frees their part of the window. */
static void explain_siblings(FILE *to, const struct evidence *ev, const struct gpu *g)
{
	for (uint32_t i = 0; i < ev->n_functions; i++) {
		const struct ev_function *f = &ev->functions[i];

		if (f->role == EV_EMPTY_PORT && &ev->r->gpus[f->gpu] == g)
			explain_bridge(to, ev, f, "beside");
	}
}

static const char *tri_text(enum tri t, const char *yes, const char *no)
{
	return t == TRI_YES ? yes : t == TRI_NO ? no : "unknown";
}

static void explain_case(FILE *to, const struct bar_case *c)
{
	struct line l;

	line_init(&l);
	line_part(&l, "windows lie inside each other: %s", tri_text(c->nested, "yes", "NO"));
	if (c->tunnelled) {
		line_part(&l, "found before the Thunderbolt driver: %s",
			  tri_text(c->seen_early, "yes (firmware built the tunnel)",
				   "no (it was built while Linux ran)"));
		line_part(&l, "host reset: %s", tri_text(c->host_reset, "on", "off"));
	}
	line_part(&l, "pci=realloc: %s", c->realloc_on ? "on" : c->realloc_off ? "off" : "not set");
	if (c->windows_set)
		line_part(&l, "hot-plug windows are set by hand");
	line_print(to, "decides", l.buf);
}

static void explain_forgotten(FILE *to, const struct evidence *ev, const struct gpu *g)
{
	const struct kline *lost = bar_forgotten(ev, g);
	struct line l;

	if (!lost)
		return;
	line_init(&l);
	text_add(&l.t, "%s", lost->text);
	line_print(to, "the log", text_clean(l.buf));
}

void explain_bars(FILE *to, const struct evidence *ev, const struct gpu *g)
{
	const struct ev_function *f = ev_function(ev, g->pci);
	struct finding answer = { 0 };
	struct bar_case c;
	struct line l;

	title(to, g);
	for (int i = 0; i < PROBE_BARS; i++)
		explain_bar(to, g, i);
	explain_forgotten(to, ev, g);
	while (f && (f = ev_above(ev, f)))
		explain_bridge(to, ev, f, "below");
	explain_siblings(to, ev, g);
	bartree_case(ev, g, &c);
	explain_case(to, &c);
	enum bar_advice a = bartree_decide(&c);
	const struct bar_answer *says = bartree_answer(a);

	text_copy(answer.device, sizeof(answer.device), g->pci);
	finding_remedy(&answer, says->kind, says->remedy, says->undo, says->advice);
	line_init(&l);
	if (a == BAR_FINE)
		text_add(
			&l.t,
			"nothing to do: every BAR has an address, and none could be larger as far as "
			"can be told");
	else
		text_add(&l.t, "(%s) %s", remedy_name(answer.kind), answer.remedy);
	line_print(to, "remedy", l.buf);
	if (answer.undo[0])
		line_print(to, "undo", answer.undo);
}

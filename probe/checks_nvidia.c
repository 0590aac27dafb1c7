/* SPDX-License-Identifier: MIT */
/* Checks of NVIDIA's driver: what its log says, what it knows of the box, and who holds the card. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* --- the driver's log --- */

#define NEARBY 12 /* lines of one attempt to start a card */

static bool of_nvidia(const struct gpu *g)
{
	return g->vendor == 0x10de;
}

/* The only NVIDIA GPU of the machine, or NULL. */
static const struct gpu *only_one(const struct report *r)
{
	const struct gpu *one = NULL;

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		if (!of_nvidia(&r->gpus[i]))
			continue;
		if (one)
			return NULL;
		one = &r->gpus[i];
	}
	return one;
}

/*
 * Most lines of the driver's core name no card. The failed attempt ends in a line that does; else it is the
 * only card there is. "" when it cannot be told.
 */
static void device_of(const struct exam *x, uint32_t line, char pci[24])
{
	const struct kmsg *k = &x->ev->log;
	const struct gpu *one = only_one(x->r);

	if (kline_pci(k->lines[line].text, pci))
		return;
	for (uint32_t i = line + 1; i < k->n && i <= line + NEARBY; i++)
		if (strstr(k->lines[i].text, "RmInitAdapter failed") &&
		    kline_pci(k->lines[i].text, pci))
			return;
	text_copy(pci, 24, one ? one->pci : "");
}

static bool names_one_of(const struct doctor_check *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(c->log) && c->log[i]; i++)
		if (strstr(text, c->log[i]))
			return true;
	return false;
}

/* A GSP that does not start, for another reason than the one before: that has a check of its own. */
static bool wpr2_was_up(const struct exam *x, uint32_t line)
{
	const struct kmsg *k = &x->ev->log;

	for (uint32_t i = line > NEARBY ? line - NEARBY : 0; i < k->n && i <= line + NEARBY; i++)
		if (strstr(k->lines[i].text, "WPR2 already up"))
			return true;
	return false;
}

/* One finding for each card, of the driver's lines that `spare` does not take out. */
static void each_card(const struct exam *x, bool (*spare)(const struct exam *x, uint32_t line))
{
	const struct kmsg *k = &x->ev->log;
	uint32_t first = x->out->n;

	for (uint32_t i = 0; i < k->n; i++) {
		struct finding *same = NULL;
		char pci[24];

		if (!strstr(k->lines[i].text, "NVRM") || !names_one_of(x->c, k->lines[i].text) ||
		    (spare && spare(x, i)))
			continue;
		device_of(x, i, pci);
		for (uint32_t j = first; j < x->out->n && !same; j++)
			if (strcmp(x->out->list[j].device, pci) == 0)
				same = &x->out->list[j];
		if (same)
			same->times++;
		else
			found_line(x, pci, &k->lines[i]);
	}
}

static void by_log(const struct exam *x)
{
	each_card(x, NULL);
}

static void gsp_boot(const struct exam *x)
{
	each_card(x, wpr2_was_up);
}

/* The number of the Xid, or words: some releases have only one of them. */
static bool of_driver(const struct exam *x, const struct kline *l)
{
	(void)x;
	return strstr(l->text, "NVRM");
}

static void off_the_bus(const struct exam *x)
{
	test_log(x, of_driver);
}

/* --- what the driver knows of the box --- */

/*
 * Bridges of Intel's (8086) by which the driver knows a card in a box: what isTB3DeviceID() and isTB2DeviceID() of
 * NVIDIA's open kernel modules list, in two releases. Those of Thunderbolt 5 are only in the newer one.
 */
/* clang-format off */
static const struct {
	uint16_t device;
	bool newer;
} known_bridges[] = {
	{ 0x5786, true }, { 0x57a4, true },
	{ 0x1578, false }, { 0x1576, false }, { 0x15c0, false }, { 0x15d3, false }, { 0x15da, false },
	{ 0x15ea, false }, { 0x15e7, false }, { 0x15ef, false }, { 0x1133, false }, { 0x1136, false },
	{ 0x8a1d, false }, { 0x8a1f, false }, { 0x8a21, false }, { 0x8a23, false }, { 0x8a0d, false },
	{ 0x8a17, false }, { 0x9a1b, false }, { 0x9a1d, false }, { 0x9a1f, false }, { 0x9a21, false },
	{ 0x9a23, false }, { 0x9a25, false }, { 0x9a27, false }, { 0x9a29, false }, { 0x9a2b, false },
	{ 0x9a2d, false }, { 0x7eb2, false }, { 0x7ec2, false }, { 0x7ec3, false }, { 0x7eb4, false },
	{ 0x7ec4, false }, { 0x7eb5, false }, { 0x7ec5, false }, { 0x7ec6, false }, { 0x7ec7, false },
	{ 0xa73e, false }, { 0xa76d, false }, { 0x466e, false }, { 0x463f, false }, { 0x462f, false },
	{ 0x461f, false },
	/* Thunderbolt 2 */
	{ 0x156d, false }, { 0x157e, false }, { 0x156b, false }, { 0x1567, false }, { 0x1569, false },
	{ 0x151b, false }, { 0x1549, false }, { 0x1513, false },
};
/* clang-format on */

enum bridge_known { BRIDGE_NEW, BRIDGE_NEWER_DRIVERS, BRIDGE_KNOWN };

static enum bridge_known bridge_known(uint32_t vendor, uint32_t device)
{
	for (size_t i = 0; vendor == 0x8086 && i < ARRAY_LEN(known_bridges); i++)
		if (known_bridges[i].device == device)
			return known_bridges[i].newer ? BRIDGE_NEWER_DRIVERS : BRIDGE_KNOWN;
	return BRIDGE_NEW;
}

/* The best that the driver can know of the way, and the bridge it would go by. */
static enum bridge_known way_known(const struct link *l, const struct hop **by)
{
	enum bridge_known best = BRIDGE_NEW;

	*by = l->n_hops ? &l->hops[0] : NULL;
	for (uint32_t i = 0; i < l->n_hops; i++) {
		enum bridge_known k = bridge_known(l->hops[i].above_vendor,
						   l->hops[i].above_device);

		if (k > best) {
			best = k;
			*by = &l->hops[i];
		}
	}
	return best;
}

static void box_not_known(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE], value[48];
		const struct hop *by;

		if (!g->tunnel.tunnelled || !gpu_has_driver(g, "nvidia") || g->link.cut)
			continue;
		enum bridge_known known = way_known(&g->link, &by);

		if (known == BRIDGE_KNOWN || !by || !by->above[0])
			continue;
		snprintf(value, sizeof(value), "%04x:%04x", by->above_vendor, by->above_device);
		struct finding *f = found(x, g->pci, function_file(path, by->above, "device"),
					  value, NULL);

		if (known == BRIDGE_NEWER_DRIVERS) {
			f->confidence = CONF_POSSIBLE;
			finding_detail(f, "Newer releases of the driver know this bridge.");
		}
	}
}

/* --- modules --- */

/* modprobe takes '-' and '_' for the same. */
static bool same_module(const char *word, size_t len, const char *module)
{
	if (strlen(module) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((word[i] == '-' ? '_' : word[i]) != module[i])
			return false;
	return true;
}

/* "install nvidia_uvm /bin/false": whatever is run instead of loading it does nothing. */
static bool forbids_uvm(const char *line, size_t len)
{
	static const char *const nothing[] = { "/bin/false",    "/bin/true", "/usr/bin/false",
					       "/usr/bin/true", ":",         "/dev/null" };
	char copy[256], *save = NULL;

	snprintf(copy, sizeof(copy), "%.*s", (int)len, line);
	const char *verb = strtok_r(copy, " ", &save), *module = strtok_r(NULL, " ", &save),
		   *command = strtok_r(NULL, " ", &save);

	if (!command || strcmp(verb, "install") != 0 ||
	    !same_module(module, strlen(module), "nvidia_uvm"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
		if (strcmp(command, nothing[i]) == 0)
			return true;
	return false;
}

static bool uvm_forbidden_by(const struct exam *x, const struct ev_file *f)
{
	for (const char *l = f->value; *l;) {
		size_t len = strcspn(l, "\n");
		char value[256];

		if (forbids_uvm(l, len)) {
			snprintf(value, sizeof(value), "%.*s", (int)len, l);
			found(x, "", f->path, value, f->path);
			return true;
		}
		l += len + (l[len] == '\n');
	}
	return false;
}

static void uvm_forbidden(const struct exam *x)
{
	static const char *const patterns[] = { "etc/modprobe.d/*.conf", "run/modprobe.d/*.conf",
						"usr/lib/modprobe.d/*.conf" };
	bool driven = false;

	for (uint32_t i = 0; i < x->r->n_gpus; i++)
		driven |= gpu_has_driver(&x->r->gpus[i], "nvidia");
	if (!driven || ev_file(x->ev, "sys/module/nvidia_uvm"))
		return;
	for (size_t p = 0; p < ARRAY_LEN(patterns); p++) {
		const struct ev_file *f;

		for (uint32_t i = 0; (f = ev_next(x->ev, patterns[p], &i));)
			if (uvm_forbidden_by(x, f))
				return;
	}
}

/* The card that a framebuffer is on: "sys/class/graphics/fb0/name" stands beside its device. NULL: not told. */
static const char *framebuffer_card(const struct evidence *ev, const struct ev_file *name)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%.*s/device", (int)(strrchr(name->path, '/') - name->path),
		 name->path);
	return ev_value(ev, path);
}

/* A console on nvidia_drm's framebuffer keeps the module, and so the card, for good. */
static void console_holds(const struct exam *x)
{
	const struct ev_file *f;
	uint32_t from = 0;

	while ((f = ev_next(x->ev, "sys/class/graphics/*/name", &from))) {
		const char *card = framebuffer_card(x->ev, f);

		if (strncmp(f->value, "nvidia-drm", 10) != 0)
			continue;
		for (uint32_t i = 0; i < x->r->n_gpus; i++) {
			const struct gpu *g = &x->r->gpus[i];

			if (!gpu_is_external(g) || !gpu_has_driver(g, "nvidia") ||
			    (card && strcmp(card, g->pci) != 0))
				continue;
			struct finding *console = found(x, g->pci, f->path, f->value, NULL);

			if (!card)
				console->confidence = CONF_POSSIBLE;
			return;
		}
	}
}

/* --- who holds it --- */

static void held(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		const struct holders *h = &g->holders;
		char value[300], path[PATH_SIZE];
		struct text t;

		if (!h->n_procs || !gpu_is_external(g))
			continue;
		text_init(&t, value, sizeof(value));
		for (uint32_t k = 0; k < h->n_procs && k < 6; k++)
			text_add(&t, "%s%.31s (%u)", k ? ", " : "", h->procs[k].name,
				 h->procs[k].pid);
		if (h->n_procs + h->n_left_out > 6)
			text_add(&t, " and %u more", h->n_procs + h->n_left_out - 6);
		snprintf(path, sizeof(path), "/proc/%u/fd", h->procs[0].pid);
		found(x, g->pci, path, value, NULL);
	}
}

/* clang-format off */
const struct doctor_check checks_nvidia[] = {
	{ 47, "nvidia-off-bus", SEV_ERROR, CONF_CERTAIN, "The card fell off the bus while the driver used it",
	  "kernel log: NVRM: Xid ... 79, GPU has fallen off the bus", { "GPU has fallen off the bus", "): 79," }, off_the_bus,
	  REMEDY_POWER_CYCLE,
	  "The driver gives such a card up for good: shut the machine down, power the card (or its box) off and on, then boot. "
	  "When it comes again, look at its power supply, its cable and its heat.", "", 0, "NVIDIA osinit.c; open-gpu-kernel-modules#979", NULL },
	{ 48, "nvidia-wpr2-up", SEV_ERROR, CONF_CERTAIN,
	  "The card kept the protected memory of a start before, so the driver cannot start it again",
	  "kernel log: NVRM: unexpected WPR2 already up, RmInitAdapter failed! (0x62:0x40",
	  { "unexpected WPR2 already up", "RmInitAdapter failed! (0x62:0x40" }, by_log, REMEDY_COMMAND,
	  "berth device unbind {dev}; berth device reset {dev}; berth device bind {dev} nvidia. When that does not help: "
	  "berth device eject {dev}, power the box off and on, berth device rescan.",
	  "berth device rescan brings back what was ejected", 0, "A", NULL },
	{ 49, "nvidia-gsp-boot", SEV_ERROR, CONF_CERTAIN, "The card's own processor (GSP) did not start",
	  "kernel log: NVRM: Cannot initialize GSP firmware RM, failed to wait for GFW_BOOT; and no WPR2 line beside it",
	  { "Cannot initialize GSP firmware RM", "failed to wait for GFW_BOOT", "GSP failed to halt with GFW_BOOT" }, gsp_boot, REMEDY_POWER_CYCLE,
	  "Shut the machine down, power the card (or its box) off for half a minute and on again, then boot; then try another release of the driver.",
	  "", 0, "open-gpu-kernel-modules#789", NULL },
	{ 50, "nvidia-box-not-known", SEV_NOTE, CONF_LIKELY,
	  "NVIDIA's driver does not know the box's bridges, so it treats the card as one that is never unplugged",
	  "vendor and device of the bridges above a tunnelled card, against the driver's list", { NULL }, box_not_known, REMEDY_NONE,
	  "Stop whatever holds the card and unload the driver before the cable is pulled; newer releases of the driver know more bridges.",
	  "", 0, "NVIDIA osinit.c, isTB3DeviceID(), nv-pci.c; open-gpu-kernel-modules#979, #981", NULL },
	{ 51, "nvidia-removed-in-use", SEV_ERROR, CONF_CERTAIN, "The card was taken away while something held it, and the driver waits for that for ever",
	  "kernel log: NVRM: Attempting to remove device ... with non-zero usage count!", { "with non-zero usage count!" }, by_log,
	  REMEDY_POWER_CYCLE,
	  "Save your work and shut down; if that hangs, power off. Next time stop whatever holds the card first: 'berth doctor' names it.", "", 0,
	  "NVIDIA nv-pci.c; open-gpu-kernel-modules#985, #842", NULL },
	{ 52, "nvidia-uvm-forbidden", SEV_ERROR, CONF_CERTAIN, "CUDA's module may not load, so CUDA ends with error 999",
	  "etc/modprobe.d/*.conf: install nvidia_uvm /bin/false; and no sys/module/nvidia_uvm", { NULL }, uvm_forbidden, REMEDY_COMMAND,
	  "Take that line out of /{arg}, then as root: nvidia-modprobe -u -c 0", "Put the line back; modprobe -r nvidia_uvm", ADVICE_FOR_HOST, "A",
	  NULL },
	{ 53, "nvidia-console", SEV_NOTE, CONF_CERTAIN, "The text console is on the card in the box, so its driver cannot be unloaded",
	  "sys/class/graphics/*/name = nvidia-drmdrmfb, whose device is an NVIDIA card in a box", { NULL }, console_holds, REMEDY_REBOOT,
	  "echo 'options nvidia_drm fbdev=0' > /etc/modprobe.d/berth-console.conf, renew the initramfs, and reboot.",
	  "rm /etc/modprobe.d/berth-console.conf", 0, "K", NULL },
	{ 54, "box-card-held", SEV_NOTE, CONF_CERTAIN, "Programs hold the card in the box; its cable must not be pulled now",
	  "proc/*/fd of all that we may see, for cards in a box", { NULL }, held, REMEDY_NONE,
	  "Nothing while it stays plugged in; else stop them first. As root more of them can be seen.", "", 0, "K", NULL },
	{ 0 },
};
/* clang-format on */

/* SPDX-License-Identifier: MIT */
/* Checks of PCI resources: BARs without room, windows, bus numbers, contradicting options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/bartree.h"
#include "probe/doctor_priv.h"

/* --- BARs --- */

static void unassigned(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		for (int k = 0; k < PROBE_BARS - 1; k++) {
			const struct bar *b = &g->bars[k];
			char path[PATH_SIZE], value[64], size[TEXT_SIZE_MAX];

			if (!b->unassigned || b->io)
				continue;
			snprintf(value, sizeof(value), "BAR %d of %s has no address", k,
				 text_size(size, b->size_bytes));
			found(x, g->pci, function_file(path, g->pci, "resource"), value, NULL);
			break;
		}
	}
	/* The NVIDIA driver says it of a card whose file looks well. */
	const struct doctor_check *c = x->c;

	for (uint32_t i = 0; i < x->ev->log.n; i++) {
		const struct kline *l = &x->ev->log.lines[i];
		char pci[24];
		bool known = false;

		if (!strstr(l->text, c->log[0]) && !strstr(l->text, c->log[1]))
			continue;
		kline_pci(l->text, pci);
		for (uint32_t j = 0; j < x->out->n; j++)
			known |= x->out->list[j].check == c;
		if (!known)
			found_line(x, pci, l);
	}
}

static void forgotten(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct kline *l = bar_forgotten(x->ev, &x->r->gpus[i]);

		if (l)
			found_line(x, x->r->gpus[i].pci, l);
	}
}

/* Whether a later line gave the same function's BAR its place: "BAR 2 [mem ...]: assigned". */
static bool assigned_later(const struct exam *x, const struct kline *l, const char *pci)
{
	const struct kmsg *k = &x->ev->log;
	const char *bar = strstr(l->text, "BAR ");

	for (uint32_t i = (uint32_t)(l - k->lines) + 1; i < k->n; i++) {
		const char *t = k->lines[i].text, *same = strstr(t, "BAR ");
		char other[24];

		if (!strstr(t, ": assigned") || !kline_pci(t, other) || strcmp(other, pci))
			continue;
		if (!bar || (same && strncmp(bar, same, 5) == 0))
			return true;
	}
	return false;
}

static bool on_the_way(const struct exam *x, const char *pci)
{
	const struct ev_function *f = ev_function(x->ev, pci);

	return f && ev_on_the_way(f);
}

static bool claim_lost(const struct exam *x, const struct kline *l)
{
	char pci[24];

	return kline_pci(l->text, pci) && on_the_way(x, pci) && !assigned_later(x, l, pci);
}

static void bios_rejected(const struct exam *x)
{
	test_log(x, claim_lost);
}

static void small(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		const struct bar *b = gpu_memory_bar(g);
		char path[PATH_SIZE], value[96], now[TEXT_SIZE_MAX], could[TEXT_SIZE_MAX];
		struct bar_case c;
		uint64_t most;

		bartree_case(x->ev, g, &c);
		if (!b || !c.small || b->unassigned || !gpu_is_card(g))
			continue;
		bool grows = bar_could_grow(b, &most);

		snprintf(value, sizeof(value), "BAR %d is %s", (int)(b - g->bars),
			 text_size(now, b->size_bytes));
		struct finding *f = found(x, g->pci, function_file(path, g->pci, "resource"), value,
					  NULL);

		if (grows)
			finding_detail(f, "It could be %s.", text_size(could, most));
		else
			finding_detail(f, "The card has %s.",
				       text_size(could, (uint64_t)g->vram_total.v));
	}
}

/* The finding to go with `small`: what has to happen before any resize. */
static void bound_while_small(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE];
		struct bar_case c;

		bartree_case(x->ev, g, &c);
		if (c.small && c.tunnelled && fact_text_known(&g->driver))
			found(x, g->pci, function_file(path, g->pci, "driver"), g->driver.v,
			      g->driver.v);
	}
}

static bool of_amdgpu(const struct exam *x, const struct kline *l)
{
	(void)x;
	return strstr(l->text, "amdgpu");
}

static void amdgpu_resize(const struct exam *x)
{
	uint32_t first = x->out->n;

	test_log(x, of_amdgpu);
	for (uint32_t i = first; i < x->out->n; i++)
		if (kver_at_least(x->ev->kernel, "7.1"))
			x->out->list[i].kind = REMEDY_TREE;
}

/* --- windows and bus numbers --- */

/* Bit 1 of the command register, little-endian, in hex digits: "0000" at byte 4. */
static bool memory_off(const char *config)
{
	char byte[3] = { 0 };

	if (!config || strlen(config) < 12)
		return false;
	memcpy(byte, config + 8, 2);
	return !(strtoul(byte, NULL, 16) & 2);
}

/* The windows enclose the card's BARs: then the switch alone is what is missing. */
static void bridge_off(const struct exam *x)
{
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *b = &x->ev->functions[i];
		const struct gpu *g = &x->r->gpus[b->gpu];
		const char *config = ev_function_value(x->ev, b, "config");
		char path[PATH_SIZE], value[40];

		if (b->role != EV_BRIDGE || !memory_off(config))
			continue;
		snprintf(value, sizeof(value), "command register %.2s%.2s", config + 10,
			 config + 8);
		struct finding *f = found(x, g->pci, function_file(path, b->pci, "config"), value,
					  b->pci);

		if (windows_nested(x->ev, g) == TRI_NO)
			f->kind = REMEDY_TREE;
	}
	if (!x->ev->n_functions)
		return;
	uint32_t first = x->out->n;

	test_log(x, NULL);
	for (uint32_t i = first; i < x->out->n; i++)
		x->out->list[i].kind = REMEDY_TREE;
}

static const char *size_option(const struct exam *x, char *buf, size_t size)
{
	static const char *const options[] = { "hpmmioprefsize=", "hpmmiosize=", "hpmemsize=" };
	const char *line = ev_value(x->ev, "proc/cmdline");

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const char *at = line ? strstr(line, options[i]) : NULL;

		if (!at)
			continue;
		snprintf(buf, size, "%.*s", (int)strcspn(at, ", "), at);
		return buf;
	}
	return NULL;
}

static void windows_too_large(const struct exam *x)
{
	const struct kmsg *k = &x->ev->log;
	char option[64];

	if (!size_option(x, option, sizeof(option)))
		return;
	for (uint32_t i = 0; i < k->n; i++)
		if (strstr(k->lines[i].text, "cannot fit 0x") &&
		    strstr(k->lines[i].text, "required for")) {
			struct finding *f = found_line(x, "", &k->lines[i]);

			finding_detail(f, "The command line has %s.", option);
			return;
		}
}

static bool of_vf(const struct exam *x, const struct kline *l)
{
	(void)x;
	return strstr(l->text, "no space") || strstr(l->text, "failed to assign");
}

static void vf_noise(const struct exam *x)
{
	test_log(x, of_vf);
}

/* --- the command line --- */

static void contradicting_options(const struct exam *x)
{
	const char *line = ev_value(x->ev, "proc/cmdline");
	bool realloc = ev_cmdline_item(x->ev, "pci=", "realloc") ||
		       ev_cmdline_item(x->ev, "pci=", "realloc=on");
	const char *reset = ev_cmdline(x->ev, "thunderbolt.host_reset=");

	if (realloc && reset && strchr("0Nn", reset[0]))
		found(x, "", "proc/cmdline", line, NULL);
}

static void dangerous_options(const struct exam *x)
{
	static const char *const items[] = { "nocrs", "assign-busses" };

	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (ev_cmdline_item(x->ev, "pci=", items[i]))
			found(x, "", "proc/cmdline", ev_value(x->ev, "proc/cmdline"), items[i]);
}

/* clang-format off */
const struct doctor_check checks_pci[] = {
	{ 15, "bar-unassigned", SEV_ERROR, CONF_CERTAIN,
	  "A BAR found no room, so no driver can use the card",
	  "a function's resource file; kernel log: BAR0 is 0M, BAR1 is 0M",
	  { "BAR0 is 0M", "BAR1 is 0M" }, unassigned, REMEDY_TREE, "", "", 0, "firmware-open#66; R", NULL },
	{ 15, "bar-forgotten", SEV_ERROR, CONF_CERTAIN,
	  "The kernel found no room for a BAR of a card that came after boot, so no driver can use it",
	  "kernel log: BAR N ... failed to assign, as the last word on a BAR that the resource file does not have",
	  { "failed to assign" }, forgotten, REMEDY_TREE, "", "", 0, "tests/lab/cases/hotplug, on Linux 6.1 and 6.12",
	  NULL },
	{ 16, "bar-rejected", SEV_WARNING, CONF_LIKELY,
	  "Firmware's place for a BAR or a window was refused, and none was found after it",
	  "kernel log: can't claim; no compatible bridge window, address conflict with; and no 'assigned' after it",
	  { "can't claim; no compatible bridge window", "address conflict with" }, bios_rejected, REMEDY_TREE, "", "", 0,
	  "A, R", NULL },
	{ 17, "bar-small", SEV_WARNING, CONF_CERTAIN,
	  "The processor sees only a part of the card's memory at a time, which slows loading",
	  "a function's resource file against resourceN_resize, or against its memory", { NULL }, small, REMEDY_TREE, "",
	  "", 0, "R, K", NULL },
	{ 18, "bar-pinned", SEV_WARNING, CONF_LIKELY,
	  "A window could not grow because other ports beside the card hold theirs",
	  "kernel log: was not released (still contains assigned resources)",
	  { "was not released (still contains assigned resources)" }, NULL, REMEDY_COMMAND,
	  "As root, for each empty hot-plug port beside the card: echo 1 > /sys/bus/pci/devices/PORT/remove; then "
	  "echo 1 > /sys/bus/pci/rescan. 'berth doctor bar DEVICE' names them.",
	  "echo 1 > /sys/bus/pci/rescan, or reboot", 0, "R, K", NULL },
	{ 19, "nvidia-resize-fatal", SEV_ERROR, CONF_CERTAIN,
	  "NVIDIA's driver gave the card up because its BAR could not be resized",
	  "kernel log: NVRM: Fatal Error while attempting to resize PCIe BARs",
	  { "Fatal Error while attempting to resize PCIe BARs" }, NULL, REMEDY_COMMAND,
	  "echo 'options nvidia NVreg_EnableResizableBar=0' > /etc/modprobe.d/berth-rebar.conf, then load the driver anew",
	  "rm /etc/modprobe.d/berth-rebar.conf", ADVICE_BAR_SMALL, "open-gpu-kernel-modules#1109", NULL },
	{ 20, "amdgpu-resize", SEV_WARNING, CONF_LIKELY, "amdgpu found no room for a large BAR",
	  "kernel log: Not enough PCI address space for a large BAR, Problem resizing BAR0",
	  { "Not enough PCI address space for a large BAR", "Problem resizing BAR0" }, amdgpu_resize, REMEDY_REBOOT,
	  "Boot Linux 7.1 or newer (or 6.18.20 and later of 6.18), which sizes windows anew.", "Boot the kernel of before.",
	  ADVICE_KERNEL_NEWER, "R", NULL },
	{ 21, "bridge-memory-off", SEV_ERROR, CONF_LIKELY,
	  "A bridge above the card passes no memory access, so its registers read as all ones",
	  "config of bridges (awake only): bit 1 of the command register; kernel log: not claimed; can't enable device",
	  { "not claimed; can't enable device" }, bridge_off, REMEDY_COMMAND,
	  "Before a driver is bound, as root: setpci -s {arg} COMMAND=0006:0006", "setpci -s {arg} COMMAND=0000:0006", 0,
	  "R", NULL },
	{ 22, "no-bus-numbers", SEV_ERROR, CONF_CERTAIN, "A dock plugged in later found no bus number left",
	  "kernel log: No bus number available for hot-added bridge",
	  { "No bus number available for hot-added bridge" }, NULL, REMEDY_REBOOT,
	  "Attach the whole chain before power on; or boot with pci=hpbussize=0x20.", "Boot without it.",
	  ADVICE_WINDOWS_MORE, "K", NULL },
	{ 23, "windows-too-large", SEV_ERROR, CONF_LIKELY,
	  "The windows reserved for hot-plug ports are larger than what the root has, so none fits",
	  "kernel log: cannot fit 0x... required for; with hpmmioprefsize or hpmmiosize on the command line",
	  { "cannot fit 0x" }, windows_too_large, REMEDY_REBOOT,
	  "Boot with a much smaller value (32M): every hot-plug bridge takes as much, nested ones many times.",
	  "Boot with the value of before.", ADVICE_WINDOWS_LESS, "R", NULL },
	{ 24, "options-contradict", SEV_WARNING, CONF_CERTAIN,
	  "pci=realloc and thunderbolt.host_reset=0 work against each other",
	  "proc/cmdline", { NULL }, contradicting_options, REMEDY_REBOOT,
	  "Boot without thunderbolt.host_reset=0 first; pci=realloc alone may be what this machine needs.",
	  "Put it back.", ADVICE_HOST_RESET_ON, "R", NULL },
	{ 24, "options-dangerous", SEV_WARNING, CONF_LIKELY, "A pci= option ignores what firmware knows of its windows",
	  "proc/cmdline: pci=nocrs, pci=assign-busses", { NULL }, dangerous_options, REMEDY_REBOOT,
	  "Boot without pci={arg}: nocrs has kept disks from coming up.", "Put it back.", 0, "R", NULL },
	{ 25, "bar-resize-needs-unbind", SEV_NOTE, CONF_CERTAIN,
	  "The BAR could be resized only after every function of the card is free of its driver",
	  "a function's driver link while its BAR could be larger", { NULL }, bound_while_small, REMEDY_COMMAND,
	  "berth device rebar {dev} BAR SIZE unbinds all of them, resizes, and binds them again; 'berth doctor bar {dev}' names "
	  "the size.",
	  "berth device undo", 0, "R", NULL },
	{ 26, "vf-bar-noise", SEV_NOTE, CONF_CERTAIN, "The log says that BARs of virtual functions found no room; nobody asked for them",
	  "kernel log: VF BAR ... no space, failed to assign", { "VF BAR" }, vf_noise, REMEDY_NONE,
	  "Nothing, unless virtual functions are wanted.", "", 0, "R", NULL },
	{ 0 },
};
/* clang-format on */

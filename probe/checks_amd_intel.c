/* SPDX-License-Identifier: MIT */
/* Checks of amdgpu, xe and i915. */
#include <string.h>

#include "probe/doctor_priv.h"
#include "probe/kfd_priv.h"

/* --- amdgpu --- */

/* Whether the card is there: nodes of one partitioned card may differ in the function. */
static bool card_is_there(const struct report *r, const char *pci)
{
	size_t slot = (size_t)(strrchr(pci, '.') - pci);

	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (strncmp(r->gpus[i].pci, pci, slot + 1) == 0)
			return true;
	return false;
}

static void kfd_stale(const struct exam *x)
{
	const struct ev_file *f;
	struct kfd_node node;
	uint32_t from = 0;

	if (x->r->n_left_out || x->r->n_unclassed)
		return;
	while ((f = ev_next(x->ev, "sys/class/kfd/kfd/topology/nodes/*/properties", &from)))
		if (kfd_node_parse(f->value, &node) && !card_is_there(x->r, node.pci))
			finding_detail(found(x, "", f->path, f->value, NULL),
				       "There is no PCI device at %s any more.", node.pci);
}

/* --- the regression of one kernel --- */

#define AFTER_BOOT_USEC (60u * 1000000u)

static const struct kver_rule *drop_rule(void)
{
	for (size_t i = 0; i < n_kver_rules; i++)
		if (strstr(kver_rules[i].source, "linux-cachyos#794"))
			return &kver_rules[i];
	return NULL;
}

/* At boot ports go up and down; minutes later nobody touched the cable. */
static bool dropped_late(const struct exam *x, const struct kline *l)
{
	char pci[24];

	if (!strstr(l->text, "pciehp") || !l->timed || l->usec < AFTER_BOOT_USEC ||
	    !kline_pci(l->text, pci))
		return false;
	const struct ev_function *f = ev_function(x->ev, pci);

	/* The card is gone: the port above may be on no way to a GPU any more. */
	return !f || gpu_is_external(&x->r->gpus[f->gpu]);
}

static void drops_by_kernel(const struct exam *x)
{
	const struct kver_rule *rule = drop_rule();
	uint32_t first = x->out->n;

	if (!rule || !kver_rule_holds(rule, x->ev->kernel) || !x->r->usb4.n_domains)
		return;
	test_log(x, dropped_late);
	for (uint32_t i = first; i < x->out->n; i++)
		finding_detail(&x->out->list[i], "The kernel is %.60s.", x->r->kernel.v);
}

/* --- xe and i915 --- */

static bool of_intel(const char *text)
{
	return strstr(text, "xe ") || strstr(text, "i915 ");
}

/* The driver gave up with -EIO, and one of its two BARs (registers, memory) has no address. */
static bool without_bar(const struct exam *x, const struct kline *l)
{
	const struct gpu *g;
	char pci[24];

	if (!of_intel(l->text) || !strstr(l->text, "probe") || !kline_pci(l->text, pci))
		return false;
	g = report_gpu(x->r, pci);
	return g && (g->bars[0].unassigned || g->bars[2].unassigned);
}

static void intel_without_bar(const struct exam *x)
{
	test_log(x, without_bar);
}

/* clang-format off */
const struct doctor_check checks_amd_intel[] = {
	{ 55, "kfd-stale", SEV_ERROR, CONF_CERTAIN, "ROCm's kernel interface still lists a card that is gone",
	  "sys/class/kfd/kfd/topology/nodes/*/properties: location_id of no PCI device", { NULL }, kfd_stale, REMEDY_REBOOT,
	  "Reboot; a kernel of 2026 or later takes such a node away with the card.", "", 0, "kernel 6a23e7b4", NULL },
	{ 56, "drm-removal-unsupported", SEV_ERROR, CONF_CERTAIN, "The card was taken away under a kernel whose driver cannot bear that",
	  "kernel log: Device removal is currently not supported outside of fbcon",
	  { "Device removal is currently not supported outside of fbcon" }, NULL, REMEDY_REBOOT,
	  "Reboot. Before the next removal stop the display manager and unload the driver, or use a current kernel.", "", 0, "gswitch#12", NULL },
	{ 57, "box-drops-by-kernel", SEV_ERROR, CONF_LIKELY, "The card dropped from the bus minutes after boot, as it does with this kernel",
	  "proc/sys/kernel/osrelease = 6.19.10; kernel log: pciehp ... Link Down or Card not present a minute or more after boot",
	  { "Link Down", "Card not present" }, drops_by_kernel, REMEDY_REBOOT, "Boot 6.19.6, which does not do it.", "Boot the kernel of before.",
	  ADVICE_KERNEL_OLDER, "CachyOS/linux-cachyos#794", NULL },
	{ 58, "intel-without-bar", SEV_ERROR, CONF_CERTAIN, "Intel's driver gave the card up, as a BAR of it found no room",
	  "kernel log: probe with driver xe (or i915) failed with error -5; BAR 0 or 2 without address in a function's resource file",
	  { "failed with error -5" }, intel_without_bar, REMEDY_FIRMWARE,
	  "In the firmware's setup: Above 4G Decoding on, Resizable BAR on, CSM (legacy boot) off.", "Set them back.", 0,
	  "Linux drivers/gpu/drm/xe; field notes on a B70", NULL },
	{ 58, "intel-small-bar", SEV_WARNING, CONF_CERTAIN, "Intel's driver works with a small BAR, which makes Arc cards slow",
	  "kernel log: Consider enabling 'Resizable BAR'", { "Consider enabling 'Resizable BAR'" }, NULL, REMEDY_TREE, "", "", 0,
	  "Linux drivers/gpu/drm/i915, xe", NULL },
	{ 0 },
};
/* clang-format on */

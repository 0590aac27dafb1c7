/* SPDX-License-Identifier: MIT */
/* Checks of the IOMMU and of devices given to virtual machines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

static bool for_guest(const struct gpu *g)
{
	return fact_text_known(&g->driver) && driver_keeps(g->driver.v);
}

/* --- is there an IOMMU, and does it part the devices --- */

static void iommu_off(const struct exam *x)
{
	uint32_t from = 0;
	bool guest = false, external = false;

	if (ev_next(x->ev, "sys/class/iommu/*", &from) || !x->r->n_gpus)
		return;
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		/* A group without a unit in sys/class/iommu: a capture from before that was kept. */
		if (fact_known(&g->iommu_group))
			return;
		guest |= for_guest(g);
		external |= gpu_is_external(g);
	}
	struct finding *f = found(x, "", "sys/class/iommu", NULL, NULL);

	/* Nobody misses it where no device is given away or plugged in. */
	f->severity = guest ? SEV_ERROR : external ? SEV_WARNING : SEV_NOTE;
}

static void group_shared(const struct exam *x)
{
	for (uint32_t i = 0; i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];
		char path[PATH_SIZE], peers[200];
		struct text t;

		if (g->place.isolation != ISOLATION_SHARED || !gpu_is_card(g))
			continue;
		text_init(&t, peers, sizeof(peers));
		for (uint32_t k = 0; k < g->place.n_peers; k++)
			if (!g->place.peers[k].same_slot)
				text_add(&t, "%s%s", t.len ? " " : "", g->place.peers[k].pci);
		struct finding *f = found(x, g->pci, function_file(path, g->pci, "iommu_group"),
					  peers, NULL);

		if (for_guest(g))
			f->severity = SEV_WARNING;
	}
}

/*
 * Intel writes "Request device [05:00.0]", without the domain; AMD the whole address. Which GPU a line
 * is about, or NULL.
 */
static const struct gpu *faulting(const struct exam *x, const char *text)
{
	const char *at = strstr(text, "equest device [");
	char pci[24];

	if (at)
		snprintf(pci, sizeof(pci), "0000:%.7s", at + strlen("equest device ["));
	else if (!kline_pci(text, pci))
		return NULL;
	return report_gpu(x->r, pci);
}

static void dma_faults(const struct exam *x)
{
	const struct kmsg *log = &x->ev->log;
	uint32_t first = x->out->n;

	for (uint32_t i = 0; i < log->n; i++) {
		const char *text = log->lines[i].text;
		const struct gpu *g = strstr(text, x->c->log[0]) || strstr(text, x->c->log[1])
					      ? faulting(x, text)
					      : NULL;
		struct finding *known = NULL;

		for (uint32_t k = first; g && k < x->out->n; k++)
			if (strcmp(x->out->list[k].device, g->pci) == 0)
				known = &x->out->list[k];
		if (known)
			known->times++;
		else if (g)
			found_line(x, g->pci, &log->lines[i]);
	}
}

/* --- who holds the card --- */

static void wrong_driver(const struct exam *x)
{
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		const struct gpu *g = &x->r->gpus[f->gpu];
		const char *wish = ev_function_value(x->ev, f, "driver_override");
		const char *driver = fact_text_known(&g->driver) ? g->driver.v : NULL;
		char path[PATH_SIZE];

		if (f->role != EV_GPU || !driver)
			continue;
		/* The kernel shows no override as "(null)". */
		if (wish && *wish && strcmp(wish, "(null)") && strcmp(wish, driver)) {
			struct finding *found_it = found(
				x, g->pci, function_file(path, g->pci, "driver_override"), wish,
				driver);

			finding_detail(found_it, "%s holds it.", driver);
		} else if (strcmp(driver, "nouveau") == 0 && ev_value(x->ev, "sys/module/nvidia")) {
			struct finding *found_it = found(
				x, g->pci, function_file(path, g->pci, "driver"), driver, driver);

			finding_detail(found_it, "NVIDIA's own module is loaded beside it.");
		}
	}
}

static void companion_left(const struct exam *x)
{
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		const struct gpu *g = &x->r->gpus[f->gpu];
		const char *driver = ev_function_value(x->ev, f, "driver");
		char path[PATH_SIZE];

		if (f->role == EV_COMPANION && for_guest(g) && driver && !driver_keeps(driver))
			found(x, f->pci, function_file(path, f->pci, "driver"), driver, driver);
	}
}

/* The framebuffer console draws on it until it is told not to. */
static const struct ev_file *bound_console(const struct exam *x)
{
	const struct ev_file *f;

	for (uint32_t i = 0; (f = ev_next(x->ev, "sys/class/vtconsole/*/bind", &i));) {
		char name[PATH_SIZE];
		int head = (int)(strlen(f->path) - strlen("bind"));

		snprintf(name, sizeof(name), "%.*sname", head, f->path);
		const char *what = ev_value(x->ev, name);

		if (strcmp(f->value, "1") == 0 && what && strstr(what, "frame buffer"))
			return f;
	}
	return NULL;
}

static void console_holds(const struct exam *x)
{
	uint32_t from = 0;
	const struct ev_file *console = bound_console(x);
	const struct ev_file *firmware = ev_next(
		x->ev, "sys/bus/platform/drivers/efi-framebuffer/efi-framebuffer.*", &from);
	const struct ev_file *by = firmware ? firmware : console;

	for (uint32_t i = 0; by && i < x->r->n_gpus; i++) {
		const struct gpu *g = &x->r->gpus[i];

		if (for_guest(g) && fact_known(&g->boot_vga) && g->boot_vga.v)
			found(x, g->pci, by->path, firmware ? "bound" : by->value, NULL);
	}
}

/* --- resets --- */

/*
 * AMD's chips whose bus reset hangs them, and which the vendor-reset module knows a way for: Polaris,
 * Vega and Navi 10 to 14 (its README).
 */
static const struct {
	uint32_t first, last;
} vendor_resets[] = {
	{ 0x67c0, 0x67df }, { 0x67e0, 0x67ff }, { 0x6860, 0x687f }, { 0x66a0, 0x66af },
	{ 0x6980, 0x699f }, { 0x7310, 0x731f }, { 0x7340, 0x734f }, { 0x7360, 0x7362 },
};

static bool vendor_reset_knows(const struct gpu *g)
{
	for (size_t i = 0; g->vendor == 0x1002 && i < ARRAY_LEN(vendor_resets); i++)
		if (g->device >= vendor_resets[i].first && g->device <= vendor_resets[i].last)
			return true;
	return false;
}

static void no_reset(const struct exam *x)
{
	for (uint32_t i = 0; i < x->ev->n_functions; i++) {
		const struct ev_function *f = &x->ev->functions[i];
		const struct gpu *g = &x->r->gpus[f->gpu];
		const char *methods = ev_function_value(x->ev, f, "reset_method");
		char path[PATH_SIZE];

		if (f->role != EV_GPU || !methods || *methods || !gpu_is_card(g))
			continue;
		struct finding *found_it = found(
			x, g->pci, function_file(path, g->pci, "reset_method"), "", NULL);

		if (vendor_reset_knows(g))
			finding_detail(found_it,
				       "The vendor-reset module has a way for this chip.");
		if (for_guest(g))
			found_it->severity = SEV_WARNING;
	}
	test_log(x, NULL);
}

/* clang-format off */
const struct doctor_check checks_iommu[] = {
	{ 38, "iommu-off", SEV_NOTE, CONF_CERTAIN, "There is no IOMMU at work: no device can be given to a VM, and none is held back from memory",
	  "sys/class/iommu, functions' iommu_group", { NULL }, iommu_off, REMEDY_REBOOT,
	  "Turn on VT-d or AMD-Vi in the firmware; on Intel boot with intel_iommu=on too.",
	  "Boot without it.", ADVICE_IOMMU_ON, "ls-iommu", NULL },
	{ 39, "group-shared", SEV_NOTE, CONF_CERTAIN, "Its IOMMU group holds other devices too, which a VM would get with it",
	  "a function's iommu_group and the group's devices", { NULL }, group_shared, REMEDY_CABLE,
	  "Use another slot or port: those of the processor are parted best. An ACS override only pretends to part them.",
	  "", 0, "Proxmox guide", NULL },
	{ 40, "dma-faults", SEV_WARNING, CONF_LIKELY, "The IOMMU refuses memory accesses of the card",
	  "kernel log: DMAR: ... fault reason, IO_PAGE_FAULT of a GPU's address", { "fault reason", "IO_PAGE_FAULT" },
	  dma_faults, REMEDY_REBOOT,
	  "Update the driver and the firmware first. iommu=pt does not help behind Thunderbolt: such devices are never "
	  "trusted. On a machine that runs no VM and meets no foreign device, booting with iommu=off ends the faults, and "
	  "with them all protection and VFIO.",
	  "Boot without iommu=off.", ADVICE_IOMMU_OFF, "A Lever T, H10", NULL },
	{ 41, "wrong-driver", SEV_WARNING, CONF_LIKELY, "Another driver holds the card than the one that was meant",
	  "a function's driver_override and driver, sys/module/nvidia", { NULL }, wrong_driver, REMEDY_COMMAND,
	  "berth device bind {dev} DRIVER, with the one that was meant; --persist keeps it so.",
	  "berth device undo", 0, "driverctl(8), A", NULL },
	{ 42, "companion-on-host", SEV_WARNING, CONF_CERTAIN,
	  "The card is held for a VM, but this function of it still belongs to the host",
	  "driver links of all functions of a slot", { NULL }, companion_left, REMEDY_COMMAND,
	  "berth device bind {dev} vfio-pci: it takes all functions of the card.", "berth device undo",
	  ADVICE_FOR_GUEST, "Proxmox guide", NULL },
	{ 43, "reset-impossible", SEV_NOTE, CONF_CERTAIN,
	  "The kernel knows no way to reset the card, or a reset failed: after one guest, the next may not start",
	  "a function's reset_method; kernel log: Unknown PCI header type '127', timed out waiting for pending transaction",
	  { "Unknown PCI header type '127'", "timed out waiting for pending transaction" }, no_reset, REMEDY_COMMAND,
	  "As root: echo > /sys/bus/pci/devices/{dev}/reset_method puts the kernel's own order back; for Polaris, Vega and Navi 10 "
	  "to 14 load vendor-reset early and write device_specific there.",
	  "Write back what the file held.", 0, "vendor-reset", NULL },
	{ 44, "console-holds-card", SEV_WARNING, CONF_LIKELY,
	  "The card is held for a VM, but the host's console still draws on it",
	  "boot_vga of a card on vfio-pci, sys/class/vtconsole/*/bind, efi-framebuffer", { NULL }, console_holds, REMEDY_COMMAND,
	  "As root: for c in /sys/class/vtconsole/*/bind; do echo 0 > $c; done; "
	  "echo efi-framebuffer.0 > /sys/bus/platform/drivers/efi-framebuffer/unbind",
	  "Reboot, or echo 1 into the consoles' bind files", ADVICE_FOR_GUEST, "all-ways-egpu", NULL },
	{ 45, "unbind-waits", SEV_ERROR, CONF_CERTAIN,
	  "The host waits for the device to be given back, and the VM does not let it go",
	  "kernel log: No device request channel registered, Relaying device request to user",
	  { "No device request channel registered", "Relaying device request to user" }, NULL, REMEDY_COMMAND,
	  "Remove the device from the guest in its VMM, or shut the guest down: whoever holds the descriptor must close it.",
	  "Give the device to the guest again.", 0, "vfio_pci_core.c", NULL },
	{ 46, "guest-stopped", SEV_ERROR, CONF_CERTAIN, "QEMU stopped a guest because its device met an unrecoverable PCIe error",
	  "a log with QEMU's messages, given by --kmsg: Unrecoverable error detected ... kill the guest",
	  { "kill the guest" }, NULL, REMEDY_POWER_CYCLE,
	  "End the guest; without power, plug the device again. A card whose link fails like this needs another cable or slot.",
	  "", 0, "qemu hw/vfio/pci.c", NULL },
	{ 0 },
};
/* clang-format on */

/* SPDX-License-Identifier: MIT */
#include "bar-forward/ready.h"

#include <assert.h>
#include <stdarg.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bar-forward/ready_priv.h"
#include "bar-forward/wire.h"
#include "kmod/uapi.h"
#include "probe/probe.h"

static const char *const names[VERDICT_COUNT] = {
	[VERDICT_YES] = "yes",       [VERDICT_NOTE] = "note",   [VERDICT_UNTOLD] = "untold",
	[VERDICT_ATTACH] = "attach", [VERDICT_FORCE] = "force", [VERDICT_NO] = "no",
};

const char *ready_verdict_name(enum verdict v)
{
	assert(v < VERDICT_COUNT);
	return names[v];
}

bool driver_is_vfio(const char *driver)
{
	/* vfio-pci, its variants for some devices: "mlx5_vfio_pci", "nvgrace_gpu_vfio_pci", "xe-vfio-pci"; and ours for all */
	return strstr(driver, "vfio-pci") || strstr(driver, "vfio_pci") ||
	       strcmp(driver, BERTH_VFIO_DRIVER) == 0;
}

void find_say(struct finding *w, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	w->verdict = v;
	va_start(ap, fmt);
	vsnprintf(w->words, sizeof(w->words), fmt, ap);
	va_end(ap);
}

void find_fix(struct finding *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->fix, sizeof(w->fix), fmt, ap);
	va_end(ap);
}

/* --- the group --- */

static bool check_iommu(const struct bridge_facts *f, struct finding *w)
{
	if (f->noiommu) {
		find_say(
			w, VERDICT_NO,
			"vfio has it without an IOMMU: the guest's DMA would reach all of this machine's memory");
		find_fix(w, "switch the IOMMU on in the firmware's setup (VT-d, AMD-Vi)");
	} else if (f->group < 0) {
		find_say(w, VERDICT_NO,
			 "no IOMMU serves it: nothing would confine the guest's DMA");
		find_fix(
			w,
			"switch the IOMMU on in the firmware's setup (VT-d, AMD-Vi); on Intel also intel_iommu=on on the "
			"kernel's command line");
	} else {
		find_say(w, VERDICT_YES, "group %" PRId32, f->group);
	}
	return true;
}

/*
 * A group is the guest's as a whole, or not at all. The kernel lets bridges stay with pcieport, and counts what has
 * no driver as nobody's.
 */
static bool is_in_the_way(const struct mate *m)
{
	static const char *const harmless[] = { "", "pcieport", "pci-stub" };

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strcmp(m->driver, harmless[i]) == 0)
			return false;
	return m->in_group && !m->in_slot && !driver_is_vfio(m->driver);
}

static bool check_group(const struct bridge_facts *f, struct finding *w)
{
	struct text t;
	const char *first = NULL;
	uint32_t n = 0;

	if (f->group < 0 || f->noiommu)
		return false;
	text_init(&t, w->words, sizeof(w->words));
	for (uint32_t i = 0; i < f->n_mates; i++) {
		const struct mate *m = &f->mates[i];

		if (!is_in_the_way(m))
			continue;
		if (!n++)
			first = m->pci;
		text_add(&t, "%s%s (%s)", t.len ? ", " : "", m->pci, m->driver);
	}
	if (!n && f->n_mates_left_out)
		find_say(w, VERDICT_UNTOLD,
			 "%" PRIu32 " more devices share its bus or group than are looked at",
			 f->n_mates_left_out);
	else if (!n)
		find_say(w, VERDICT_YES, "every endpoint is this card's, vfio's, or has no driver");
	if (!n)
		return true;
	text_add(&t, n == 1 ? " shares its group, and has to be vfio's, too"
			    : " share its group, and have to be vfio's, too");
	w->verdict = VERDICT_NO;
	find_fix(w, "berth device bind %s vfio-pci --any%s", first,
		 n > 1 ? ", and so for the others" : "");
	return true;
}

/* --- who has it --- */

static bool card_is_vfios(const struct bridge_facts *f)
{
	for (uint32_t i = 0; i < f->n_mates; i++) {
		const struct mate *m = &f->mates[i];

		/* One that has no driver stands in nobody's way. */
		if (m->in_slot && m->in_group && m->driver[0] && !driver_is_vfio(m->driver))
			return false;
	}
	return driver_is_vfio(f->driver);
}

static bool check_driver(const struct bridge_facts *f, struct finding *w)
{
	static const char no[] = "no: ", force[] = "only with --force: ";
	const char *has = f->driver[0] ? f->driver : "no driver";

	if (f->group < 0 || f->noiommu)
		return false;
	if (card_is_vfios(f)) {
		find_say(w, VERDICT_YES, "%s has it", f->driver);
		return true;
	}
	if (driver_is_vfio(f->driver))
		has = "another driver than vfio's (a function of it)";
	if (strncmp(f->attach, no, sizeof(no) - 1) == 0)
		find_say(w, VERDICT_NO, "%s has it, and keeps it: %s", has,
			 f->attach + sizeof(no) - 1);
	else if (strncmp(f->attach, force, sizeof(force) - 1) == 0)
		find_say(w, VERDICT_FORCE, "%s has it, and lets it go with --force only: %s", has,
			 f->attach + sizeof(force) - 1);
	else
		find_say(w, VERDICT_ATTACH, "%s has it", has);
	find_fix(w, "berth bridge attach %s%s%s", f->pci,
		 w->verdict == VERDICT_FORCE ? " --force" : "",
		 class_is_ours(f->class) ? "" : " --any");
	if (w->verdict == VERDICT_NO)
		w->fix[0] = '\0';
	return true;
}

/* Our own module, of which a program may be older or newer. */
static bool check_module(const struct bridge_facts *f, struct finding *w)
{
	if (strcmp(f->driver, BERTH_VFIO_DRIVER) != 0)
		return false;
	if (!fact_known(&f->kmod_abi)) {
		find_say(w, VERDICT_UNTOLD, "its version is not told");
	} else if (f->kmod_abi.v != BERTH_VFIO_ABI) {
		find_say(w, VERDICT_NO,
			 BERTH_VFIO_DRIVER " is of version %" PRId64 ", and this program wants %d",
			 f->kmod_abi.v, BERTH_VFIO_ABI);
		find_fix(w, "build both from one source, and load the module anew");
	} else if (f->kmod_bars[0]) {
		find_say(w, VERDICT_YES, "BARs are given so: %s", f->kmod_bars);
	} else {
		find_say(w, VERDICT_UNTOLD, "how it gives its BARs is not told");
	}
	return true;
}

/* A device is opened by one program at a time: the kernel says EBUSY to the second. */
static bool has_it(const struct user *u)
{
	return strcmp(u->kind, "virtual machine") == 0 || strcmp(u->kind, "bridge") == 0;
}

static bool check_users(const struct bridge_facts *f, struct finding *w)
{
	bool served = true; /* by bridges alone */
	struct text t;

	text_init(&t, w->words, sizeof(w->words));
	for (uint32_t i = 0; i < f->n_users; i++) {
		const struct user *u = &f->users[i];

		text_add(&t, "%s%s", t.len ? "; " : "", u->words);
		if (!driver_is_vfio(f->driver) || !has_it(u))
			continue;
		w->verdict = VERDICT_NO;
		served = served && strcmp(u->kind, "bridge") == 0;
	}
	if (f->n_users_left_out)
		text_add(&t, "; and %" PRIu32 " more", f->n_users_left_out);
	if (!f->n_users)
		find_say(w, VERDICT_YES, "nobody");
	else if (w->verdict != VERDICT_NO)
		w->verdict = VERDICT_NOTE; /* whether attach minds is said by `driver` */
	else if (served)
		find_fix(w, "end that bridge ('berth bridge status' tells where)");
	else
		find_fix(w, "shut that virtual machine down, or take the device from it");
	w->served = w->verdict == VERDICT_NO && served;
	return true;
}

static bool check_display(const struct bridge_facts *f, struct finding *w)
{
	if (f->class >> 16 != 0x03)
		return false;
	if (f->class >> 8 != 0x0300)
		find_say(w, VERDICT_YES, "no VGA device: none of the old VGA addresses are its");
	else if (!fact_known(&f->boot_vga))
		find_say(w, VERDICT_UNTOLD, "whether it is the firmware's display is not told");
	else if (f->boot_vga.v)
		find_say(
			w, VERDICT_NOTE,
			"the firmware's display: what the console draws ends with attach, and the guest gets neither the "
			"old VGA addresses nor a picture before its driver runs");
	else
		find_say(w, VERDICT_YES,
			 "another display has the old VGA addresses; the guest never gets them");
	return true;
}

/* --- the IOMMU --- */

static bool check_interrupts(const struct bridge_facts *f, struct finding *w)
{
	bool unsafe = fact_known(&f->irqs_unsafe) && f->irqs_unsafe.v;

	if (f->group < 0)
		return false;
	if (!fact_known(&f->irqs_remapped)) {
		find_say(w, VERDICT_UNTOLD, "whether interrupts are remapped is not told here");
	} else if (f->irqs_remapped.v) {
		find_say(w, VERDICT_YES, "remapped: a guest cannot forge any");
	} else if (unsafe) {
		find_say(
			w, VERDICT_NOTE,
			"not remapped, and vfio is told to do without: a guest can forge any interrupt of this machine");
	} else {
		find_say(w, VERDICT_NO,
			 "not remapped, so vfio refuses the group: a guest could forge any");
		find_fix(
			w,
			"switch interrupt remapping on in the firmware's setup, and drop intremap=off from the kernel's "
			"command line");
	}
	return true;
}

static bool check_coherency(const struct bridge_facts *f, struct finding *w)
{
	if (f->group < 0)
		return false;
	if (!fact_known(&f->coherent))
		find_say(
			w, VERDICT_UNTOLD,
			"whether the IOMMU keeps caches right (VFIO_DMA_CC_IOMMU) is asked when it is served");
	else if (f->coherent.v)
		find_say(w, VERDICT_YES, "the IOMMU keeps caches right (VFIO_DMA_CC_IOMMU)");
	else
		find_say(
			w, VERDICT_NOTE,
			"the IOMMU does not force snooping: DMA that goes past the caches shows stale memory to either side");
	return true;
}

/* --- the guest's memory --- */

static bool check_memory(const struct bridge_facts *f, struct finding *w)
{
	const struct fact *limit = &f->memlock_bytes, *want = &f->guest_bytes;
	char has[32], needs[32];

	if (!fact_known(limit)) {
		find_say(w, VERDICT_UNTOLD, "how much memory may be locked there is not told");
	} else if (limit->v == INT64_MAX) {
		find_say(w, VERDICT_YES, "any amount may be locked");
	} else if (!fact_known(want)) {
		text_size(has, (uint64_t)limit->v);
		find_say(w, VERDICT_UNTOLD,
			 "%s may be locked; all of the guest's has to be: --memory SIZE judges",
			 has);
	} else if (limit->v >= want->v) {
		find_say(w, VERDICT_YES, "%s may be locked", text_size(has, (uint64_t)limit->v));
	} else {
		text_size(has, (uint64_t)limit->v);
		text_size(needs, (uint64_t)want->v);
		find_say(w, VERDICT_NO,
			 "%s may be locked (RLIMIT_MEMLOCK), and the guest's %s have to be", has,
			 needs);
		find_fix(w, "sudo prlimit --pid $$ --memlock=%" PRId64 ":%" PRId64, want->v,
			 want->v);
	}
	return true;
}

/* An IOMMU of the guest's own maps page by page; the protocol's clients keep to VU_DMA_MAPS of them. */
static bool check_maps(const struct bridge_facts *f, struct finding *w)
{
	const struct fact *limit = &f->dma_entries;

	if (f->group < 0 || !fact_known(limit))
		return false;
	if (limit->v >= VU_DMA_MAPS) {
		find_say(w, VERDICT_YES, "%" PRId64 " of them, as many as a guest may have",
			 limit->v);
		return true;
	}
	find_say(
		w, VERDICT_NOTE,
		"the kernel takes %" PRId64
		" (dma_entry_limit): a guest with an IOMMU of its own may want %d, and loses the device with "
		"the first too many",
		limit->v, VU_DMA_MAPS);
	find_fix(w, "echo %d | sudo tee /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
		 VU_DMA_MAPS);
	return true;
}

static bool check_node(const struct bridge_facts *f, struct finding *w)
{
	switch (f->node) {
	case NODE_UNTOLD:
		find_say(w, VERDICT_UNTOLD,
			 driver_is_vfio(f->driver) ? "told on that machine alone"
						   : "told once vfio has the device");
		break;
	case NODE_OURS:
		find_say(w, VERDICT_YES, "%s may be opened", f->node_path);
		break;
	case NODE_DENIED:
		find_say(w, VERDICT_NO, "%s may not be opened by this user", f->node_path);
		find_fix(w, "sudo chown \"$USER\" %s", f->node_path);
		break;
	case NODE_MISSING:
		find_say(w, VERDICT_NO, "%s is not there, although vfio has the device",
			 f->node_path);
		find_fix(w, "look whether udev runs: udevadm settle");
		break;
	}
	return f->group >= 0;
}

/* --- what the kernel can do --- */

static bool check_width(const struct bridge_facts *f, struct finding *w)
{
	int wide = kernel_is_wide(f->kernel);

	if (wide < 0)
		find_say(w, VERDICT_UNTOLD, "the kernel's version is not told");
	else if (wide)
		find_say(w, VERDICT_YES, "Linux %s makes registers of 8 bytes one access",
			 f->kernel);
	else
		find_say(
			w, VERDICT_NOTE,
			"Linux %s makes two accesses of 4 bytes from one of 8: a register that acts on either half acts twice",
			f->kernel);
	return true;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*check)(const struct bridge_facts *f, struct finding *w); /* false: it means nothing here */
} checks[] = {
	{ "iommu", check_iommu },
	{ "group", check_group },
	{ "driver", check_driver },
	{ "module", check_module },
	{ "users", check_users },
	{ "display", check_display },
	{ "interrupts", check_interrupts },
	{ "coherency", check_coherency },
	{ "memory", check_memory },
	{ "maps", check_maps },
	{ "permission", check_node },
	{ "reset", check_reset },
	{ "power", check_power },
	{ "width", check_width },
};
/* clang-format on */

_Static_assert(sizeof(checks) / sizeof(checks[0]) <= FINDINGS_MAX, "every check has its finding");

void ready_judge(const struct bridge_facts *f, struct readiness *r)
{
	*r = (struct readiness) { .state = VERDICT_YES };
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding *w = &r->list[r->n];

		*w = (struct finding) { .check = checks[i].name };
		if (!checks[i].check(f, w))
			continue;
		r->n++;
		if (w->verdict >= VERDICT_ATTACH && w->verdict > r->state)
			r->state = w->verdict;
	}
}

static const struct finding *refusal(const struct readiness *r, bool served_too)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->list[i].verdict == VERDICT_NO && (served_too || !r->list[i].served))
			return &r->list[i];
	return NULL;
}

const struct finding *ready_refusal(const struct readiness *r)
{
	return refusal(r, true);
}

const struct finding *ready_refusal_of_guest(const struct readiness *r)
{
	return refusal(r, false);
}

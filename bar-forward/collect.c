/* SPDX-License-Identifier: MIT */
#include "bar-forward/collect.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "probe/probe.h"

#define DEVICES "sys/bus/pci/devices"
#define GROUPS  "sys/kernel/iommu_groups"
#define PATH    256

/* --- texts of /proc --- */

struct fact irqs_remapped(const char *interrupts)
{
	/*
	 * The chip's name: "IR-PCI-MSI" of interrupts that pass the IOMMU, "PCI-MSI" of others. Other processors'
	 * have other names, and say nothing here.
	 */
	if (strstr(interrupts, " IR-PCI-MSI") || strstr(interrupts, " IR-IO-APIC"))
		return fact_of(1, SRC_PROC);
	if (strstr(interrupts, " PCI-MSI") || strstr(interrupts, " IO-APIC"))
		return fact_of(0, SRC_PROC);
	return fact_unknown(WHY_NOT_EXPORTED);
}

struct fact memlock_of(const char *limits)
{
	static const char row[] = "Max locked memory";
	const char *at = strstr(limits, row);
	char soft[32];
	uint64_t v;

	if (!at || sscanf(at + sizeof(row) - 1, " %31s", soft) != 1)
		return fact_unknown(WHY_NOT_EXPORTED);
	if (strcmp(soft, "unlimited") == 0)
		return fact_of(INT64_MAX, SRC_PROC);
	if (text_parse_u64(soft, &v) || v > INT64_MAX)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)v, SRC_PROC);
}

bool may_lock_all(const char *status)
{
	const char *at = strstr(status, "CapEff:");
	uint64_t caps;

	return at && sscanf(at, "CapEff: %" SCNx64, &caps) == 1 && caps >> CAP_IPC_LOCK & 1;
}

/* --- files --- */

static void read_text(const struct machine *m, const char *pci, const char *file, char *to,
		      size_t size)
{
	char path[PATH];

	snprintf(path, sizeof(path), DEVICES "/%.23s/%.100s", pci, file);
	if (machine_read(m, path, to, size) < 0)
		to[0] = '\0';
	text_clean(to);
}

static struct fact read_number(const struct machine *m, const char *path)
{
	uint64_t v;

	return machine_read_u64(m, path, &v) || v > INT64_MAX ? fact_unknown(WHY_NOT_EXPORTED)
							      : fact_of((int64_t)v, SRC_SYSFS);
}

/* A parameter of a module: "Y", "N". */
static struct fact read_flag(const struct machine *m, const char *path)
{
	char v[8];

	if (machine_read(m, path, v, sizeof(v)) < 0)
		return fact_unknown(WHY_NOT_EXPORTED);
	return fact_of(v[0] == 'Y' || v[0] == '1', SRC_SYSFS);
}

static bool below(const struct machine *m, const char *pci, const char *file)
{
	char path[PATH];

	snprintf(path, sizeof(path), DEVICES "/%.23s/%.60s", pci, file);
	return machine_exists(m, path);
}

/* The last part of a link; "" when there is none. */
static void read_link(const struct machine *m, const char *path, char *to, size_t size)
{
	char target[512];
	const char *last;

	to[0] = '\0';
	if (machine_link(m, path, target, sizeof(target)))
		return;
	last = strrchr(target, '/');
	snprintf(to, size, "%.*s", (int)size - 1, last ? last + 1 : target);
	text_clean(to);
}

/* --- who is near --- */

static struct mate *mate_of(struct bridge_facts *f, const char *pci)
{
	for (uint32_t i = 0; i < f->n_mates; i++)
		if (strcmp(f->mates[i].pci, pci) == 0)
			return &f->mates[i];
	if (f->n_mates == MATES_MAX) {
		f->n_mates_left_out++;
		return NULL;
	}
	struct mate *m = &f->mates[f->n_mates++];

	*m = (struct mate) { 0 };
	snprintf(m->pci, sizeof(m->pci), "%.23s", pci);
	text_clean(m->pci);
	return m;
}

static void fill_mate(const struct machine *m, struct mate *mate)
{
	char path[PATH], text[16];

	snprintf(path, sizeof(path), DEVICES "/%.23s/driver", mate->pci);
	read_link(m, path, mate->driver, sizeof(mate->driver));
	read_text(m, mate->pci, "class", text, sizeof(text));
	mate->class = (uint32_t)strtoul(text, NULL, 16);
	read_text(m, mate->pci, "reset_method", mate->reset_method, sizeof(mate->reset_method));
	mate->has_reset = below(m, mate->pci, "reset");
}

/* What stands on the same bus, and the functions of the same card among them. */
static void find_bus(const struct machine *m, struct bridge_facts *f)
{
	own_free char **names = NULL;
	int n = machine_list(m, DEVICES, &names);
	size_t bus = (size_t)(strrchr(f->pci, ':') - f->pci) + 1,
	       slot = (size_t)(strrchr(f->pci, '.') - f->pci) + 1;

	for (int i = 0; i < n; i++) {
		struct mate *mate;

		if (strncmp(names[i], f->pci, bus) != 0 || strcmp(names[i], f->pci) == 0 ||
		    !addr_ok(names[i]))
			continue;
		bool in_slot = strncmp(names[i], f->pci, slot) == 0;

		/* virtual functions go to guests each by itself */
		if (f->virtual_function || below(m, names[i], "physfn"))
			continue;
		if (f->root_bus && !in_slot)
			continue;
		mate = mate_of(f, names[i]);
		if (!mate)
			continue;
		mate->in_slot = in_slot;
		mate->on_bus = true;
		fill_mate(m, mate);
	}
}

/* Of what is not on PCI the driver's link lies elsewhere; its group's link to it leads there. */
static void fill_stranger(const struct machine *m, struct mate *mate, const char *in_group)
{
	char path[PATH + 16];

	snprintf(path, sizeof(path), "%s/driver", in_group);
	read_link(m, path, mate->driver, sizeof(mate->driver));
}

static void find_group(const struct machine *m, struct bridge_facts *f)
{
	own_free char **names = NULL;
	char path[PATH], text[32];
	int n;

	if (f->group < 0)
		return;
	snprintf(path, sizeof(path), GROUPS "/%" PRId32 "/name", f->group);
	f->noiommu = machine_read(m, path, text, sizeof(text)) > 0 &&
		     strcmp(text, "vfio-noiommu") == 0;
	snprintf(path, sizeof(path), GROUPS "/%" PRId32 "/devices", f->group);
	n = machine_list(m, path, &names);
	for (int i = 0; i < n; i++) {
		struct mate *mate = strcmp(names[i], f->pci) ? mate_of(f, names[i]) : NULL;

		if (!mate)
			continue;
		mate->in_group = true;
		snprintf(path, sizeof(path), GROUPS "/%" PRId32 "/devices/%.127s", f->group,
			 names[i]);
		if (addr_ok(names[i]))
			fill_mate(m, mate);
		else
			fill_stranger(m, mate, path);
	}
}

/* --- the device --- */

static void read_users(const json_t *device, struct bridge_facts *f)
{
	const json_t *list = json_object_get(device, "used_by");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		struct user *u = &f->users[f->n_users];

		if (f->n_users == USERS_MAX) {
			f->n_users_left_out++;
			continue;
		}
		json_get_text(o, "kind", u->kind, sizeof(u->kind));
		json_get_text(o, "words", u->words, sizeof(u->words));
		f->n_users++;
	}
}

static void read_listed(const json_t *device, struct bridge_facts *f)
{
	const json_t *group = json_object_get(device, "iommu_group");
	char removable[16];

	json_get_text(device, "name", f->name, sizeof(f->name));
	json_get_text(device, "kind", f->kind, sizeof(f->kind));
	json_get_text(device, "driver", f->driver, sizeof(f->driver));
	json_get_text(device, "removable", removable, sizeof(removable));
	json_get_text(json_object_get(device, "asks"), "bind", f->attach, sizeof(f->attach));
	f->removable = strcmp(removable, "removable") == 0;
	f->group = -1;
	if (json_is_integer(group) && json_integer_value(group) >= 0 &&
	    json_integer_value(group) <= INT32_MAX)
		f->group = (int32_t)json_integer_value(group);
	read_users(device, f);
}

static void read_function(const struct machine *m, struct bridge_facts *f)
{
	char path[PATH], text[512];

	read_text(m, f->pci, "class", text, 16);
	f->class = (uint32_t)strtoul(text, NULL, 16);
	read_text(m, f->pci, "reset_method", f->reset_method, sizeof(f->reset_method));
	f->has_reset = below(m, f->pci, "reset");
	f->virtual_function = below(m, f->pci, "physfn");
	snprintf(path, sizeof(path), DEVICES "/%.23s/boot_vga", f->pci);
	f->boot_vga = read_number(m, path);
	snprintf(path, sizeof(path), DEVICES "/%.23s/d3cold_allowed", f->pci);
	f->d3cold_allowed = read_number(m, path);
	/* right below the root bus: ".../pci0000:00/0000:00:02.0" */
	snprintf(path, sizeof(path), DEVICES "/%.23s", f->pci);
	if (!machine_link(m, path, text, sizeof(text))) {
		char *last = strrchr(text, '/');

		if (last)
			*last = '\0';
		last = strrchr(text, '/');
		f->root_bus = last && strncmp(last, "/pci", 4) == 0;
	}
}

/* --- the machine --- */

/*
 * Whether DMA can be made to snoop: VT-d units say so in their extended capabilities (SC, bit 7; VT-d specification,
 * 11.4.3), AMD's always can (the kernel's driver sets FC in every entry). Other units say so only to who opens the group.
 */
static struct fact read_coherent(const struct machine *m, const char *pci)
{
	char path[PATH], text[32];
	uint64_t ecap;

	snprintf(path, sizeof(path), DEVICES "/%.23s/iommu/amd-iommu", pci);
	if (machine_exists(m, path))
		return fact_of(1, SRC_TABLE);
	snprintf(path, sizeof(path), DEVICES "/%.23s/iommu/intel-iommu/ecap", pci);
	if (machine_read(m, path, text, sizeof(text)) <= 0 || sscanf(text, "%" SCNx64, &ecap) != 1)
		return fact_unknown(WHY_NOT_EXPORTED);
	return fact_of((int64_t)(ecap >> 7 & 1), SRC_SYSFS);
}

static void read_machine(const struct machine *m, struct bridge_facts *f)
{
	/* a line for each interrupt, a column for each CPU */
	size_t size = 4u << 20;
	own_free char *text = malloc(size);

	if (machine_read(m, "proc/sys/kernel/osrelease", f->kernel, sizeof(f->kernel)) < 0)
		f->kernel[0] = '\0';
	text_clean(f->kernel);
	f->idle_d3 = read_flag(m, "sys/module/vfio_pci/parameters/disable_idle_d3");
	if (fact_known(&f->idle_d3))
		f->idle_d3.v = !f->idle_d3.v;
	f->irqs_unsafe = read_flag(
		m, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	f->dma_entries = read_number(m, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	f->coherent = read_coherent(m, f->pci);
	if (!text)
		return;
	if (machine_read(m, "proc/interrupts", text, size) >= 0)
		f->irqs_remapped = irqs_remapped(text);
	if (machine_read(m, "proc/self/limits", text, size) >= 0)
		f->memlock_bytes = memlock_of(text);
	if (machine_read(m, "proc/self/status", text, size) >= 0 && may_lock_all(text))
		f->memlock_bytes = fact_of(INT64_MAX, SRC_PROC);
}

static enum node_state try_node(const struct machine *m, const char *path)
{
	if (faccessat(m->root_fd, path + 1, R_OK | W_OK, AT_EACCESS) == 0)
		return NODE_OURS;
	return errno == ENOENT ? NODE_MISSING : NODE_DENIED;
}

/* Kernels without groups in /dev have a file for each device: vfio-dev/vfio0 in sysfs, /dev/vfio/devices/vfio0. */
static void try_cdev(const struct machine *m, struct bridge_facts *f)
{
	own_free char **names = NULL;
	char path[PATH];

	snprintf(path, sizeof(path), DEVICES "/%.23s/vfio-dev", f->pci);
	if (machine_list(m, path, &names) < 1)
		return;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%.40s", names[0]);
	enum node_state state = try_node(m, path);

	if (state == NODE_MISSING)
		return;
	f->node = state;
	snprintf(f->node_path, sizeof(f->node_path), "%.63s", path);
}

/* Only of the running machine: who owns the files of a captured one says nothing. */
static void read_node(const struct machine *m, struct bridge_facts *f)
{
	if (f->group < 0 || !driver_is_vfio(f->driver) || !m->live)
		return;
	snprintf(f->node_path, sizeof(f->node_path), "/dev/vfio/%s%" PRId32,
		 f->noiommu ? "noiommu-" : "", f->group);
	f->node = try_node(m, f->node_path);
	if (f->node == NODE_MISSING)
		try_cdev(m, f);
}

/* "0 trap, 1 map" */
static void read_modes(const struct machine *m, struct bridge_facts *f)
{
	char path[PATH], mode[16];
	struct text t;

	text_init(&t, f->kmod_bars, sizeof(f->kmod_bars));
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof(path), DEVICES "/%.23s/berth/bar%d_mode", f->pci, i);
		if (machine_read(m, path, mode, sizeof(mode)) > 0)
			text_add(&t, "%s%d %s", t.len ? ", " : "", i, text_clean(text_trim(mode)));
	}
}

static void read_module(const struct machine *m, struct bridge_facts *f)
{
	char path[PATH], abi[16];
	uint64_t v;

	snprintf(path, sizeof(path), DEVICES "/%.23s/berth/abi", f->pci);
	if (machine_read(m, path, abi, sizeof(abi)) > 0 &&
	    text_parse_u64(text_trim(abi), &v) == 0 && v <= INT64_MAX)
		f->kmod_abi = fact_of((int64_t)v, SRC_SYSFS);
	read_modes(m, f);
}

int collect_facts(const struct machine *m, const json_t *device, struct bridge_facts *f,
		  struct err *e)
{
	*f = (struct bridge_facts) { 0 };
	json_get_text(device, "pci", f->pci, sizeof(f->pci));
	if (!addr_ok(f->pci))
		return err_set(e, -EBADMSG,
			       "the answer of berth device has a device without an address");
	read_listed(device, f);
	read_function(m, f);
	find_bus(m, f);
	find_group(m, f);
	read_machine(m, f);
	read_node(m, f);
	read_module(m, f);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The scan of the PCI bus by sysfs files. It is the one that counts: it sees driverless and vfio-bound
 * functions, which DRM does not, and it reads only files that never wake a device.
 *
 * Never add here: config, rom, vpd, resourceN_resize, max_link_speed, max_link_width, current_link_speed,
 * current_link_width, secondary_bus_number. Each resumes the whole path to a sleeping device, on some
 * kernel at least (measured by the root port's runtime_active_time: 6.1.192 does it for all, 7.2 has
 * max_link_speed in memory). What may be asked of an awake device is asked by its section (probe/section.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/probe_priv.h"

#define BUS "sys/bus/pci/devices"

struct fn {
	const struct source *s;
	const char *dir;
	struct gpu *g;
};

/* "dir/name" into path; false when it does not fit, which no honest path does. */
static bool join(char *path, const char *dir, const char *name)
{
	return (size_t)snprintf(path, PATH_SIZE, "%s/%s", dir, name) < PATH_SIZE;
}

static long read_in(const struct fn *f, const char *name, char *buf, size_t size)
{
	char path[PATH_SIZE];

	buf[0] = '\0';
	return join(path, f->dir, name) ? src_read(f->s, path, buf, size) : -EFBIG;
}

int sysfs_dir(const struct source *s, const char *pci, char *dir, size_t size)
{
	char link[PATH_SIZE];

	snprintf(link, sizeof(link), BUS "/%s", pci);
	return src_folder(s, link, dir, size);
}

/*
 * A device is as awake as the sleepiest bridge above it: asking it would resume them all. Its real
 * folder names the bridges: sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0.
 */
enum awake sysfs_awake(const struct source *s, const char *dir)
{
	enum awake all = AWAKE_YES;
	char path[PATH_SIZE], status[64];

	if (strncmp(dir, "sys/devices/", strlen("sys/devices/")) != 0)
		all = AWAKE_UNKNOWN; /* no real folder, so the bridges are not known */
	for (const char *at = dir; *at;) {
		size_t len = strcspn(at, "/");
		char part[24];

		snprintf(part, sizeof(part), "%.*s", (int)len, at);
		if (len < sizeof(part) && addr_ok(part)) {
			size_t n = (size_t)(at - dir) + len;

			if ((size_t)snprintf(path, sizeof(path), "%.*s/power/runtime_status",
					     (int)n, dir) >= sizeof(path))
				return AWAKE_UNKNOWN;
			long rc = src_read(s, path, status, sizeof(status));
			enum awake a = rc < 0 ? AWAKE_UNKNOWN : parse_runtime_status(status);

			if (a == AWAKE_NO || (a == AWAKE_UNKNOWN && all == AWAKE_YES))
				all = a;
		}
		at += len + (at[len] == '/');
	}
	return all;
}

bool asleep_now(const struct machine *m, const char *pci)
{
	char path[PATH_SIZE], status[64];

	snprintf(path, sizeof(path), BUS "/%s/power/runtime_status", pci);
	return machine_read(m, path, status, sizeof(status)) > 0 &&
	       parse_runtime_status(status) == AWAKE_NO;
}

static bool module_loaded(const struct source *s, const char *module)
{
	char path[PATH_SIZE];

	return join(path, "sys/module", module) && src_exists(s, path);
}

/* Which of the drivers that could serve it are loaded at all: the first thing one would look up. */
static void why_no_driver(const struct fn *f)
{
	const char *const *m = driver_modules(f->g->vendor);
	const char *loaded = NULL;
	char override[64];
	struct text t;

	text_init(&t, f->g->driver_note, sizeof(f->g->driver_note));
	long n = read_in(f, "driver_override", override, sizeof(override));

	/* The link to the driver goes first, and the lock is held until the driver has let go. */
	if (n == -ETIMEDOUT) {
		text_add(&t, "its last driver is letting go of it, or hangs");
		return;
	}
	if (n > 0 && strcmp(override, "(null)")) {
		text_add(&t, "driver_override keeps it for %s", text_clean(override));
		return;
	}
	for (int i = 0; m[i] && !loaded; i++)
		loaded = module_loaded(f->s, m[i]) ? m[i] : NULL;
	if (loaded)
		text_add(&t, "%s is loaded but did not take it", loaded);
	else if (m[0] && m[1])
		text_add(&t, "neither %s nor %s is loaded", m[0], m[1]);
	else if (m[0])
		text_add(&t, "%s is not loaded", m[0]);
	else
		text_add(&t, "no driver of berth's table serves this vendor");
}

static void read_driver(const struct fn *f)
{
	char path[PATH_SIZE], name[MACHINE_NAME_MAX], version[64];
	struct gpu *g = f->g;
	int rc = join(path, f->dir, "driver") ? src_link_name(f->s, path, name, sizeof(name))
					      : -EFBIG;

	if (rc) {
		g->driver = fact_text_unknown(rc == -ENOENT ? WHY_NO_DRIVER : why_of(rc));
		g->driver_version = fact_text_unknown(g->driver.why);
		if (rc == -ENOENT)
			why_no_driver(f);
		return;
	}
	g->driver = fact_text_of(name, SRC_SYSFS);
	const struct driver *d = driver_find(g->driver.v);

	if (d && d->note)
		text_copy(g->driver_note, sizeof(g->driver_note), d->note);
	/* Drivers of the kernel's own tree have no version of their own. */
	if ((size_t)snprintf(path, sizeof(path), "sys/module/%s/version", name) < sizeof(path) &&
	    src_read(f->s, path, version, sizeof(version)) > 0)
		g->driver_version = fact_text_of(version, SRC_SYSFS);
	else
		g->driver_version = fact_text_unknown(WHY_NOT_EXPORTED);
}

static void read_place(const struct fn *f)
{
	char path[PATH_SIZE], name[64], list[4096];
	struct gpu *g = f->g;
	struct cpuset set;
	uint64_t group;
	int64_t node;

	int rc = join(path, f->dir, "numa_node") ? src_read_i64(f->s, path, &node) : -EFBIG;

	if (rc)
		g->numa_node = fact_unknown(why_of(rc));
	else if (node < 0 || node > 4095) /* -1: the firmware did not say */
		g->numa_node = fact_unknown(node == -1 ? WHY_NOT_EXPORTED : WHY_GARBLED);
	else
		g->numa_node = fact_of(node, SRC_SYSFS);

	long n = read_in(f, "local_cpulist", list, sizeof(list));

	g->cpus = fact_text_unknown(n < 0 ? why_of((int)n) : n ? WHY_GARBLED : WHY_NOT_EXPORTED);
	if (n > 0 && cpulist_parse(list, &set) == 0) {
		struct fact_text cpus = { .src = SRC_SYSFS };

		if (cpulist_text(&set, cpus.v, sizeof(cpus.v)))
			g->cpus = cpus;
	}
	rc = join(path, f->dir, "iommu_group") ? src_link_name(f->s, path, name, sizeof(name))
					       : -EFBIG;
	g->iommu_group = fact_unknown(rc ? why_of(rc) : WHY_GARBLED);
	if (!rc && text_parse_u64(name, &group) == 0 && group <= INT32_MAX)
		g->iommu_group = fact_of((int64_t)group, SRC_SYSFS);
}

static struct fact_text node_text(const char *name)
{
	char node[MACHINE_NAME_MAX + 16];

	snprintf(node, sizeof(node), "/dev/dri/%s", name);
	return fact_text_of(node, SRC_SYSFS);
}

/* drm/ holds "card1", "renderD128" and older kernels' "controlD65". */
static void read_nodes(const struct fn *f)
{
	char dir[PATH_SIZE], path[PATH_SIZE], dev[32];
	own_free char **names = NULL;
	struct gpu *g = f->g;
	int n = join(dir, f->dir, "drm") ? machine_list(f->s->m, dir, &names) : -EFBIG;
	enum why why = n < 0 ? why_of(n) : WHY_NOT_EXPORTED;

	if (!fact_text_known(&g->driver) && why == WHY_NOT_EXPORTED)
		why = WHY_NO_DRIVER;
	g->drm_card = g->drm_render = fact_text_unknown(why);
	for (int i = 0; i < n; i++) {
		bool card = strncmp(names[i], "card", 4) == 0;
		struct fact_text *to = card ? &g->drm_card : &g->drm_render;

		if (!card && strncmp(names[i], "renderD", 7) != 0)
			continue;
		/* Its `dev` file tells a node from a leftover name, and is what a capture keeps. */
		if ((size_t)snprintf(path, sizeof(path), "%s/%s/dev", dir, names[i]) >=
		    sizeof(path))
			continue;
		if (!fact_text_known(to) && src_read(f->s, path, dev, sizeof(dev)) > 0)
			*to = node_text(names[i]);
	}
}

static void read_bars(const struct fn *f)
{
	char buf[4096]; /* a function with SR-IOV and bridge windows has 17 lines of 57 bytes */

	parse_resource(read_in(f, "resource", buf, sizeof(buf)) > 0 ? buf : "", f->g->bars);
}

static void read_function(const struct source *s, struct gpu *g, const char *dir)
{
	const struct fn f = { .s = s, .dir = dir, .g = g };
	char path[PATH_SIZE];
	uint64_t vga;

	g->vendor = src_id(s, dir, "vendor");
	g->device = src_id(s, dir, "device");
	g->subvendor = src_id(s, dir, "subsystem_vendor");
	g->subdevice = src_id(s, dir, "subsystem_device");
	g->revision = src_id(s, dir, "revision");
	g->awake = sysfs_awake(s, dir);
	int rc = join(path, dir, "boot_vga") ? src_read_u64(s, path, &vga) : -EFBIG;

	/* Only VGA functions have the file. */
	if (rc)
		g->boot_vga = fact_unknown(rc == -ENOENT ? WHY_NOT_APPLICABLE : why_of(rc));
	else
		g->boot_vga = vga <= 1 ? fact_of((int64_t)vga, SRC_SYSFS)
				       : fact_unknown(WHY_GARBLED);
	read_bars(&f);
	read_driver(&f);
	read_place(&f);
	read_nodes(&f);
}

static int by_address(const void *a, const void *b)
{
	return addr_compare(*(char *const *)a, *(char *const *)b);
}

int sysfs_scan(const struct source *s, struct report *r)
{
	own_free char **names = NULL;
	int n = machine_list(s->m, BUS, &names);

	if (n < 0)
		return n;
	qsort(names, (size_t)n, sizeof(*names), by_address);
	for (int i = 0; i < n; i++) {
		char dir[PATH_SIZE], class_path[PATH_SIZE];
		uint64_t class;

		if (!addr_ok(names[i]))
			continue;
		sysfs_dir(s, names[i], dir, sizeof(dir));
		if (!join(class_path, dir, "class") || src_read_u64(s, class_path, &class) ||
		    class > UINT32_MAX) {
			r->n_unclassed++;
			continue;
		}
		if (!class_is_ours((uint32_t) class))
			continue;
		if (r->n_gpus == PROBE_GPUS_MAX) {
			r->n_left_out++;
			continue;
		}
		struct gpu *g = &r->gpus[r->n_gpus++];

		text_copy(g->pci, sizeof(g->pci), names[i]);
		g->class = (uint32_t) class;
		read_function(s, g, dir);
	}
	return 0;
}

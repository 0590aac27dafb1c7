/* SPDX-License-Identifier: MIT */
/*
 * The functions of the bus. Only files that wake nothing are read: attributes that the kernel keeps, and links
 * (measured: power/runtime_status, resource, reset_method, d3cold_allowed do not wake). The sizes of a resizable
 * BAR are in the config space, and are read only of a function that is awake with every bridge above it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/apart.h"
#include "base/own.h"
#include "base/text.h"
#include "device/lines.h"
#include "device/scene_priv.h"

#define DEVICES  "sys/bus/pci/devices"
#define STALL_MS 2000 /* a lock that somebody gives back is given back sooner */

static long read_in(const struct machine *m, const struct func *f, const char *name, char *buf,
		    size_t size)
{
	char path[SCENE_PATH];

	buf[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, name) >= sizeof(path))
		return -EFBIG;
	long n = machine_read(m, path, buf, size);

	if (n > 0)
		text_clean(buf);
	return n;
}

static int64_t number_in(const struct machine *m, const struct func *f, const char *name)
{
	char buf[32];
	uint64_t v;

	return read_in(m, f, name, buf, sizeof(buf)) > 0 && text_parse_u64(buf, &v) == 0 &&
			       v <= INT32_MAX
		       ? (int64_t)v
		       : -1;
}

static bool exists_in(const struct machine *m, const struct func *f, const char *name)
{
	char path[SCENE_PATH];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, name) < sizeof(path) &&
	       machine_exists(m, path);
}

/* The last part of a link's target; "" when there is none. */
static void link_in(const struct machine *m, const struct func *f, const char *name, char *buf,
		    size_t size)
{
	char path[SCENE_PATH], target[SCENE_PATH];

	buf[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", f->dir, name) >= sizeof(path) ||
	    machine_link(m, path, target, sizeof(target)))
		return;
	const char *last = strrchr(target, '/');

	if (text_copy(buf, size, last ? last + 1 : target))
		text_clean(buf);
	else
		buf[0] = '\0';
}

/*
 * The real folder, which names the bridges above: the link is "../../../devices/pci0000:00/...". Anything else is
 * not the kernel's, and then the function is known by its link alone.
 */
static void place(const struct machine *m, struct func *f)
{
	static const char up[] = "../../../devices/";
	char path[SCENE_PATH], target[SCENE_PATH];

	snprintf(path, sizeof(path), DEVICES "/%s", f->pci);
	if (machine_link(m, path, target, sizeof(target)) == 0 &&
	    strncmp(target, up, strlen(up)) == 0 && !strstr(target + strlen(up), "..") &&
	    (size_t)snprintf(f->dir, sizeof(f->dir), "sys/devices/%s", target + strlen(up)) <
		    sizeof(f->dir)) {
		char *last = strrchr(f->dir, '/');

		/* What lies above ends where our own name begins. */
		*last = '\0';
		const char *name = strrchr(f->dir, '/');

		if (name && addr_ok(name + 1))
			text_copy(f->above, sizeof(f->above), name + 1);
		*last = '/';
		return;
	}
	text_copy(f->dir, sizeof(f->dir), path);
}

static void read_ids(const struct machine *m, struct func *f)
{
	int64_t vendor = number_in(m, f, "vendor"), device = number_in(m, f, "device");
	int64_t class = number_in(m, f, "class");

	f->vendor = vendor > 0 ? (uint32_t)vendor : 0;
	f->device = device > 0 ? (uint32_t)device : 0;
	f->class = class > 0 ? (uint32_t) class : 0;
	/* PCI Code and ID Assignment 1.11: 0604 PCI-to-PCI, 0607 CardBus, 0609 semi-transparent. */
	f->bridge = f->class >> 8 == 0x0604 || f->class >> 8 == 0x0607 || f->class >> 8 == 0x0609;
	f->shown = class_is_ours(f->class);
}

static void read_driver(const struct machine *m, struct func *f)
{
	char group[16];
	uint64_t n;

	link_in(m, f, "driver", f->driver, sizeof(f->driver));
	link_in(m, f, "physfn", f->physfn, sizeof(f->physfn));
	link_in(m, f, "iommu_group", group, sizeof(group));
	f->iommu_group = text_parse_u64(group, &n) == 0 && n <= INT32_MAX ? (int32_t)n : -1;
}

static void take_override(void *ctx, uint32_t i, long rc, const char *text)
{
	struct func *f = &((struct scene *)ctx)->funcs[i];
	char clean[APART_BYTES];

	f->stuck = rc == -ETIMEDOUT;
	f->overridable = rc >= 0 || f->stuck;
	text_copy(clean, sizeof(clean), rc > 0 ? text : "");
	if (strcmp(clean, "(null)") == 0 ||
	    !text_copy(f->override, sizeof(f->override), text_clean(clean)))
		f->override[0] = '\0';
}

static int read_overrides(const struct machine *m, struct scene *s)
{
	own_free const char **paths = calloc(s->n_funcs + 1, sizeof(*paths));
	own_free char(*text)[SCENE_PATH] = calloc(s->n_funcs + 1, sizeof(*text));

	if (!paths || !text)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_funcs; i++) {
		snprintf(text[i], sizeof(text[i]), "%s/driver_override", s->funcs[i].dir);
		paths[i] = text[i];
	}
	apart_read(m, paths, s->n_funcs, STALL_MS, take_override, s);
	return 0;
}

static void read_power(const struct machine *m, struct func *f)
{
	read_in(m, f, "power/runtime_status", f->runtime_status, sizeof(f->runtime_status));
	read_in(m, f, "power/control", f->power_control, sizeof(f->power_control));
	f->d3cold_allowed = (int8_t)(number_in(m, f, "d3cold_allowed") & 0x7f);
	if (number_in(m, f, "d3cold_allowed") < 0)
		f->d3cold_allowed = -1;
	f->has_reset = exists_in(m, f, "reset");
	f->has_reset_method = read_in(m, f, "reset_method", f->reset_method,
				      sizeof(f->reset_method)) >= 0;
}

static void read_rest(const struct machine *m, struct func *f)
{
	char text[FUNC_RES * 64 + 1];
	int64_t vga = number_in(m, f, "boot_vga"), vfs = number_in(m, f, "sriov_numvfs");

	f->boot_vga = vga < 0 ? -1 : vga != 0;
	f->vfs = vfs > 0 ? (uint32_t)vfs : 0;
	read_in(m, f, "removable", f->removable, sizeof(f->removable));
	/* text_clean() would spoil the lines' ends. */
	char path[SCENE_PATH];

	if ((size_t)snprintf(path, sizeof(path), "%s/resource", f->dir) < sizeof(path) &&
	    machine_read(m, path, text, sizeof(text)) > 0)
		resource_parse(text, f);
	for (int i = 0; i < 6; i++) {
		char name[24];

		snprintf(name, sizeof(name), "resource%d_resize", i);
		if (exists_in(m, f, name))
			f->resizable |= 1u << i;
	}
}

/* Awake as the sleepiest bridge above it: asking it would resume them all. Bridges come before in the list. */
static enum awake awake_of(const struct scene *s, const struct func *f)
{
	static const struct {
		const char *status;
		enum awake awake;
	} words[] = {
		/* as the probe's own table: drivers/base/power/sysfs.c has the words */
		{ "active", AWAKE_YES },    { "unsupported", AWAKE_YES }, { "suspended", AWAKE_NO },
		{ "suspending", AWAKE_NO }, { "resuming", AWAKE_NO },
	};
	enum awake a = AWAKE_UNKNOWN;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].status, f->runtime_status) == 0)
			a = words[i].awake;
	if (!f->above[0])
		return strncmp(f->dir, "sys/devices/", 12) == 0 ? a : AWAKE_UNKNOWN;
	int up = scene_index(s, f->above);
	enum awake b = up < 0 ? AWAKE_UNKNOWN : s->funcs[up].awake;

	if (a == AWAKE_NO || b == AWAKE_NO)
		return AWAKE_NO;
	return a == AWAKE_YES ? b : a;
}

static void read_sizes(const struct machine *m, struct func *f)
{
	for (int i = 0; i < 6; i++) {
		char name[24], text[40], *end;

		snprintf(name, sizeof(name), "resource%d_resize", i);
		if (!(f->resizable & 1u << i) || f->awake != AWAKE_YES ||
		    read_in(m, f, name, text, sizeof(text)) <= 0)
			continue;
		unsigned long long v = strtoull(text, &end, 16); /* "%016llx" in pci-sysfs.c */

		f->sizes[i] = *end ? 0 : v;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct func *x = a, *y = b;

	return addr_compare(x->pci, y->pci);
}

/* Depth of the real folder: a bridge is judged before what lies below it, whatever its number. */
static size_t depth(const struct func *f)
{
	size_t n = 0;

	for (const char *at = f->dir; *at; at++)
		n += *at == '/';
	return n;
}

static void judge_awake(const struct machine *m, struct scene *s)
{
	size_t deepest = 0;

	for (uint32_t i = 0; i < s->n_funcs; i++)
		deepest = depth(&s->funcs[i]) > deepest ? depth(&s->funcs[i]) : deepest;
	for (size_t d = 0; d <= deepest; d++)
		for (uint32_t i = 0; i < s->n_funcs; i++)
			if (depth(&s->funcs[i]) == d)
				s->funcs[i].awake = awake_of(s, &s->funcs[i]);
	for (uint32_t i = 0; i < s->n_funcs; i++)
		read_sizes(m, &s->funcs[i]);
}

int scene_read_funcs(const struct machine *m, struct scene *s)
{
	own_free char **names = NULL;
	int n = machine_list(m, DEVICES, &names);

	if (n == -ENOMEM)
		return n;
	s->funcs = calloc(n > 0 ? (size_t)(n < SCENE_FUNCS_MAX ? n : SCENE_FUNCS_MAX) : 1,
			  sizeof(*s->funcs));
	if (!s->funcs)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		if (!addr_ok(names[i]))
			continue;
		if (s->n_funcs == SCENE_FUNCS_MAX) {
			s->n_funcs_left_out++;
			continue;
		}
		struct func *f = &s->funcs[s->n_funcs++];

		text_copy(f->pci, sizeof(f->pci), names[i]);
		f->gpu = -1;
		place(m, f);
		read_ids(m, f);
		read_driver(m, f);
		read_power(m, f);
		read_rest(m, f);
	}
	qsort(s->funcs, s->n_funcs, sizeof(*s->funcs), by_address);
	judge_awake(m, s);
	return read_overrides(m, s);
}

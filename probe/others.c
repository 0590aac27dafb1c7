/* SPDX-License-Identifier: MIT */
/*
 * Display and compute devices that the scan of the PCI bus does not list: GPUs and NPUs of systems on a
 * chip, virtual DRM devices, USB displays, and PCI functions of other classes with a node of their own
 * (AMD's NPU calls itself a signal processor). They are found by their nodes, in sys/class/drm and
 * sys/class/accel; reading the folders of class devices wakes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

/* clang-format off */
static const struct field fields[] = {
	FIELD(struct other_device, path, FIELD_TEXT, UNIT_NONE, "path"),
	FIELD(struct other_device, bus, FIELD_FACT_TEXT, UNIT_NONE, "bus"),
	FIELD(struct other_device, driver, FIELD_FACT_TEXT, UNIT_NONE, "driver"),
	FIELD(struct other_device, card, FIELD_FACT_TEXT, UNIT_NONE, "card node"),
	FIELD(struct other_device, render, FIELD_FACT_TEXT, UNIT_NONE, "render node"),
	FIELD(struct other_device, accel, FIELD_FACT_TEXT, UNIT_NONE, "accel node"),
	FIELD(struct other_device, compatible, FIELD_FACT_TEXT, UNIT_NONE, "compatible"),
	FIELD(struct other_device, npu, FIELD_BOOL, UNIT_NONE, "NPU"),
};

/* Where nodes are, and which member of a device each kind is. Source: drm_sysfs.c and drm_accel.c. */
static const struct node {
	const char *class, *prefix, *dev;
	size_t member;
} nodes[] = {
	{ "drm", "card", "/dev/dri/", offsetof(struct other_device, card) },
	{ "drm", "renderD", "/dev/dri/", offsetof(struct other_device, render) },
	{ "accel", "accel", "/dev/accel/", offsetof(struct other_device, accel) },
};

/* Drivers of processors for inference without graphics. Source: drivers/accel of Linux 7.2. */
static const char *const npus[] = { "intel_vpu", "amdxdna", "rocket", "ethosu", "rknpu" };
/* clang-format on */

/* "card0" of prefix "card"; not "card0-DP-1". */
static bool is_node(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 && name[len] &&
	       !name[len + strspn(name + len, "0123456789")];
}

/* The node of a GPU that the report lists lies below that GPU's function, however deep. */
static bool is_of_a_gpu(const struct report *r, const char *dir)
{
	for (const char *at = dir; *at; at += *at == '/') {
		size_t len = strcspn(at, "/");
		char part[24];

		snprintf(part, sizeof(part), "%.*s", (int)len, at);
		if (len < sizeof(part) && addr_ok(part) && report_gpu(r, part))
			return true;
		at += len;
	}
	return false;
}

/*
 * The device a node belongs to: its folder without "/drm/card0". One that belongs to no device is
 * itself what there is (sys/devices/virtual/drm/card0). False: not below sys/devices, so not the kernel's.
 */
static bool device_of(const char *dir, const struct node *n, const char *name, char *path,
		      size_t size)
{
	static const char top[] = "sys/devices/";
	char tail[MACHINE_NAME_MAX + 16];
	size_t len = strlen(dir);

	if (strncmp(dir, top, strlen(top)) != 0 || !text_copy(path, size, dir + strlen(top)))
		return false;
	size_t cut = (size_t)snprintf(tail, sizeof(tail), "/%s/%s", n->class, name);

	len -= strlen(top);
	if (len > cut && strcmp(path + len - cut, tail) == 0 &&
	    strncmp(path, "virtual/", strlen("virtual/")) != 0)
		path[len - cut] = '\0';
	return true;
}

static bool is_npu(const struct fact_text *driver)
{
	for (size_t i = 0; fact_text_known(driver) && i < ARRAY_LEN(npus); i++)
		if (strcmp(driver->v, npus[i]) == 0)
			return true;
	return false;
}

static struct fact_text read_link(const struct source *s, const char *dir, const char *name,
				  enum why none)
{
	char path[PATH_SIZE], target[MACHINE_NAME_MAX];
	int rc = (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path)
			 ? src_link_name(s, path, target, sizeof(target))
			 : -EFBIG;

	if (rc)
		return fact_text_unknown(rc == -ENOENT ? none : why_of(rc));
	return fact_text_of(target, SRC_SYSFS);
}

static void read_device(const struct source *s, struct other_device *d)
{
	const struct fact_text none = fact_text_unknown(WHY_NOT_EXPORTED);
	char dir[PATH_SIZE];

	snprintf(dir, sizeof(dir), "sys/devices/%s", d->path);
	d->card = d->render = d->accel = none;
	d->bus = read_link(s, dir, "subsystem", WHY_NOT_EXPORTED);
	if (strncmp(d->path, "virtual/", strlen("virtual/")) == 0)
		d->bus = fact_text_of("virtual", SRC_SYSFS);
	d->driver = read_link(s, dir, "driver", WHY_NO_DRIVER);
	/* The devicetree's list begins with the most exact name, and a NUL ends it. */
	d->compatible = src_fact_text(s, dir, "of_node/compatible", SRC_SYSFS);
	if (!fact_text_known(&d->compatible))
		d->compatible = src_fact_text(s, dir, "modalias", SRC_SYSFS);
	d->npu = is_npu(&d->driver);
}

static struct other_device *find(const struct source *s, struct report *r, const char *path)
{
	struct other_device *d;

	for (uint32_t i = 0; i < r->n_others; i++)
		if (strcmp(r->others[i].path, path) == 0)
			return &r->others[i];
	if (r->n_others == PROBE_OTHERS_MAX) {
		r->n_others_left_out++;
		return NULL;
	}
	d = &r->others[r->n_others++];
	text_copy(d->path, sizeof(d->path), path);
	read_device(s, d);
	return d;
}

static void read_node(const struct source *s, struct report *r, const struct node *n,
		      const char *name)
{
	char link[PATH_SIZE], dir[PATH_SIZE], dev[MACHINE_NAME_MAX + 16];
	char path[sizeof(r->others[0].path)];
	struct other_device *d;

	snprintf(link, sizeof(link), "sys/class/%s/%s", n->class, name);
	src_folder(s, link, dir, sizeof(dir));
	if (is_of_a_gpu(r, dir) || !device_of(dir, n, name, path, sizeof(path)))
		return;
	d = find(s, r, path);
	if (!d)
		return;
	struct fact_text *to = (struct fact_text *)(void *)((char *)d + n->member);

	snprintf(dev, sizeof(dev), "%s%s", n->dev, name);
	if (!fact_text_known(to))
		*to = fact_text_of(dev, SRC_SYSFS);
}

static void read_all(const struct source *s, struct report *r)
{
	for (size_t k = 0; k < ARRAY_LEN(nodes); k++) {
		const struct node *n = &nodes[k];
		own_free char **names = NULL;
		char dir[64];

		snprintf(dir, sizeof(dir), "sys/class/%s", n->class);
		int count = machine_list(s->m, dir, &names);

		for (int i = 0; i < count; i++)
			if (is_node(names[i], n->prefix))
				read_node(s, r, n, names[i]);
	}
}

static void put_json(json_t *report, const struct report *r)
{
	json_t *a = json_array();

	for (uint32_t i = 0; i < r->n_others; i++) {
		json_t *o = json_object();

		fields_to_json(o, fields, ARRAY_LEN(fields), &r->others[i]);
		json_array_append_new(a, o);
	}
	json_object_set_new(report, "other_devices", a);
	json_put_int(report, "other_devices_left_out", r->n_others_left_out);
}

static void print_device(FILE *to, const struct other_device *d, bool verbose)
{
	const struct fact_text *const found[] = { &d->card, &d->render, &d->accel };
	const char *slash = strrchr(d->path, '/');
	struct line l;

	line_init(&l);
	text_add(&l.t, "%s %s", d->npu ? "NPU" : "Device", slash ? slash + 1 : d->path);
	if (fact_text_known(&d->bus))
		text_add(&l.t, "  (%s)", d->bus.v);
	text_clean(l.buf);
	fprintf(to, "%.*s\n", (int)line_fitting(l.buf, LINE_COLUMNS), l.buf);
	line_print(to, "driver", fact_text_known(&d->driver) ? d->driver.v : "none bound");
	line_init(&l);
	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		if (fact_text_known(found[i]))
			line_part(&l, "%s", found[i]->v);
	line_print(to, "nodes", l.buf);
	if (verbose && fact_text_known(&d->compatible))
		line_print(to, "is", d->compatible.v);
	fputc('\n', to);
}

static void print_all(FILE *to, const struct report *r, bool verbose)
{
	for (uint32_t i = 0; i < r->n_others; i++)
		print_device(to, &r->others[i], verbose);
	if (r->n_others_left_out)
		fprintf(to, "%u nodes of more devices are not shown.\n\n", r->n_others_left_out);
}

const struct section section_others = {
	.name = "others",
	.read_report = read_all,
	.json_report = put_json,
	.text_report = print_all,
};

/* SPDX-License-Identifier: MIT */
/*
 * Who a GPU is beyond its ids: board, serial number, firmware, the nodes by which programs reach it, and
 * what it is divided into. All of it is cached by the kernel, except what is read only of a device that
 * is awake: the PCI core's serial number (config space) and partitions (registers).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

/* clang-format off */
static const struct field who_fields[] = {
	FIELD(struct gpu, board, FIELD_FACT_TEXT, UNIT_NONE, "board"),
	FIELD(struct gpu, serial, FIELD_FACT_TEXT, UNIT_NONE, "serial"),
	FIELD(struct gpu, vbios, FIELD_FACT_TEXT, UNIT_NONE, "VBIOS"),
	FIELD(struct gpu, arch, FIELD_FACT_TEXT, UNIT_NONE, "architecture"),
	FIELD(struct gpu, kfd_node, FIELD_FACT, UNIT_NONE, "KFD node"),
	FIELD(struct gpu, runtime_d3, FIELD_FACT_TEXT, UNIT_NONE, "runtime D3"),
	FIELD(struct gpu, vram_state, FIELD_FACT_TEXT, UNIT_NONE, "video memory"),
	FIELD(struct gpu, driver_override, FIELD_FACT_TEXT, UNIT_NONE, "driver override"),
	FIELD(struct gpu, removable, FIELD_FACT_TEXT, UNIT_NONE, "removable"),
	FIELD(struct gpu, by_path, FIELD_FACT_TEXT, UNIT_NONE, "by path"),
	FIELD(struct gpu, accel, FIELD_FACT_TEXT, UNIT_NONE, "accelerator node"),
	FIELD(struct gpu, vfio, FIELD_FACT_TEXT, UNIT_NONE, "VFIO node"),
	FIELD(struct gpu, vfs_total, FIELD_FACT, UNIT_NONE, "virtual functions possible"),
	FIELD(struct gpu, vfs, FIELD_FACT, UNIT_NONE, "virtual functions"),
	FIELD(struct gpu, physfn, FIELD_TEXT, UNIT_NONE, "physical function"),
	FIELD(struct gpu, partition, FIELD_FACT_TEXT, UNIT_NONE, "partition"),
};

/*
 * Where a serial number is. Sources: amdgpu_pm.c (unique_id, 0444, from the driver's memory; empty on chips
 * without); pci-sysfs.c (serial_number, root only, since 7.0: it reads the config space).
 */
static const struct {
	const char *file;
	bool amdgpu, wakes;
} serials[] = {
	{ "unique_id", true, false },
	{ "serial_number", false, true },
};
/* clang-format on */

/* --- identity -------------------------------------------------------------------------------------- */

/* "0123-ab" becomes "0000-00": what a capture keeps is that there is one. */
static void zero_digits(char *s)
{
	for (; *s; s++)
		if ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= 'A' && *s <= 'Z'))
			*s = '0';
}

static struct fact_text read_serial(const struct look *l, const char *file)
{
	const struct source quiet = { .m = l->s->m, .errors = l->s->errors };
	char path[PATH_SIZE], buf[128];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", l->dir, file) >= sizeof(path))
		return fact_text_unknown(WHY_GARBLED);
	/* Not through the recorder: a capture must not hold the number. */
	long n = src_read(&quiet, path, buf, sizeof(buf));

	if (n < 0) {
		if (l->s->rec && n != -ENOENT && n != -ENOTDIR)
			record_error(l->s->rec, path, (int)n);
		return fact_text_unknown(why_of((int)n));
	}
	if (l->s->rec) {
		zero_digits(buf);
		record_file(l->s->rec, path, buf);
	}
	return n ? fact_text_of(buf, SRC_SYSFS) : fact_text_unknown(WHY_NOT_EXPORTED);
}

static void read_serials(const struct look *l)
{
	struct fact_text *serial = &l->g->serial;

	*serial = fact_text_unknown(WHY_NOT_EXPORTED);
	for (size_t i = 0; i < ARRAY_LEN(serials); i++) {
		if (serials[i].amdgpu && !gpu_has_driver(l->g, "amdgpu"))
			continue;
		struct fact_text here = serials[i].wakes && !l->ask
						? fact_text_unknown(WHY_ASLEEP)
						: read_serial(l, serials[i].file);

		if (fact_text_known(&here) || here.why != WHY_NOT_EXPORTED)
			*serial = here;
		if (fact_text_known(&here))
			return;
	}
}

/* Boards without a memory for names answer with an empty line or zeros. */
static struct fact_text read_name(const struct look *l, const char *file)
{
	struct fact_text t = src_fact_text(l->s, l->dir, file, SRC_SYSFS);

	if (fact_text_known(&t) && t.v[strspn(t.v, " 0")] == '\0')
		return fact_text_unknown(WHY_NOT_EXPORTED);
	return t;
}

static void read_identity(const struct look *l)
{
	struct gpu *g = l->g;

	g->board = g->vbios = fact_text_unknown(WHY_NOT_EXPORTED);
	if (gpu_has_driver(g, "amdgpu")) {
		g->board = read_name(l, "product_name");
		g->vbios = read_name(l, "vbios_version");
	}
	g->removable = src_fact_text(l->s, l->dir, "removable", SRC_SYSFS);
	g->driver_override = src_fact_text(l->s, l->dir, "driver_override", SRC_SYSFS);
	if (strcmp(g->driver_override.v, "(null)") == 0)
		g->driver_override = fact_text_unknown(WHY_NOT_APPLICABLE);
	read_serials(l);
}

/* --- nodes ----------------------------------------------------------------------------------------- */

/* Udev's link under a name that survives renumbering: the render node's, else the card's. */
static void read_by_path(const struct look *l)
{
	static const char *const kinds[] = { "render", "card" };
	char path[PATH_SIZE], target[MACHINE_NAME_MAX];

	l->g->by_path = fact_text_unknown(
		l->g->drm_card.src || l->g->drm_render.src ? WHY_NOT_EXPORTED : l->g->drm_card.why);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(path, sizeof(path), "/dev/dri/by-path/pci-%.23s-%s", l->g->pci, kinds[i]);
		if (src_link_name(l->s, path + 1, target, sizeof(target)) == 0) {
			l->g->by_path = fact_text_of(path, SRC_SYSFS);
			return;
		}
	}
}

/* The first entry of a folder of the function that begins with `prefix` and has a `dev` file. */
static bool find_node(const struct look *l, const char *folder, const char *prefix, char *name,
		      size_t size)
{
	char dir[PATH_SIZE], file[PATH_SIZE], dev[32];
	own_free char **names = NULL;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/%s", l->dir, folder) >= sizeof(dir))
		return false;
	int n = machine_list(l->s->m, dir, &names);

	for (int i = 0; i < n; i++) {
		if (strncmp(names[i], prefix, strlen(prefix)) != 0)
			continue;
		if ((size_t)snprintf(file, sizeof(file), "%s/%s/dev", dir, names[i]) >=
		    sizeof(file))
			continue;
		if (src_read(l->s, file, dev, sizeof(dev)) > 0 && text_copy(name, size, names[i]))
			return true;
	}
	return false;
}

static struct fact_text node_of(const char *folder, const char *name)
{
	char node[MACHINE_NAME_MAX + 32];

	snprintf(node, sizeof(node), "%s%s", folder, name);
	return fact_text_of(node, SRC_SYSFS);
}

/* A group without an IOMMU behind it has its node under another name. */
static struct fact_text group_node(const struct look *l)
{
	char path[PATH_SIZE], kind[32], number[24];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%" PRId64 "/name",
		 l->g->iommu_group.v);
	bool no_iommu = src_read(l->s, path, kind, sizeof(kind)) > 0 &&
			strcmp(kind, "vfio-noiommu") == 0;

	snprintf(number, sizeof(number), "%" PRId64, l->g->iommu_group.v);
	return node_of(no_iommu ? "/dev/vfio/noiommu-" : "/dev/vfio/", number);
}

static void read_vfio(const struct look *l)
{
	struct gpu *g = l->g;
	char name[MACHINE_NAME_MAX];

	g->vfio = fact_text_unknown(WHY_NOT_APPLICABLE);
	/* vfio-pci, and a vendor's own like nvgrace-gpu-vfio-pci. */
	if (!fact_text_known(&g->driver) || !strstr(g->driver.v, "vfio"))
		return;
	if (fact_known(&g->iommu_group))
		g->vfio = group_node(l);
	else if (find_node(l, "vfio-dev", "vfio", name, sizeof(name)))
		g->vfio = node_of("/dev/vfio/devices/", name);
	else
		g->vfio = fact_text_unknown(WHY_NOT_EXPORTED);
}

static void read_nodes(const struct look *l)
{
	char name[MACHINE_NAME_MAX];

	read_by_path(l);
	l->g->accel = find_node(l, "accel", "accel", name, sizeof(name))
			      ? node_of("/dev/accel/", name)
			      : fact_text_unknown(WHY_NOT_EXPORTED);
	read_vfio(l);
}

/* --- division -------------------------------------------------------------------------------------- */

static struct fact count_of(const struct look *l, const char *file)
{
	struct fact f = src_fact(l->s, l->dir, file, 0, UINT16_MAX, SRC_SYSFS);

	if (f.why == WHY_NOT_EXPORTED)
		f.why = WHY_NOT_APPLICABLE;
	return f;
}

/* amdgpu's Instinct: "SPX/NPS1", how its dies and its memory are divided. */
static struct fact_text read_partition(const struct look *l)
{
	struct fact_text compute, memory;
	char both[64];

	if (!gpu_has_driver(l->g, "amdgpu"))
		return fact_text_unknown(WHY_NOT_EXPORTED);
	if (!l->ask)
		return fact_text_unknown(WHY_ASLEEP);
	compute = src_fact_text(l->s, l->dir, "current_compute_partition", SRC_SYSFS);
	memory = src_fact_text(l->s, l->dir, "current_memory_partition", SRC_SYSFS);
	if (!fact_text_known(&compute) || !fact_text_known(&memory))
		return fact_text_known(&compute) ? compute : memory;
	snprintf(both, sizeof(both), "%.30s/%.30s", compute.v, memory.v);
	return fact_text_of(both, SRC_SYSFS);
}

static void read_division(const struct look *l)
{
	struct gpu *g = l->g;
	char path[PATH_SIZE], name[MACHINE_NAME_MAX];

	g->vfs_total = count_of(l, "sriov_totalvfs");
	g->vfs = fact_known(&g->vfs_total) ? count_of(l, "sriov_numvfs") : g->vfs_total;
	if ((size_t)snprintf(path, sizeof(path), "%s/physfn", l->dir) < sizeof(path) &&
	    src_link_name(l->s, path, name, sizeof(name)) == 0 && addr_ok(name))
		text_copy(g->physfn, sizeof(g->physfn), name);
	g->partition = read_partition(l);
}

/* --- NVIDIA ---------------------------------------------------------------------------------------- */

/* "Video Memory:               Off": the value of a line that begins so. */
static struct fact_text line_value(const char *text, const char *key)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), k = strlen(key);
		char buf[120];

		if (len > k && strncmp(line, key, k) == 0 && line[k] == ':') {
			size_t gap = strspn(line + k + 1, " \t");

			snprintf(buf, sizeof(buf), "%.*s", (int)(len - k - 1 - gap),
				 line + k + 1 + gap);
			return *buf ? fact_text_of(buf, SRC_PROC)
				    : fact_text_unknown(WHY_NOT_EXPORTED);
		}
		line += len + (line[len] == '\n');
	}
	return fact_text_unknown(WHY_NOT_EXPORTED);
}

/* Of the driver's files this one answers from memory; "information" beside it wakes the card. */
static void read_nvidia(const struct look *l)
{
	struct gpu *g = l->g;
	char path[PATH_SIZE], text[4096];

	g->runtime_d3 = g->vram_state = fact_text_unknown(WHY_NOT_APPLICABLE);
	if (!gpu_has_driver(g, "nvidia"))
		return;
	snprintf(path, sizeof(path), "proc/driver/nvidia/gpus/%.23s/power", g->pci);
	long n = src_read(l->s, path, text, sizeof(text));

	if (n < 0) {
		g->runtime_d3 = g->vram_state = fact_text_unknown(why_of((int)n));
		return;
	}
	g->runtime_d3 = line_value(text, "Runtime D3 status");
	g->vram_state = line_value(text, "Video Memory");
}

static void who_read(const struct look *l)
{
	read_nvidia(l);
	read_identity(l);
	read_nodes(l);
	read_division(l);
}

/* --- the section ----------------------------------------------------------------------------------- */

static void who_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	(void)r;
	fields_to_json(gpu, who_fields, ARRAY_LEN(who_fields), g);
}

static void add_text(struct line *l, const struct fact_text *f, const char *label)
{
	if (fact_text_known(f))
		line_part(l, "%s%s", label, f->v);
}

static void print_division(FILE *to, const struct gpu *g)
{
	struct line l;

	line_init(&l);
	if (g->physfn[0])
		line_part(&l, "virtual function of %s", g->physfn);
	else if (fact_known(&g->vfs_total) && g->vfs_total.v && fact_known(&g->vfs))
		line_part(&l, "%" PRId64 " of %" PRId64 " virtual functions", g->vfs.v,
			  g->vfs_total.v);
	add_text(&l, &g->partition, "");
	if (l.t.len)
		line_print(to, "divided", l.buf);
}

static void print_runtime_d3(FILE *to, const struct gpu *g)
{
	struct line l;

	line_init(&l);
	add_text(&l, &g->runtime_d3, "");
	add_text(&l, &g->vram_state, "video memory ");
	if (l.t.len)
		line_print(to, "runtime D3", l.buf);
}

static void who_text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	struct line l;

	(void)r;
	line_init(&l);
	add_text(&l, &g->board, "");
	if (verbose) {
		add_text(&l, &g->arch, "");
		add_text(&l, &g->vbios, "VBIOS ");
		add_text(&l, &g->serial, "serial ");
		if (strcmp(g->removable.v, "unknown") != 0)
			add_text(&l, &g->removable, "firmware says ");
	}
	if (l.t.len)
		line_print(to, "board", l.buf);
	print_division(to, g);
	if (verbose)
		print_runtime_d3(to, g);
	line_init(&l);
	add_text(&l, &g->accel, "");
	add_text(&l, &g->vfio, "");
	if (verbose)
		add_text(&l, &g->by_path, "");
	if (l.t.len)
		line_print(to, "nodes", l.buf);
}

const struct section section_who = {
	.name = "who",
	.read = who_read,
	.json = who_json,
	.text = who_text,
};

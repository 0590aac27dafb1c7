/* SPDX-License-Identifier: MIT */
/* The report as text for people: at most 100 columns, values and units from the field tables. */
#include "probe/render_priv.h"

#include <string.h>

#include "base/text.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

static const struct field *row_at(const struct field *rows, size_t n, size_t offset)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].offset == offset)
			return &rows[i];
	return NULL;
}

/* A value with its unit, as its row says. */
static const char *value(char *buf, size_t size, const struct field *rows, size_t n, size_t offset,
			 const void *obj)
{
	const struct field *row = row_at(rows, n, offset);
	struct text t;

	text_init(&t, buf, size);
	if (row)
		field_text(&t, row, obj);
	return buf;
}

#define GPU(member)                                                                                \
	value((char[160]) { 0 }, 160, gpu_fields, n_gpu_fields, offsetof(struct gpu, member), g)
#define CPU(member)                                                                                \
	value((char[160]) { 0 }, 160, cpu_fields, n_cpu_fields, offsetof(struct cpu, member), c)

static void print_ids(FILE *to, const struct gpu *g)
{
	struct line l;

	line_init(&l);
	if (g->vendor)
		line_part(&l, "%04x:%04x", g->vendor, g->device);
	else
		line_part(&l, "ids unknown (%s)", why_name(WHY_GARBLED));
	if (g->subvendor)
		line_part(&l, "subsystem %04x:%04x", g->subvendor, g->subdevice);
	line_part(&l, "class %06x (%s)", g->class, class_name(g->class));
	line_part(&l, "revision %02x", g->revision);
	line_print(to, "ids", l.buf);
}

static void print_driver(FILE *to, const struct gpu *g)
{
	static const char *const states[] = {
		[AWAKE_UNKNOWN] = "power state unknown",
		[AWAKE_YES] = "awake",
		[AWAKE_NO] = "asleep (left so)",
	};
	bool bound = fact_text_known(&g->driver);
	struct line l;

	line_init(&l);
	if (bound && fact_text_known(&g->driver_version))
		line_part(&l, "%s %s", g->driver.v, g->driver_version.v);
	else
		line_part(&l, "%s",
			  bound                            ? g->driver.v
			  : g->driver.why == WHY_NO_DRIVER ? "none bound"
							   : GPU(driver));
	line_part(&l, "%s", states[g->awake]);
	if (fact_known(&g->boot_vga) && g->boot_vga.v)
		line_part(&l, "boot display");
	if (g->driver_note[0])
		text_add(&l.t, "; %s", g->driver_note);
	line_print(to, "driver", l.buf);
}

static void print_bars(FILE *to, const struct gpu *g)
{
	char size[TEXT_SIZE_MAX], largest[TEXT_SIZE_MAX];
	struct line l;

	line_init(&l);
	for (int i = 0; i < PROBE_BARS - 1; i++) {
		const struct bar *b = &g->bars[i];
		bool grows = b->size_bytes < bar_largest(b);

		if (!b->size_bytes)
			continue;
		line_part(&l, "%d: %s%s%s%s%s%s%s", i, text_size(size, b->size_bytes),
			  grows ? " of at most " : "",
			  grows ? text_size(largest, bar_largest(b)) : "", b->io ? " I/O" : "",
			  b->is_64bit ? " 64-bit" : "", b->prefetchable ? " prefetchable" : "",
			  b->unassigned ? " WITHOUT AN ADDRESS" : "");
	}
	line_print(to, "BARs", l.t.len ? l.buf : "none");
}

static void print_place(FILE *to, const struct gpu *g)
{
	struct line l;

	line_init(&l);
	line_part(&l, "NUMA node %s", GPU(numa_node));
	line_part(&l, "CPUs %s", GPU(cpus));
	line_part(&l, "IOMMU group %s", GPU(iommu_group));
	line_print(to, "place", l.buf);
	line_init(&l);
	if (fact_text_known(&g->drm_card) || !fact_text_known(&g->drm_render))
		line_part(&l, "%s", fact_text_known(&g->drm_card) ? g->drm_card.v : "none");
	if (fact_text_known(&g->drm_render))
		line_part(&l, "%s", g->drm_render.v);
	else if (!fact_text_known(&g->drm_card))
		text_add(&l.t, " (%s)", why_name(g->drm_card.why));
	line_print(to, "DRM nodes", l.buf);
}

static void print_gpu(FILE *to, const struct report *r, const struct gpu *g, bool verbose)
{
	char title[160];
	struct text t;

	text_init(&t, title, sizeof(title));
	text_add(&t, "%s ", g->class >> 16 == 0x03 ? "GPU" : "Accelerator");
	gpu_title(&t, g);
	fprintf(to, "%.*s\n", (int)line_fitting(title, LINE_COLUMNS), title);
	print_ids(to, g);
	print_driver(to, g);
	if (fact_text_known(&g->uuid))
		line_print(to, "UUID", g->uuid.v);
	for (const struct section *const *p = sections_shown; *p; p++)
		if ((*p)->text)
			(*p)->text(to, g, r, verbose);
	print_bars(to, g);
	print_place(to, g);
	fputc('\n', to);
}

static void count(struct line *l, const struct fact *f, const char *one, const char *many)
{
	if (!fact_known(f))
		line_part(l, "%s unknown (%s)", many, why_name(f->why));
	else
		line_part(l, "%lld %s", (long long)f->v, f->v == 1 ? one : many);
}

static void print_cpu(FILE *to, const struct cpu *c)
{
	struct line l;

	line_init(&l);
	text_add(&l.t, "CPU %s", CPU(name));
	fprintf(to, "%.*s\n", (int)line_fitting(l.buf, LINE_COLUMNS), l.buf);
	line_init(&l);
	count(&l, &c->cores, "core", "cores");
	count(&l, &c->threads, "thread", "threads");
	count(&l, &c->packages, "package", "packages");
	count(&l, &c->numa_nodes, "NUMA node", "NUMA nodes");
	line_print(to, "for us", l.buf);
	line_print(to, "per core", CPU(cpuset));
	line_init(&l);
	line_part(&l, "%s", CPU(ram_total));
	line_part(&l, "%s available", CPU(ram_available));
	line_print(to, "memory", l.buf);
	line_print(to, "role", "the device of last resort: every model can run here, slowly");
}

void render_report(FILE *to, const struct report *r, bool whole, bool verbose)
{
	for (uint32_t i = 0; i < r->n_gpus; i++)
		print_gpu(to, r, &r->gpus[i], verbose);
	if (r->n_left_out)
		fprintf(to, "%u more display functions are not shown: berth counts up to %d.\n\n",
			r->n_left_out, PROBE_GPUS_MAX);
	if (r->n_unclassed)
		fprintf(to,
			"The class of %u PCI functions cannot be read: there may be GPUs among them.\n\n",
			r->n_unclassed);
	if (!whole)
		return;
	for (const struct section *const *p = sections_shown; *p; p++)
		if ((*p)->text_report)
			(*p)->text_report(to, r, verbose);
	if (!r->n_gpus && !r->n_unclassed)
		fprintf(to, "No GPU or accelerator is on the PCI bus; models run on the CPU.\n\n");
	print_cpu(to, &r->cpu);
}

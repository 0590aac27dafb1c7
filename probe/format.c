/* SPDX-License-Identifier: MIT */
/*
 * Sources: CUDA C++ Programming Guide, "CUDA Environment Variables"; ROCm documentation, "GPU isolation
 * techniques"; ggml-vulkan.cpp (GGML_VK_VISIBLE_DEVICES is an index into the loader's list);
 * Level Zero specification, "Environment Variables"; Mesa, docs/envvars.rst (DRI_PRIME); Slurm, gres.conf(5):
 * Cores counts cores as lstopo does (Core L#), not CPUs, and is left out where every core is as good.
 */
#include "probe/format.h"

#include <ctype.h>
#include <string.h>

#include "probe/probe_priv.h"

struct list {
	char buf[PROBE_GPUS_MAX * 48];
	struct text t;
	uint32_t n;
};

static void list_init(struct list *l)
{
	l->n = 0;
	text_init(&l->t, l->buf, sizeof(l->buf));
}

static void list_text(struct list *l, const char *s)
{
	text_add(&l->t, "%s%s", l->n++ ? "," : "", s);
}

static void list_number(struct list *l, int64_t v)
{
	text_add(&l->t, "%s%lld", l->n++ ? "," : "", (long long)v);
}

/* Letters, digits and dashes only: nothing that a shell would act on. */
static bool is_plain(const char *s)
{
	return *s &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")];
}

/* --- env --- */

struct api {
	const char *drivers[6]; /* whose GPUs it can see */
	size_t index;           /* the fact, in struct index_map, that its selector counts by */
	const char *selector;   /* variable that takes the list */
	bool by_uuid;           /* the selector takes UUIDs too, which are better */
	const char *order; /* "NAME=VALUE" that makes the index mean what it means here; or NULL */
	const char *order_too;
	const char *above; /* variable of the layer above, which counts what is left; or NULL */
	const char *above_prefix;
};

/* clang-format off */
static const struct api apis[] = {
	{ { "nvidia" }, offsetof(struct index_map, cuda), "CUDA_VISIBLE_DEVICES", true,
	  "CUDA_DEVICE_ORDER=PCI_BUS_ID", NULL, NULL, NULL },
	{ { "amdgpu" }, offsetof(struct index_map, hip), "ROCR_VISIBLE_DEVICES", true,
	  NULL, NULL, "HIP_VISIBLE_DEVICES", "" },
	{ { "i915", "xe" }, offsetof(struct index_map, level_zero), "ZE_AFFINITY_MASK", false,
	  "ZE_ENABLE_PCI_ID_DEVICE_ORDER=1", "ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE",
	  "ONEAPI_DEVICE_SELECTOR", "level_zero:" },
	{ { "nvidia", "amdgpu", "i915", "xe", "nouveau" }, offsetof(struct index_map, vulkan_loader),
	  "GGML_VK_VISIBLE_DEVICES", false, NULL, NULL, NULL, NULL },
};
/* clang-format on */

static bool api_sees(const struct api *a, const struct gpu *g)
{
	for (size_t i = 0; i < ARRAY_LEN(a->drivers) && a->drivers[i]; i++)
		if (gpu_has_driver(g, a->drivers[i]))
			return true;
	return false;
}

static const struct fact *api_index(const struct api *a, const struct gpu *g)
{
	return (const struct fact *)(const void *)((const char *)&g->index + a->index);
}

static bool uuid_usable(const struct gpu *g)
{
	return fact_text_known(&g->uuid) && is_plain(g->uuid.v);
}

/* What can be said of an interface's GPUs together: a list with one unknown member selects wrongly. */
struct said {
	uint32_t n;
	bool uuids, guessed;
	const struct gpu *lacking; /* one whose index is unknown */
};

static struct said api_said(const struct api *a, const struct report *r)
{
	struct said s = { .uuids = a->by_uuid };

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		const struct fact *f = api_index(a, g);

		if (!api_sees(a, g))
			continue;
		s.n++;
		s.uuids &= uuid_usable(g);
		s.guessed |= f->src == SRC_GUESS;
		if (!fact_known(f) && !s.lacking)
			s.lacking = g;
	}
	return s;
}

static void print_orders(FILE *to, const struct api *a)
{
	if (a->order)
		fprintf(to, "%s\n", a->order);
	if (a->order_too)
		fprintf(to, "%s\n", a->order_too);
}

static void print_above(FILE *to, const struct api *a, uint32_t n)
{
	struct list l;

	if (!a->above)
		return;
	list_init(&l);
	for (uint32_t i = 0; i < n; i++)
		list_number(&l, i);
	fprintf(to, "%s=%s%s\n", a->above, a->above_prefix, l.buf);
}

/* A card in MIG mode cannot be selected itself, only its instances. */
static void list_uuids(struct list *l, const struct gpu *g)
{
	uint32_t listed = 0;

	for (uint32_t i = 0; i < g->nvidia.n_migs; i++) {
		const struct fact_text *uuid = &g->nvidia.migs[i].uuid;

		if (fact_text_known(uuid) && is_plain(uuid->v)) {
			list_text(l, uuid->v);
			listed++;
		}
	}
	if (!listed)
		list_text(l, g->uuid.v);
}

static void env_of(FILE *to, const struct api *a, const struct report *r)
{
	const struct said s = api_said(a, r);
	struct list l;

	if (!s.n)
		return;
	if (!s.uuids && s.lacking) {
		fprintf(to, "# %s: the index of %s is unknown (%s)\n", a->selector, s.lacking->pci,
			why_name(api_index(a, s.lacking)->why));
		return;
	}
	list_init(&l);
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		if (!api_sees(a, &r->gpus[i]))
			continue;
		if (s.uuids)
			list_uuids(&l, &r->gpus[i]);
		else
			list_number(&l, api_index(a, &r->gpus[i])->v);
	}
	if (s.guessed && !s.uuids) {
		fprintf(to, "# %s=%s would be a guess; --wake asks\n", a->selector, l.buf);
		return;
	}
	print_orders(to, a);
	fprintf(to, "%s=%s\n", a->selector, l.buf);
	print_above(to, a, s.n);
}

/* "pci-0000_03_00_0"; the variable names one GPU. NVIDIA's own OpenGL does not read it. */
static void env_prime(FILE *to, const struct report *r)
{
	char tag[24];

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];

		if (!fact_text_known(&g->drm_render) || gpu_has_driver(g, "nvidia"))
			continue;
		text_copy(tag, sizeof(tag), g->pci);
		for (char *c = tag; *c; c++)
			*c = *c == ':' || *c == '.' ? '_' : *c;
		fprintf(to, "%sDRI_PRIME=pci-%s\n", r->n_gpus > 1 ? "# of one GPU: " : "", tag);
	}
}

void format_env(FILE *to, const struct report *r)
{
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		char title[200];
		struct text t;

		text_init(&t, title, sizeof(title));
		gpu_title(&t, &r->gpus[i]);
		fprintf(to, "# %s%s\n", title,
			gpu_can_compute(&r->gpus[i]) ? "" : ": no driver that can compute");
	}
	for (const struct api *a = apis; a < apis + ARRAY_LEN(apis); a++)
		env_of(to, a, r);
	env_prime(to, r);
}

/* --- slurm --- */

bool gres_type(const char *name, char *buf, size_t size)
{
	struct text t;
	bool gap = false;

	text_init(&t, buf, size);
	for (const char *s = name; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) && c < 0x80)
			text_add(&t, "%s%c", gap && t.len ? "_" : "", tolower(c));
		gap = !isalnum(c) || c >= 0x80;
	}
	return t.len > 0;
}

void gpu_gres_type(const struct gpu *g, char *buf, size_t size)
{
	if (!gres_type(fact_text_known(&g->name) ? g->name.v : "", buf, size))
		snprintf(buf, size, "gpu_%04x_%04x", g->vendor, g->device);
}

bool gpu_gres_file(const struct gpu *g, char *buf, size_t size)
{
	buf[0] = '\0';
	if (gpu_has_driver(g, "nvidia") && fact_known(&g->index.nvml))
		snprintf(buf, size, "/dev/nvidia%lld", (long long)g->index.nvml.v);
	else if (!gpu_has_driver(g, "nvidia") && fact_known(&g->index.drm_render))
		snprintf(buf, size, "/dev/dri/renderD%lld", (long long)g->index.drm_render.v);
	return buf[0];
}

/* Slurm's numbers of the cores near a GPU. False: all of them, or it is not known. */
static bool cores_of(const struct gpu *g, const unsigned *order, uint32_t n, char *buf, size_t size)
{
	struct cpuset near, cores = { 0 };
	uint32_t hits = 0;

	if (!fact_text_known(&g->cpus) || cpulist_parse(g->cpus.v, &near))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!cpuset_has(&near, order[i]))
			continue;
		cores.bits[i / 8] |= (uint8_t)(1u << (i % 8));
		hits++;
	}
	return hits && hits < n && cpulist_ranges(&cores, buf, size);
}

static void slurm_line(FILE *to, const struct gpu *g, const unsigned *order, uint32_t n)
{
	char type[160], file[64], cores[512], title[200];
	struct text t;

	text_init(&t, title, sizeof(title));
	gpu_title(&t, g);
	if (!gpu_can_compute(g) || !gpu_gres_file(g, file, sizeof(file))) {
		fprintf(to, "# left out: %s: %s\n", title,
			!gpu_can_compute(g)           ? "no driver that can compute"
			: gpu_has_driver(g, "nvidia") ? why_name(g->index.nvml.why)
						      : "no render node");
		return;
	}
	gpu_gres_type(g, type, sizeof(type));
	fprintf(to, "Name=gpu Type=%s File=%s", type, file);
	if (cores_of(g, order, n, cores, sizeof(cores)))
		fprintf(to, " Cores=%s", cores);
	fprintf(to, " # %s\n", g->pci);
}

void format_slurm(FILE *to, const struct report *r)
{
	static const char note[] =
		"# Cores= is left out: hwloc did not tell the order of the cores";
	unsigned order[CPUS_MAX];
	int n = fact_text_known(&r->cpu.core_order)
			? cpulist_order(r->cpu.core_order.v, order, CPUS_MAX)
			: 0;

	if (n <= 0)
		fprintf(to, "%s\n", note);
	for (uint32_t i = 0; i < r->n_gpus; i++)
		slurm_line(to, &r->gpus[i], order, n > 0 ? (uint32_t)n : 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Sources: Slurm 22.05 and 24.11, common_gres_set_env: SLURM_JOB_GPUS and SLURM_STEP_GPUS hold positions
 * in the list of devices, not the numbers in their files' names, and are the same where a cgroup hides the others;
 * _merge_system_gres_conf: detected GPUs are put in the order of the bus.
 */
#include <string.h>
#include <strings.h>

#include "base/cpulist.h"
#include "base/text.h"
#include "launch/gres.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* What AutoDetect= finds, by the driver that is bound. */
static const struct {
	const char *word, *driver;
} detects[] = {
	{ "nvml", "nvidia" }, { "nvidia", "nvidia" }, { "rsmi", "amdgpu" },
	{ "oneapi", "i915" }, { "oneapi", "xe" },
};

/* --- from files to GPUs --- */

static const struct gpu *gpu_of_file(const struct report *r, const char *file)
{
	char own[64];

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];

		if ((gpu_gres_file(g, own, sizeof(own)) && strcmp(own, file) == 0) ||
		    (fact_text_known(&g->drm_render) && strcmp(g->drm_render.v, file) == 0) ||
		    (fact_text_known(&g->drm_card) && strcmp(g->drm_card.v, file) == 0))
			return g;
	}
	return NULL;
}

static bool is_detected(const struct gres *g, const struct gpu *gpu)
{
	for (size_t i = 0; i < N_OF(detects); i++)
		if (strcasecmp(g->detect, detects[i].word) == 0 && fact_text_known(&gpu->driver) &&
		    strcmp(gpu->driver.v, detects[i].driver) == 0)
			return true;
	return false;
}

static bool lists(const struct gres *g, const struct report *r, const struct gpu *gpu)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (gpu_of_file(r, g->gpus[i].file) == gpu)
			return true;
	return false;
}

void gres_detect(struct gres *g, const struct report *r)
{
	struct gres_gpu found[PROBE_GPUS_MAX];
	bool nothing = !g->n && !g->detect[0];
	uint32_t n = 0;

	if (!g->detect[0] && !nothing)
		return; /* only what was given counts, in its order */
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *gpu = &r->gpus[i];
		bool wanted = nothing ? gpu_can_compute(gpu)
			      : g->n  ? lists(g, r, gpu)
				      : is_detected(g, gpu);

		found[n] = (struct gres_gpu) { .line = n };
		if (wanted && gpu_gres_file(gpu, found[n].file, sizeof(found[n].file)))
			n++;
	}
	memcpy(g->gpus, found, n * sizeof(found[0]));
	g->n = n;
}

static int add_granted(struct grant *to, const struct gres *g, const struct report *r,
		       uint32_t number, struct err *e)
{
	const struct gpu *gpu;

	if (number >= g->n)
		return err_set(e, -ENODATA,
			       "Slurm granted its GPU %u, and gres.conf lists %u; it must list the "
			       "File of each, as `berth probe --format slurm` does",
			       number, g->n);
	gpu = gpu_of_file(r, g->gpus[number].file);
	if (!gpu)
		return err_set(
			e, -ENODATA,
			"Slurm granted its GPU %u, %s by gres.conf, which is no GPU that berth "
			"knows here",
			number, g->gpus[number].file);
	if (!grant_has(to, gpu->pci))
		text_copy(to->pci[to->n++], sizeof(to->pci[0]), gpu->pci);
	return 0;
}

static bool is_mixed(const struct gres *g, const struct report *r)
{
	const struct gpu *first = NULL;

	for (uint32_t i = 0; i < g->n; i++) {
		const struct gpu *gpu = gpu_of_file(r, g->gpus[i].file);

		if (!first)
			first = gpu;
		if (first && gpu && strcmp(first->driver.v, gpu->driver.v) != 0)
			return true;
	}
	return false;
}

int grant_find(struct grant *to, const struct gres *g, const struct report *r, const char *numbers,
	       struct err *e)
{
	struct cpuset set = { 0 };
	int rc = 0;

	*to = (struct grant) { .mixed = is_mixed(g, r) };
	if (!numbers || !*numbers)
		return 0;
	if (cpulist_parse(numbers, &set))
		return err_set(e, -EBADMSG,
			       "Slurm granted the GPUs '%.40s', which is no list of numbers",
			       numbers);
	for (uint32_t i = 0; rc == 0 && i < CPUS_MAX; i++)
		if (cpuset_has(&set, i))
			rc = add_granted(to, g, r, i, e);
	return rc;
}

bool grant_has(const struct grant *g, const char *pci)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (strcasecmp(g->pci[i], pci) == 0)
			return true;
	return false;
}

static bool is_planned(const struct plan *p, const char *pci)
{
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (strcasecmp(p->devices[d].pci, pci) == 0)
			return true;
	return false;
}

/* A granted GPU that the plan has no use for and that Slurm cannot tell from this one. */
static const char *twin(const struct grant *g, const struct plan *p, const struct report *r,
			const char *pci)
{
	const struct gpu *want = report_gpu(r, pci);
	char type[160], other[160];

	for (uint32_t i = 0; want && i < g->n; i++) {
		const struct gpu *have = report_gpu(r, g->pci[i]);

		if (!have || is_planned(p, have->pci))
			continue;
		gpu_gres_type(want, type, sizeof(type));
		gpu_gres_type(have, other, sizeof(other));
		if (strcmp(type, other) == 0)
			return have->pci;
	}
	return NULL;
}

int grant_check(const struct grant *g, const struct plan *p, const struct report *r, struct err *e)
{
	char all[512];
	struct text t;

	text_init(&t, all, sizeof(all));
	for (uint32_t i = 0; i < g->n; i++)
		text_add(&t, "%s%s", i ? ", " : "", g->pci[i]);
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const char *pci = p->devices[d].pci, *same;

		if (!pci[0] || grant_has(g, pci))
			continue;
		same = twin(g, p, r, pci);
		if (same)
			return err_set(
				e, -EXDEV,
				"the plan is for %s, and Slurm granted %s, which is of the same "
				"type: plan for that one, or give each a type of its own in "
				"gres.conf",
				pci, all);
		return err_set(e, -EXDEV, "the plan is for %s%s%s, and Slurm granted %s", pci,
			       p->devices[d].name[0] ? ", " : "", p->devices[d].name,
			       g->n ? all : "no GPU");
	}
	return 0;
}

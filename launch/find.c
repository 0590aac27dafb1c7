/* SPDX-License-Identifier: MIT */
/* The devices to plan with: what the probe knows, what the engine sees, and no GPU woken in vain. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/own.h"
#include "launch/job.h"
#include "launch/narrow.h"

#define LIST_TIMEOUT_MS 60000 /* a GPU that wakes, and a driver that compiles, take seconds */

/* What was lost may still be listed, or answer again: that is its owner's to judge. */
static void leave_out(struct report *r, const struct avoided *avoid, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct gpu *g = report_gpu(r, avoid[i].pci);
		uint32_t at = g ? (uint32_t)(g - r->gpus) : 0;

		if (g)
			memmove(&r->gpus[at], &r->gpus[at + 1],
				(--r->n_gpus - at) * sizeof(r->gpus[0]));
	}
}

int job_probe(struct job *j, struct err *e)
{
	struct probe_opts how = { .topology = true, .no_procs = true };
	struct machine live;
	int rc = machine_open(&live, NULL, e);

	if (rc)
		return rc;
	probe_free(j->report);
	j->report = NULL;
	rc = probe_collect(&live, &how, &j->report, e);
	machine_close(&live);
	if (rc == 0)
		leave_out(j->report, j->avoid, j->n_avoid);
	return rc;
}

static int list_devices(struct job *j, const struct narrow *n, struct err *e)
{
	own_free struct core_start *start = malloc(sizeof(*start));
	own_free char *answer = NULL;
	size_t size;
	json_t *o;
	int rc;

	if (!start)
		return err_set(e, -ENOMEM, "out of memory");
	core_start_list(start, j->program, n);
	rc = child_output(start, LIST_TIMEOUT_MS, &answer, &size, e);
	if (rc)
		return err_at(e, -ENOTRECOVERABLE, "asking the engine for its devices");
	o = json_parse(answer, size, "the core's list of devices", e);
	if (!o)
		return -ENOTRECOVERABLE;
	rc = devmap_from_json(&j->map, o, e);
	json_decref(o);
	return rc ? -ENOTRECOVERABLE : 0;
}

int job_devices(struct job *j, struct err *e)
{
	return list_devices(j, NULL, e);
}

static bool is_asleep(const struct gpu *g)
{
	return gpu_can_compute(g) && g->awake == AWAKE_NO;
}

static bool any_gpu(const struct report *r, bool asleep_only)
{
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (gpu_can_compute(&r->gpus[i]) && (!asleep_only || is_asleep(&r->gpus[i])))
			return true;
	return false;
}

/* What the user hides, or shows, is the user's to say. */
static void heed_user(struct narrow *n)
{
	if (getenv("CUDA_VISIBLE_DEVICES"))
		n->cuda[0] = 0;
	if (getenv("ROCR_VISIBLE_DEVICES") || getenv("HIP_VISIBLE_DEVICES"))
		n->rocm[0] = 0;
	if (getenv("VK_DRIVER_FILES") || getenv("VK_ICD_FILENAMES") ||
	    getenv("VK_LOADER_DRIVERS_SELECT"))
		n->vulkan[0] = 0;
}

/* --device names GPUs of the probe's: only those. An engine's name (Vulkan0) may be any. */
static bool narrow_to_selected(struct narrow *n, const struct job *j)
{
	uint32_t index[PROBE_GPUS_MAX];
	int count = probe_select(j->report, j->o.device, index, NULL);

	return count > 0 && narrow_make(n, j->report, index, (uint32_t)count);
}

/* The report's GPUs that a plan uses. The count, 0 when one is not there. */
static uint32_t gpus_of(const struct report *r, const struct plan *p,
			uint32_t index[PLAN_DEVICES_MAX])
{
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct gpu *g = p->devices[d].pci[0] ? report_gpu(r, p->devices[d].pci)
							   : NULL;

		if (!g)
			return 0;
		index[d] = (uint32_t)(g - r->gpus);
	}
	return p->n_devices;
}

static bool wakes_another(const struct report *r, const uint32_t *index, uint32_t count)
{
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		bool used = false;

		for (uint32_t k = 0; k < count; k++)
			used = used || index[k] == i;
		if (!used && is_asleep(&r->gpus[i]))
			return true;
	}
	return false;
}

/*
 * Would a plan by what is known without waking anything leave a sleeping GPU alone? Then so does the
 * listing: `selector` names the ones that it uses, and the plan is made anew on what the engine says of
 * them.
 */
static bool narrow_to_forecast(struct narrow *n, const struct job *j, const struct model *m,
			       char *selector, size_t size)
{
	own_free struct place *places = calloc(PROBE_GPUS_MAX, sizeof(*places));
	own_free struct plan *p = malloc(sizeof(*p));
	uint32_t index[PLAN_DEVICES_MAX], count;
	struct host_place host;
	struct text t;

	if (!places || !p || !any_gpu(j->report, true))
		return false;
	count = places_from_report(j->report, NULL, 0, places, &host);
	count = places_drop_integrated(places, count);
	if (plan_decide(p, m, places, count, &host, &j->wish, NULL) || plan_exit(p) != EXIT_YES)
		return false;
	count = gpus_of(j->report, p, index);
	if (!count || !wakes_another(j->report, index, count))
		return false;
	text_init(&t, selector, size);
	for (uint32_t i = 0; i < count; i++)
		text_add(&t, "%s%s", i ? "," : "", p->devices[i].pci);
	return !t.cut && narrow_make(n, j->report, index, count);
}

static int list_and_choose(struct job *j, const struct narrow *n, const char *selector,
			   struct err *e)
{
	int rc = list_devices(j, n, e);

	if (rc)
		return rc;
	/* Listing woke them: now their memory can be read */
	rc = any_gpu(j->report, true) ? job_probe(j, e) : 0;
	return rc ? rc : devmap_choose(&j->choice, &j->map, j->report, selector, e);
}

int job_places(struct job *j, const struct model *m, bool wide, struct err *e)
{
	bool cpu_only = j->o.device && strcasecmp(j->o.device, "cpu") == 0;
	char forecast[PLAN_DEVICES_MAX * 32] = "";
	struct narrow n;
	bool narrow;
	int rc;

	j->narrowed = false;
	/* Where there is no GPU to ask about, the engine is not asked */
	if (cpu_only || (!j->o.device && !any_gpu(j->report, false)))
		return devmap_choose(&j->choice, &j->map, j->report, j->o.device, e);
	narrow = !wide && (j->o.device ? narrow_to_selected(&n, j)
				       : narrow_to_forecast(&n, j, m, forecast, sizeof(forecast)));
	if (narrow) {
		heed_user(&n);
		rc = list_and_choose(j, &n, j->o.device ? j->o.device : forecast, NULL);
		j->narrowed = rc == 0 && !j->o.device;
		if (rc == 0)
			return 0;
	}
	return list_and_choose(j, NULL, j->o.device, e);
}

const char *job_vulkan_drivers(const struct job *j, struct narrow *n)
{
	uint32_t index[PLAN_DEVICES_MAX], count = gpus_of(j->report, &j->plan, index);

	if (!narrow_make(n, j->report, index, count))
		return NULL;
	heed_user(n);
	return n->vulkan[0] ? n->vulkan : NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Memory as DRM drivers tell it through ioctls: the only place where Intel's and nouveau's is to be had.
 * A driver may hang, so it is asked in a child; and asking wakes most devices, so only awake ones are
 * asked, or with --wake.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/child.h"
#include "probe/ioctl_priv.h"
#include "probe/section.h"

#define TIMEOUT_MS      2000
#define WAKE_TIMEOUT_MS 6000 /* a card comes back from D3cold within some seconds */

/* clang-format off */
static const struct field rows[] = {
	FIELD(struct ioctl_fn, integrated, FIELD_FACT, UNIT_NONE, NULL),
	FIELD_KEY(struct ioctl_fn, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, vram_used, "vram_used_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, vram_free, "vram_free_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD(struct ioctl_fn, vram_regions, FIELD_FACT, UNIT_NONE, NULL),
	FIELD_KEY(struct ioctl_fn, vram_region, "vram_region_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, visible_total, "visible_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, visible_used, "visible_used_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, gtt_total, "gtt_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, gtt_used, "gtt_used_bytes", FIELD_FACT, UNIT_BYTES, NULL),
	FIELD_KEY(struct ioctl_fn, system_total, "system_total_bytes", FIELD_FACT, UNIT_BYTES, NULL),
};
/* clang-format on */

static struct fact *fact_at(struct ioctl_fn *f, const struct field *row)
{
	return (struct fact *)(void *)((char *)f + row->offset);
}

static void all_unknown(struct ioctl_fn *f, enum why why)
{
	f->why = why;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		*fact_at(f, &rows[i]) = fact_unknown(why);
}

/* --- facts from regions -------------------------------------------------------------------------------- */

/* Adds one region's number to a sum over regions: one that is not known leaves the sum unknown. */
static void add(struct fact *sum, bool first, bool known, uint64_t v, enum why why)
{
	if (!known)
		*sum = fact_unknown(why);
	else if (v > INT64_MAX)
		*sum = fact_unknown(WHY_GARBLED);
	else if (first)
		*sum = fact_of((int64_t)v, SRC_DRM);
	else if (fact_known(sum) && __builtin_add_overflow(sum->v, (int64_t)v, &sum->v))
		*sum = fact_unknown(WHY_GARBLED);
}

static void add_vram(struct ioctl_fn *f, const struct drm_region *r)
{
	const bool first = !fact_known(&f->vram_regions);
	const bool sane = r->used <= r->total;

	f->vram_regions = fact_of(first ? 1 : f->vram_regions.v + 1, SRC_DRM);
	add(&f->vram_total, first, true, r->total, WHY_GARBLED);
	add(&f->vram_used, first, r->used_known && sane, r->used,
	    sane ? WHY_NEEDS_ROOT : WHY_GARBLED);
	add(&f->vram_free, first, r->used_known && sane, r->total - r->used,
	    sane ? WHY_NEEDS_ROOT : WHY_GARBLED);
	add(&f->visible_total, first, r->visible_known && r->visible <= r->total, r->visible,
	    WHY_NOT_EXPORTED);
	add(&f->visible_used, first, r->visible_used_known && r->visible_used <= r->visible,
	    r->visible_used, WHY_NEEDS_ROOT);
	if (r->total <= INT64_MAX &&
	    (!fact_known(&f->vram_region) || (int64_t)r->total > f->vram_region.v))
		f->vram_region = fact_of((int64_t)r->total, SRC_DRM);
}

void ioctl_facts(const struct drm_memory *m, struct ioctl_fn *f)
{
	all_unknown(f, WHY_NOT_EXPORTED);
	f->why = WHY_NONE;
	for (uint32_t i = 0; i < m->n && i < DRM_REGIONS_MAX; i++) {
		const struct drm_region *r = &m->regions[i];

		switch (r->kind) {
		case REGION_VRAM:
			add_vram(f, r);
			break;
		case REGION_GTT:
			add(&f->gtt_total, true, true, r->total, WHY_GARBLED);
			add(&f->gtt_used, true, r->used_known && r->used <= r->total, r->used,
			    WHY_NOT_EXPORTED);
			break;
		case REGION_SYSTEM:
			add(&f->system_total, true, true, r->total, WHY_GARBLED);
			break;
		}
	}
	/*
	 * A driver that lists RAM among its regions, and none on the card, drives a part of the processor.
	 * radeon has a VRAM on every chip, and does not say whether that is RAM set aside.
	 */
	if (m->kind_known)
		f->integrated = fact_of(m->integrated, SRC_DRM);
	else if (fact_known(&f->system_total))
		f->integrated = fact_of(!fact_known(&f->vram_regions), SRC_DRM);
}

/* --- asking -------------------------------------------------------------------------------------------- */

struct job {
	const struct gpu *g;
	bool waking;     /* it sleeps now, and may be woken */
	bool only_awake; /* asking would wake it, which is not allowed */
};

struct jobs {
	uint32_t n, next;
	struct job all[PROBE_GPUS_MAX];
};

struct reply {
	int rc;
	struct drm_memory memory;
};

static void work(int to, void *arg)
{
	const struct jobs *j = arg;
	struct err e = { 0 };
	struct machine m;

	if (machine_open(&m, NULL, &e))
		return;
	for (uint32_t i = j->next; i < j->n; i++) {
		const struct gpu *g = j->all[i].g;
		struct reply r = { 0 };

		if (j->all[i].only_awake && asleep_now(&m, g->pci))
			r.rc = -EAGAIN;
		else
			r.rc = drm_ask_memory(g->drm_render.v, g->driver.v, &r.memory);
		child_send(to, &r, sizeof(r));
	}
}

static enum why why_ioctl(int rc)
{
	if (rc == -EAGAIN)
		return WHY_ASLEEP;
	/* An older driver, or a container that has no nodes. */
	return rc == -EINVAL || rc == -ENOTTY ? WHY_NOT_EXPORTED : why_of(rc);
}

/* One child answers for all; who hangs or crashes costs itself, and another child asks the rest. */
static void ask_all(struct jobs *j, struct ioctl_fn *fns)
{
	while (j->next < j->n) {
		struct child c;
		int rc = 1;

		if (child_open(&c, work, j))
			return;
		while (j->next < j->n && rc == 1) {
			struct ioctl_fn *f = &fns[j->next];
			struct reply r;

			rc = child_receive(&c, &r, sizeof(r),
					   j->all[j->next].waking ? WAKE_TIMEOUT_MS : TIMEOUT_MS);
			if (rc == 1 && !r.rc)
				ioctl_facts(&r.memory, f);
			else
				all_unknown(f, rc == 1 ? why_ioctl(r.rc)
					       : rc    ? WHY_TIMEOUT
						       : WHY_GARBLED);
			j->next++;
		}
		child_close(&c);
	}
}

/* Asking keeps a device awake a while: not for what the kernel's files have told already. */
static bool is_told(const struct gpu *g)
{
	return fact_known(&g->vram_total) && fact_known(&g->vram_used) &&
	       fact_known(&g->integrated) && g->integrated.src != SRC_GUESS;
}

static void find_jobs(const struct run *run, const struct want *w, struct jobs *j)
{
	for (uint32_t i = 0; i < run->merged.n_gpus; i++) {
		const struct gpu *g = &run->merged.gpus[i];
		bool wakes;

		if (!fact_text_known(&g->driver) || !drm_answers(g->driver.v, &wakes) ||
		    !fact_text_known(&g->drm_render) || is_told(g))
			continue;
		if (g->awake == AWAKE_YES || !wakes || w->wake)
			j->all[j->n++] = (struct job) { .g = g,
							.waking = g->awake != AWAKE_YES,
							.only_awake = wakes && !w->wake };
	}
}

static json_t *ask(const struct run *run, const struct want *w)
{
	struct ioctl_fn fns[PROBE_GPUS_MAX];
	struct jobs j = { 0 };

	if (w->no_nvml)
		return NULL;
	find_jobs(run, w, &j);
	if (!j.n)
		return NULL;
	for (uint32_t i = 0; i < j.n; i++) {
		all_unknown(&fns[i], WHY_GARBLED);
		text_copy(fns[i].pci, sizeof(fns[i].pci), j.all[i].g->pci);
	}
	ask_all(&j, fns);
	json_t *o = json_answer("berth.answer.ioctl/1"), *devices = json_object();

	for (uint32_t i = 0; i < j.n; i++) {
		json_t *d = json_object();

		if (fns[i].why)
			json_put_text(d, "why", why_name(fns[i].why));
		else
			json_put_null(d, "why");
		fields_to_json(d, rows, ARRAY_LEN(rows), &fns[i]);
		json_object_set_new(devices, fns[i].pci, d);
	}
	json_object_set_new(o, "devices", devices);
	return o;
}

/* --- taking -------------------------------------------------------------------------------------------- */

static void from_json(struct ioctl_fn *f, const json_t *d)
{
	const char *why = json_string_value(json_object_get(d, "why"));

	fields_from_json(d, rows, ARRAY_LEN(rows), f);
	f->why = why ? why_from_name(why) : WHY_NONE;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fact *at = fact_at(f, &rows[i]);

		if (fact_known(at) && at->v < 0)
			*at = fact_unknown(WHY_GARBLED);
	}
	pair_check(&f->vram_total, &f->vram_used);
	pair_check(&f->vram_total, &f->vram_free);
	pair_check(&f->visible_total, &f->visible_used);
	pair_check(&f->gtt_total, &f->gtt_used);
}

/* The kernel's files, where there are some, are as good and have been read already. */
static void complete(struct fact *f, const struct fact *with)
{
	if (!fact_known(f))
		*f = *with;
}

static void apply_vram(struct gpu *g, const struct ioctl_fn *f)
{
	const bool in_ram = fact_known(&f->integrated) && f->integrated.v;

	if (fact_known(&g->vram_total))
		return;
	if (in_ram && !fact_known(&f->vram_total)) {
		g->vram_total = g->vram_used = g->vram_free = fact_unknown(WHY_NOT_APPLICABLE);
	} else if (fact_known(&f->vram_total) || g->vram_total.why != WHY_NOT_APPLICABLE) {
		g->vram_total = f->vram_total;
		g->vram_used = f->vram_used;
		g->vram_free = f->vram_free;
	}
}

static void apply(struct gpu *g, const struct ioctl_fn *f)
{
	struct gpu_memory *m = &g->memory;

	m->asked = true;
	apply_vram(g, f);
	/* The driver's word is better than what its files look like. */
	if (fact_known(&f->integrated))
		g->integrated = f->integrated;
	complete(&m->visible_total, &f->visible_total);
	complete(&m->visible_used, &f->visible_used);
	complete(&m->bar1_total, &f->visible_total);
	complete(&m->vram_region, &f->vram_region);
	complete(&g->gtt_total, &f->gtt_total);
	complete(&g->gtt_used, &f->gtt_used);
	complete(&m->system_total, &f->system_total);
}

static void take(struct report *r, const json_t *answer)
{
	const json_t *devices = json_object_get(answer, "devices");

	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const json_t *d = json_object_get(devices, r->gpus[i].pci);
		struct ioctl_fn f = { 0 };

		if (!json_is_object(d))
			continue;
		from_json(&f, d);
		apply(&r->gpus[i], &f);
	}
}

/* A device that was not asked, because asking would have woken it, is not one without an answer. */
static void decide(struct report *r, struct gpu *g)
{
	bool wakes;

	(void)r;
	if (g->memory.asked || g->awake == AWAKE_YES || fact_known(&g->vram_total) ||
	    g->vram_total.why != WHY_NOT_EXPORTED || !fact_text_known(&g->driver) ||
	    !drm_answers(g->driver.v, &wakes) || !wakes)
		return;
	g->vram_total = g->vram_used = g->vram_free = fact_unknown(WHY_ASLEEP);
}

const struct section section_ioctl = {
	.name = "ioctl",
	.answer = "ioctl",
	.ask = ask,
	.take = take,
	.decide = decide,
};

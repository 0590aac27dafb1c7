/* SPDX-License-Identifier: MIT */
#include "vram-planner/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vram-planner/plan.h"

static const char *const ends[] = {
	[VERIFY_NONE] = "not measured", [VERIFY_AGREES] = "agrees",   [VERIFY_DIFFERS] = "differs",
	[VERIFY_MEASURED] = "measured", [VERIFY_REFUSED] = "refused",
};

/* --- what the core says --- */

static bool take_bytes(const json_t *o, const char *key, uint64_t *v)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	if (!json_is_integer(json_object_get(o, key)) || n < 0)
		return false;
	*v = (uint64_t)n;
	return true;
}

static void take_text(const json_t *o, const char *key, char *to, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	text_copy(to, size, s ? s : "");
	text_clean(to);
}

int measured_from_json(struct measured *m, const json_t *o, uint32_t n_devices, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const json_t *list = json_object_get(o, "devices");

	*m = (struct measured) { 0 };
	take_text(o, "end", m->end, sizeof(m->end));
	take_text(o, "why", m->why, sizeof(m->why));
	take_text(o, "engine", m->engine, sizeof(m->engine));
	if (!schema || strcmp(schema, "berth.measure/1") != 0 || !m->end[0])
		return err_set(e, -EBADMSG, "the core's answer is no berth.measure/1");
	if (strcmp(m->end, "measured") != 0)
		return 0;
	m->n = (uint32_t)json_array_size(list);
	if (m->n != n_devices + 1)
		return err_set(e, -EBADMSG, "the core measured %" PRIu32 " devices, not %" PRIu32,
			       m->n, n_devices + 1);
	if (!take_bytes(o, "kv_bytes", &m->kv_bytes) ||
	    !take_bytes(o, "kv_rounding_bytes", &m->kv_rounding_bytes))
		return err_set(e, -EBADMSG, "the core's answer has no kv_bytes");
	for (uint32_t i = 0; i < m->n; i++) {
		if (!take_bytes(json_array_get(list, i), "compute_bytes", &m->compute_bytes[i]))
			return err_set(e, -EBADMSG, "the core's answer has no compute_bytes");
	}
	return 0;
}

/* --- comparing --- */

/* The device's i-th buffers, the host's at the end. */
static struct plan_buffers *buffers_at(struct plan *p, uint32_t i)
{
	return i < p->n_devices ? &p->devices[i].buffers : &p->host.buffers;
}

static const char *name_at(const struct plan *p, uint32_t i)
{
	const struct plan_device *d = &p->devices[i];

	if (i == p->n_devices)
		return "the host";
	return d->pci[0] ? d->pci : d->engine_name[0] ? d->engine_name : d->name;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The engine tells one sum for all caches; what is missing is charged where most of them are. */
static struct plan_buffers *most_cache(struct plan *p)
{
	struct plan_buffers *most = &p->host.buffers;

	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (p->devices[i].buffers.kv_bytes > most->kv_bytes)
			most = &p->devices[i].buffers;
	}
	return most;
}

static void compare_cache(struct plan *p, const struct measured *m, struct verification *v)
{
	char was[TEXT_SIZE_MAX], is[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i <= p->n_devices; i++)
		v->planned_kv_bytes += buffers_at(p, i)->kv_bytes;
	if (distance(v->planned_kv_bytes, m->kv_bytes) <= VERIFY_TOLERANCE + m->kv_rounding_bytes)
		return;
	v->end = VERIFY_DIFFERS;
	plan_assume(p, "the engine measures %s of cache, berth computed %s: the larger counts",
		    text_size(is, m->kv_bytes), text_size(was, v->planned_kv_bytes));
	if (m->kv_bytes > v->planned_kv_bytes)
		most_cache(p)->kv_bytes += m->kv_bytes - v->planned_kv_bytes;
}

static void compare_compute(struct plan *p, uint32_t i, const struct measured *m,
			    struct verification *v)
{
	struct plan_buffers *b = buffers_at(p, i);
	char was[TEXT_SIZE_MAX], is[TEXT_SIZE_MAX];

	uint64_t dry = p->dry_bytes[i] ? p->dry_bytes[i] : b->compute_bytes;

	v->planned_compute_bytes[i] = dry;
	if (distance(dry, m->compute_bytes[i]) <= VERIFY_TOLERANCE)
		return;
	v->end = VERIFY_DIFFERS;
	plan_assume(p, "the engine measures %s for compute on %.48s, berth %s: the larger counts",
		    text_size(is, m->compute_bytes[i]), name_at(p, i), text_size(was, dry));
	if (m->compute_bytes[i] > dry)
		b->compute_bytes += m->compute_bytes[i] - dry;
}

/* Left again, and the verdict when somebody is short now. */
static void judge(struct plan *p)
{
	bool yes = p->verdict == VERDICT_FITS || p->verdict == VERDICT_SPILLS;
	char need[TEXT_SIZE_MAX], has[TEXT_SIZE_MAX];

	for (uint32_t i = 0; i <= p->n_devices; i++) {
		const struct fact *has_now = i < p->n_devices ? &p->devices[i].free_bytes
							      : &p->host.free_bytes;
		int64_t *left = i < p->n_devices ? &p->devices[i].left_bytes : &p->host.left_bytes;
		uint64_t sum = plan_buffers_sum(buffers_at(p, i));

		if (!fact_known(has_now))
			continue;
		*left = sum > INT64_MAX ? -INT64_MAX : has_now->v - (int64_t)sum;
		if (*left >= 0 || !yes)
			continue;
		p->verdict = VERDICT_NO;
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "needs %s on %.100s by the engine's own measure, free %s",
			 text_size(need, sum), name_at(p, i), text_size(has, (uint64_t)has_now->v));
	}
}

/*
 * An upper bound gives way to the measure: there were no rules, now there are numbers. Caches on
 * several devices stay the bound's, as the engine tells their sum only.
 */
static void replace_bound(struct plan *p, const struct measured *m, struct verification *v)
{
	struct plan_buffers *most = most_cache(p);

	for (uint32_t i = 0; i < m->n; i++) {
		v->planned_compute_bytes[i] = buffers_at(p, i)->compute_bytes;
		v->planned_kv_bytes += buffers_at(p, i)->kv_bytes;
		buffers_at(p, i)->compute_bytes = m->compute_bytes[i];
	}
	if (most->kv_bytes == v->planned_kv_bytes || m->kv_bytes > v->planned_kv_bytes)
		most->kv_bytes += m->kv_bytes - v->planned_kv_bytes;
	v->end = VERIFY_MEASURED;
	p->unverified = false;
	for (uint32_t i = 0; i < p->n_assumed; i++) {
		if (strncmp(p->assumed[i], PLAN_BOUND_NOTE, strlen(PLAN_BOUND_NOTE)) == 0)
			snprintf(
				p->assumed[i], sizeof(p->assumed[0]),
				"the engine itself measured compute and cache: berth has no rules for "
				"the architecture '%s'",
				p->arch);
	}
}

/* The verdict of what was only a bound before. */
static void judge_measured(struct plan *p)
{
	bool on_host = p->host.layers || p->flags.n_cpu_moe || p->n_tensors;

	p->nearest_yes[0] = 0; /* of the bound */
	p->verdict = on_host ? VERDICT_SPILLS : VERDICT_FITS;
	snprintf(p->decided_by, sizeof(p->decided_by),
		 "by the engine's own measure; berth has no rules for the architecture '%s'",
		 p->arch);
	if (on_host && !fact_known(&p->host.free_bytes)) {
		p->verdict = VERDICT_UNKNOWN;
		snprintf(p->decided_by, sizeof(p->decided_by),
			 "the host's free memory is unknown (%s)",
			 why_name(p->host.free_bytes.why));
	}
	judge(p);
}

void verify_use(struct plan *p, const struct measured *m, struct verification *v)
{
	bool refused = strcmp(m->end, "refused") == 0 || strcmp(m->end, "aborted") == 0;

	*v = (struct verification) { .end = VERIFY_NONE, .measured = *m };
	if (refused) {
		v->end = VERIFY_REFUSED;
		p->verdict = VERDICT_REFUSED;
		snprintf(p->decided_by, sizeof(p->decided_by), "the engine itself: %.210s", m->why);
		return;
	}
	if (strcmp(m->end, "measured") != 0) {
		plan_assume(p, "not measured by the engine: %.120s", m->why);
		return;
	}
	v->n = m->n;
	if (p->unverified) {
		replace_bound(p, m, v);
		judge_measured(p);
		return;
	}
	v->end = VERIFY_AGREES;
	compare_cache(p, m, v);
	for (uint32_t i = 0; i < m->n; i++)
		compare_compute(p, i, m, v);
	if (v->end == VERIFY_DIFFERS)
		judge(p);
}

/* --- showing --- */

json_t *verification_to_json(const struct verification *v, const struct plan *p)
{
	const struct measured *m = &v->measured;
	json_t *o = json_object(), *list = json_array();

	json_put_text(o, "end", ends[v->end]);
	json_put_text_or_null(o, "why", m->why);
	json_put_text_or_null(o, "engine", m->engine);
	if (!v->n) {
		json_decref(list);
		return o;
	}
	json_put_int(o, "planned_kv_bytes", (int64_t)v->planned_kv_bytes);
	json_put_int(o, "measured_kv_bytes", (int64_t)m->kv_bytes);
	for (uint32_t i = 0; i < v->n; i++) {
		json_t *d = json_object();

		json_put_text(d, "device", i < p->n_devices ? name_at(p, i) : "host");
		json_put_int(d, "planned_compute_bytes", (int64_t)v->planned_compute_bytes[i]);
		json_put_int(d, "measured_compute_bytes", (int64_t)m->compute_bytes[i]);
		json_array_append_new(list, d);
	}
	json_object_set_new(o, "devices", list);
	return o;
}

void verification_explain(struct text *t, const struct verification *v)
{
	const struct measured *m = &v->measured;

	switch (v->end) {
	case VERIFY_AGREES:
		text_add(t, "verified     the engine %s measures the same, within 16 MiB\n",
			 m->engine);
		break;
	case VERIFY_DIFFERS:
		text_add(t, "verified     the engine %s measures otherwise; the larger counts\n",
			 m->engine);
		break;
	case VERIFY_MEASURED:
		text_add(t, "verified     the numbers are the engine's own, %s\n", m->engine);
		break;
	case VERIFY_REFUSED:
		text_add(t, "verified     the engine %s cannot do it\n", m->engine);
		break;
	case VERIFY_NONE:
		text_add(t, "not verified %.80s\n", m->why);
		break;
	}
}

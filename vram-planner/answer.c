/* SPDX-License-Identifier: MIT */
#include "vram-planner/answer.h"

#include <stdlib.h>
#include <string.h>

#include "vram-planner/beside.h"
#include "vram-planner/terms.h"

static void verify(struct answer *a, const struct model *m)
{
	struct measured measured;

	verify_measure(&a->plan, m, &measured);
	verify_use(&a->plan, &measured, &a->verified);
}

static int decide(struct plan *p, const struct model *m, const struct devices *d,
		  const struct question *q, struct err *e)
{
	return (q->hashed ? plan_make : plan_decide)(p, m, d->places, d->n, &d->host, &q->wish, e);
}

static int open_extras(struct answer *a, const struct model *m, const struct question *q,
		       struct err *e)
{
	const struct extras_opts *o = &q->beside;

	if (!o->mmproj && !o->draft && !o->loras.n)
		return 0;
	a->extras = calloc(1, sizeof(*a->extras));
	if (!a->extras)
		return err_set(e, -ENOMEM, "no memory");
	return extras_open(a->extras, o, m, q->devices, &q->wish, &q->env, e);
}

static int answer_model(struct answer *a, const struct model *m, const struct question *q,
			struct err *e)
{
	const struct devices *d = q->devices;
	int rc = open_extras(a, m, q, e);

	if (!rc)
		rc = a->extras ? beside_decide(&a->plan, m, d, &q->wish, a->extras, q->hashed, e)
			       : decide(&a->plan, m, d, q, e);
	if (rc)
		return rc;
	a->model_bytes = model_size_bytes(m);
	if (model_expected_bytes(m) > a->model_bytes)
		a->model_bytes = model_expected_bytes(m);
	a->has_verified = q->verify;
	if (a->has_verified)
		verify(a, m);
	a->has_speed = speed_of_plan(&a->speed, &a->plan, m, d->places, d->n, &d->host, q->depth,
				     &q->prices);
	if (q->terms)
		rc = terms_explain(q->terms, &a->plan, m, q->bar, e);
	for (uint32_t i = 0; i < d->n_notes && !rc; i++)
		plan_assume(&a->plan, "%s", d->notes[i]);
	return rc;
}

int answer_make(struct answer *a, const char *what, const struct question *q, struct err *e)
{
	struct model *m;
	int rc = source_open(&m, what, &q->env, e);

	a->extras = NULL;
	if (rc)
		return rc;
	rc = answer_model(a, m, q, e);
	model_close(m);
	return rc == -EBADMSG && !a->extras ? err_at(e, rc, "%s", what) : rc;
}

void answer_fini(struct answer *a)
{
	if (a->extras)
		extras_close(a->extras);
	free(a->extras);
	a->extras = NULL;
}

json_t *answer_to_json(const struct answer *a, const struct question *q)
{
	json_t *o = plan_to_json(&a->plan);

	if (a->extras)
		json_object_set_new(o, "beside", extras_to_json(a->extras, q->devices));
	if (a->has_speed)
		json_object_set_new(o, "speed", speed_to_json(&a->speed));
	if (a->has_verified)
		json_object_set_new(o, "verify", verification_to_json(&a->verified, &a->plan));
	return o;
}

void answer_explain(struct text *t, const struct answer *a, const struct question *q)
{
	plan_explain(t, &a->plan, "berth plan");
	if (a->extras)
		extras_explain(t, a->extras, q->devices);
	if (a->has_speed)
		speed_explain(t, &a->speed);
	if (a->has_verified)
		verification_explain(t, &a->verified);
}

bool answer_price(const char *s, double *v)
{
	char *end;

	*v = strtod(s, &end);
	return end != s && !*end && *v > 0 && *v < 1e9;
}

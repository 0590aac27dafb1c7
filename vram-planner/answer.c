/* SPDX-License-Identifier: MIT */
#include "vram-planner/answer.h"

#include <stdlib.h>

#include "vram-planner/terms.h"

static void verify(struct answer *a, const struct model *m)
{
	struct measured measured;

	verify_measure(&a->plan, m, &measured);
	verify_use(&a->plan, &measured, &a->verified);
}

int answer_make(struct answer *a, const char *what, const struct question *q, struct err *e)
{
	const struct devices *d = q->devices;
	struct model *m;
	int rc = source_open(&m, what, &q->env, e);

	if (rc)
		return rc;
	rc = (q->hashed ? plan_make : plan_decide)(&a->plan, m, d->places, d->n, &d->host, &q->wish,
						   e);
	a->model_bytes = model_size_bytes(m);
	if (model_expected_bytes(m) > a->model_bytes)
		a->model_bytes = model_expected_bytes(m);
	a->has_verified = !rc && q->verify;
	if (a->has_verified)
		verify(a, m);
	a->has_speed = !rc && speed_of_plan(&a->speed, &a->plan, m, d->places, d->n, &d->host,
					    q->depth, &q->prices);
	if (!rc && q->terms)
		rc = terms_explain(q->terms, &a->plan, m, q->bar, e);
	model_close(m);
	for (uint32_t i = 0; !rc && i < d->n_notes; i++)
		plan_assume(&a->plan, "%s", d->notes[i]);
	return rc == -EBADMSG ? err_at(e, rc, "%s", what) : rc;
}

json_t *answer_to_json(const struct answer *a)
{
	json_t *o = plan_to_json(&a->plan);

	if (a->has_speed)
		json_object_set_new(o, "speed", speed_to_json(&a->speed));
	if (a->has_verified)
		json_object_set_new(o, "verify", verification_to_json(&a->verified, &a->plan));
	return o;
}

void answer_explain(struct text *t, const struct answer *a)
{
	plan_explain(t, &a->plan);
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

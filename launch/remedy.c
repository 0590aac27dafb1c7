/* SPDX-License-Identifier: MIT */
/* Another plan for a run whose last one did not last. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "launch/serve_priv.h"
#include "vram-planner/plan.h"

/* From a plan file nothing can be planned anew but by the wish it stands for. */
static void leave_plan_file(struct job *j)
{
	struct serve *s = j->serve;

	if (!j->o.plan)
		return;
	policy_wish(&j->wish, &j->plan);
	text_copy(s->model_path, sizeof(s->model_path), j->plan.model_path);
	j->model = s->model_path;
	j->o.plan = NULL;
}

static bool is_left(const struct job *j, const struct plan_device *d)
{
	for (uint32_t i = 0; i < j->map.n; i++) {
		const struct devmap_device *m = &j->map.devices[i];

		if (d->pci[0] ? strcasecmp(m->pci, d->pci) == 0
			      : strcmp(m->name, d->engine_name) == 0)
			return true;
	}
	return false;
}

/* The plan's devices that the engine still sees, as a selector. */
static int keep_survivors(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	struct text t;
	int rc = job_devices(j, e);

	if (rc)
		return rc;
	text_init(&t, s->survivors, sizeof(s->survivors));
	for (uint32_t d = 0; d < s->before.n_devices; d++) {
		const struct plan_device *one = &s->before.devices[d];

		if (is_left(j, one))
			text_add(&t, "%s%s", t.len ? "," : "",
				 one->pci[0] ? one->pci : one->engine_name);
	}
	if (t.len == 0)
		return err_set(e, -ENXIO, "none of the plan's devices is left");
	j->o.device = s->survivors;
	j->wish.n_split = j->wish.n_shares = 0;
	return 0;
}

/* Plan as the options now say. An errno also when the plan is not accepted. */
static int plan_again(struct job *j, struct err *e)
{
	int rc = job_plan(j, e);

	if (rc == 0 && plan_exit(&j->plan) != EXIT_YES)
		rc = err_set(e, -EDQUOT, "%s", j->plan.decided_by);
	return rc;
}

static int replan(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	bool by_hand = j->o.device || j->o.plan;
	int rc;

	leave_plan_file(j);
	rc = by_hand ? keep_survivors(j, e) : 0;
	j->wish.n_split = j->wish.n_shares = 0;
	s->missing = true;
	s->returned = false;
	if (rc == 0)
		rc = plan_again(j, e);
	if (rc == 0)
		log_warn(&j->log, "planned again for the %u device%s that are left",
			 j->plan.n_devices, j->plan.n_devices == 1 ? "" : "s");
	return rc;
}

static int shrink(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	char said[160];
	int rc;

	leave_plan_file(j);
	while (policy_shrink(&j->wish, &s->before, &s->tried, said, sizeof(said))) {
		rc = plan_again(j, e);
		if (rc == 0) {
			log_warn(&j->log, "the next smaller plan: %s", said);
			return 0;
		}
		log_note(&j->log, "%s: %s", said, e->text);
	}
	return err_set(e, -EDQUOT, "no smaller plan is left to try");
}

int remedy_start_over(struct job *j, struct err *e)
{
	struct serve *s = j->serve;

	j->o = s->asked;
	j->wish = s->wished;
	j->model = s->model;
	j->plain_cpu = false;
	memset(&s->policy, 0, sizeof(s->policy));
	s->tried = 0;
	s->missing = false;
	return plan_again(j, e);
}

static int plain(struct job *j, struct err *e)
{
	(void)e;
	j->plain_cpu = true;
	log_warn(&j->log, "the next core uses the plainest code for this processor: slower");
	return 0;
}

static int same(struct job *j, struct err *e)
{
	(void)j;
	(void)e;
	return 0;
}

int remedy_take(struct job *j, enum policy_step step, struct err *e)
{
	static int (*const steps[])(struct job *, struct err *) = {
		[POLICY_AGAIN] = same,
		[POLICY_REPLAN] = replan,
		[POLICY_SMALLER] = shrink,
		[POLICY_PLAIN] = plain,
	};

	return steps[step](j, e);
}

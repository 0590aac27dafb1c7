/* SPDX-License-Identifier: MIT */
/* Another plan for a run whose last one did not last. */
#include <errno.h>
#include <stdio.h>
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
	if (j->plan.draft.n_max) {
		text_copy(s->draft_path, sizeof(s->draft_path), j->plan.draft.path);
		j->o.draft = s->draft_path;
	}
	j->o.plan = NULL;
}

static bool is_avoided(const struct job *j, const char *pci)
{
	for (uint32_t i = 0; i < j->n_avoid; i++)
		if (strcasecmp(j->avoid[i].pci, pci) == 0)
			return true;
	return false;
}

/* Whether the files are enough to tell: without an address, or where nothing is missing, they are not. */
static bool must_ask(const struct job *j, const struct plan *p)
{
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (!p->devices[d].pci[0])
			return true;
	return j->n_avoid == 0;
}

/* asked: the engine told what it sees, in j->map. */
static bool is_left(const struct job *j, const struct plan_device *d, bool asked)
{
	if (d->pci[0] && is_avoided(j, d->pci))
		return false;
	if (!asked)
		return true;
	for (uint32_t i = 0; i < j->map.n; i++) {
		const struct devmap_device *m = &j->map.devices[i];

		if (d->pci[0] ? strcasecmp(m->pci, d->pci) == 0
			      : strcmp(m->name, d->engine_name) == 0)
			return true;
	}
	return false;
}

/* The devices of a plan that are left, as a selector. false: there is none. */
static bool select_of(struct job *j, const struct plan *p, bool asked)
{
	struct serve *s = j->serve;
	struct text t;

	text_init(&t, s->survivors, sizeof(s->survivors));
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct plan_device *one = &p->devices[d];

		if (is_left(j, one, asked))
			text_add(&t, "%s%s", t.len ? "," : "",
				 one->pci[0] ? one->pci : one->engine_name);
	}
	j->o.device = s->survivors;
	return t.len > 0;
}

/* Those of the plan's devices that are left; the processor only where it was accepted beforehand. */
static int keep_survivors(struct job *j, const struct plan *p, struct err *e)
{
	/* Not in vain: its driver may hang in the listing of a device that is dead */
	bool ask = must_ask(j, p);
	int rc = ask ? job_devices(j, e) : 0;

	if (rc)
		return rc;
	if (select_of(j, p, ask))
		return 0;
	if (j->wish.accept != ACCEPT_CPU)
		return err_set(e, -ENXIO,
			       "none of the plan's devices is left, and the processor was not "
			       "accepted (--accept cpu)");
	j->o.device = "cpu";
	return 0;
}

/* What the last plan used and cannot be used now. */
static void note_missing(struct job *j)
{
	const struct plan *p = &j->serve->before;

	for (uint32_t d = 0; d < p->n_devices && j->losses.open; d++) {
		const char *pci = p->devices[d].pci;
		bool usable = pci[0] && presence_usable(&j->losses.machine, pci);

		if (!pci[0] || is_avoided(j, pci) || j->n_avoid == PLAN_DEVICES_MAX ||
		    (usable && strcasecmp(j->loss.pci, pci) != 0))
			continue;
		text_copy(j->avoid[j->n_avoid].pci, sizeof(j->avoid[0].pci), pci);
		j->avoid[j->n_avoid++].away = !usable;
	}
}

/* Plan as the options now say. An errno also when the plan is not accepted. */
static int plan_again(struct job *j, struct err *e)
{
	int rc = job_plan(j, e);

	if (rc == 0 && plan_exit(&j->plan) != EXIT_YES)
		rc = err_set(e, -EDQUOT, "%s", j->plan.decided_by);
	return rc;
}

/* How the run differs from what was asked for: nothing moves to the processor, or shrinks, in silence. */
static void note_difference(struct job *j)
{
	const struct plan *p = &j->plan;
	struct serve *s = j->serve;
	struct text t;

	text_init(&t, s->record.notice, sizeof(s->record.notice));
	for (uint32_t i = 0; i < j->n_avoid; i++)
		text_add(&t, "%s%s", i ? ", " : "runs without ", j->avoid[i].pci);
	if (j->n_avoid && p->n_devices == 0)
		text_add(&t, ", on the processor alone");
	else if (j->n_avoid && p->host.layers)
		text_add(&t, ", with %u of %u layers on the processor", p->host.layers, p->n_layer);
	if (s->smaller[0])
		text_add(&t, "%s with %s", t.len ? ", and" : "runs", s->smaller);
}

static int for_what_is_left(struct job *j, const struct plan *p, bool by_hand, struct err *e)
{
	int rc = by_hand ? keep_survivors(j, p, e) : 0;

	j->wish.n_split = j->wish.n_shares = 0;
	j->serve->returned = false;
	if (rc == 0)
		rc = plan_again(j, e);
	if (rc)
		return rc;
	note_difference(j);
	log_warn(&j->log, "planned again for the %u device%s left", j->plan.n_devices,
		 j->plan.n_devices == 1 ? "" : "s");
	if (j->serve->record.notice[0])
		log_warn(&j->log, "%s %s", j->name, j->serve->record.notice);
	return 0;
}

static int replan(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	bool by_hand = j->o.device || j->o.plan;

	leave_plan_file(j);
	note_missing(j);
	return for_what_is_left(j, &s->before, by_hand, e);
}

static int shrink(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	size_t n = strlen(s->smaller);
	char said[160];
	struct text t;
	int rc;

	if (j->o.plan) /* on its devices, and no others */
		select_of(j, &s->before, false);
	leave_plan_file(j);
	while (policy_shrink(&j->wish, &s->before, &s->tried, said, sizeof(said))) {
		if (!j->wish.n_draft)
			j->o.draft = NULL;
		rc = plan_again(j, e);
		if (rc == 0) {
			log_warn(&j->log, "the next smaller plan: %s", said);
			text_init(&t, s->smaller + n, sizeof(s->smaller) - n);
			text_add(&t, "%s%s", n ? ", " : "", said);
			note_difference(j);
			return 0;
		}
		log_note(&j->log, "%s: %s", said, e->text);
	}
	return err_set(e, -EDQUOT, "no smaller plan is left to try");
}

/* What was lost and is back counts again. */
static void take_back(struct job *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->n_avoid; i++)
		if (!presence_usable(&j->losses.machine, j->avoid[i].pci))
			j->avoid[n++] = j->avoid[i];
	j->n_avoid = n;
}

int remedy_start_over(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	int rc;

	j->o = s->asked;
	j->wish = s->wished;
	j->model = s->model;
	j->plain_cpu = false;
	memset(&s->policy, 0, sizeof(s->policy));
	s->tried = 0;
	s->returned = false;
	s->record.notice[0] = s->smaller[0] = 0;
	take_back(j);
	if (j->n_avoid == 0)
		return plan_again(j, e);
	/* As if it were lost just now */
	bool by_hand = j->o.device || j->o.plan;

	rc = j->o.plan ? plan_read(&j->plan, j->o.plan, e) : 0;
	if (rc)
		return rc;
	leave_plan_file(j);
	return for_what_is_left(j, &s->first, by_hand, e);
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

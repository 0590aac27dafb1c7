/* SPDX-License-Identifier: MIT */
/* Decides what `power` does. power_show.c answers what there is. */
#include "device/power.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/guard.h"
#include "device/wake.h"

#define AGENT "nvml"

void power_look(const struct scene *s, const struct func *f, bool wake, struct power_facts *p)
{
	struct wake held = WAKE_NONE;

	*p = (struct power_facts) { .asleep = f->awake == AWAKE_NO && !wake };
	text_copy(p->pci, sizeof(p->pci), f->pci);
	text_copy(p->driver, sizeof(p->driver), f->driver);
	if (wake && f->awake != AWAKE_YES)
		wake_hold(&held, s, f);
	caps_read(s, f, wake, POWER_LIMIT_TIMEOUT_MS, &p->caps);
	profiles_read(s, f, wake, &p->profiles);
	wake_release(&held);
}

/* --- why there is nothing to set --- */

static int nothing(const struct power_facts *p, const char *what, enum why why, struct err *e)
{
	if (why == WHY_ASLEEP || p->asleep)
		return err_set(e, -EACCES,
			       "%s sleeps, and setting its power would wake it; --wake allows that",
			       p->pci);
	if (!p->driver[0])
		return err_set(e, -EOPNOTSUPP, "%s has no driver that could set its %s", p->pci,
			       what);
	if (p->caps.said[0] && strcmp(what, "profile") != 0)
		return err_set(e, p->caps.rc, "%s", p->caps.said);
	return err_set(e, -EOPNOTSUPP, "%s: its driver, %s, offers no %s to set", p->pci, p->driver,
		       what);
}

/* --- the limit --- */

static bool is_so(const struct cap *c, int64_t mw)
{
	return fact_known(&c->now_mw) && c->now_mw.v == mw;
}

static int ask_agent(struct step *s, const struct cap *c, int64_t mw, struct err *e)
{
	char value[24];
	int rc;

	snprintf(value, sizeof(value), "%" PRId64, mw);
	text_copy(s->agent, sizeof(s->agent), c->row->agent);
	rc = step_put(s->target, e, "%s", c->path);
	if (rc == 0)
		rc = step_put(s->value, e, "%s", value);
	if (rc == 0)
		rc = look_set(&s->after, LOOK_NEAR, value, e, "%s", c->path);
	if (rc)
		return rc;
	text_copy(s->after.agent, sizeof(s->after.agent), c->row->agent);
	s->known = fact_known(&c->now_mw);
	s->undo = s->known ? UNDO_BEFORE : UNDO_NEVER;
	s->timeout_ms = POWER_LIMIT_TIMEOUT_MS;
	if (s->known)
		return step_put(s->before, e, "%" PRId64, c->now_mw.v);
	return step_put(s->why, e, "the limit before is not known");
}

static int write_file(struct step *s, const struct cap *c, int64_t mw, const struct machine *m,
		      struct txn *t, struct err *e)
{
	char value[32];
	int rc;

	snprintf(value, sizeof(value), "%" PRId64, mw * 1000); /* microwatts */
	rc = step_put(s->target, e, "%s", c->path);
	if (rc == 0)
		rc = step_put(s->value, e, "%s", value);
	if (rc == 0)
		rc = txn_before(t, m, e);
	if (rc == 0)
		rc = look_set(&s->after, LOOK_NEAR, value, e, "%s", c->path);
	s->undo = s->known ? UNDO_BEFORE : UNDO_NEVER;
	return rc || s->known ? rc : step_put(s->why, e, "the limit before is not known");
}

static int limit(const struct power_facts *p, const struct machine *m, const char *asked,
		 struct txn *t, struct err *e)
{
	const struct cap *c;
	char words[40];
	struct step *s;
	struct text w;
	int64_t mw;
	int rc;

	if (p->caps.n == 0)
		return nothing(p, "power limit", p->caps.why, e);
	rc = cap_parse(&p->caps, p->pci, asked, &c, &mw, e);
	if (rc || is_so(c, mw))
		return rc;
	text_init(&w, words, sizeof(words));
	watts(&w, mw);
	s = txn_add(t, c->row->agent ? STEP_ASK : STEP_WRITE, e, "limit %s to %s (%s)", p->pci,
		    words, c->row->what);
	if (!s)
		return e->rc;
	return c->row->agent ? ask_agent(s, c, mw, e) : write_file(s, c, mw, m, t, e);
}

int power_decide(const struct power_facts *p, const struct machine *m, const char *cap,
		 const char *profile, struct txn *t, struct err *e)
{
	int rc = cap ? limit(p, m, cap, t, e) : 0;

	if (rc || !profile)
		return rc;
	if (p->profiles.n == 0)
		return nothing(p, "profile", p->profiles.why, e);
	return profiles_steps(&p->profiles, m, p->pci, profile, t, e);
}

/* --- the verb --- */

bool power_asks(const struct ask *a)
{
	return !a->o.cap && !a->o.profile;
}

static int find(const struct scene *s, const struct ask *a, const struct func **f, struct err *e)
{
	int rc = scene_select(s, a->words[0], f, e);

	return rc ? rc : guard_class(s, *f, HARM_POWER, a->o.any, e);
}

int power_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	const struct func *f;
	struct power_facts p;
	int rc = find(s, a, &f, e);

	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), f->pci);
	power_look(s, f, a->o.wake, &p);
	return power_decide(&p, s->m, a->o.cap, a->o.profile, t, e);
}

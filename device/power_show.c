/* SPDX-License-Identifier: MIT */
/* What `power DEV` shows, and what `list` says of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "device/guard.h"
#include "device/power.h"

/* --- as JSON --- */

static json_t *cap_json(const struct cap *c)
{
	json_t *o = json_object();

	json_put_text(o, "name", c->row->name);
	json_put_text(o, "what", c->row->what);
	json_put_fact(o, "now_mw", &c->now_mw);
	json_put_fact(o, "min_mw", &c->min_mw);
	json_put_fact(o, "max_mw", &c->max_mw);
	json_put_fact(o, "default_mw", &c->default_mw);
	return o;
}

static json_t *profiles_json(const struct profiles *p)
{
	json_t *o = json_object(), *names = json_array();
	const struct marked_entry *now = marked_now(&p->choice);

	json_put_text(o, "kind", p->row->kind);
	for (uint32_t i = 0; i < p->choice.n; i++)
		json_array_append_new(names, json_string(p->choice.list[i].name));
	json_object_set_new(o, "names", names);
	json_put_text_or_null(o, "now", now ? now->name : "");
	return o;
}

static int print_json(const struct power_facts *p, const struct gpu *g)
{
	const struct fact unknown = fact_unknown(p->asleep ? WHY_ASLEEP : WHY_NOT_EXPORTED);
	json_t *o = json_answer("berth.device/1"), *caps = json_array(), *sets = json_array();

	json_put_text(o, "verb", "power");
	json_put_text(o, "device", p->pci);
	json_put_text_or_null(o, "driver", p->driver);
	json_put_fact(o, "power_mw", g ? &g->power_mw : &unknown);
	for (uint32_t i = 0; i < p->caps.n; i++)
		json_array_append_new(caps, cap_json(&p->caps.list[i]));
	json_object_set_new(o, "caps", caps);
	json_put_text_or_null(o, "caps_why",
			      p->caps.n         ? ""
			      : p->caps.said[0] ? p->caps.said
						: why_name(p->caps.why));
	for (uint32_t i = 0; i < p->profiles.n; i++)
		json_array_append_new(sets, profiles_json(&p->profiles.list[i]));
	json_object_set_new(o, "profiles", sets);
	json_put_text_or_null(o, "profiles_why", p->profiles.n ? "" : why_name(p->profiles.why));
	int rc = json_print(o, stdout);

	json_decref(o);
	return rc;
}

/* --- for people --- */

static void put_now(struct text *t, const struct cap *c)
{
	if (!fact_known(&c->now_mw))
		text_add(t, "not known (%s)", why_name(c->now_mw.why));
	else if (c->now_mw.v == 0 && c->row->zero_is_none)
		text_add(t, "no limit");
	else
		watts(t, c->now_mw.v);
}

static void put_cap(struct text *t, const struct cap *c)
{
	char range[80];
	struct text r;

	text_init(&r, range, sizeof(range));
	cap_range(&r, c);
	put_now(t, c);
	if (range[0])
		text_add(t, ", can be %s", range);
	if (fact_known(&c->default_mw)) {
		text_add(t, ", by default ");
		watts(t, c->default_mw.v);
	}
}

/* Why there is no limit, or no profile, in a few words. */
static void put_none(struct text *t, const struct power_facts *p, const char *what, enum why why)
{
	if (why == WHY_ASLEEP)
		text_add(t, "not read: it sleeps, and --wake would wake it");
	else if (!p->driver[0])
		text_add(t, "none: no driver is bound");
	else
		text_add(t, "none: %s offers no %s to set", p->driver, what);
}

static void describe(struct text *t, const struct scene *s, const struct func *f,
		     const struct power_facts *p)
{
	const struct gpu *g = scene_gpu(s, f);

	func_title(t, s, f);
	if (g && fact_known(&g->power_mw)) {
		text_add(t, "\n  %-14s ", "draws");
		watts(t, g->power_mw.v);
	}
	for (uint32_t i = 0; i < p->caps.n; i++) {
		text_add(t, "\n  %-14s ", p->caps.list[i].row->name);
		put_cap(t, &p->caps.list[i]);
	}
	if (p->caps.n == 0) {
		text_add(t, "\n  %-14s ", "limit");
		if (p->caps.said[0])
			text_add(t, "none: %s", p->caps.said);
		else
			put_none(t, p, "power limit", p->caps.why);
	}
	for (uint32_t i = 0; i < p->profiles.n; i++) {
		text_add(t, "\n  %-14s ", p->profiles.list[i].row->kind);
		profiles_words(t, &p->profiles.list[i]);
	}
	if (p->profiles.n == 0) {
		text_add(t, "\n  %-14s ", "profile");
		put_none(t, p, "profile", p->profiles.why);
	}
	text_add(t, "\n");
}

int power_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		 const struct log *log, struct err *e)
{
	const struct func *f;
	struct power_facts p;
	char words[4096];
	struct text t;
	int rc = scene_select(s, a->words[0], &f, e);

	(void)m;
	(void)log;
	if (rc == 0)
		rc = guard_class(s, f, HARM_POWER, a->o.any, e);
	if (rc)
		return rc;
	power_look(s, f, a->o.wake, &p);
	if (a->o.json)
		return print_json(&p, scene_gpu(s, f)) ? err_set(e, -EIO,
								 "cannot write to standard "
								 "output")
						       : 0;
	text_init(&t, words, sizeof(words));
	describe(&t, s, f, &p);
	fputs(words, stdout);
	return fflush(stdout) || ferror(stdout)
		       ? err_set(e, -EIO, "cannot write to standard output")
		       : 0;
}

/* By what the probe told already: an agent, and a device that sleeps, are not asked for a list. */
void power_words(struct text *t, const struct scene *s, const struct func *f)
{
	const struct gpu *g = scene_gpu(s, f);

	if (!f->driver[0])
		text_add(t, "no driver");
	else if (!caps_known(f->driver))
		text_add(t, "%s has no limit to set", f->driver);
	else if (f->awake == AWAKE_NO)
		text_add(t, "asleep");
	else if (!g || !fact_known(&g->power_cap_mw))
		text_add(t, "no limit is told");
	else {
		struct cap c = { .now_mw = g->power_cap_mw,
				 .min_mw = g->live.power_cap_min_mw,
				 .max_mw = g->live.power_cap_max_mw };
		char range[80];
		struct text r;

		text_init(&r, range, sizeof(range));
		cap_range(&r, &c);
		watts(t, c.now_mw.v);
		text_add(t, "%s%s", range[0] ? ", can be " : "", range);
	}
}

/* --- once it is done --- */

static bool last_limit(const struct txn *t, const struct step **s)
{
	for (uint32_t i = t->n; i-- > 0;) {
		*s = &t->steps[i];
		if ((*s)->after.kind == LOOK_NEAR)
			return true;
	}
	return false;
}

/* What is in force, in milliwatts. False: nobody says. */
static bool limit_now(const struct machine *m, const struct step *s, int64_t *mw)
{
	struct power_limit l;
	uint64_t uw;

	if (s->op == STEP_ASK) {
		if (power_limit_read(s->target, POWER_LIMIT_TIMEOUT_MS, &l, NULL) ||
		    !fact_known(&l.now_mw))
			return false;
		*mw = l.now_mw.v;
		return true;
	}
	if (machine_read_u64(m, s->target, &uw) || uw > INT64_MAX)
		return false;
	*mw = (int64_t)(uw / 1000);
	return true;
}

/* Drivers round, and say so to nobody. */
void power_after(const struct machine *m, const struct ask *a, struct txn *t)
{
	const struct step *s;
	uint64_t asked;
	int64_t now;
	struct text w;

	(void)a;
	if (!last_limit(t, &s) || text_parse_u64(s->value, &asked) || !limit_now(m, s, &now))
		return;
	asked /= s->op == STEP_ASK ? 1 : 1000;
	text_init(&w, t->done, sizeof(t->done));
	text_add(&w, "%s is limited to ", t->device);
	watts(&w, now);
	if (now == (int64_t)asked)
		return;
	text_add(&w, ", which its driver made of the ");
	watts(&w, (int64_t)asked);
	text_add(&w, " asked for");
}

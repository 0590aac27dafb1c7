/* SPDX-License-Identifier: MIT */
/* For tests of verbs on machines of tests/machines/device: what one makes of a machine, and what happens if not all goes well. */
#ifndef BERTH_TESTS_SLOT_STAGE_H
#define BERTH_TESTS_SLOT_STAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/agent_pci.h"
#include "device/agent_run.h"
#include "device/eject.h"
#include "device/hand.h"
#include "device/let_go.h"
#include "device/port.h"
#include "device/reason.h"
#include "device/rebar.h"
#include "device/reset.h"
#include "device/run.h"
#include "device/windows.h"
#include "tests/unit/harness.h"

/* A machine, and what a verb made of it. */
struct stage {
	struct machine m;
	struct scene *s;
	struct txn t;
	struct err e;
	char said[8192]; /* the steps, a line each */
};

static inline void open_stage(struct stage *st, const char *name)
{
	const char *build = getenv("BUILD");
	const struct scene_opts o = { .no_nvml = true };
	char dir[512];

	memset(st, 0, sizeof(*st));
	snprintf(dir, sizeof(dir), "%s/tests/device/%s", build ? build : "build", name);
	assert_int_equal(machine_open(&st->m, dir, &st->e), 0);
	assert_int_equal(scene_collect(&st->m, &o, &st->s, &st->e), 0);
}

static inline void close_stage(struct stage *st)
{
	txn_close(&st->t);
	scene_free(st->s);
	machine_close(&st->m);
}
#define on_stage __attribute__((cleanup(close_stage)))

typedef int plan_fn(const struct scene *, const struct ask *, struct txn *, struct err *);

static inline int plan(struct stage *st, plan_fn *verb, const struct ask *a)
{
	struct text t;

	txn_close(&st->t);
	st->e = (struct err) { 0 };
	assert_int_equal(txn_open(&st->t, "test"), 0);
	int rc = verb(st->s, a, &st->t, &st->e);

	text_init(&t, st->said, sizeof(st->said));
	for (uint32_t i = 0; i < st->t.n; i++)
		text_add(&t, "%s\n", st->t.steps[i].says);
	assert_false(t.cut);
	return rc;
}

/* Refused with this errno, and a sentence that has this in it. */
static inline void refused(struct stage *st, plan_fn *verb, const struct ask *a, int rc,
			   const char *has)
{
	assert_int_equal(plan(st, verb, a), rc);
	if (!strstr(st->e.text, has))
		fail_msg("'%s' lacks '%s'", st->e.text, has);
}

static inline void planned(struct stage *st, plan_fn *verb, const struct ask *a, const char *steps)
{
	int rc = plan(st, verb, a);

	if (rc)
		fail_msg("refused: %s", st->e.text);
	assert_string_equal(st->said, steps);
}

static inline const struct step *step_that(const struct stage *st, const char *says)
{
	for (uint32_t i = 0; i < st->t.n; i++)
		if (strstr(st->t.steps[i].says, says))
			return &st->t.steps[i];
	fail_msg("no step says '%s'", says);
	return NULL;
}

static inline bool warned(const struct stage *st, const char *of)
{
	for (uint32_t i = 0; i < st->t.n_warns; i++)
		if (strstr(st->t.warns[i], of))
			return true;
	return false;
}

/* --- failures: the recording hand, but for one write that is refused, or one look that is answered otherwise --- */

static struct {
	const struct hand_ops *real;
	const char *target, *object, *said;
	int rc;
	char wrote[4096]; /* "value > target", a line each */
} trouble;

static inline int troubled_act(struct hand *h, const struct step *s, struct err *e)
{
	size_t n = strlen(trouble.wrote);

	if (trouble.target && strstr(s->target, trouble.target))
		return err_set(e, trouble.rc, "refused");
	if (s->op == STEP_WRITE)
		snprintf(trouble.wrote + n, sizeof(trouble.wrote) - n, "%s > %s\n", s->value,
			 strrchr(s->target, '/') + 1);
	return trouble.real->act(h, s, e);
}

static inline int troubled_ask(struct hand *h, const char *agent, const char *object, char *said,
			       size_t size, struct err *e)
{
	if (!trouble.object || strcmp(object, trouble.object) != 0)
		return trouble.real->ask(h, agent, object, said, size, e);
	text_copy(said, size, trouble.said);
	return 0;
}

/* Run what was planned; what was written is in trouble.wrote. */
static inline int run_troubled(struct stage *st, const char *target, int rc, const char *object,
			       const char *said, struct outcome *o)
{
	struct hand_ops ops;
	struct hand h;
	struct log log;
	struct runner r = { .hand = &h, .log = &log };

	log_init(&log, "test", 2, 0);
	assert_int_equal(hand_recording(&h, &st->m, agents), 0);
	memset(&trouble, 0, sizeof(trouble));
	trouble.real = h.ops;
	trouble.target = target;
	trouble.object = object;
	trouble.said = said;
	trouble.rc = rc;
	ops = *h.ops;
	ops.act = troubled_act;
	ops.ask = troubled_ask;
	h.ops = &ops;
	st->e = (struct err) { 0 };
	rc = txn_run(&r, &st->t, o, &st->e);
	hand_close(&h);
	return rc;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "device/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/elevate.h"
#include "device/elsewhere.h"
#include "device/journal.h"
#include "device/now.h"
#include "device/scene.h"
#include "device/show.h"

/* Others are short; who waits longer than this waits for something that hangs. */
#define LOCK_WAIT_MS 30000

static enum result result_of(const struct txn *t, const struct outcome *o, const struct hand *h,
			     int rc)
{
	if (!t->n)
		return RESULT_ALREADY;
	if (!rc)
		return h->m->live ? RESULT_DONE : RESULT_RECORDED;
	if (h->hung)
		return RESULT_HUNG;
	return o->end == RUN_FAILED ? RESULT_FAILED : RESULT_UNDONE;
}

static int show(const struct ask *a, enum result r, const struct txn *t, const struct outcome *o,
		int rc, struct err *e)
{
	if (show_answer(stdout, a->o.json, r, t, o, rc ? e->text : NULL) && !rc)
		rc = err_set(e, -ENOSPC, "cannot write to standard output");
	return rc ? (int)err_report("device", rc, e) : EXIT_YES;
}

static int carry_out(struct act *act, struct txn *t)
{
	own_free struct outcome *o = calloc(1, sizeof(*o));
	struct err e = { 0 };
	struct hand h = { 0 };
	int rc = recover_check(&act->hangs, t->device, &e);

	if (rc)
		return err_report("device", rc, &e);
	if (act->m->live)
		hand_live(&h, act->m, agents);
	else
		rc = hand_recording(&h, act->m, agents);
	if (!o || rc)
		return err_report("device", err_set(&e, -ENOMEM, "out of memory"), &e);
	struct runner r = { .hand = &h, .journal = act->m->live ? act->j : NULL, .log = act->log };

	if (act->m->live)
		run_hold_signals();
	rc = t->n ? txn_run(&r, t, o, &e) : 0;
	if (!rc && t->n && act->m->live && act->v->after)
		act->v->after(act->m, act->a, t);
	rc = show(act->a, result_of(t, o, &h, rc), t, o, rc, &e);
	hand_close(&h);
	return rc;
}

static int ask_helper(struct act *act, const struct txn *t)
{
	struct err e = { 0 };
	int rc = elevate(act->v, act->a, t->device, &e);

	return rc < 0 ? (int)err_report("device", rc, &e) : rc;
}

int act_out(struct act *act, struct txn *t)
{
	struct err e = { 0 };

	if (act->helped && t->n)
		return ask_helper(act, t);
	for (uint32_t i = 0; i < t->n_warns && !act->a->o.json; i++)
		log_warn(act->log, "%s", t->warns[i]);
	if ((act->a->o.dry_run || !act->m->live) && txn_now(t, act->m))
		return err_report("device", err_set(&e, -ENOMEM, "out of memory"), &e);
	if (act->a->o.dry_run || act->helped)
		return show(act->a, t->n ? RESULT_PLANNED : RESULT_ALREADY, t, NULL, 0, &e);
	return carry_out(act, t);
}

/* In whose name: what the journal can hold, and a terminal can show. */
static int put_whom(struct txn *t, const char *whom, struct err *e)
{
	if (!whom)
		return 0;
	if (!*whom || !text_copy(t->whom, sizeof(t->whom), whom) ||
	    strcmp(text_clean(t->whom), whom) != 0)
		return err_set(e, VERB_USAGE,
			       "--for takes 1 to %zu letters, and nothing unprintable",
			       sizeof(t->whom) - 1);
	return 0;
}

/* The words and options, for the journal and for who waits. */
static void put_words(struct txn *t, const struct ask *a)
{
	static const char *const unsaid[] = {
		"machine", "json", "dry-run", "quiet", "verbose", NULL
	};
	struct text to;

	text_init(&to, t->words, sizeof(t->words));
	for (uint32_t i = 0; i < a->n_words; i++) {
		text_add(&to, "%s", i ? " " : "");
		text_add_word(&to, a->words[i]);
	}
	cmd_words(&to, &device_command, &a->o, &device_defaults, unsaid);
	text_clean(t->words);
}

/* Whose journal cannot be read, or who has none, has heard of it elsewhere. */
static void tell_of_broken(struct act *act, struct txn *t)
{
	own_journal struct journal j;
	struct err ignored = { 0 };

	if (journal_open(&j, act->m, false, &ignored) == 0)
		recover_tell(&j, t);
}

int act_begin(struct act *act, struct txn *t, struct err *e)
{
	struct runner r = { .journal = act->j, .log = act->log };
	struct hand h;
	char what[300];
	int rc = txn_open(t, act->v->name);

	if (rc)
		return err_set(e, rc, "out of memory");
	put_words(t, act->a);
	rc = put_whom(t, act->a->o.whom, e);
	if (rc)
		return rc;
	if (act->a->o.dry_run)
		tell_of_broken(act, t);
	if (!act->m->live || act->a->o.dry_run)
		return 0;
	act->helped = elevate_needed(act->m);
	if (act->helped)
		return 0;
	snprintf(what, sizeof(what), "berth device %s %s", t->verb, t->words);
	rc = journal_open(act->j, act->m, true, e);
	if (!rc)
		rc = journal_lock(act->j, what, LOCK_WAIT_MS, act->log, e);
	if (rc)
		return rc;
	hand_live(&h, act->m, agents);
	r.hand = &h;
	recover_all(&r, &act->hangs);
	return 0;
}

static int refused(int rc, const struct err *e)
{
	if (rc == VERB_USAGE)
		return cmd_usage_error(&device_command, "%s", e->text);
	return err_report("device", rc, e);
}

int act_on(const struct verb *v, const struct machine *m, struct ask *a, const struct log *log)
{
	own_journal struct journal j = { .dir_fd = -1, .lock_fd = -1, .file_fd = -1 };
	struct act act = { .v = v, .m = m, .a = a, .log = log, .j = &j };
	own_txn struct txn t = { 0 };
	struct scene_opts opts = { 0 };
	struct scene *s = NULL;
	struct err e = { 0 };
	int rc = act_begin(&act, &t, &e);

	if (!rc)
		rc = scene_collect(m, &opts, &s, &e);
	if (!rc)
		rc = v->plan(s, a, &t, &e);
	if (!rc)
		elsewhere_note(s, &t);
	scene_free(s);
	return rc ? refused(rc, &e) : act_out(&act, &t);
}

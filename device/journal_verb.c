/* SPDX-License-Identifier: MIT */
/* `berth device journal` and `berth device undo`: which transaction, and what is told of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/act.h"
#include "device/scene.h"
#include "device/show.h"
#include "device/undo.h"

/* All that can be read, in order. Files that are not sound are NULL, with a warning. */
struct entries {
	int n;
	struct entry **v;
};

static void entries_free(struct entries *all)
{
	for (int i = 0; i < all->n; i++)
		entry_free(all->v[i]);
	free(all->v);
}

static struct entry *find(const struct entries *all, const char *id)
{
	for (int i = 0; i < all->n; i++)
		if (all->v[i] && strcmp(all->v[i]->t.id, id) == 0)
			return all->v[i];
	return NULL;
}

/* Later ones first: what took something back may itself have been taken back by then. */
static void see_who_undid_whom(struct entries *all)
{
	for (int i = all->n - 1; i >= 0; i--) {
		const struct entry *by = all->v[i];
		struct entry *of = by && *by->t.undoes ? find(all, by->t.undoes) : NULL;

		if (of && by->o.end == RUN_DONE && !*by->undone_by)
			text_copy(of->undone_by, sizeof(of->undone_by), by->t.id);
	}
}

static int read_all(const struct journal *j, struct entries *all, const struct log *log,
		    struct err *e)
{
	own_free uint32_t *ids = NULL;
	struct err unsound = { 0 };
	int n = journal_list(j, &ids, e);

	*all = (struct entries) { 0 };
	if (n < 0)
		return n;
	all->v = calloc((size_t)n + 1, sizeof(struct entry *));
	if (!all->v)
		return err_set(e, -ENOMEM, "out of memory");
	all->n = n;
	for (int i = 0; i < n; i++)
		if (journal_read(j, ids[i], &all->v[i], &unsound))
			log_warn(log, "%s", unsound.text);
	see_who_undid_whom(all);
	return 0;
}

static int no_such(const char *id, struct err *e)
{
	return err_set(e, -ENOENT,
		       "there is no transaction '%s'; 'berth device journal' lists them", id);
}

/* --- undo --- */

/* whom: of those that were done in this name; NULL: of all. */
static struct entry *last_to_undo(const struct entries *all, const struct journal *j,
				  const char *whom)
{
	for (int i = all->n - 1; i >= 0; i--) {
		struct entry *en = all->v[i];

		if (en && !*en->t.undoes && (!whom || strcmp(en->t.whom, whom) == 0) &&
		    undo_is_possible(en, strcmp(en->boot, j->boot) != 0))
			return en;
	}
	return NULL;
}

/* What was done in a name may be nothing, or taken back already: then all is well. */
static void say_none(struct txn *t)
{
	snprintf(t->done, sizeof(t->done), "nothing that was done for '%s' is left to take back",
		 t->whom);
}

/* Nobody loses what he uses by an undo, either. */
static int ask_users(const struct machine *m, const struct ask *a, struct txn *t, struct err *e)
{
	struct scene_opts opts = { 0 };
	struct scene *s = NULL;
	int rc = undo_takes(t) ? scene_collect(m, &opts, &s, e) : 0;

	if (!rc && s)
		rc = undo_guard(s, a->o.force, t, e);
	scene_free(s);
	return rc;
}

static int decide_undo(const struct machine *m, const struct journal *j, const struct ask *a,
		       struct txn *t, const struct log *log, struct err *e)
{
	struct entries all;
	struct entry *en = NULL;
	int rc = read_all(j, &all, log, e);

	if (!rc && *t->whom) {
		en = last_to_undo(&all, j, t->whom);
		if (!en)
			say_none(t);
	} else if (!rc && a->n_words) {
		en = find(&all, a->words[0]);
		rc = en ? 0 : no_such(a->words[0], e);
	} else if (!rc) {
		en = last_to_undo(&all, j, NULL);
		rc = en ? 0 : err_set(e, -ENOENT, "there is nothing to take back");
	}
	if (!rc && en)
		rc = undo_make(en, strcmp(en->boot, j->boot) != 0, a->o.force, t, e);
	if (!rc && en)
		rc = ask_users(m, a, t, e);
	if (!rc && en)
		log_note(log, "takes back transaction %s: %s %s", en->t.id, en->t.verb,
			 en->t.words);
	entries_free(&all);
	return rc;
}

int undo_run(const struct verb *v, const struct machine *m, struct ask *a, const struct log *log)
{
	own_journal struct journal j = { .dir_fd = -1, .lock_fd = -1, .file_fd = -1 };
	struct act act = { .v = v, .m = m, .a = a, .log = log, .j = &j };
	own_txn struct txn t = { 0 };
	struct err e = { 0 };
	int rc = a->o.whom && a->n_words ? err_set(&e, VERB_USAGE, "give TXN or --for, not both")
					 : act_begin(&act, &t, &e);

	if (rc == VERB_USAGE)
		return cmd_usage_error(&device_command, "%s", e.text);
	if (!rc && j.dir_fd < 0)
		rc = journal_open(&j, m, false, &e);
	if (rc == -ENOENT && *t.whom) {
		say_none(&t);
		return act_out(&act, &t);
	}
	if (rc == -ENOENT)
		err_set(&e, rc, "there is nothing to take back: nothing was done here yet");
	if (!rc)
		rc = decide_undo(m, &j, a, &t, log, &e);
	return rc ? (int)err_report("device", rc, &e) : act_out(&act, &t);
}

/* --- journal --- */

/* The journal of a captured machine tells of processes that are not here. */
static const char *end_words(const struct entry *en, const struct journal *j)
{
	if (en->o.end != RUN_OPEN)
		return run_end_name(en->o.end);
	return j->live && recover_hangs(en, j->boot) ? "hung" : "broken";
}

static void list_text(const struct entries *all, const struct journal *j)
{
	for (int i = 0; i < all->n; i++) {
		const struct entry *en = all->v[i];

		if (!en)
			continue;
		printf("%4s  %s  %-6s  %s %s", en->t.id, en->when, end_words(en, j), en->t.verb,
		       en->t.words);
		if (*en->t.undoes)
			printf(" (takes back %s)", en->t.undoes);
		if (*en->undone_by)
			printf(" (taken back by %s)", en->undone_by);
		putchar('\n');
	}
}

static void one_text(const struct entry *en, const struct journal *j)
{
	printf("transaction %s: %s %s\n%s by %s: %s%s%s", en->t.id, en->t.verb, en->t.words,
	       en->when, en->who, end_words(en, j), *en->why ? ": " : "", en->why);
	if (*en->undone_by)
		printf(", taken back by %s", en->undone_by);
	putchar('\n');
	show_states(stdout, &en->t, &en->o);
}

static json_t *entry_to_json(const struct entry *en, const struct journal *j)
{
	json_t *o = json_object();

	show_txn_json(o, &en->t, &en->o);
	json_put_text(o, "when", en->when);
	json_put_text(o, "who", en->who);
	json_put_text(o, "end", end_words(en, j));
	json_put_text_or_null(o, "end_why", en->why);
	json_put_text_or_null(o, "undone_by", en->undone_by);
	json_put_bool(o, "can_be_undone", undo_is_possible(en, strcmp(en->boot, j->boot) != 0));
	return o;
}

static int show_json(const struct entries *all, const struct entry *one, const struct journal *j)
{
	json_t *a = json_answer("berth.device/1"), *list = json_array();

	json_put_text(a, "verb", "journal");

	for (int i = 0; i < all->n; i++)
		if (all->v[i] && (!one || all->v[i] == one))
			json_array_append_new(list, entry_to_json(all->v[i], j));
	json_object_set_new(a, "transactions", list);
	int rc = json_print(a, stdout);

	json_decref(a);
	return rc;
}

static int show_entries(const struct entries *all, const struct ask *a, const struct journal *j,
			struct err *e)
{
	const struct entry *one = a->n_words ? find(all, a->words[0]) : NULL;
	int rc = 0;

	if (a->n_words && !one)
		return no_such(a->words[0], e);
	if (a->o.json)
		rc = show_json(all, one, j);
	else if (one)
		one_text(one, j);
	else
		list_text(all, j);
	if (rc || fflush(stdout) || ferror(stdout))
		return err_set(e, -ENOSPC, "cannot write to standard output");
	return EXIT_YES;
}

int journal_answer(const struct machine *m, const struct scene *s, const struct ask *a,
		   const struct log *log, struct err *e)
{
	own_journal struct journal j;
	struct entries all = { 0 };
	int rc = journal_open(&j, m, false, e);

	(void)s;
	if (!rc)
		rc = read_all(&j, &all, log, e);
	else if (rc == -ENOENT) /* nothing was done here: an empty list */
		rc = 0;
	if (!rc)
		rc = show_entries(&all, a, &j, e);
	entries_free(&all);
	return rc;
}

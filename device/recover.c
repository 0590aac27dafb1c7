/* SPDX-License-Identifier: MIT */
#include "device/recover.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

static bool is_open_state(enum step_state s)
{
	return s == STATE_BEGUN || s == STATE_HUNG || s == STATE_UNDOING;
}

static bool may_be_done(enum step_state s, enum truth truth)
{
	return s == STATE_DONE || s == STATE_ALREADY || (is_open_state(s) && truth != TRUTH_NO);
}

static bool goes_back(const struct entry *en)
{
	for (uint32_t i = 0; i < en->t.n; i++) {
		enum step_state s = en->o.states[i];

		if (s == STATE_UNDOING || s == STATE_UNDONE || s == STATE_STUCK)
			return true;
	}
	return false;
}

/* A step failed, and what was done before had yet to be taken back. */
static bool has_failed(const struct entry *en)
{
	for (uint32_t i = 0; i < en->t.n; i++)
		if (en->o.states[i] == STATE_FAILED && !en->t.steps[i].may_fail)
			return true;
	return false;
}

enum fate recover_decide(const struct entry *en, const enum truth *truths, bool other_boot,
			 bool hangs, uint32_t *at)
{
	bool all = true, for_ever = en->t.keep;
	uint32_t n_done = 0;

	*at = en->t.n;
	if (hangs)
		return FATE_LEAVE;
	for (uint32_t i = 0; i < en->t.n; i++) {
		const struct step *s = &en->t.steps[i];

		if (may_be_done(en->o.states[i], truths[i])) {
			n_done++;
			for_ever = for_ever || (s->undo == UNDO_NEVER && s->op != STEP_AWAIT);
			continue;
		}
		if (en->o.states[i] == STATE_FAILED && s->may_fail)
			continue;
		all = false;
		if (i < *at)
			*at = i;
	}
	if (goes_back(en))
		return FATE_UNDO;
	if (all)
		return FATE_DONE;
	if (en->t.keep && n_done && (other_boot || has_failed(en)))
		return FATE_KEEP;
	if (other_boot || has_failed(en))
		return FATE_UNDO;
	return for_ever && n_done ? FATE_FINISH : FATE_UNDO;
}

/* --- looking --- */

static enum truth judge(struct runner *r, const struct step *s)
{
	char now[STEP_VALUE];
	struct err ignored = { 0 };
	bool gone;

	if (s->after.kind != LOOK_NONE) {
		int is = hand_look(r->hand, &s->after, &ignored);

		return is < 0 ? TRUTH_UNKNOWN : is ? TRUTH_YES : TRUTH_NO;
	}
	if (!s->known || !hand_now(r->hand, s, now, &gone))
		return TRUTH_UNKNOWN;
	if (gone == s->gone && strcmp(now, s->gone ? "" : s->value) == 0)
		return TRUTH_YES;
	return gone == s->was_gone && strcmp(now, s->before) == 0 ? TRUTH_NO : TRUTH_UNKNOWN;
}

/* The kernel forgets what it was told when it ends; files and services do not. */
static bool outlives_boot(const struct step *s)
{
	return s->op == STEP_SAVE || s->op == STEP_ASK;
}

static void look_at_steps(struct runner *r, struct entry *en, bool other_boot, enum truth *truths)
{
	for (uint32_t i = 0; i < en->t.n; i++) {
		if (!is_open_state(en->o.states[i]) ||
		    (other_boot && !outlives_boot(&en->t.steps[i])))
			continue;
		truths[i] = judge(r, &en->t.steps[i]);
		if (truths[i] == TRUTH_NO)
			r->hand->ops->tidy(r->hand, &en->t.steps[i]);
	}
}

bool recover_hangs(const struct entry *en, const char *boot)
{
	uint64_t began;

	if (en->o.end != RUN_OPEN || en->hung <= 0 || strcmp(en->boot, boot) != 0)
		return false;
	for (uint32_t i = 0; i < en->t.n; i++)
		if (en->o.states[i] == STATE_HUNG || en->o.states[i] == STATE_UNDOING)
			return telem_start_time(en->hung, &began) == 0 && began == en->hung_began;
	return false;
}

/* --- bringing it to an end --- */

static void leave(struct runner *r, const struct entry *en, struct hangs *h)
{
	log_warn(r->log, "transaction %s (%s %s) still hangs, in process %d", en->t.id, en->t.verb,
		 en->t.words, (int)en->hung);
	if (h->n == HANGS_MAX)
		return;
	text_copy(h->v[h->n].device, sizeof(h->v[0].device), en->t.device);
	text_copy(h->v[h->n].id, sizeof(h->v[0].id), en->t.id);
	h->v[h->n++].pid = (int)en->hung;
}

/* What looking found becomes the state that the runner goes by. */
static void settle_states(struct entry *en, const enum truth *truths, bool other_boot)
{
	for (uint32_t i = 0; i < en->t.n; i++) {
		if (other_boot && !outlives_boot(&en->t.steps[i]))
			en->o.states[i] = STATE_NONE;
		if (!is_open_state(en->o.states[i]))
			continue;
		if (truths[i] == TRUTH_NO)
			en->o.states[i] = STATE_NONE;
		else if (truths[i] == TRUTH_YES)
			en->o.states[i] = STATE_DONE;
	}
}

static const char broken_off[] = "it was broken off";

static int bring_to_end(struct runner *r, struct entry *en, enum fate fate, uint32_t at,
			struct err *e)
{
	int rc = journal_resume(r->journal, &en->t, e);

	if (rc)
		return rc;
	if (fate == FATE_DONE)
		return journal_end(r->journal, &en->t, RUN_DONE, NULL, e);
	if (fate == FATE_KEEP)
		return journal_end(r->journal, &en->t, RUN_FAILED, broken_off, e);
	if (fate == FATE_FINISH)
		return txn_finish(r, &en->t, at, &en->o, e);
	return txn_take_back(r, &en->t, &en->o, broken_off, e);
}

static void recover(struct runner *r, struct entry *en, struct hangs *h)
{
	static const char *const words[] = {
		[FATE_DONE] = "all of it was done",
		[FATE_KEEP] = "what was done of it stays, and 'berth device undo' goes on",
		[FATE_FINISH] = "it is finished now, since not all of it can be taken back",
		[FATE_UNDO] = "what was done of it is taken back",
	};
	enum truth truths[STEPS_MAX] = { TRUTH_NO };
	bool other_boot = strcmp(en->boot, r->journal->boot) != 0;
	bool hangs = recover_hangs(en, r->journal->boot);
	struct err e = { 0 };
	uint32_t at;

	if (!hangs)
		look_at_steps(r, en, other_boot, truths);
	enum fate fate = recover_decide(en, truths, other_boot, hangs, &at);

	if (fate == FATE_LEAVE) {
		leave(r, en, h);
		return;
	}
	settle_states(en, truths, other_boot);
	log_note(r->log, "transaction %s (%s %s) was broken off: %s", en->t.id, en->t.verb,
		 en->t.words, words[fate]);
	if (bring_to_end(r, en, fate, at, &e))
		log_warn(r->log, "transaction %s: %s", en->t.id, e.text);
	r->hand->hung = 0;
	r->going_back = false;
}

void recover_all(struct runner *r, struct hangs *h)
{
	own_free uint32_t *ids = NULL;
	struct err e = { 0 };
	int n = journal_list(r->journal, &ids, &e);

	*h = (struct hangs) { 0 };
	if (n < 0)
		log_warn(r->log, "%s", e.text);
	for (int i = n - 1; i >= 0; i--) {
		struct entry *en = NULL;

		if (journal_read(r->journal, ids[i], &en, &e))
			log_warn(r->log, "%s; it is left as it is", e.text);
		else if (en->o.end == RUN_OPEN)
			recover(r, en, h);
		entry_free(en);
	}
}

void recover_tell(const struct journal *j, struct txn *t)
{
	own_free uint32_t *ids = NULL;
	struct err ignored = { 0 };
	int n = journal_list(j, &ids, &ignored);

	for (int i = 0; i < n; i++) {
		struct entry *en = NULL;

		if (journal_read(j, ids[i], &en, &ignored) == 0 && en->o.end == RUN_OPEN)
			txn_warn(
				t,
				"transaction %s (%s %.120s) is not at its end: unless it is being done "
				"right now, the next change first brings it there",
				en->t.id, en->t.verb, en->t.words);
		entry_free(en);
	}
}

/* Up to the function's number: "0000:01:00". */
static size_t slot_len(const char *device)
{
	const char *dot = strrchr(device, '.');

	return dot ? (size_t)(dot - device) : strlen(device);
}

int recover_check(const struct hangs *h, const char *device, struct err *e)
{
	for (uint32_t i = 0; *device && i < h->n; i++) {
		size_t n = slot_len(device);

		if (slot_len(h->v[i].device) != n || strncmp(h->v[i].device, device, n) != 0)
			continue;
		return err_set(
			e, -EBUSY,
			"%s: a step of transaction %s still hangs in the kernel, in process %d; "
			"end what uses the device, or start the machine anew",
			device, h->v[i].id, h->v[i].pid);
	}
	return 0;
}

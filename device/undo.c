/* SPDX-License-Identifier: MIT */
#include "device/undo.h"

#include <string.h>

#include "base/text.h"

static bool was_done(enum step_state s)
{
	return s == STATE_DONE || s == STATE_ALREADY || s == STATE_STUCK;
}

/* With the kernel that was told it, it is gone. */
static bool ended_with_boot(const struct step *s, bool other_boot)
{
	/* Agents whose doings end so as well: a driver's limits, a module that was loaded */
	static const char *const forgetful[] = { "nvml", "module" };
	bool forgets = s->op == STEP_WRITE || s->op == STEP_AWAIT;

	for (size_t i = 0; s->op == STEP_ASK && i < sizeof(forgetful) / sizeof(forgetful[0]); i++)
		forgets = forgets || strcmp(s->agent, forgetful[i]) == 0;
	return other_boot && forgets;
}

bool undo_is_possible(const struct entry *en, bool other_boot)
{
	struct step u;

	if (en->o.end == RUN_OPEN || en->o.end == RUN_UNDONE || *en->undone_by)
		return false;
	for (uint32_t i = 0; i < en->t.n; i++) {
		const struct step *s = &en->t.steps[i];

		if (was_done(en->o.states[i]) && !ended_with_boot(s, other_boot) &&
		    step_invert(s, &u, NULL) == 0)
			return true;
	}
	return false;
}

static int check(const struct entry *en, struct err *e)
{
	if (en->o.end == RUN_OPEN)
		return err_set(e, -EPERM,
			       "transaction %s is not at its end; the next change brings it there",
			       en->t.id);
	if (*en->undone_by)
		return err_set(e, -EPERM, "transaction %s was taken back by %s already", en->t.id,
			       en->undone_by);
	if (en->o.end == RUN_UNDONE)
		return err_set(e, -EPERM, "transaction %s failed, and was taken back then",
			       en->t.id);
	return 0;
}

/* The inverse of one step, as the next of t. */
static int add_inverse(struct txn *t, const struct step *s, bool force, struct err *e)
{
	struct step *u;
	struct err why = { 0 };
	struct step inverse;
	int rc = step_invert(s, &inverse, &why);

	if (rc < 0)
		txn_warn(t, "%s stays: %s", s->says, why.text);
	if (rc)
		return 0;
	u = txn_add(t, s->op, e, "%s", inverse.says);
	if (!u)
		return -EFBIG;
	*u = inverse;
	if (force)
		u->known = false;
	return 0;
}

int undo_make(const struct entry *en, bool other_boot, bool force, struct txn *t, struct err *e)
{
	int rc = check(en, e);

	for (uint32_t i = en->t.n; !rc && i-- > 0;)
		if (was_done(en->o.states[i]) && !ended_with_boot(&en->t.steps[i], other_boot))
			rc = add_inverse(t, &en->t.steps[i], force, e);
	if (rc)
		return rc;
	/* What was taken back is as somebody wanted it: a later step that fails is no reason to do it again. */
	t->keep = true;
	text_copy(t->undoes, sizeof(t->undoes), en->t.id);
	text_copy(t->device, sizeof(t->device), en->t.device);
	text_copy(t->ids, sizeof(t->ids), en->t.ids);
	text_copy(t->alike, sizeof(t->alike), en->t.alike);
	if (t->n)
		return 0;
	return err_set(e, -EPERM, "nothing of transaction %s (%s %s) can be taken back%s%s",
		       en->t.id, en->t.verb, en->t.words,
		       t->n_warns   ? ": "
		       : other_boot ? ": the machine was started anew since"
				    : "",
		       t->n_warns ? t->warns[0] : "");
}

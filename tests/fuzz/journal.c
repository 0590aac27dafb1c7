/* SPDX-License-Identifier: MIT */
/*
 * A file of the journal: any bytes. What is taken must be fit to be acted upon: undo of it, and of that, writes only
 * where a step may, and a broken one has one fate.
 */
#include <stdlib.h>
#include <string.h>

#include "device/journal.h"
#include "device/recover.h"
#include "device/undo.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void demand(bool so)
{
	if (!so)
		abort();
}

static void check_steps(const struct txn *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct step *s = &t->steps[i];
		struct step again;
		json_t *o = step_to_json(s);

		demand(step_check(s, NULL) == 0);
		demand(s->op != STEP_WRITE || s->target[0] == 's' || s->target[0] == 'p');
		demand(s->op != STEP_SAVE || strncmp(s->target, "etc/", 4) == 0);
		demand(!strstr(s->target, "/../"));
		demand(step_from_json(o, &again, NULL) == 0);
		demand(strcmp(again.value, s->value) == 0 && again.known == s->known);
		json_decref(o);
	}
}

static void undo(const struct entry *en, bool other_boot, bool force)
{
	struct txn t;

	if (txn_open(&t, "undo"))
		return;
	if (undo_make(en, other_boot, force, &t, NULL) == 0) {
		demand(t.n > 0);
		check_steps(&t);
	}
	txn_close(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	enum truth truths[STEPS_MAX] = { TRUTH_UNKNOWN };
	struct entry *en;
	uint32_t at;

	if (entry_parse((const char *)bytes, size, &en, NULL))
		return 0;
	check_steps(&en->t);
	for (int how = 0; how < 4; how++) {
		undo(en, how & 1, how & 2);
		recover_decide(en, truths, how & 1, how & 2, &at);
		demand(at <= en->t.n);
	}
	entry_free(en);
	return 0;
}

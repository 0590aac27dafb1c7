/* SPDX-License-Identifier: MIT */
/* A file of the journal, from its bytes: hostile. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "device/journal.h"

void entry_free(struct entry *en)
{
	if (en)
		txn_close(&en->t);
	free(en);
}

static int parse_steps(const json_t *steps, struct txn *t, struct err *e)
{
	size_t n = json_array_size(steps);

	if (!json_is_array(steps) || n > STEPS_MAX)
		return err_set(e, -EBADMSG, "'steps' is no list of at most %d", STEPS_MAX);
	for (size_t i = 0; i < n; i++) {
		int rc = step_from_json(json_array_get(steps, i), &t->steps[i], e);

		if (rc)
			return err_at(e, rc, "step %zu", i + 1);
	}
	t->n = (uint32_t)n;
	return 0;
}

static int parse_head(const json_t *o, struct entry *en, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const char *verb = json_string_value(json_object_get(o, "verb"));
	struct txn *t = &en->t;

	if (!schema || strcmp(schema, "berth.journal/1") != 0)
		return err_set(e, -EBADMSG, "it does not begin with a berth.journal/1 object");
	int rc = txn_open(t, verb ? verb : "");

	if (rc)
		return err_set(e, rc, "out of memory");
	text_clean(t->verb);
	json_get_text(o, "id", t->id, sizeof(t->id));
	json_get_text(o, "words", t->words, sizeof(t->words));
	json_get_text(o, "device", t->device, sizeof(t->device));
	json_get_text(o, "ids", t->ids, sizeof(t->ids));
	json_get_text(o, "alike", t->alike, sizeof(t->alike));
	json_get_text(o, "undoes", t->undoes, sizeof(t->undoes));
	json_get_text(o, "done", t->done, sizeof(t->done));
	json_get_text(o, "for", t->whom, sizeof(t->whom));
	json_get_text(o, "when", en->when, sizeof(en->when));
	json_get_text(o, "who", en->who, sizeof(en->who));
	json_get_text(o, "boot", en->boot, sizeof(en->boot));
	t->keep = json_is_true(json_object_get(o, "keep"));
	return parse_steps(json_object_get(o, "steps"), t, e);
}

static int state_from(const char *name)
{
	for (int i = 0; name && i < STATE_COUNT; i++)
		if (strcmp(step_state_name((enum step_state)i), name) == 0)
			return i;
	return -1;
}

static int end_from(const char *name)
{
	for (int i = RUN_DONE; name && i < RUN_END_COUNT; i++)
		if (strcmp(run_end_name((enum run_end)i), name) == 0)
			return i;
	return -1;
}

static int parse_step_line(const json_t *o, struct entry *en, struct err *e)
{
	const json_t *n = json_object_get(o, "step"), *left = json_object_get(o, "left");
	int state = state_from(json_string_value(json_object_get(o, "is")));

	if (!json_is_integer(n) || json_integer_value(n) < 0 ||
	    json_integer_value(n) >= (json_int_t)en->t.n || state < 0)
		return err_set(e, -EBADMSG, "it tells of a step that it does not have");
	size_t i = (size_t)json_integer_value(n);
	struct step *s = &en->t.steps[i];

	en->o.states[i] = (enum step_state)state;
	if (json_object_get(o, "why"))
		json_get_text(o, "why", en->o.whys[i], sizeof(en->o.whys[i]));
	if (left) {
		s->left_known = json_is_string(left) &&
				strlen(json_string_value(left)) == json_string_length(left) &&
				text_copy(s->left, sizeof(s->left), json_string_value(left));
	}
	if (json_object_get(o, "pid")) {
		en->hung = (pid_t)json_integer_value(json_object_get(o, "pid"));
		en->hung_began = (uint64_t)json_integer_value(json_object_get(o, "began"));
	}
	return 0;
}

static int parse_line(const json_t *o, struct entry *en, struct err *e)
{
	const char *end = json_string_value(json_object_get(o, "end"));

	if (en->o.end != RUN_OPEN)
		return err_set(e, -EBADMSG, "it goes on after its end");
	if (!end)
		return parse_step_line(o, en, e);
	int known = end_from(end);

	if (known < 0)
		return err_set(e, -EBADMSG, "it ends in a way that is none");
	en->o.end = (enum run_end)known;
	json_get_text(o, "why", en->why, sizeof(en->why));
	return 0;
}

static int parse_lines(const char *bytes, size_t size, struct entry *en, struct err *e)
{
	const char *end = bytes + size, *nl;
	bool head = true;
	int rc = 0;

	/* A last line without its end was torn by a crash: what it would have said did not count yet. */
	for (; !rc && bytes < end && (nl = memchr(bytes, '\n', (size_t)(end - bytes)));
	     bytes = nl + 1) {
		json_t *o = json_parse(bytes, (size_t)(nl - bytes), "a line", e);

		rc = !o ? -EBADMSG : head ? parse_head(o, en, e) : parse_line(o, en, e);
		json_decref(o);
		head = false;
	}
	if (!rc && head)
		rc = err_set(e, -EBADMSG, "it is empty");
	return rc;
}

int entry_parse(const char *bytes, size_t size, struct entry **en, struct err *e)
{
	*en = calloc(1, sizeof(**en));
	if (!*en)
		return err_set(e, -ENOMEM, "out of memory");
	int rc = parse_lines(bytes, size, *en, e);

	if (rc) {
		entry_free(*en);
		*en = NULL;
	}
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "device/show.h"

#include <string.h>

#include "base/text.h"
#include "device/journal.h"

static const char *const results[] = {
	[RESULT_PLANNED] = "planned", [RESULT_RECORDED] = "recorded", [RESULT_DONE] = "done",
	[RESULT_ALREADY] = "already", [RESULT_UNDONE] = "undone",     [RESULT_FAILED] = "failed",
	[RESULT_HUNG] = "hung",
};

/* A value in quotes, as C would write it: files have several lines. */
static void put_value(FILE *to, const char *v)
{
	fputc('"', to);
	for (const unsigned char *p = (const unsigned char *)v; *p; p++) {
		if (*p == '\n')
			fputs("\\n", to);
		else if (*p == '\t')
			fputs("\\t", to);
		else if (*p == '"' || *p == '\\')
			fprintf(to, "\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			fprintf(to, "\\x%02x", *p);
		else
			fputc(*p, to);
	}
	fputc('"', to);
}

static void put_line(FILE *to, const char *head, const struct step *s, const char *target,
		     const char *value, bool gone)
{
	fprintf(to, "     %-7s ", head);
	if (s->op == STEP_ASK)
		fprintf(to, "ask %s about %s: ", s->agent, target);
	else if (gone)
		fprintf(to, "remove /%s", target);
	else
		fprintf(to, "%s /%s: ", step_op_name(s->op), target);
	if (!gone)
		put_value(to, value);
	fputc('\n', to);
}

static void show_undo(FILE *to, const struct step *s)
{
	struct step u;
	struct err why = { 0 };
	int rc = step_invert(s, &u, &why);

	if (rc < 0)
		fprintf(to, "     undo    never: %s\n", why.text);
	else if (rc)
		fputs("     undo    nothing to do\n", to);
	else
		put_line(to, "undo", &u, u.target, u.value, u.gone);
}

static void show_step(FILE *to, uint32_t i, const struct step *s)
{
	fprintf(to, "%3u. %s\n", i + 1, s->says);
	if (s->op == STEP_AWAIT)
		return;
	put_line(to, "do", s, s->target, s->value, s->gone);
	fputs("     before  ", to);
	if (!s->known)
		fputs(*s->now ? s->now : "not readable: it only takes orders", to);
	else if (s->was_gone)
		fputs("no such file", to);
	else
		put_value(to, s->before);
	fputc('\n', to);
	show_undo(to, s);
}

/* Why, without the step's own words before it: they stand on the same line. */
static const char *bare(const struct step *s, const char *why)
{
	size_t n = strlen(s->says);

	return strncmp(why, s->says, n) == 0 && strncmp(why + n, ": ", 2) == 0 ? why + n + 2 : why;
}

void show_steps(FILE *to, const struct txn *t, const struct outcome *o)
{
	for (uint32_t i = 0; i < t->n; i++) {
		show_step(to, i, &t->steps[i]);
		if (o && o->states[i] == STATE_ALREADY)
			fputs("     it is so already by then\n", to);
		else if (o && o->states[i] > STATE_DONE)
			fprintf(to, "     %s%s%s\n", step_state_name(o->states[i]),
				*o->whys[i] ? ": " : "", bare(&t->steps[i], o->whys[i]));
	}
}

void show_states(FILE *to, const struct txn *t, const struct outcome *o)
{
	for (uint32_t i = 0; i < t->n; i++)
		fprintf(to, "%-8s %s%s%s\n", step_state_name(o->states[i]), t->steps[i].says,
			*o->whys[i] ? ": " : "", bare(&t->steps[i], o->whys[i]));
}

bool txn_can_be_undone(const struct txn *t, const struct outcome *o)
{
	struct step u;

	for (uint32_t i = 0; i < t->n; i++) {
		enum step_state s = o->states[i];

		if ((s == STATE_DONE || s == STATE_STUCK) &&
		    step_invert(&t->steps[i], &u, NULL) == 0)
			return true;
	}
	return false;
}

void show_txn_json(json_t *a, const struct txn *t, const struct outcome *o)
{
	json_t *steps = json_array(), *warns = json_array();

	json_put_text(a, "verb", t->verb);
	json_put_text(a, "words", t->words);
	json_put_text_or_null(a, "device", t->device);
	json_put_text_or_null(a, "transaction", t->id);
	json_put_text_or_null(a, "undoes", t->undoes);
	json_put_text_or_null(a, "for", t->whom);
	json_put_text_or_null(a, "says", t->done);
	for (uint32_t i = 0; i < t->n_warns; i++) {
		char warn[sizeof(t->warns[0])];

		text_copy(warn, sizeof(warn), t->warns[i]);
		json_array_append_new(warns, json_string(text_clean(warn)));
	}
	json_object_set_new(a, "warnings", warns);
	for (uint32_t i = 0; i < t->n; i++) {
		json_t *s = step_to_json(&t->steps[i]);

		if (*t->steps[i].now)
			json_put_text(s, "now", t->steps[i].now);
		if (o) {
			json_put_text(s, "state", step_state_name(o->states[i]));
			json_put_text_or_null(s, "state_why", o->whys[i]);
		}
		json_array_append_new(steps, s);
	}
	json_object_set_new(a, "steps", steps);
}

static int answer_json(FILE *to, enum result r, const struct txn *t, const struct outcome *o,
		       const char *why)
{
	json_t *a = json_answer("berth.device/1");

	json_put_text(a, "result", results[r]);
	json_put_text_or_null(a, "error", why ? why : "");
	show_txn_json(a, t, o);
	int rc = json_print(a, to);

	json_decref(a);
	return rc;
}

int show_answer(FILE *to, bool json, enum result r, const struct txn *t, const struct outcome *o,
		const char *why)
{
	if (json)
		return answer_json(to, r, t, o, why);
	if (r == RESULT_ALREADY)
		fputs("it is so already: nothing to do\n", to);
	else if (r == RESULT_PLANNED || r == RESULT_RECORDED)
		show_steps(to, t, r == RESULT_PLANNED ? NULL : o);
	else
		show_states(to, t, o);
	if (*t->done && (r == RESULT_DONE || r == RESULT_ALREADY))
		fprintf(to, "%s\n", t->done);
	if (r == RESULT_DONE && txn_can_be_undone(t, o))
		fprintf(to, "'berth device undo %s' takes it back\n", t->id);
	return fflush(to) || ferror(to) ? -EIO : 0;
}

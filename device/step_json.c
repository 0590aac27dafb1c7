/* SPDX-License-Identifier: MIT */
/* Steps as JSON: in the journal, where they are read back, and in answers. Values are kept to the byte. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "device/journal.h"

/* As it is: text_clean() would take away newlines. What is no UTF-8 cannot be in JSON. */
static void put_exact(json_t *o, const char *key, const char *v)
{
	if (text_is_utf8(v))
		json_object_set_new(o, key, json_string(v));
	else
		json_put_text(o, key, v);
}

static json_t *look_to_json(const struct look *l)
{
	json_t *o = json_object();

	json_put_text(o, "look", look_kind_name(l->kind));
	if (l->not )
		json_put_bool(o, "not", true);
	if (*l->agent)
		put_exact(o, "agent", l->agent);
	put_exact(o, "path", l->path);
	put_exact(o, "want", l->want);
	return o;
}

static void put_undo(json_t *o, const struct step *s)
{
	json_put_text(o, "undo", step_undo_name(s->undo));
	if (s->undo == UNDO_NEVER)
		json_put_text(o, "why", s->why);
	if (s->undo != UNDO_OTHER)
		return;
	put_exact(o, "undo_target", s->undo_target);
	put_exact(o, "undo_value", s->undo_value);
	if (s->undone.kind != LOOK_NONE)
		json_object_set_new(o, "undone", look_to_json(&s->undone));
}

json_t *step_to_json(const struct step *s)
{
	json_t *o = json_object();

	json_put_text(o, "op", step_op_name(s->op));
	put_exact(o, "says", s->says);
	if (*s->agent)
		put_exact(o, "agent", s->agent);
	put_exact(o, "target", s->target);
	if (s->gone)
		json_put_null(o, "value");
	else
		put_exact(o, "value", s->value);
	json_put_bool(o, "before_known", s->known);
	if (s->known && !s->was_gone)
		put_exact(o, "before", s->before);
	else
		json_put_null(o, "before");
	if (s->mode)
		json_put_int(o, "mode", s->mode);
	if (s->made)
		json_put_int(o, "folders_made", s->made);
	if (s->after.kind != LOOK_NONE)
		json_object_set_new(o, "after", look_to_json(&s->after));
	put_undo(o, s);
	if (s->may_fail)
		json_put_bool(o, "may_fail", true);
	if (s->timeout_ms)
		json_put_int(o, "timeout_ms", s->timeout_ms);
	return o;
}

/* --- and back: hostile --- */

/* A text that fits; absent or null it is "". */
static int get_exact(const json_t *o, const char *key, char *to, size_t size, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	*to = '\0';
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v) ||
	    !text_copy(to, size, json_string_value(v)))
		return err_set(e, -EBADMSG, "'%s' of a step is no text of at most %zu bytes", key,
			       size - 1);
	return 0;
}

/* The number of a word in a table of names; -EBADMSG. */
static int get_word(const json_t *o, const char *key, const char *(*name)(int i), int n,
		    struct err *e)
{
	const char *v = json_string_value(json_object_get(o, key));

	for (int i = 0; v && i < n; i++)
		if (strcmp(name(i), v) == 0)
			return i;
	return err_set(e, -EBADMSG, "'%s' of a step is not what it can be", key);
}

static const char *op_at(int i)
{
	return step_op_name((enum step_op)i);
}

static const char *kind_at(int i)
{
	return look_kind_name((enum look_kind)i);
}

static const char *undo_at(int i)
{
	return step_undo_name((enum step_undo)i);
}

static int get_look(const json_t *o, const char *key, struct look *l, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	int rc;

	*l = (struct look) { .kind = LOOK_NONE };
	if (!v)
		return 0;
	int kind = get_word(v, "look", kind_at, LOOK_KIND_COUNT, e);

	if (kind < 0)
		return kind;
	l->kind = (enum look_kind)kind;
	l->not = json_is_true(json_object_get(v, "not"));
	rc = get_exact(v, "agent", l->agent, sizeof(l->agent), e);
	if (!rc)
		rc = get_exact(v, "path", l->path, sizeof(l->path), e);
	return rc ? rc : get_exact(v, "want", l->want, sizeof(l->want), e);
}

static int get_undo(const json_t *o, struct step *s, struct err *e)
{
	int rc, undo = get_word(o, "undo", undo_at, STEP_UNDO_COUNT, e);

	if (undo < 0)
		return undo;
	s->undo = (enum step_undo)undo;
	rc = get_exact(o, "undo_target", s->undo_target, sizeof(s->undo_target), e);
	if (!rc)
		rc = get_exact(o, "undo_value", s->undo_value, sizeof(s->undo_value), e);
	if (!rc)
		rc = get_exact(o, "why", s->why, sizeof(s->why), e);
	return rc ? rc : get_look(o, "undone", &s->undone, e);
}

static int get_number(const json_t *o, const char *key, json_int_t max, uint32_t *v, struct err *e)
{
	const json_t *n = json_object_get(o, key);

	*v = 0;
	if (!n)
		return 0;
	if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > max)
		return err_set(e, -EBADMSG,
			       "'%s' of a step is no number up to %" JSON_INTEGER_FORMAT, key, max);
	*v = (uint32_t)json_integer_value(n);
	return 0;
}

/* Relative, below one of the roots that the operation is for, and without a way out. */
static bool path_is_sound(const char *path, const char *const *roots)
{
	bool below = false;

	for (; *roots; roots++)
		below = below || strncmp(path, *roots, strlen(*roots)) == 0;
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
	}
	return below;
}

int step_check(const struct step *s, struct err *e)
{
	static const char *const kernels[] = { "sys/", "proc/", NULL };
	static const char *const ours[] = { "etc/", NULL };
	const char *const *roots = s->op == STEP_WRITE ? kernels : s->op == STEP_SAVE ? ours : NULL;

	/* What agents are asked about has a name: no path gets to them. */
	if (!roots && strchr(s->target, '/'))
		return err_set(e, -EBADMSG, "'%.80s' is nothing that somebody can be asked about",
			       s->target);
	if (roots && !path_is_sound(s->target, roots))
		return err_set(e, -EBADMSG, "'%.80s' is no file that a step may %s", s->target,
			       step_op_name(s->op));
	if (roots && *s->undo_target && !path_is_sound(s->undo_target, roots))
		return err_set(e, -EBADMSG, "'%.80s' is no file that a step may %s", s->undo_target,
			       step_op_name(s->op));
	return 0;
}

int step_from_json(const json_t *o, struct step *s, struct err *e)
{
	int op = get_word(o, "op", op_at, STEP_OP_COUNT, e);

	if (op < 0)
		return op;
	*s = (struct step) { .op = (enum step_op)op };
	int rc = get_exact(o, "says", s->says, sizeof(s->says), e);

	text_clean(s->says);
	if (!rc)
		rc = get_exact(o, "agent", s->agent, sizeof(s->agent), e);
	if (!rc)
		rc = get_exact(o, "target", s->target, sizeof(s->target), e);
	if (!rc)
		rc = get_exact(o, "value", s->value, sizeof(s->value), e);
	if (!rc)
		rc = get_exact(o, "before", s->before, sizeof(s->before), e);
	s->gone = s->op == STEP_SAVE && json_is_null(json_object_get(o, "value"));
	s->known = json_is_true(json_object_get(o, "before_known"));
	s->was_gone = s->known && json_is_null(json_object_get(o, "before"));
	s->may_fail = json_is_true(json_object_get(o, "may_fail"));
	if (!rc)
		rc = get_number(o, "folders_made", 64, &s->made, e);
	if (!rc)
		rc = get_number(o, "mode", 0777, &s->mode, e);
	if (!rc)
		rc = get_number(o, "timeout_ms", 3600000, &s->timeout_ms, e);
	if (!rc)
		rc = get_look(o, "after", &s->after, e);
	if (!rc)
		rc = get_undo(o, s, e);
	return rc ? rc : step_check(s, e);
}

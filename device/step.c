/* SPDX-License-Identifier: MIT */
#include "device/step.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *const op_names[] = {
	[STEP_WRITE] = "write",
	[STEP_SAVE] = "save",
	[STEP_ASK] = "ask",
	[STEP_AWAIT] = "await",
};

static const char *const kind_names[] = {
	[LOOK_NONE] = "none", [LOOK_TEXT] = "text",     [LOOK_LINK] = "link",
	[LOOK_HERE] = "here", [LOOK_GONE] = "gone",     [LOOK_AGENT] = "agent",
	[LOOK_NEAR] = "near", [LOOK_MARKED] = "marked",
};

static const char *const undo_names[] = {
	[UNDO_NEVER] = "never",
	[UNDO_BEFORE] = "before",
	[UNDO_OTHER] = "other",
};

const char *step_op_name(enum step_op op)
{
	return op_names[op];
}

const char *look_kind_name(enum look_kind kind)
{
	return kind_names[kind];
}

const char *step_undo_name(enum step_undo undo)
{
	return undo_names[undo];
}

int txn_open(struct txn *t, const char *verb)
{
	*t = (struct txn) { .steps = calloc(STEPS_MAX, sizeof(*t->steps)) };
	text_copy(t->verb, sizeof(t->verb), verb);
	return t->steps ? 0 : -ENOMEM;
}

void txn_close(struct txn *t)
{
	free(t->steps);
	t->steps = NULL;
}

static int put(char *to, size_t size, struct err *e, const char *fmt, va_list ap)
{
	int n = vsnprintf(to, size, fmt, ap);

	if (n >= 0 && (size_t)n < size)
		return 0;
	return err_set(e, -EFBIG, "'%.60s...' is longer than the %zu bytes that a step can hold",
		       to, size - 1);
}

int step_put_sized(char *to, size_t size, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = put(to, size, e, fmt, ap);

	va_end(ap);
	return rc;
}

struct step *txn_add(struct txn *t, enum step_op op, struct err *e, const char *says, ...)
{
	va_list ap;

	if (t->n == STEPS_MAX) {
		err_set(e, -EFBIG, "%s would take more than %d steps", t->verb, STEPS_MAX);
		return NULL;
	}
	struct step *s = &t->steps[t->n];

	*s = (struct step) { .op = op };
	va_start(ap, says);
	int rc = put(s->says, sizeof(s->says), e, says, ap);

	va_end(ap);
	if (rc)
		return NULL;
	t->n++;
	return s;
}

void txn_warn(struct txn *t, const char *fmt, ...)
{
	va_list ap;

	if (t->n_warns == WARNS_MAX) {
		text_copy(t->warns[WARNS_MAX - 1], sizeof(t->warns[0]), "there is more to warn of");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(t->warns[t->n_warns], sizeof(t->warns[0]), fmt, ap);
	va_end(ap);
	t->n_warns++;
}

int look_set(struct look *l, enum look_kind kind, const char *want, struct err *e, const char *path,
	     ...)
{
	va_list ap;

	*l = (struct look) { .kind = kind };
	va_start(ap, path);
	int rc = put(l->path, sizeof(l->path), e, path, ap);

	va_end(ap);
	return rc ? rc : step_put(l->want, e, "%s", want);
}

/* What an earlier step of the transaction leaves in a file: true when one does. */
static bool left_by_earlier(const struct txn *t, struct step *s)
{
	for (uint32_t i = t->n - 1; i-- > 0;) {
		const struct step *p = &t->steps[i];

		if (p->op != s->op || strcmp(p->target, s->target) != 0)
			continue;
		if (p->op == STEP_WRITE && !p->known)
			return true; /* a file that takes orders keeps nothing */
		text_copy(s->before, sizeof(s->before), p->value);
		s->was_gone = p->gone;
		s->known = true;
		return true;
	}
	return false;
}

int txn_before(struct txn *t, const struct machine *m, struct err *e)
{
	struct step *s = &t->steps[t->n - 1];

	if (left_by_earlier(t, s))
		return 0;
	long n = s->op == STEP_SAVE ? machine_read_bytes(m, s->target, s->before, sizeof(s->before))
				    : machine_read(m, s->target, s->before, sizeof(s->before));

	s->known = n >= 0;
	if (s->op != STEP_SAVE)
		return 0;
	if (n == -ENOENT || n == -ENOTDIR) {
		s->known = s->was_gone = true;
		s->before[0] = '\0';
		return 0;
	}
	if (n < 0)
		return err_set(e, (int)n, "cannot read %s%s: %s", m->path, s->target,
			       strerror((int)-n));
	if ((size_t)n == sizeof(s->before))
		return err_set(e, -EFBIG,
			       "/%s is longer than the %zu bytes that can be put back; "
			       "move it away",
			       s->target, sizeof(s->before) - 1);
	s->before[n] = '\0';
	if (strlen(s->before) != (size_t)n || !text_is_utf8(s->before))
		return err_set(e, -EBADMSG,
			       "/%s is no text, which alone can be put back; move it away",
			       s->target);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "device/step.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
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
	free(t->seen);
	t->seen = NULL;
}

static int __attribute__((format(printf, 4, 0)))
put(char *to, size_t size, struct err *e, const char *fmt, va_list ap)
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
		s->mode = p->mode;
		s->known = true;
		return true;
	}
	return false;
}

/* Folders above the file that are not there. */
static uint32_t missing_folders(const struct machine *m, const char *path)
{
	char folder[STEP_TARGET];
	uint32_t n = 0;
	char *slash;

	text_copy(folder, sizeof(folder), path);
	while ((slash = strrchr(folder, '/'))) {
		*slash = '\0';
		if (machine_exists(m, folder))
			break;
		n++;
	}
	return n;
}

/* Who may read it: of a file that is taken away and put back. */
static uint32_t mode_of(const struct machine *m, const char *path)
{
	struct stat st;
	own_fd int fd = machine_openat(m, path, O_RDONLY | O_NONBLOCK);

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_mode & 0777 : 0;
}

int txn_before(struct txn *t, const struct machine *m, struct err *e)
{
	struct step *s = &t->steps[t->n - 1];

	if (left_by_earlier(t, s))
		return 0;
	long n = s->op == STEP_SAVE ? machine_read_bytes(m, s->target, s->before, sizeof(s->before))
				    : machine_read(m, s->target, s->before, sizeof(s->before));

	s->known = n >= 0;
	if (s->op != STEP_SAVE) {
		if (strcmp(s->before, "(null)") ==
		    0) /* so the kernel prints a text that was never set */
			s->before[0] = '\0';
		return 0;
	}
	if (n == -ENOENT || n == -ENOTDIR) {
		s->known = s->was_gone = true;
		s->made = missing_folders(m, s->target);
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
	s->mode = mode_of(m, s->target);
	if (strlen(s->before) != (size_t)n || !text_is_utf8(s->before))
		return err_set(e, -EBADMSG,
			       "/%s is no text, which alone can be put back; move it away",
			       s->target);
	return 0;
}

static int invert_to_before(const struct step *s, struct step *u, struct err *e)
{
	if (!s->known)
		return err_set(e, -EPERM, "what it was before could not be read");
	text_copy(u->value, sizeof(u->value), s->before);
	u->gone = s->was_gone;
	u->known = s->left_known;
	text_copy(u->before, sizeof(u->before), s->left);
	u->was_gone = s->op == STEP_SAVE && s->gone;
	u->made = s->made;
	u->mode = s->mode;
	u->undo = UNDO_BEFORE;
	if (s->op == STEP_ASK && strlen(u->value) < sizeof(u->after.want)) {
		u->after = (struct look) { .kind = LOOK_AGENT };
		text_copy(u->after.agent, sizeof(u->after.agent), s->agent);
		text_copy(u->after.path, sizeof(u->after.path), s->target);
		text_copy(u->after.want, sizeof(u->after.want), u->value);
	}
	return 0;
}

static int invert_to_other(const struct step *s, struct step *u)
{
	if (!*s->undo_target)
		return 1;
	text_copy(u->target, sizeof(u->target), s->undo_target);
	text_copy(u->value, sizeof(u->value), s->undo_value);
	u->after = s->undone;
	if (u->after.kind == LOOK_NONE && s->after.kind != LOOK_NONE) {
		u->after = s->after;
		u->after.not = !s->after.not ;
	}
	u->undo = UNDO_OTHER;
	text_copy(u->undo_target, sizeof(u->undo_target), s->target);
	text_copy(u->undo_value, sizeof(u->undo_value), s->value);
	u->undone = s->after;
	return 0;
}

/* What takes back a taking back does it again. Cut rather than refused: the sentence alone is shorter for it. */
static void invert_words(const char *says, char *to, size_t size)
{
	static const char back[] = "take back: ";
	bool again = strncmp(says, back, strlen(back)) == 0;

	if ((size_t)snprintf(to, size, "%s%s", again ? "" : back,
			     again ? says + strlen(back) : says) >= size)
		memcpy(to + size - 4, "...", 4);
}

int step_invert(const struct step *s, struct step *u, struct err *e)
{
	*u = (struct step) { .op = s->op, .may_fail = s->may_fail, .timeout_ms = s->timeout_ms };
	text_copy(u->agent, sizeof(u->agent), s->agent);
	text_copy(u->target, sizeof(u->target), s->target);
	invert_words(s->says, u->says, sizeof(u->says));
	if (s->op == STEP_AWAIT)
		return 1;
	switch (s->undo) {
	case UNDO_BEFORE:
		return invert_to_before(s, u, e);
	case UNDO_OTHER:
		return invert_to_other(s, u);
	case UNDO_NEVER:
	case STEP_UNDO_COUNT:
		break;
	}
	return err_set(e, -EPERM, "%s", *s->why ? s->why : "nothing takes it back");
}

/* SPDX-License-Identifier: MIT */
/* What both hands do alike: looking; and the hand that records. */
#include "device/hand.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/marked.h"
#include "device/overlay.h"

/* amdgpu's table of power profiles, the longest of the files that are looked at. */
#define LIST_MAX 4096

char *value_trim(char *v)
{
	text_trim(v);
	if (strcmp(v, "(null)") == 0)
		*v = '\0';
	return v;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* LOOK_TEXT, LOOK_NEAR and LOOK_MARKED: what the file says, judged each in its way. */
static bool text_says(char *text, const struct look *l)
{
	if (l->kind == LOOK_MARKED)
		return marked_says(text, l->want);
	if (l->kind == LOOK_NEAR)
		return number_is_near(value_trim(text), l->want);
	return strcmp(value_trim(text), l->want) == 0;
}

static int look_text(struct hand *h, const struct look *l, struct err *e)
{
	char now[LIST_MAX];
	long n = h->ops->read(h, l->path, now, sizeof(now));

	if (n == -ENOENT || n == -ENODEV || n == -ENOTDIR)
		return 0;
	if (n < 0)
		return err_set(e, (int)n, "cannot read %s%s: %s", h->m->path, l->path,
			       strerror((int)-n));
	return text_says(now, l);
}

static int look_link(struct hand *h, const struct look *l, struct err *e)
{
	char part[256];
	int rc = h->ops->link(h, l->path, part, sizeof(part));

	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ENODEV)
		return !*l->want;
	if (rc)
		return err_set(e, rc, "cannot read the link %s%s: %s", h->m->path, l->path,
			       strerror(-rc));
	return strcmp(part, l->want) == 0;
}

static int look_agent(struct hand *h, const struct look *l, struct err *e)
{
	char said[STEP_VALUE] = "";
	int rc = h->ops->ask(h, l->agent, l->path, said, sizeof(said), e);

	if (rc)
		return rc;
	return l->kind == LOOK_NEAR ? number_is_near(said, l->want) : strcmp(said, l->want) == 0;
}

static int look_as_is(struct hand *h, const struct look *l, struct err *e)
{
	switch (l->kind) {
	case LOOK_TEXT:
	case LOOK_MARKED:
		return look_text(h, l, e);
	case LOOK_NEAR:
		return *l->agent ? look_agent(h, l, e) : look_text(h, l, e);
	case LOOK_LINK:
		return look_link(h, l, e);
	case LOOK_HERE:
		return h->ops->exists(h, l->path);
	case LOOK_GONE:
		return !h->ops->exists(h, l->path);
	case LOOK_AGENT:
		return look_agent(h, l, e);
	case LOOK_NONE:
	case LOOK_KIND_COUNT:
		break;
	}
	return err_set(e, -ENODATA, "nothing tells whether it was done");
}

int hand_look(struct hand *h, const struct look *l, struct err *e)
{
	int is = look_as_is(h, l, e);

	return is < 0 ? is : is != (int)l->not ;
}

int hand_now(struct hand *h, const struct step *s, char now[STEP_VALUE], bool *gone)
{
	struct err ignored = { 0 };
	long n;

	*gone = false;
	now[0] = '\0';
	if (s->op == STEP_AWAIT)
		return 0;
	if (s->op == STEP_ASK)
		return h->ops->ask(h, s->agent, s->target, now, STEP_VALUE, &ignored) == 0;
	n = h->ops->read(h, s->target, now, STEP_VALUE);
	if (s->op == STEP_SAVE && (n == -ENOENT || n == -ENOTDIR)) {
		*gone = true;
		return 1;
	}
	if (n < 0)
		now[0] = '\0';
	else if (s->op == STEP_WRITE)
		value_trim(now);
	return n >= 0;
}

/* --- the hand that records --- */

static long rec_read(struct hand *h, const char *path, char *buf, size_t size)
{
	const char *text;

	switch (overlay_find(h->over, path, &text)) {
	case OVERLAY_TEXT:
		return text_copy(buf, size, text) ? (long)strlen(text) : -EFBIG;
	case OVERLAY_GONE:
		return -ENOENT;
	default:
		break;
	}
	long n = machine_read_bytes(h->m, path, buf, size);

	if (n >= 0 && (size_t)n == size)
		n = -EFBIG;
	buf[n < 0 ? 0 : n] = '\0';
	return n;
}

static int rec_link(struct hand *h, const char *path, char *buf, size_t size)
{
	char target[512];
	const char *text;

	switch (overlay_find(h->over, path, &text)) {
	case OVERLAY_LINK:
		return !*text ? -ENOENT : text_copy(buf, size, text) ? 0 : -EFBIG;
	case OVERLAY_GONE:
		return -ENOENT;
	default:
		break;
	}
	int rc = machine_link(h->m, path, target, sizeof(target));

	return rc ? rc : text_copy(buf, size, last_part(target)) ? 0 : -EFBIG;
}

static bool rec_exists(struct hand *h, const char *path)
{
	const char *text;
	enum overlay_says says = overlay_find(h->over, path, &text);

	if (says == OVERLAY_GONE || (says == OVERLAY_LINK && !*text))
		return false;
	return says != OVERLAY_NOTHING || machine_exists(h->m, path);
}

static int rec_ask(struct hand *h, const char *agent, const char *object, char *said, size_t size,
		   struct err *e)
{
	const char *asked = overlay_asked(h->over, agent, object);
	const struct agent *a = agent_find(h->agents, agent);

	if (asked)
		return text_copy(said, size, asked) ? 0 : -EFBIG;
	if (!a || !a->look)
		return err_set(e, -ENODATA, "'%s' tells nothing of %s", agent, object);
	return a->look(h->m, object, said, size, e);
}

/* Folders hold no files that only take orders; but what an earlier step removed takes none. */
static int rec_act(struct hand *h, const struct step *s, struct err *e)
{
	const char *text;

	if (s->op == STEP_WRITE && overlay_find(h->over, s->target, &text) == OVERLAY_GONE)
		return err_set(e, -ENODEV, "%s: /%s is gone by then", s->says, s->target);
	int rc = overlay_done(h->over, s);

	return rc ? err_set(e, rc, "out of memory") : 0;
}

static void rec_tidy(struct hand *h, const struct step *s)
{
	(void)h;
	(void)s;
}

static bool rec_pause(struct hand *h, int ms)
{
	(void)h;
	(void)ms;
	return false;
}

static const struct hand_ops recording = {
	.read = rec_read,
	.link = rec_link,
	.exists = rec_exists,
	.ask = rec_ask,
	.act = rec_act,
	.tidy = rec_tidy,
	.pause = rec_pause,
};

int hand_recording(struct hand *h, const struct machine *m, const struct agent *table)
{
	*h = (struct hand) { .ops = &recording, .m = m, .agents = table };
	h->over = overlay_new();
	return h->over ? 0 : -ENOMEM;
}

void hand_close(struct hand *h)
{
	overlay_free(h->over);
	h->over = NULL;
}

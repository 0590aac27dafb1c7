/* SPDX-License-Identifier: MIT */
#include "device/overlay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct fact_over {
	enum overlay_says says;
	bool of_agent; /* path is "agent object" */
	char path[STEP_TARGET + 16];
	char text[STEP_VALUE];
};

struct overlay {
	size_t n, room;
	struct fact_over *facts; /* in the order in which they came true */
};

struct overlay *overlay_new(void)
{
	return calloc(1, sizeof(struct overlay));
}

void overlay_free(struct overlay *o)
{
	if (o)
		free(o->facts);
	free(o);
}

static struct fact_over *add(struct overlay *o)
{
	if (o->n == o->room) {
		size_t room = o->room ? 2 * o->room : 32;
		void *more = reallocarray(o->facts, room, sizeof(*o->facts));

		if (!more)
			return NULL;
		o->facts = more;
		o->room = room;
	}
	o->facts[o->n] = (struct fact_over) { 0 };
	return &o->facts[o->n++];
}

static int remember(struct overlay *o, enum overlay_says says, const char *path, const char *text)
{
	struct fact_over *f = add(o);

	if (!f)
		return -ENOMEM;
	f->says = says;
	text_copy(f->path, sizeof(f->path), path);
	text_copy(f->text, sizeof(f->text), text);
	return 0;
}

static void agent_path(char *to, size_t size, const char *agent, const char *object)
{
	struct text t;

	text_init(&t, to, size);
	text_add(&t, "%s %s", agent, object);
}

static int remember_asked(struct overlay *o, const char *agent, const char *object,
			  const char *said)
{
	char path[STEP_TARGET + 16];

	agent_path(path, sizeof(path), agent, object);
	int rc = remember(o, OVERLAY_TEXT, path, said);

	if (!rc)
		o->facts[o->n - 1].of_agent = true;
	return rc;
}

/* A list that marks nothing but the choice. */
static int remember_marked(struct overlay *o, const struct look *l)
{
	char list[sizeof(l->want) + 2];

	snprintf(list, sizeof(list), "[%s]", l->want);
	return remember(o, OVERLAY_TEXT, l->path, list);
}

/* That a look came true. One that says "not so" leaves open what is so instead, but for things and links. */
static int remember_look(struct overlay *o, const struct look *l)
{
	bool here = (l->kind == LOOK_HERE) != l->not ;

	switch (l->kind) {
	case LOOK_TEXT:
		return l->not ? 0 : remember(o, OVERLAY_TEXT, l->path, l->want);
	case LOOK_MARKED:
		return l->not ? 0 : remember_marked(o, l);
	case LOOK_LINK:
		if (l->not )
			return remember(o, OVERLAY_LINK, l->path, *l->want ? "" : "something");
		return remember(o, OVERLAY_LINK, l->path, l->want);
	case LOOK_HERE:
	case LOOK_GONE:
		return remember(o, here ? OVERLAY_HERE : OVERLAY_GONE, l->path, "");
	case LOOK_NEAR:
		if (*l->agent)
			return l->not ? 0 : remember_asked(o, l->agent, l->path, l->want);
		return l->not ? 0 : remember(o, OVERLAY_TEXT, l->path, l->want);
	case LOOK_AGENT:
		return l->not ? 0 : remember_asked(o, l->agent, l->path, l->want);
	case LOOK_NONE:
	case LOOK_KIND_COUNT:
		break;
	}
	return 0;
}

int overlay_done(struct overlay *o, const struct step *s)
{
	int rc = 0;

	if (s->op == STEP_SAVE)
		rc = remember(o, s->gone ? OVERLAY_GONE : OVERLAY_TEXT, s->target, s->value);
	else if (s->op == STEP_WRITE && s->known)
		rc = remember(o, OVERLAY_TEXT, s->target, s->value);
	else if (s->op == STEP_ASK)
		rc = remember_asked(o, s->agent, s->target, s->value);
	return rc ? rc : remember_look(o, &s->after);
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

enum overlay_says overlay_find(const struct overlay *o, const char *path, const char **text)
{
	for (size_t i = o->n; i-- > 0;) {
		const struct fact_over *f = &o->facts[i];

		if (f->of_agent)
			continue;
		if (strcmp(f->path, path) == 0) {
			*text = f->text;
			return f->says;
		}
		if (f->says == OVERLAY_GONE && is_below(path, f->path))
			return OVERLAY_GONE;
		/* What is here again is as the machine has it. */
		if (f->says == OVERLAY_HERE && is_below(path, f->path))
			return OVERLAY_NOTHING;
	}
	return OVERLAY_NOTHING;
}

const char *overlay_asked(const struct overlay *o, const char *agent, const char *object)
{
	char path[STEP_TARGET + 16];

	agent_path(path, sizeof(path), agent, object);
	for (size_t i = o->n; i-- > 0;)
		if (o->facts[i].of_agent && strcmp(o->facts[i].path, path) == 0)
			return o->facts[i].text;
	return NULL;
}

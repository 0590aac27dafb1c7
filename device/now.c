/* SPDX-License-Identifier: MIT */
#include "device/now.h"

#include <string.h>

#include "base/text.h"

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void say_link(struct hand *h, const struct look *l, struct text *t)
{
	char part[64];
	int rc = h->ops->link(h, l->path, part, sizeof(part));

	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ENODEV)
		text_add(t, "no %s", last_part(l->path));
	else if (rc == 0)
		text_add(t, "%s is %s", last_part(l->path), text_clean(part));
}

/* Of a BAR its size; other agents might wake something, or ask a service, for a text alone. */
static void say_agent(struct hand *h, const struct look *l, struct text *t)
{
	struct err ignored = { 0 };
	char said[64], size[TEXT_SIZE_MAX];
	uint64_t bytes;

	if (strcmp(l->agent, "pci") == 0 && strncmp(l->path, "bar ", 4) == 0 &&
	    h->ops->ask(h, l->agent, l->path, said, sizeof(said), &ignored) == 0 &&
	    text_parse_u64(said, &bytes) == 0)
		text_add(t, "BAR %c has %s", l->path[4], text_size(size, bytes));
}

static void say_now(struct hand *h, struct step *s)
{
	struct text t;

	text_init(&t, s->now, sizeof(s->now));
	if (s->after.kind == LOOK_LINK)
		say_link(h, &s->after, &t);
	else if (s->after.kind == LOOK_HERE || s->after.kind == LOOK_GONE)
		text_add(&t, "%s is %sthere", last_part(s->after.path),
			 h->ops->exists(h, s->after.path) ? "" : "not ");
	else if (s->after.kind == LOOK_AGENT)
		say_agent(h, &s->after, &t);
	if (t.cut)
		s->now[0] = '\0';
}

int txn_now(struct txn *t, const struct machine *m)
{
	struct err ignored = { 0 };
	struct hand h;
	int rc = hand_recording(&h, m, agents);

	for (uint32_t i = 0; i < t->n && !rc; i++) {
		if (t->steps[i].op == STEP_WRITE && !t->steps[i].known)
			say_now(&h, &t->steps[i]);
		h.ops->act(&h, &t->steps[i], &ignored);
	}
	hand_close(&h);
	return rc;
}

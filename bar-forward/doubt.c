/* SPDX-License-Identifier: MIT */
#include "bar-forward/doubt.h"

static struct doubt of_access(const struct share_access *a, const struct evidence *e)
{
	uint64_t moved;

	if (e->by_device)
		return (struct doubt) { .kind = e->ran ? DOUBT_RAN : DOUBT_NOT };
	if (!e->counted)
		return (struct doubt) { .kind = DOUBT_UNKNOWN };
	moved = (a->write ? e->counted->written : e->counted->read) - a->before;
	/* Half of it: a kernel that makes two accesses of one. */
	return (struct doubt) { .kind = moved == 0          ? DOUBT_NOT
					: moved == a->width ? DOUBT_RAN
							    : DOUBT_UNKNOWN };
}

static struct doubt of_bytes(enum doubt_kind kind, uint64_t moved, uint64_t length,
			     const struct evidence *e)
{
	if (!e->counted || moved > length)
		return (struct doubt) { .kind = DOUBT_UNKNOWN, .answered = true };
	return (struct doubt) { .kind = kind, .bytes = moved };
}

struct doubt doubt_of(const struct share_note *n, const struct evidence *e)
{
	uint32_t phase = atomic_load(&n->phase);
	uint64_t read = e->counted ? e->counted->read : 0;
	uint64_t written = e->counted ? e->counted->written : 0;

	switch (phase) {
	case SHARE_ACCESS:
		/* Of what is not the one that is waited for everything is known already. */
		if (!n->access.asked != !e->asked || (!e->asked && n->multi_done > n->access.turn))
			return (struct doubt) { .kind = DOUBT_NOTHING };
		return of_access(&n->access, e);
	case SHARE_ANSWER:
		return of_bytes(DOUBT_ANSWER, written - n->reply.before, n->reply.length, e);
	case SHARE_TAKE:
		return of_bytes(DOUBT_TAKE, read - n->take.before, n->take.length, e);
	default:
		return (struct doubt) { .kind = DOUBT_NOTHING };
	}
}

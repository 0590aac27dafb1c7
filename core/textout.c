/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/textout.h"
#include "core/utf8.h"

void textout_init(struct textout *t, char *const *stops, size_t n_stops)
{
	*t = (struct textout) { .stops = stops, .n_stops = n_stops, .stopped_by = -1 };
}

void textout_fini(struct textout *t)
{
	free(t->held);
	t->held = NULL;
}

static int grow(struct textout *t, size_t n)
{
	size_t size = (t->n_held + n) * 2 + 64;
	char *p;

	if (t->n_held + n <= t->size)
		return 0;
	p = realloc(t->held, size);
	if (!p)
		return -ENOMEM;
	t->held = p;
	t->size = size;
	return 0;
}

/* The stop string that begins first; of several there, the longest. */
static int find_stop(const struct textout *t, size_t *at)
{
	int found = -1;

	for (size_t i = 0; i < t->n_stops; i++) {
		size_t n = strlen(t->stops[i]);
		const char *p = memmem(t->held, t->n_held, t->stops[i], n);
		size_t here = p ? (size_t)(p - t->held) : 0;

		if (!p || (found >= 0 && here > *at) ||
		    (found >= 0 && here == *at && n < strlen(t->stops[found])))
			continue;
		found = (int)i;
		*at = here;
	}
	return found;
}

/* How many bytes at the end may be the beginning of a stop string. */
static size_t maybe_stop(const struct textout *t)
{
	size_t most = 0;

	for (size_t i = 0; i < t->n_stops; i++) {
		size_t n = strlen(t->stops[i]) - 1;

		for (n = n < t->n_held ? n : t->n_held; n > most; n--) {
			if (memcmp(t->held + t->n_held - n, t->stops[i], n) == 0)
				most = n;
		}
	}
	return most;
}

int textout_feed(struct textout *t, const char *bytes, size_t n)
{
	size_t at = 0, hold, part;

	if (grow(t, n))
		return -ENOMEM;
	if (n)
		memcpy(t->held + t->n_held, bytes, n);
	t->n_held += n;
	t->stopped_by = find_stop(t, &at);
	if (t->stopped_by >= 0) {
		t->n_held = t->n_ready = at;
		return 0;
	}
	hold = maybe_stop(t);
	part = utf8_unfinished(t->held, t->n_held);
	t->n_ready = t->n_held - (hold > part ? hold : part);
	/* What is held back for a stop string may begin inside of a character */
	t->n_ready -= utf8_unfinished(t->held, t->n_ready);
	return 0;
}

void textout_end(struct textout *t)
{
	t->n_ready = t->n_held;
}

void textout_taken(struct textout *t)
{
	t->n_held -= t->n_ready;
	if (t->n_held)
		memmove(t->held, t->held + t->n_ready, t->n_held);
	t->n_ready = 0;
}

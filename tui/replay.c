/* SPDX-License-Identifier: MIT */
/* A film as a feed: plays as time goes by, and can be wound. */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "tui/film.h"

#define LEAD_S 60 /* what the curves of a screen show */

static void go_to(struct replay *r, int64_t ms)
{
	int64_t first = (int64_t)film_first_ms(r->film), last = (int64_t)film_last_ms(r->film);

	ms = ms < first ? first : ms;
	r->at_ms = (uint64_t)(ms > last ? last : ms);
}

void replay_begin(struct replay *r, struct film *f, const char *name, int64_t at_s)
{
	uint64_t from = at_s < 0 ? film_last_ms(f) : film_first_ms(f);

	*r = (struct replay) { .film = f };
	text_copy(r->name, sizeof(r->name), name);
	text_clean(r->name);
	go_to(r, (int64_t)from + at_s * 1000);
}

/* "2:05 of 10:00", the place in the film. */
static void put_place(const struct replay *r, struct snapshot *s)
{
	uint64_t at = (r->at_ms - film_first_ms(r->film)) / 1000;
	uint64_t all = (film_last_ms(r->film) - film_first_ms(r->film)) / 1000;

	snprintf(s->origin_name, sizeof(s->origin_name), "%.30s, %u:%02u of %u:%02u", r->name,
		 (unsigned)(at / 60), (unsigned)(at % 60), (unsigned)(all / 60),
		 (unsigned)(all % 60));
}

void replay_show(struct replay *r, struct snapshot *s)
{
	film_show(r->film, r->at_ms, s);
	s->now_ns = r->at_ms * 1000000; /* nothing may have changed since the last line */
	s->origin = ORIGIN_REPLAY;
	put_place(r, s);
}

static void next(void *ctx, struct snapshot *s)
{
	struct replay *r = ctx;

	if (r->ahead) {
		r->ahead--;
		replay_show(r, s);
		r->at_ms += 1000;
		return;
	}
	uint64_t now = clock_ns(), gone = r->last_ns ? (now - r->last_ns) / 1000000 : 0;

	/* A monitor that was paused asks late: the film waited for it. */
	if (gone > 2 * (uint64_t)s->interval_ms)
		gone = s->interval_ms;
	r->last_ns = now;
	go_to(r, (int64_t)(r->at_ms + gone));
	replay_show(r, s);
}

static uint32_t wind(void *ctx, int64_t seconds)
{
	struct replay *r = ctx;
	uint64_t before;

	go_to(r, (int64_t)r->at_ms + seconds * 1000);
	before = r->at_ms - film_first_ms(r->film);
	r->ahead = before / 1000 < LEAD_S ? (uint32_t)(before / 1000) : LEAD_S;
	r->at_ms -= r->ahead * UINT64_C(1000);
	r->last_ns = 0;
	return r->ahead;
}

struct feed replay_feed(struct replay *r)
{
	return (struct feed) { .next = next, .wind = wind, .ctx = r };
}

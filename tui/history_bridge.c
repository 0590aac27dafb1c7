/* SPDX-License-Identifier: MIT */
/* What follows from two moments of a bridge: accesses a second, and what they took. */
#include <string.h>

#include "base/text.h"
#include "tui/history_priv.h"
#include "tui/judge.h"

const struct bridge_history *history_bridge(const struct history *h, const char *key)
{
	for (uint32_t i = 0; i < h->n_bridges; i++)
		if (strcmp(h->bridges[i].key, key) == 0)
			return &h->bridges[i];
	return NULL;
}

static uint32_t oldest(const struct history *h)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < h->n_bridges; i++)
		if (h->bridges[i].seen_ns < h->bridges[best].seen_ns)
			best = i;
	return best;
}

static struct bridge_history *slot(struct history *h, const char *key)
{
	const struct bridge_history *known = history_bridge(h, key);
	struct bridge_history *b;

	if (known)
		return &h->bridges[known - h->bridges];
	b = &h->bridges[h->n_bridges < HISTORY_BRIDGES ? h->n_bridges++ : oldest(h)];
	memset(b, 0, sizeof(*b));
	text_copy(b->key, sizeof(b->key), key);
	for (int i = 0; i < BRIDGE_SERIES; i++)
		series_clear(&b->s[i]);
	return b;
}

void bridges_move_on(struct history *h, uint64_t seconds)
{
	uint32_t by = seconds < HISTORY_WINDOW ? (uint32_t)seconds : HISTORY_WINDOW;

	for (uint32_t i = 0; seconds && i < h->n_bridges; i++) {
		struct bridge_history *b = &h->bridges[i];

		for (int k = 0; k < BRIDGE_SERIES; k++)
			series_shift(&b->s[k], seconds);
		memmove(b->window, b->window + by, (HISTORY_WINDOW - by) * sizeof(b->window[0]));
		memset(b->window + HISTORY_WINDOW - by, 0, by * sizeof(b->window[0]));
	}
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return __builtin_add_overflow(a, b, &a) ? UINT64_MAX : a;
}

/* Another bridge of that name, or counters that went backwards: what came between is not known. */
static bool began_anew(const struct bridge_history *b, const struct telem_bridge *page,
		       const struct traffic *t)
{
	if (!b->counted || b->page_started_ns != page->started_ns ||
	    sum(t->reads, t->writes) < b->accesses || t->writes < b->writes)
		return true;
	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		if (page->latency[i] < b->latency[i])
			return true;
	return false;
}

static void take(struct bridge_history *b, const struct telem_bridge *page, const struct traffic *t)
{
	b->accesses = sum(t->reads, t->writes);
	b->writes = t->writes;
	memcpy(b->latency, page->latency, sizeof(b->latency));
	b->latency_max_ns = page->counts.latency_max_ns;
	b->page_started_ns = page->started_ns;
	b->counted = true;
}

double history_latency(const struct bridge_history *b, double share)
{
	struct telem_bridge all = { .counts.latency_max_ns = b->latency_max_ns };

	for (uint32_t i = 0; i < HISTORY_WINDOW; i++)
		for (uint32_t k = 0; k < TELEM_LATENCY; k++)
			all.latency[k] = sum(all.latency[k], b->window[i][k]);
	return judge_latency(&all, share);
}

static void add(struct history *h, const struct snapshot *s, const struct bridge_seen *seen,
		uint64_t seconds, double passed_s)
{
	struct bridge_history *b = slot(h, seen->key);
	const struct telem_bridge *page = &seen->page;
	const struct traffic t = judge_traffic(page);
	uint64_t *newest = b->window[HISTORY_WINDOW - 1];
	double p99;

	b->seen_ns = s->now_ns;
	if (!judge_bridge_lives(seen)) {
		b->counted = false;
		return;
	}
	if (began_anew(b, page, &t) || passed_s <= 0) {
		take(b, page, &t);
		return;
	}
	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		newest[i] = sum(newest[i], page->latency[i] - b->latency[i]);
	p99 = telem_percentile(newest, 0.99);
	series_put(&b->s[SERIES_ACCESSES],
		   (double)(sum(t.reads, t.writes) - b->accesses) / passed_s, seconds);
	series_put(&b->s[SERIES_WRITES], (double)(t.writes - b->writes) / passed_s, seconds);
	series_put(&b->s[SERIES_P99_US], p99 < 0 ? -1 : p99 / 1000, seconds);
	take(b, page, &t);
}

void bridges_add(struct history *h, const struct snapshot *s, uint64_t seconds, double passed_s)
{
	for (uint32_t i = 0; i < s->n_bridges; i++)
		add(h, s, &s->bridges[i], seconds, passed_s);
}

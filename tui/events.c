/* SPDX-License-Identifier: MIT */
#include "tui/events.h"

#include <inttypes.h>
#include <string.h>

#include "tui/events_priv.h"

/* Alarms where nobody set others. Most cards slow down between 83 and 95 degrees. */
const struct thresholds thresholds_default = {
	.temp_c = 90,
	.memory_percent = 97,
	.context_percent = 90,
	.queue = 8,
	.silent_s = 10,
};

/* --- the log --- */

static struct event *add(struct events *ev, const struct snapshot *s, enum severity severity,
			 const char *rule, const char *subject)
{
	struct event *e = ev->quiet ? &ev->unheard : &ev->ring[ev->n++ % EVENTS_MAX];

	ev->seq += !ev->quiet;
	if (ev->n - ev->first > EVENTS_MAX)
		ev->first = ev->n - EVENTS_MAX;
	*e = (struct event) { .seq = ev->seq, .ns = s->now_ns, .severity = severity };
	text_copy(e->clock, sizeof(e->clock), s->clock);
	text_copy(e->rule, sizeof(e->rule), rule);
	text_copy(e->subject, sizeof(e->subject), subject);
	return e;
}

static void say(struct events *ev, const struct snapshot *s, enum severity severity,
		const char *rule, const char *subject, const char *text)
{
	struct event *e = add(ev, s, severity, rule, subject);

	text_copy(e->text, sizeof(e->text), text);
}

void events_say(struct events *ev, const struct snapshot *s, enum severity severity,
		const char *text)
{
	say(ev, s, severity, "monitor", "", text);
}

const struct event *events_newest(const struct events *ev, uint32_t i)
{
	if (i >= ev->n - ev->first)
		return NULL;
	return &ev->ring[(ev->n - 1 - i) % EVENTS_MAX];
}

/* --- watching --- */

static struct watched *find(struct events *ev, const char *key)
{
	for (uint32_t i = 0; i < ev->n_watched; i++)
		if (strcmp(ev->watched[i].key, key) == 0)
			return &ev->watched[i];
	return NULL;
}

/* A new subject, or the place of one that is gone; NULL: there are too many. */
static struct watched *slot(struct events *ev, const char *key)
{
	const uint32_t room = sizeof(ev->watched) / sizeof(ev->watched[0]);
	struct watched *w = NULL;

	if (ev->n_watched < room)
		w = &ev->watched[ev->n_watched++];
	for (uint32_t i = 0; !w && i < room; i++)
		if (!ev->watched[i].seen)
			w = &ev->watched[i];
	if (w) {
		*w = (struct watched) { 0 };
		text_copy(w->key, sizeof(w->key), key);
	}
	return w;
}

static void tell_rule(struct events *ev, const struct at *at, const struct rule *r, const char *key,
		      const char *text)
{
	struct event *e = add(ev, at->s, r->severity, r->id, key);

	text_copy(e->text, sizeof(e->text), text);
	text_copy(e->help, sizeof(e->help), r->help);
	/* A run without a supervisor has no log, and nobody who would restart it. */
	if (r->named && !at->run->name[0])
		e->help[0] = '\0';
	else if (r->named) {
		struct text t;

		text_init(&t, e->help, sizeof(e->help));
		text_add(&t, "%s %s", r->help, at->run->name);
	}
}

/* A device that is lost or silent tells nothing of its heat: such rules stand as they stood. */
static bool stands_still(const struct at *at, const struct rule *r)
{
	return r->about == ABOUT_DEVICE && !r->anyway &&
	       (at->device == DEVICE_LOST || at->device == DEVICE_SILENT);
}

static void judge_rules(struct events *ev, struct watched *w, const struct at *at, bool news)
{
	for (uint32_t i = 0; i < n_event_rules; i++) {
		const struct rule *r = &event_rules[i];
		bool held = w->holds & 1u << i;
		char sentence[200];
		struct text text;
		bool holds;

		if (r->about != at->about || stands_still(at, r))
			continue;
		text_init(&text, sentence, sizeof(sentence));
		holds = r->holds(at, &text);
		if (holds && !held && (news || r->severity > SEVERITY_INFO))
			tell_rule(ev, at, r, w->key, sentence);
		if (!holds && held && r->over)
			say(ev, at->s, SEVERITY_INFO, r->id, w->key, r->over);
		w->holds = holds ? w->holds | 1u << i : w->holds & ~(1u << i);
	}
}

static void watch_device(struct events *ev, const struct snapshot *s, const struct thresholds *t,
			 uint32_t i)
{
	const struct gpu *g = &s->report->gpus[i];
	const struct at at = { .about = ABOUT_DEVICE,
			       .s = s,
			       .t = t,
			       .gpu = g,
			       .seen = &s->devices[i],
			       .device = judge_device(s, i) };
	struct watched *w = find(ev, g->pci);
	bool known = w != NULL;

	if (!w)
		w = slot(ev, g->pci);
	if (!w)
		return;
	if (!known && ev->begun)
		say(ev, s, SEVERITY_INFO, "appeared", w->key,
		    fact_text_known(&g->name) ? g->name.v : "a new device");
	w->seen = true;
	judge_rules(ev, w, &at, known);
}

/* Why, too: between two looks it may have ended and begun, and nothing else would tell. */
static void tell_restart(struct events *ev, const struct snapshot *s, const char *key,
			 const struct run_seen *r)
{
	struct event *e = add(ev, s, SEVERITY_WARN, "restarted", key);
	struct text t;

	text_init(&t, e->text, sizeof(e->text));
	text_add(&t, "was started again%s%s", r->last_sentence[0] ? ": " : "", r->last_sentence);
	text_init(&t, e->help, sizeof(e->help));
	if (r->name[0])
		text_add(&t, "berth logs %s", r->name);
}

static void watch_run(struct events *ev, const struct snapshot *s, const struct thresholds *t,
		      uint32_t i)
{
	const struct run_seen *r = &s->runs[i];
	const struct at at = {
		.about = ABOUT_RUN, .s = s, .t = t, .run = r, .state = judge_run(r)
	};
	struct watched *w = find(ev, run_key(r));
	bool known = w != NULL;

	if (at.state == RUN_NO_PAGE)
		return; /* the screen has a note of it */
	if (!w)
		w = slot(ev, run_key(r));
	if (!w)
		return;
	if (!known && ev->begun && judge_run_lives(r))
		say(ev, s, SEVERITY_INFO, "began", w->key, r->page.run.model);
	if (known && r->starts > w->starts && w->starts)
		tell_restart(ev, s, w->key, r);
	w->starts = r->starts;
	w->seen = true;
	judge_rules(ev, w, &at, known);
}

#define DENIED_NS UINT64_C(60000000000) /* how long refused accesses are news */

/* What the counters of a bridge did since the snapshot before; the first one that is seen did nothing. */
static void count_bridge(struct events *ev, struct watched *w, const struct snapshot *s,
			 const struct telem_bridge *b, bool known)
{
	uint64_t denied = judge_traffic(b).denied, workers = b->counts.worker_restarts;
	bool same = known && w->page_started_ns == b->started_ns;

	workers = workers == TELEM_UNKNOWN ? 0 : workers;
	if (same && workers > w->workers) {
		struct event *e = add(ev, s, SEVERITY_WARN, "worker", w->key);

		text_copy(e->text, sizeof(e->text), "its worker ended, and another took over");
		text_copy(e->help, sizeof(e->help), "berth bridge status");
	}
	if (!same || s->now_ns - w->denied_ns > DENIED_NS)
		w->denied_ns = 0;
	if (same && denied > w->denied)
		w->denied_ns = s->now_ns;
	w->page_started_ns = b->started_ns;
	w->workers = workers;
	w->denied = denied;
}

static void watch_bridge(struct events *ev, const struct snapshot *s, const struct thresholds *t,
			 uint32_t i)
{
	const struct bridge_seen *b = &s->bridges[i];
	struct at at = {
		.about = ABOUT_BRIDGE, .s = s, .t = t, .bridge = b, .bridge_state = judge_bridge(b)
	};
	struct watched *w = find(ev, b->key);
	bool known = w != NULL;

	if (!w)
		w = slot(ev, b->key);
	if (!w)
		return;
	if (!known && ev->begun && judge_bridge_lives(b))
		say(ev, s, SEVERITY_INFO, "began", w->key, b->page.socket);
	count_bridge(ev, w, s, &b->page, known);
	at.refused = w->denied_ns > 0;
	w->seen = true;
	judge_rules(ev, w, &at, known);
}

/* Those that are not in the snapshot any more; nothing stands for them. */
static void gone(struct events *ev, const struct snapshot *s, const bool *before)
{
	for (uint32_t i = 0; i < ev->n_watched; i++) {
		struct watched *w = &ev->watched[i];

		if (w->seen)
			continue;
		if (before[i])
			say(ev, s, SEVERITY_INFO, "gone", w->key, "is gone");
		*w = (struct watched) { 0 };
	}
}

/* A recording was wound back: what lies ahead is no event yet, and what stands then was told then. */
static void go_back(struct events *ev, const struct snapshot *s)
{
	while (ev->n > ev->first && ev->ring[(ev->n - 1) % EVENTS_MAX].ns > s->now_ns)
		ev->n--;
	memset(ev->watched, 0, sizeof(ev->watched));
	ev->n_watched = 0;
	ev->quiet = true;
}

void events_add(struct events *ev, const struct snapshot *s, const struct thresholds *t)
{
	bool before[sizeof(ev->watched) / sizeof(ev->watched[0])];

	if (s->now_ns < ev->last_ns)
		go_back(ev, s);
	ev->last_ns = s->now_ns;
	for (uint32_t i = 0; i < ev->n_watched; i++) {
		before[i] = ev->watched[i].seen;
		ev->watched[i].seen = false;
	}
	for (uint32_t i = ev->n_watched; i < sizeof(before); i++)
		before[i] = false;
	for (uint32_t i = 0; s->report && i < s->report->n_gpus; i++)
		watch_device(ev, s, t, i);
	for (uint32_t i = 0; i < s->n_runs; i++)
		watch_run(ev, s, t, i);
	for (uint32_t i = 0; i < s->n_bridges; i++)
		watch_bridge(ev, s, t, i);
	gone(ev, s, before);
	ev->begun = ev->begun || s->report;
	ev->quiet = false;
}

uint32_t events_standing(const struct events *ev, enum severity at_least)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ev->n_watched; i++)
		for (uint32_t k = 0; k < n_event_rules; k++)
			n += ev->watched[i].holds >> k & 1 && event_rules[k].severity >= at_least;
	return n;
}

bool events_worst(const struct events *ev, const char *key, enum severity *severity)
{
	bool any = false;

	for (uint32_t i = 0; i < ev->n_watched; i++)
		for (uint32_t k = 0; !strcmp(ev->watched[i].key, key) && k < n_event_rules; k++) {
			if (!(ev->watched[i].holds >> k & 1))
				continue;
			if (!any || event_rules[k].severity > *severity)
				*severity = event_rules[k].severity;
			any = true;
		}
	return any;
}

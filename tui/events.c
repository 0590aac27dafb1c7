/* SPDX-License-Identifier: MIT */
#include "tui/events.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/judge.h"

/* Alarms where nobody set others. Most cards slow down between 83 and 95 degrees. */
const struct thresholds thresholds_default = {
	.temp_c = 90,
	.memory_percent = 97,
	.context_percent = 90,
	.queue = 8,
	.silent_s = 10,
};

#define DRIFT_PERCENT 10 /* more than that beside the plan is worth a word */

/* What a rule looks at: a device or a run, never both. */
struct at {
	const struct snapshot *s;
	const struct thresholds *t;
	const struct gpu *gpu;
	const struct device_seen *seen;
	enum device_state device;
	const struct run_seen *run;
	enum run_state state;
};

/* Whether it holds now; the sentence about it goes into `text`. */
typedef bool rule_fn(const struct at *at, struct text *text);

/* --- devices --- */

static bool device_lost(const struct at *at, struct text *text)
{
	text_add(text, "left its bus, or answers nothing until it is reset");
	return at->device == DEVICE_LOST;
}

static bool device_silent(const struct at *at, struct text *text)
{
	text_add(text, "has not answered for %" PRIu64 " s: a driver hangs",
		 at->seen->waiting_ms / 1000);
	return at->t->silent_s && at->device != DEVICE_LOST &&
	       at->seen->waiting_ms >= (uint64_t)at->t->silent_s * 1000;
}

static bool device_asleep(const struct at *at, struct text *text)
{
	text_add(text, "fell asleep");
	return at->device == DEVICE_ASLEEP;
}

static bool device_hot(const struct at *at, struct text *text)
{
	const struct fact *f = &at->gpu->temp_mc;

	if (!fact_known(f) || !at->t->temp_c || at->device != DEVICE_OK)
		return false;
	text_add(text, "is at %" PRId64 " C; the alarm is set to %" PRIu32, f->v / 1000,
		 at->t->temp_c);
	return f->v >= (int64_t)at->t->temp_c * 1000;
}

static bool device_throttled(const struct at *at, struct text *text)
{
	const struct fact_text *f = &at->gpu->live.throttle;

	text_add(text, "is slowed down by heat (%s)", f->v);
	return fact_text_known(f) && strstr(f->v, "thermal") && at->device == DEVICE_OK;
}

static bool device_full(const struct at *at, struct text *text)
{
	const struct fact *total = &at->gpu->vram_total, *used = &at->gpu->vram_used;
	double percent;

	if (!fact_known(total) || !fact_known(used) || total->v <= 0 || !at->t->memory_percent)
		return false;
	percent = (double)used->v / (double)total->v * 100;
	text_add(text, "has %.0f %% of its memory in use", percent);
	return percent >= at->t->memory_percent && at->device == DEVICE_OK;
}

static bool device_slow_link(const struct at *at, struct text *text)
{
	text_add(text, "has a link slower than both its ends can");
	return at->gpu->link.cause == LINK_CAUSE_DOWN && at->device == DEVICE_OK;
}

/* --- runs --- */

static bool run_lost(const struct at *at, struct text *text)
{
	text_add(text, "its process is gone without a word");
	return at->state == RUN_LOST;
}

static bool run_failed(const struct at *at, struct text *text)
{
	const struct run_seen *r = at->run;

	if (r->last_class[0])
		text_add(text, "failed (%s): %s", r->last_class, r->last_sentence);
	else
		text_add(text, "failed");
	return at->state == RUN_FAILED;
}

static bool run_waiting(const struct at *at, struct text *text)
{
	const struct run_seen *r = at->run;

	text_add(text, "is started again after: %s%s%s",
		 r->last_class[0] ? r->last_class : "a core that ended",
		 r->last_sentence[0] ? ", " : "", r->last_sentence);
	return at->state == RUN_WAITING;
}

static bool run_stalled(const struct at *at, struct text *text)
{
	text_add(text, "lives, but gives no sign of life");
	return at->state == RUN_STALLED;
}

static bool run_elsewhere(const struct at *at, struct text *text)
{
	text_add(text, "has layers elsewhere than planned");
	return (at->state == RUN_READY || at->state == RUN_GENERATING) &&
	       !judge_verified(&at->run->page.run);
}

static bool run_context(const struct at *at, struct text *text)
{
	const struct telem_run *run = &at->run->page.run;
	bool known = run->ctx_tokens && run->ctx_used_tokens != TELEM_UNKNOWN32;
	uint64_t percent = known ? (uint64_t)run->ctx_used_tokens * 100 / run->ctx_tokens : 0;

	text_add(text, "has %" PRIu64 " %% of its context in use", percent);
	return at->t->context_percent && percent >= at->t->context_percent &&
	       judge_run_lives(at->run);
}

static bool run_queue(const struct at *at, struct text *text)
{
	text_add(text, "has %" PRIu32 " requests waiting", at->run->page.run.queue);
	return at->t->queue && at->run->page.run.queue >= at->t->queue && judge_run_lives(at->run);
}

static bool run_drift(const struct at *at, struct text *text)
{
	double percent, measured, planned;

	if (!judge_run_lives(at->run) || at->state == RUN_STARTING ||
	    !judge_drift(&at->run->page.run, &percent, &measured, &planned))
		return false;
	text_add(text, "holds %+.0f %% beside its plan", percent);
	return percent >= DRIFT_PERCENT || percent <= -DRIFT_PERCENT;
}

/*
 * `help`: the command; with `named` the run's name follows. `over`: what is said once it holds no more;
 * NULL: nothing.
 */
static const struct rule {
	const char *id;
	enum severity severity;
	bool of_device;
	rule_fn *holds;
	const char *help;
	bool named;
	const char *over;
} rules[] = {
	{ "lost", SEVERITY_BAD, true, device_lost, "berth doctor", false, "is back" },
	{ "silent", SEVERITY_BAD, true, device_silent, "berth doctor", false, "answers again" },
	{ "asleep", SEVERITY_INFO, true, device_asleep, "", false, "woke up" },
	{ "hot", SEVERITY_WARN, true, device_hot, "berth doctor", false, "has cooled down" },
	{ "throttled", SEVERITY_WARN, true, device_throttled, "berth doctor", false,
	  "is not slowed down by heat any more" },
	{ "full", SEVERITY_WARN, true, device_full, "berth plan --device ADDR MODEL", false,
	  "has memory to spare again" },
	{ "link", SEVERITY_WARN, true, device_slow_link, "berth doctor", false, NULL },
	{ "run-lost", SEVERITY_BAD, false, run_lost, "berth logs", true, NULL },
	{ "failed", SEVERITY_BAD, false, run_failed, "berth logs", true, NULL },
	{ "waiting", SEVERITY_WARN, false, run_waiting, "berth logs", true, NULL },
	{ "stalled", SEVERITY_WARN, false, run_stalled, "berth restart", true,
	  "gives signs of life again" },
	{ "elsewhere", SEVERITY_BAD, false, run_elsewhere, "berth logs", true, NULL },
	{ "context", SEVERITY_WARN, false, run_context, "", false, NULL },
	{ "queue", SEVERITY_WARN, false, run_queue, "", false, "has caught up with its requests" },
	{ "drift", SEVERITY_WARN, false, run_drift, "berth plan --verify MODEL", false, NULL },
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))

_Static_assert(N_RULES <= RULES_MAX, "the bits of struct watched");

/* --- the log --- */

static struct event *add(struct events *ev, const struct snapshot *s, enum severity severity,
			 const char *rule, const char *subject)
{
	struct event *e = &ev->ring[ev->n++ % EVENTS_MAX];

	*e = (struct event) { .seq = ev->n, .ns = s->now_ns, .severity = severity };
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
	if (i >= EVENTS_MAX || i >= ev->n)
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
	return r->of_device && r->holds != device_lost && r->holds != device_silent &&
	       (at->device == DEVICE_LOST || at->device == DEVICE_SILENT);
}

static void judge_rules(struct events *ev, struct watched *w, const struct at *at, bool news)
{
	for (uint32_t i = 0; i < N_RULES; i++) {
		const struct rule *r = &rules[i];
		bool held = w->holds & 1u << i;
		char sentence[200];
		struct text text;
		bool holds;

		if (r->of_device != (at->gpu != NULL) || stands_still(at, r))
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
	const struct at at = {
		.s = s, .t = t, .gpu = g, .seen = &s->devices[i], .device = judge_device(s, i)
	};
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

static void watch_run(struct events *ev, const struct snapshot *s, const struct thresholds *t,
		      uint32_t i)
{
	const struct run_seen *r = &s->runs[i];
	const struct at at = { .s = s, .t = t, .run = r, .state = judge_run(r) };
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
		say(ev, s, SEVERITY_WARN, "restarted", w->key, "was started again");
	w->starts = r->starts;
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

void events_add(struct events *ev, const struct snapshot *s, const struct thresholds *t)
{
	bool before[sizeof(ev->watched) / sizeof(ev->watched[0])];

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
	gone(ev, s, before);
	ev->begun = ev->begun || s->report;
}

uint32_t events_standing(const struct events *ev, enum severity at_least)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ev->n_watched; i++)
		for (uint32_t k = 0; k < N_RULES; k++)
			n += ev->watched[i].holds >> k & 1 && rules[k].severity >= at_least;
	return n;
}

bool events_worst(const struct events *ev, const char *key, enum severity *severity)
{
	bool any = false;

	for (uint32_t i = 0; i < ev->n_watched; i++)
		for (uint32_t k = 0; !strcmp(ev->watched[i].key, key) && k < N_RULES; k++) {
			if (!(ev->watched[i].holds >> k & 1))
				continue;
			if (!any || rules[k].severity > *severity)
				*severity = rules[k].severity;
			any = true;
		}
	return any;
}

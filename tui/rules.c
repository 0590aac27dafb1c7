/* SPDX-License-Identifier: MIT */
/* The rules by which something is an event. */
#include <inttypes.h>
#include <string.h>

#include "tui/events_priv.h"

#define DRIFT_PERCENT 10 /* more than that beside the plan is worth a word */

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

/* --- bridges --- */

static void why(struct text *text, const struct telem_bridge *b)
{
	if (b->trouble[0])
		text_add(text, ": %s", b->trouble);
}

static bool bridge_lost(const struct at *at, struct text *text)
{
	text_add(text, "its device is gone, the guest reads all ones");
	why(text, &at->bridge->page);
	return at->bridge_state == BRIDGE_LOST;
}

static bool bridge_failed(const struct at *at, struct text *text)
{
	text_add(text, "failed");
	why(text, &at->bridge->page);
	return at->bridge_state == BRIDGE_FAILED;
}

static bool bridge_dead(const struct at *at, struct text *text)
{
	text_add(text, "its process is gone without a word");
	return at->bridge_state == BRIDGE_DEAD;
}

static bool bridge_stalled(const struct at *at, struct text *text)
{
	text_add(text, "lives, but gives no sign of life");
	return at->bridge_state == BRIDGE_STALLED;
}

static bool bridge_denied(const struct at *at, struct text *text)
{
	text_add(text, "refuses accesses of its guest, as its policy says");
	return at->refused;
}

static bool bridge_drops(const struct at *at, struct text *text)
{
	uint64_t n = at->bridge->page.counts.recorder_drops;

	text_add(text, "has a recorder that drops what it has no room for");
	return n && n != TELEM_UNKNOWN;
}

static bool bridge_client(const struct at *at, struct text *text)
{
	const struct telem_bridge *b = &at->bridge->page;

	text_add(text, "has a client, process %" PRId32 "%s%s", b->client_pid,
		 b->guest[0] ? " of " : "", b->guest);
	return b->client_pid > 0;
}

const struct rule event_rules[] = {
	{ "lost", SEVERITY_BAD, ABOUT_DEVICE, device_lost, "berth doctor", false, "is back", true },
	{ "silent", SEVERITY_BAD, ABOUT_DEVICE, device_silent, "berth doctor", false,
	  "answers again", true },
	{ "asleep", SEVERITY_INFO, ABOUT_DEVICE, device_asleep, "", false, "woke up", false },
	{ "hot", SEVERITY_WARN, ABOUT_DEVICE, device_hot, "berth doctor", false, "has cooled down",
	  false },
	{ "throttled", SEVERITY_WARN, ABOUT_DEVICE, device_throttled, "berth doctor", false,
	  "is not slowed down by heat any more", false },
	{ "full", SEVERITY_WARN, ABOUT_DEVICE, device_full, "berth plan --device ADDR MODEL", false,
	  "has memory to spare again", false },
	{ "link", SEVERITY_WARN, ABOUT_DEVICE, device_slow_link, "berth doctor", false, NULL,
	  false },
	{ "run-lost", SEVERITY_BAD, ABOUT_RUN, run_lost, "berth logs", true, NULL, false },
	{ "failed", SEVERITY_BAD, ABOUT_RUN, run_failed, "berth logs", true, NULL, false },
	{ "waiting", SEVERITY_WARN, ABOUT_RUN, run_waiting, "berth logs", true, NULL, false },
	{ "stalled", SEVERITY_WARN, ABOUT_RUN, run_stalled, "berth restart", true,
	  "gives signs of life again", false },
	{ "elsewhere", SEVERITY_BAD, ABOUT_RUN, run_elsewhere, "berth logs", true, NULL, false },
	{ "context", SEVERITY_WARN, ABOUT_RUN, run_context, "", false, NULL, false },
	{ "queue", SEVERITY_WARN, ABOUT_RUN, run_queue, "", false,
	  "has caught up with its requests", false },
	{ "drift", SEVERITY_WARN, ABOUT_RUN, run_drift, "berth plan --verify MODEL", false, NULL,
	  false },
	{ "bridge-lost", SEVERITY_BAD, ABOUT_BRIDGE, bridge_lost, "berth bridge status", false,
	  "its device is back", false },
	{ "bridge-failed", SEVERITY_BAD, ABOUT_BRIDGE, bridge_failed, "berth bridge status", false,
	  NULL, false },
	{ "bridge-dead", SEVERITY_BAD, ABOUT_BRIDGE, bridge_dead, "berth bridge status", false,
	  NULL, false },
	{ "bridge-stalled", SEVERITY_WARN, ABOUT_BRIDGE, bridge_stalled, "berth bridge status",
	  false, "gives signs of life again", false },
	{ "denied", SEVERITY_WARN, ABOUT_BRIDGE, bridge_denied, "berth bridge trace", false,
	  "has refused nothing for a minute", false },
	{ "drops", SEVERITY_WARN, ABOUT_BRIDGE, bridge_drops, "", false, NULL, false },
	{ "client", SEVERITY_INFO, ABOUT_BRIDGE, bridge_client, "", false, "has no client any more",
	  false },
};

const uint32_t n_event_rules = sizeof(event_rules) / sizeof(event_rules[0]);

_Static_assert(sizeof(event_rules) / sizeof(event_rules[0]) <= RULES_MAX,
	       "the bits of struct watched");

/* SPDX-License-Identifier: MIT */
/* A rule, and what it looks at. */
#ifndef BERTH_TUI_EVENTS_PRIV_H
#define BERTH_TUI_EVENTS_PRIV_H

#include "base/text.h"
#include "tui/events.h"
#include "tui/judge.h"

enum about { ABOUT_DEVICE, ABOUT_RUN, ABOUT_BRIDGE };

/* What a rule looks at: a device, a run or a bridge, never two of them. */
struct at {
	enum about about;
	const struct snapshot *s;
	const struct thresholds *t;
	const struct gpu *gpu;
	const struct device_seen *seen;
	enum device_state device;
	const struct run_seen *run;
	enum run_state state;
	const struct bridge_seen *bridge;
	enum bridge_state bridge_state;
	bool refused; /* it denied an access within the last minute */
};

/* Whether it holds now; the sentence about it goes into `text`. */
typedef bool rule_fn(const struct at *at, struct text *text);

/*
 * `help`: the command; with `named` the run's name follows. `over`: what is said once it holds no more;
 * NULL: nothing.
 */
struct rule {
	const char *id;
	enum severity severity;
	enum about about;
	rule_fn *holds;
	const char *help;
	bool named;
	const char *over;
	bool anyway; /* also of a device that tells nothing: it is lost, or silent */
};

extern const struct rule event_rules[];
extern const uint32_t n_event_rules;

#endif

/* SPDX-License-Identifier: MIT */
/* What the page of a bridge means. */
#include "tui/judge.h"

enum bridge_state judge_bridge(const struct bridge_seen *b)
{
	static const enum bridge_state states[TELEM_BRIDGE_STATE_COUNT] = {
		[TELEM_BRIDGE_STARTING] = BRIDGE_STARTING,
		[TELEM_BRIDGE_WAITING] = BRIDGE_WAITING,
		[TELEM_BRIDGE_RUNNING] = BRIDGE_RUNNING,
		[TELEM_BRIDGE_RESTARTING] = BRIDGE_RESTARTING,
		[TELEM_BRIDGE_LOST] = BRIDGE_LOST,
		[TELEM_BRIDGE_STOPPED] = BRIDGE_STOPPED,
		[TELEM_BRIDGE_FAILED] = BRIDGE_FAILED,
	};
	uint32_t state = b->page.state;
	bool ended = state == TELEM_BRIDGE_STOPPED || state >= TELEM_BRIDGE_FAILED;

	if (!ended && b->life == TELEM_DEAD)
		return BRIDGE_DEAD;
	if (!ended && b->life == TELEM_STALE)
		return BRIDGE_STALLED;
	return state < TELEM_BRIDGE_STATE_COUNT ? states[state] : BRIDGE_FAILED;
}

const char *bridge_state_name(enum bridge_state s)
{
	static const char *const names[BRIDGE_STATE_COUNT] = {
		[BRIDGE_STARTING] = "starting", [BRIDGE_WAITING] = "waiting",
		[BRIDGE_RUNNING] = "running",   [BRIDGE_RESTARTING] = "restarting",
		[BRIDGE_LOST] = "LOST",         [BRIDGE_STOPPED] = "stopped",
		[BRIDGE_FAILED] = "FAILED",     [BRIDGE_STALLED] = "STALLED",
		[BRIDGE_DEAD] = "DEAD",
	};

	return names[s];
}

bool judge_bridge_lives(const struct bridge_seen *b)
{
	enum bridge_state s = judge_bridge(b);

	return s != BRIDGE_STOPPED && s != BRIDGE_FAILED && s != BRIDGE_DEAD;
}

static void add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

struct traffic judge_traffic(const struct telem_bridge *b)
{
	struct traffic t = { 0 };

	for (uint32_t i = 0; i < TELEM_REGIONS; i++) {
		const struct telem_region *r = &b->regions[i];

		add(&t.reads, r->reads);
		add(&t.writes, r->writes);
		add(&t.posted, r->posted);
		add(&t.denied, r->denied);
		add(&t.logged, r->logged);
		add(&t.mapped_bytes, r->mapped_bytes);
	}
	return t;
}

double judge_latency(const struct telem_bridge *b, double share)
{
	double ns = telem_percentile(b->latency, share);
	uint64_t max = b->counts.latency_max_ns;

	return max && max != TELEM_UNKNOWN && ns > (double)max ? (double)max : ns;
}

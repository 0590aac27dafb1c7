/* SPDX-License-Identifier: MIT */
/*
 * The feed of this machine, now: a thread that watches what devices there are, one for each device (NVIDIA's
 * share one, as their library does) and one for the processes that hold them; telemetry pages are read in
 * place, because that costs microseconds.
 *
 * The observer's budget: a device that is idle is looked at every five seconds, one that may go to sleep
 * every fifteen, and of one that sleeps only its power state. While NVIDIA's library tells of a card, the
 * kernel's files are asked every two seconds whether it is there, and awake. Nothing here wakes one. The host's
 * memory and work are read every two seconds.
 */
#ifndef BERTH_TUI_LOOKOUT_H
#define BERTH_TUI_LOOKOUT_H

#include "base/machine.h"
#include "probe/probe.h"
#include "tui/feed.h"

/* What readings are made of: probe's functions in the program, slow and failing stand-ins in tests. */
struct senses {
	int (*collect)(void *ctx, struct report **r,
		       struct err *e);            /* without sensors of NVIDIA's */
	int (*refresh)(void *ctx, struct gpu *g); /* as probe_refresh() */
	/* As probe_refresh_holders(); NULL: not asked. */
	int (*holders)(void *ctx, struct report *r, struct claims_past **past, struct err *e);
	/* As probe_refresh_host(); NULL: not asked. */
	void (*host)(void *ctx, struct cpu *c, struct cpu_time *past);
	uint64_t (*mark)(void *ctx); /* as probe_bus_mark() */
	bool (*may_sleep)(void *ctx, const struct gpu *g);
	const struct machine *machine; /* for NVIDIA's library; NULL: it is not asked */
	uint32_t give_up_ms;           /* a process that waits so long for it is replaced */
	void *ctx;
};

/* Of a live machine; m must stay. */
struct senses senses_of(const struct machine *m);

struct lookout; /* opaque */

/* run_dir as in runs_read(); interval_ms: how often a busy device is looked at. */
int lookout_start(struct lookout **l, const struct senses *senses, const char *run_dir,
		  uint32_t interval_ms, struct err *e);

/* False: a reader hangs and was left behind, so what it reads from must stay. */
bool lookout_stop(struct lookout *l);

struct feed lookout_feed(struct lookout *l);

/*
 * Fill the clock and the runs of a snapshot. `dir` NULL: every folder where pages live; else only that one (a
 * captured machine has no living runs, but may come with its pages).
 */
void runs_read(struct snapshot *snap, const char *dir);

#endif

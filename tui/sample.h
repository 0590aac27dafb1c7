/* SPDX-License-Identifier: MIT */
/*
 * Gathers snapshots. Devices are read by a thread of its own, because a driver may hang for seconds;
 * telemetry pages are read in place, because that costs microseconds.
 */
#ifndef BERTH_TUI_SAMPLE_H
#define BERTH_TUI_SAMPLE_H

#include "base/machine.h"
#include "tui/view.h"

#define SAMPLE_DEVICES_MS 2000 /* the NVML child costs about 100 ms: not more often than this */

/*
 * Reads the devices: probe_collect() in the program, a slow or failing stand-in in tests. The report
 * is freed by probe_free().
 */
typedef int collect_fn(void *ctx, struct report **r, struct err *e);

struct sampler; /* opaque: a thread and its last report */

int sampler_start(struct sampler **s, collect_fn *collect, void *ctx, uint32_t period_ms,
		  struct err *e);

/*
 * Ends the thread. When it hangs in a driver for more than 200 ms, it is left behind for the exit of
 * the program, and false is returned: ctx must then stay.
 */
bool sampler_stop(struct sampler *s);

/*
 * The newest report, its age and error, into the snapshot; never waits for a reading. The report stays
 * valid until the next call with the same `hold`, which owns it: start with NULL, end with probe_free.
 */
void sampler_latest(struct sampler *s, struct snapshot *snap, struct report **hold);

/*
 * Fill the clock and the runs. `dir` NULL: every folder where pages live; else only that one (a
 * captured machine has no living runs, but may come with its pages).
 */
void sample_runs(struct snapshot *snap, const char *dir);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a snapshot alone cannot tell: the last minute of each device and run, and what follows from two
 * moments (power from energy, speeds over a window, tokens per joule). Fed with snapshots in their order;
 * no clock of its own, so that a recording gives the same history as the machine did.
 */
#ifndef BERTH_TUI_HISTORY_H
#define BERTH_TUI_HISTORY_H

#include "tui/snapshot.h"

#define HISTORY_POINTS  120 /* one a second */
#define HISTORY_WINDOW  10  /* seconds that speeds and energy are taken over */
#define HISTORY_MINUTE  60
#define HISTORY_DEVICES PROBE_GPUS_MAX
#define HISTORY_RUNS    SNAP_RUNS_MAX
#define HISTORY_BRIDGES SNAP_BRIDGES_MAX

#define POINT_UNKNOWN (-1.0f) /* every series counts from 0 up */

/* The newest is last; points[HISTORY_POINTS - 1] is the second that ends now. */
struct series {
	float points[HISTORY_POINTS];
};

enum device_series { SERIES_POWER_W, SERIES_BUSY, SERIES_TEMP_C, SERIES_USED, DEVICE_SERIES };
enum run_series { SERIES_GENERATED, SERIES_PROMPT, SERIES_CONTEXT, RUN_SERIES };
enum bridge_series { SERIES_ACCESSES, SERIES_WRITES, SERIES_P99_US, BRIDGE_SERIES };

struct device_history {
	char pci[24];
	struct series s[DEVICE_SERIES]; /* watts, percent, degrees, share of memory in percent */
	double joules;                  /* since it was first seen, as far as power was known */
	double watts;                   /* now: told, or from two readings of energy; -1 unknown */
	double mean_w;                  /* since the look before; -1 unknown */
	int64_t energy_uj;              /* the last reading; -1 none */
	uint64_t energy_ns;             /* and when */
};

struct run_history {
	char key[96];                          /* run_key() */
	struct series s[RUN_SERIES];           /* tokens per second, tokens per second, percent */
	uint64_t generated, prompt, prompt_ns; /* the counters of the last snapshot */
	bool counted;                          /* they are known */
	uint64_t page_started_ns; /* another: the run was restarted, counters began anew */
	uint64_t seen_ns;
	/* Sums of each second, the newest last; joules are POINT_UNKNOWN where a device's power is. */
	float prompt_tokens[HISTORY_MINUTE], prompt_s[HISTORY_MINUTE];
	float tokens[HISTORY_WINDOW], joules[HISTORY_WINDOW];
	/* Another run works on one of its devices, so that their joules are nobody's. */
	bool shared;
};

struct bridge_history {
	char key[96];                   /* of the bridge */
	struct series s[BRIDGE_SERIES]; /* trapped a second, of them writes, microseconds */
	uint64_t accesses, writes;      /* the counters of the last snapshot */
	uint64_t latency[TELEM_LATENCY], latency_max_ns;
	bool counted;             /* they are known */
	uint64_t page_started_ns; /* another: the bridge was started again */
	uint64_t seen_ns;
	/* What came to each bucket in each second, the newest last. */
	uint64_t window[HISTORY_WINDOW][TELEM_LATENCY];
};

struct history {
	bool gap; /* before the newest look: asleep or paused, so that nobody knows the power of that time */
	uint64_t last_ns;   /* of the last snapshot; 0: none yet */
	uint64_t second_ns; /* when the newest point's second began */
	uint32_t n_devices, n_runs, n_bridges;
	struct device_history devices[HISTORY_DEVICES];
	struct run_history runs[HISTORY_RUNS];
	struct bridge_history bridges[HISTORY_BRIDGES];
};

/* Add a moment. One that is not later than the last (a recording was wound back) starts over. */
void history_add(struct history *h, const struct snapshot *s);

const struct device_history *history_device(const struct history *h, const char *pci); /* or NULL */
const struct run_history *history_run(const struct history *h, const char *key);       /* or NULL */

const struct bridge_history *history_bridge(const struct history *h, const char *key); /* or NULL */

/* What `share` of the accesses of the window took at most, ns; -1: there were none. */
double history_latency(const struct bridge_history *b, double share);

/* Prompt tokens per second of computing over the last minute; -1: none were computed. */
double history_prompt_rate(const struct run_history *r);

/* Generated tokens per joule of its GPUs over the window; -1: not known. */
double history_tokens_per_joule(const struct run_history *r);

/* What a million of them cost, of that energy alone: 3.6e6 joules are a kilowatt hour. */
double history_cost(double tokens_per_joule, double price_kwh);

/*
 * Generated tokens per second now; -1: none. By the page's ring of samples, which a recording and another machine do not
 * give: of those by the last two seconds. past NULL: one moment alone is known.
 */
double history_rate_now(const struct run_history *past, const struct snapshot *s,
			const struct run_seen *r);

/* The mean of the known points of the last `seconds`; -1: none is known. */
double series_mean(const struct series *s, uint32_t seconds);
double series_max(const struct series *s, uint32_t seconds);

#endif

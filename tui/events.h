/* SPDX-License-Identifier: MIT */
/*
 * What changed: a log of events, each with the command that helps, and the alarms that stand now. Pure:
 * snapshots in, events out. The rules are a table (events.c).
 */
#ifndef BERTH_TUI_EVENTS_H
#define BERTH_TUI_EVENTS_H

#include "tui/snapshot.h"

enum severity { SEVERITY_INFO, SEVERITY_WARN, SEVERITY_BAD };

#define EVENTS_MAX 256

struct event {
	uint64_t seq; /* counts from 1; never repeated */
	uint64_t ns;  /* CLOCK_BOOTTIME of the snapshot that showed it */
	char clock[24];
	enum severity severity;
	char rule[16];    /* id of the rule, for filters: "lost", "hot" */
	char subject[96]; /* the device's address, the run's key; empty: the machine */
	char text[200];   /* one sentence */
	char help[120];   /* a command; may be empty */
};

/* Where alarms begin; 0: never. From the configuration. */
struct thresholds {
	uint32_t temp_c;          /* 90 */
	uint32_t memory_percent;  /* 97 */
	uint32_t context_percent; /* 90 */
	uint32_t queue;           /* 8 requests waiting */
	uint32_t silent_s;        /* 10: a device that does not answer */
};

extern const struct thresholds thresholds_default;

#define RULES_MAX 32

/* Which rules hold for a subject, so that a change is told once. */
struct watched {
	char key[96];
	bool seen;      /* in the snapshot before */
	uint32_t holds; /* bits by index of the rule */
	uint32_t starts;
	/* Of a bridge: its counters, and when that of denied accesses last moved; 0: it never did. */
	uint64_t page_started_ns, workers, denied, denied_ns;
};

struct events {
	uint64_t
		n; /* ever; the newest are kept. What a recording that is wound back has ahead is taken away */
	uint64_t first;        /* of those, the oldest that is there */
	uint64_t seq, last_ns; /* of the newest event, of the last snapshot */
	struct event ring[EVENTS_MAX];
	bool quiet;           /* what the snapshot shows is told already */
	struct event unheard; /* where it is told then */
	bool begun; /* what the first snapshot shows is no change, unless it is an alarm */
	uint32_t n_watched;
	struct watched watched[PROBE_GPUS_MAX + SNAP_RUNS_MAX + SNAP_BRIDGES_MAX];
};

void events_add(struct events *ev, const struct snapshot *s, const struct thresholds *t);

/* A word of the monitor itself ("recording saved to ..."). */
void events_say(struct events *ev, const struct snapshot *s, enum severity severity,
		const char *text);

/* The i-th newest, 0 the last; NULL: no more. */
const struct event *events_newest(const struct events *ev, uint32_t i);

/* Alarms that stand now: rules of this severity or above that hold. */
uint32_t events_standing(const struct events *ev, enum severity at_least);

/* The worst that stands for one device or run; false: all is well with it. */
bool events_worst(const struct events *ev, const char *key, enum severity *severity);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A snapshot: all that the monitor knows of one moment. Plain values but for the report, which belongs to
 * whoever filled the snapshot (feed.h). Nothing here reads a clock or a file.
 *
 * Unknown is a value: a fact says why nobody could tell, ages are AGE_UNKNOWN, counts of a run that has no
 * page are not looked at.
 */
#ifndef BERTH_TUI_SNAPSHOT_H
#define BERTH_TUI_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/telem.h"
#include "probe/probe.h"

#define SNAP_RUNS_MAX    64
#define SNAP_BRIDGES_MAX 16
#define AGE_UNKNOWN      UINT64_MAX
#define SNAP_SILENT_MS   3000 /* a reading that takes longer: "not answering" */
#define SNAP_OLD_MS      6000 /* three readings that did not come: the header says so */

/* Where it comes from; the header of the screen says so, unless it is live. */
enum origin {
	ORIGIN_LIVE,
	ORIGIN_CAPTURED, /* a machine folder: nothing in it moves */
	ORIGIN_REPLAY,   /* a recording */
	ORIGIN_REMOTE,   /* another machine, now */
	ORIGIN_DEMO,     /* made up */
};

/* How the reading of one device goes; beside its facts, which are the last that were read. */
struct device_seen {
	uint64_t age_ms;     /* since its numbers were read; AGE_UNKNOWN: they never were */
	uint64_t waiting_ms; /* how long the reading in flight has not come back; 0: none is */
	bool lost;           /* it left the bus, or answers nothing any more */
	bool resting;        /* idle, and therefore looked at less often */
};

/* A run: its telemetry page as it was found, what its supervisor says, or both. */
struct run_seen {
	char file[96]; /* name of the page, without the folder; empty: there is none now */
	int rc;        /* of telem_read; the page is sound when 0 */
	enum telem_life life;
	struct telem_page page;
	char note[200]; /* when rc: one sentence */

	/* Of its supervisor's record; empty without one. The name outlives the processes. */
	char name[64];
	char phase[16];  /* "loading", "waiting", "failed", ...: as `berth ps` says */
	bool supervised; /* the supervisor lives */
	uint32_t starts; /* cores started so far */
	char last_class[24], last_sentence[160]; /* how the last core ended; empty: none has */
};

/* A device that is given to a virtual machine, as its telemetry page tells. */
struct bridge_seen {
	char key[96];  /* what it is known by as long as it is watched: "0000:05:00.0 bridge" */
	char file[96]; /* name of the page, without the folder */
	enum telem_life life;
	int32_t pid; /* of the writer */
	struct telem_bridge page;
};

struct snapshot {
	const struct report *report; /* NULL: not read yet, or `device_error` says why not */
	char device_error[200];
	/* Parallel to report->gpus, whose order never changes while the monitor runs: new ones are added last. */
	struct device_seen devices[PROBE_GPUS_MAX];
	enum origin origin;
	char origin_name[64];   /* of the file or the machine it comes from */
	uint64_t device_age_ms; /* of the report as a whole */
	uint64_t now_ns;        /* CLOCK_BOOTTIME of the machine shown, the clock of the pages */
	char clock[24];         /* "12:34:56", local time */
	uint32_t interval_ms;
	bool paused;
	uint32_t n_runs;
	uint32_t n_runs_left_out; /* pages beyond SNAP_RUNS_MAX and SNAP_BRIDGES_MAX */
	struct run_seen runs[SNAP_RUNS_MAX];
	uint32_t n_bridges;
	struct bridge_seen bridges[SNAP_BRIDGES_MAX];
};

/* What a run is known by as long as it is watched: its name, else its page's. */
static inline const char *run_key(const struct run_seen *r)
{
	return r->name[0] ? r->name : r->file;
}

#endif

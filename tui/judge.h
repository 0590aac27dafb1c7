/* SPDX-License-Identifier: MIT */
/* What the facts of a snapshot mean. Pure; shared by screens, lines and JSON. */
#ifndef BERTH_TUI_JUDGE_H
#define BERTH_TUI_JUDGE_H

#include "tui/snapshot.h"

#define SNAP_RATE_WINDOW_NS UINT64_C(2000000000) /* "now" is the last two seconds */

/* Bytes held by runs on a device, and the rest of what is used. */
struct held {
	uint64_t weights, kv, compute;
	struct fact other; /* used minus the three; unknown when used is */
};

enum device_state {
	DEVICE_OK,
	DEVICE_ASLEEP,
	DEVICE_NO_DRIVER,
	DEVICE_UNKNOWN,
	DEVICE_LOST,   /* it left the bus, or answers nothing any more */
	DEVICE_SILENT, /* a reading hangs: what is shown is old */
	DEVICE_STATE_COUNT
};

/* The GPU number i of the report. */
enum device_state judge_device(const struct snapshot *s, uint32_t i);
const char *device_state_name(enum device_state s); /* "ok", "ASLEEP", ... */

/* Memory of a GPU, or of the host when pci is NULL (the engine's "CPU" devices). */
struct held judge_held(const struct snapshot *s, const char *pci, const struct fact *used);

struct fact judge_ram_used(const struct cpu *c);

enum run_state {
	RUN_STARTING,
	RUN_READY,
	RUN_GENERATING,
	RUN_STOPPED,
	RUN_ASLEEP, /* the model is unloaded until the next request */
	RUN_STOPPING,
	RUN_FAILED,
	RUN_STALLED, /* the process lives, but gives no sign of life */
	RUN_LOST,    /* the process is gone without a word */
	RUN_WAITING, /* its supervisor waits before it starts the next core */
	RUN_NO_PAGE, /* a page that cannot be read, of nobody known */
	RUN_STATE_COUNT
};

enum run_state judge_run(const struct run_seen *r);
const char *run_state_name(enum run_state s); /* "generating", "LOST" */
/* Thunderbolt or USB4 carries a part of its way, as far as is known: a recording keeps the link alone. */
bool judge_tunnelled(const struct gpu *g);

bool judge_run_lives(const struct run_seen *r);

/* The placement was compared by the run, and no device of the page contradicts that. */
bool judge_verified(const struct telem_run *run);

/* Tokens per second; -1: unknown. */
double judge_prompt_rate(const struct telem_run *run);
double judge_average_rate(const struct telem_run *run);
double judge_rate_now(const struct run_seen *r, uint64_t now_ns);

/*
 * (measured - planned) / planned in percent over weights, kv and compute of all devices, where both
 * are known. false: nothing to compare.
 */
bool judge_drift(const struct telem_run *run, double *percent, double *measured, double *planned);

/* --- bridges --- */

enum bridge_state {
	BRIDGE_STARTING,
	BRIDGE_WAITING, /* for a client */
	BRIDGE_RUNNING,
	BRIDGE_RESTARTING, /* its worker ended, the next takes over */
	BRIDGE_LOST,       /* its device is gone */
	BRIDGE_STOPPED,
	BRIDGE_FAILED,
	BRIDGE_STALLED, /* the process lives, but gives no sign of life */
	BRIDGE_DEAD,    /* the process is gone without a word */
	BRIDGE_STATE_COUNT
};

enum bridge_state judge_bridge(const struct bridge_seen *b);
const char *bridge_state_name(enum bridge_state s); /* "running", "LOST" */
bool judge_bridge_lives(const struct bridge_seen *b);

/* What came by in all regions; sums that do not fit stand at their largest. */
struct traffic {
	uint64_t reads, writes, posted, denied, logged;
	uint64_t mapped_bytes;
};
struct traffic judge_traffic(const struct telem_bridge *b);

/* What `share` of all its accesses took at most, ns: never more than the longest. -1: there were none. */
double judge_latency(const struct telem_bridge *b, double share);

#endif

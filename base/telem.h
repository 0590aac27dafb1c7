/* SPDX-License-Identifier: MIT */
/*
 * The telemetry page: one file per run or bridge, mapped by its one writer and by any number of readers.
 * docs/formats.md specifies the layout byte by byte; the assertions at the end of this file hold the
 * struct to it. Native endian: a page never leaves its machine, and dies with its boot.
 *
 * The writer makes `seq` odd, changes the body, makes it even. A reader copies the page and keeps the
 * copy when seq was even and the same before and after; it looks TELEM_TRIES times, and while the writer
 * lives again at TELEM_MOMENTS moments, for that one may wait for a processor in the middle.
 *
 * A page is hostile to its reader: any process of the same user may have written it. Counts are
 * clamped, texts are ended, and states are range-checked by telem_read.
 */
#ifndef BERTH_TELEM_H
#define BERTH_TELEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/telem_bridge.h"

#define TELEM_MAGIC       UINT64_C(0x314d4c5448545242) /* "BRTHTLM1" in memory, little endian */
#define TELEM_VERSION     2
#define TELEM_TRIES       100
#define TELEM_MOMENTS     40
#define TELEM_MOMENT_NS   5000000
#define TELEM_DEVICES_MAX 16
#define TELEM_RING        64
#define TELEM_SEQ_MAX     256        /* the engine's own limit of sequences */
#define TELEM_UNKNOWN     UINT64_MAX /* a number nobody knows, of 8 bytes and of 4 */
#define TELEM_UNKNOWN32   UINT32_MAX

enum telem_kind { TELEM_RUN = 1, TELEM_BRIDGE = 2 };

enum telem_state {
	TELEM_STARTING = 0, /* the engine is loading */
	TELEM_READY,        /* placement verified, waiting for work */
	TELEM_GENERATING,
	TELEM_STOPPED, /* ended as asked; the page stays until its directory is cleaned */
	TELEM_FAILED,
	TELEM_ASLEEP,   /* the model is unloaded; the next request loads it again */
	TELEM_STOPPING, /* asked to end; requests at work are being ended */
	TELEM_STATE_COUNT
};

struct telem_header {
	uint64_t magic;
	uint32_t version;
	uint32_t kind; /* enum telem_kind */
	uint32_t size; /* bytes of the whole page */
	uint32_t seq;  /* odd while the writer is in the body; atomic */
	int32_t writer_pid;
	uint32_t reserved;
	uint64_t writer_start; /* field 22 of /proc/PID/stat: tells a reused pid apart */
	uint8_t boot_id[16];   /* of /proc/sys/kernel/random/boot_id */
	uint64_t heartbeat_ns; /* CLOCK_BOOTTIME of the writer's last sign of life; atomic */
};

/* Bytes by purpose; TELEM_UNKNOWN where nobody measured. */
struct telem_bytes {
	uint64_t weights;
	uint64_t kv;
	uint64_t compute;
	uint64_t other; /* drop of the device's free memory, minus the engine's own account */
};

struct telem_device {
	char pci[24];  /* empty for the CPU and for software devices */
	char name[40]; /* the engine's name: "CUDA0", "CPU" */
	struct telem_bytes planned;
	struct telem_bytes measured;
	uint32_t layers_asked;
	uint32_t layers_verified; /* as read back from the engine */
	uint64_t energy_uj; /* the card's counter, microjoules; it wraps. TELEM_UNKNOWN: none */
};

/* One point of the curve, for rates over a window of the reader's choice. */
struct telem_sample {
	uint64_t t_ns; /* CLOCK_BOOTTIME */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
};

/* What a run has done since it began. Counters only grow; TELEM_UNKNOWN: the engine does not tell. */
struct telem_counts {
	uint64_t prompt_tokens; /* computed */
	uint64_t prompt_ns;     /* time spent on them */
	uint64_t generated_tokens;
	uint64_t generated_ns;    /* from the first of them to the last: see telem_mean_rate */
	uint64_t cached_tokens;   /* of prompts, not computed again */
	uint64_t drafted_tokens;  /* by a draft model */
	uint64_t accepted_tokens; /* of the drafted, those that the model would have said */
	uint64_t requests;        /* taken */
	uint64_t requests_failed; /* ended by an error */
	uint64_t first_tokens;    /* requests that had a first token */
	uint64_t first_token_ns;  /* from taking a request to its first token, the sum of those */
	uint64_t last_first_token_ns; /* of the newest such request; 0: none yet */
};

struct telem_run {
	char model[120];
	char plan_id[72];
	char name[64];  /* of the run, as `berth ps` calls it; empty: none */
	uint32_t state; /* enum telem_state */
	uint32_t n_devices;
	uint32_t verified; /* 1: the placement was compared with the plan and is as planned */
	uint32_t n_seq;
	uint32_t ctx_tokens;      /* capacity for one sequence */
	uint32_t ctx_used_tokens; /* of the fullest sequence; TELEM_UNKNOWN32 */
	uint32_t queue;           /* requests waiting */
	uint32_t busy;            /* sequences at work */
	uint32_t ring_next; /* where the next sample goes; the ring is full once samples wrap */
	uint32_t reserved;
	uint64_t started_ns; /* CLOCK_BOOTTIME */
	uint64_t ready_ns;   /* 0: not yet */
	struct telem_counts counts;
	struct telem_device devices[TELEM_DEVICES_MAX];
	struct telem_sample ring[TELEM_RING]; /* t_ns 0: unused */
	uint32_t seq_tokens[TELEM_SEQ_MAX];   /* context that each sequence holds, n_seq of them */
};

/* header.kind says which; a file has the bytes of its own kind only, telem_size(). */
struct telem_page {
	struct telem_header header;
	union {
		struct telem_run run;
		struct telem_bridge bridge;
	};
};

size_t telem_size(uint32_t kind); /* bytes of a page; 0: no such kind */

/* --- the writer --- */

struct telem_writer {
	struct telem_page *page; /* mapped, `size` bytes of it */
	size_t size;
	char path[512];
};

/*
 * Create `path` (0640) and map it, its header filled for this process. The file appears complete, by
 * rename. telem_close unmaps and leaves the file; telem_remove deletes it first.
 */
int telem_create(struct telem_writer *w, const char *path, enum telem_kind kind, struct err *e);
void telem_begin(struct telem_writer *w); /* seq becomes odd: change w->page->run or ->bridge now */
void telem_end(struct telem_writer *w);   /* seq becomes even, heartbeat is now */
void telem_beat(struct telem_writer *w);  /* only the heartbeat */
void telem_close(struct telem_writer *w);
void telem_remove(struct telem_writer *w);

/* Add the counts of now to a run's ring; between begin and end. */
void telem_sample(struct telem_writer *w, uint64_t t_ns);

/*
 * When a process began: field 22 of /proc/PID/stat. 0; -ESRCH: there is none, or it has ended and was not yet waited
 * for.
 */
int telem_start_time(int32_t pid, uint64_t *ticks);

uint64_t telem_now_ns(void); /* CLOCK_BOOTTIME */

/* Of this boot, as /proc/sys/kernel/random/boot_id has it; zeros when that cannot be read. */
void telem_boot_id(uint8_t id[16]);

/* --- the reader --- */

enum telem_life {
	TELEM_ALIVE, /* the writer lives and beat within TELEM_STALE_NS */
	TELEM_STALE, /* it lives, but has not beaten for longer */
	TELEM_DEAD,  /* the writer is gone: another pid, start time or boot */
};

#define TELEM_STALE_NS UINT64_C(10000000000)

/*
 * Copy a page of either kind out: out->header.kind says which. 0; -EBADMSG not a page of this version (e
 * says why); -EBUSY always mid-write (a writer that died with seq odd, or hangs); or an errno of
 * open. *life is set in each case where the header could be read.
 */
int telem_read(const char *path, struct telem_page *out, enum telem_life *life, struct err *e);

/* Check a copied page and make it safe to show: the pure half of telem_read, for tests and fuzzing. */
int telem_check(struct telem_page *page, size_t size, struct err *e);

/* Tokens per second over the last window_ns before now; -1 when the ring cannot tell. */
struct telem_rates {
	double prompt, generated;
};
struct telem_rates telem_rates(const struct telem_run *run, uint64_t now_ns, uint64_t window_ns);

/*
 * Generated tokens per second over a whole run; ns is the time from the first token to the last. -1:
 * one token has no speed.
 */
double telem_mean_rate(uint64_t generated_tokens, uint64_t ns);

/* --- where pages live --- */

/*
 * The folder to write pages in: $BERTH_RUNTIME_DIR, else $XDG_RUNTIME_DIR/berth, else /run/berth;
 * made (0750) when absent.
 */
int telem_dir(char *buf, size_t size, struct err *e);

#define TELEM_FOLDERS 3

/* The folders that readers look into, without doubles: those of the three that have a name. The count. */
int telem_folders(char dirs[TELEM_FOLDERS][512]);

/* All page paths ("*.telem") in the three folders, sorted, without doubles. The caller frees with telem_list_free. */
int telem_list(char ***paths);
void telem_list_free(char **paths);

_Static_assert(sizeof(struct telem_header) == 64, "docs/formats.md: header is 64 bytes");
_Static_assert(offsetof(struct telem_header, seq) == 20, "docs/formats.md: seq at 20");
_Static_assert(offsetof(struct telem_header, heartbeat_ns) == 56,
	       "docs/formats.md: heartbeat at 56");
_Static_assert(sizeof(struct telem_device) == 144, "docs/formats.md: a device is 144 bytes");
_Static_assert(offsetof(struct telem_run, counts) == 312, "docs/formats.md: counts at 64 + 312");
_Static_assert(offsetof(struct telem_run, devices) == 408, "docs/formats.md: devices at 64 + 408");
_Static_assert(sizeof(struct telem_page) == 64 + 408 + 16 * 144 + 64 * 24 + 256 * 4,
	       "docs/formats.md: 5336");
_Static_assert(offsetof(struct telem_page, bridge) == 64, "docs/formats.md: after the header");
_Static_assert(sizeof(struct telem_bridge) <= sizeof(struct telem_run),
	       "telem_read reads either into one struct");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the telemetry page of a bridge says: a device that is given to a virtual machine, access by access.
 * Included by base/telem.h, which has the page around it, and who writes and reads it.
 *
 * Its writer is the process that outlives the workers: a worker may be killed in the middle of anything, and
 * a page must not be left in the middle of a change. The writer counts from what workers share with it,
 * with the functions below, and copies into the page between telem_begin and telem_end.
 */
#ifndef BERTH_BASE_TELEM_BRIDGE_H
#define BERTH_BASE_TELEM_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TELEM_REGIONS 8 /* by VFIO's index: BAR 0 to 5, the ROM, the configuration space */
#define TELEM_LATENCY                                                                              \
	32 /* buckets: [b] counts 2^b to 2^(b+1) - 1 ns; [0] also 0, the last all above */

enum telem_region_index { TELEM_BAR0 = 0, TELEM_ROM = 6, TELEM_CONFIG = 7 };

enum telem_mode {
	TELEM_MODE_UNKNOWN = 0, /* not settled yet */
	TELEM_MODE_TRAP,        /* every access comes by */
	TELEM_MODE_MAP,         /* the client has the BARs themselves */
	TELEM_MODE_HYBRID,      /* some pages of them */
	TELEM_MODE_COUNT
};

enum telem_bridge_state {
	TELEM_BRIDGE_STARTING = 0, /* the device is being opened */
	TELEM_BRIDGE_WAITING,      /* for a client */
	TELEM_BRIDGE_RUNNING,
	TELEM_BRIDGE_RESTARTING, /* its worker ended, the next takes over */
	TELEM_BRIDGE_LOST,       /* the device is gone: the guest reads all ones */
	TELEM_BRIDGE_STOPPED,    /* ended as asked */
	TELEM_BRIDGE_FAILED,     /* `trouble` says why */
	TELEM_BRIDGE_STATE_COUNT
};

/* One region: what came by, since the bridge began. What the client has mapped it does not count. */
struct telem_region {
	uint64_t size_bytes;   /* as the guest sees it; 0: there is none */
	uint64_t mapped_bytes; /* of it the client accesses without us */
	uint64_t reads;
	uint64_t writes; /* the posted ones included */
	uint64_t posted; /* writes that nobody waited for */
	uint64_t denied; /* by policy, of both; the device never saw them */
	uint64_t logged; /* by policy, of both */
};

/* What a bridge has done since it began; TELEM_UNKNOWN: nobody counts that here. */
struct telem_bridge_counts {
	uint64_t errors;  /* accesses that the device or its driver answered with an error */
	uint64_t refused; /* messages of a client that made no sense */
	uint64_t retries; /* accesses that were tried again */
	uint64_t worker_restarts; /* workers started after the first */
	uint64_t restart_gap_ns;  /* the longest that a client waited for one */
	uint64_t clients;         /* connections taken */
	uint64_t dma_maps;        /* that stand now */
	uint64_t dma_bytes;       /* of guest memory that the device reaches now */
	uint64_t dma_refused;     /* maps and unmaps that could not be */
	uint64_t interrupts;      /* delivered; unknown where they go straight to the guest */
	uint64_t recorder_bytes;  /* written by the recorder; unknown: none is on */
	uint64_t recorder_drops;  /* events that it had no room for */
	uint64_t latency_ns;      /* the sum of what `latency` counts */
	uint64_t latency_max_ns;
};

struct telem_bridge {
	char pci[24];        /* empty for a device that is made of memory */
	char guest[64];      /* name of the virtual machine; empty: not known */
	char socket[112];    /* where clients connect */
	char backend[16];    /* "vfio", "iommufd", "kmod", "memory" */
	char trouble[160];   /* one sentence when lost or failed, or of an error; may be empty */
	uint32_t mode;       /* enum telem_mode */
	uint32_t state;      /* enum telem_bridge_state */
	uint32_t generation; /* of the device: 1, and one more each time it came back */
	int32_t worker_pid;  /* 0: none */
	int32_t client_pid;  /* 0: none */
	uint32_t reserved;
	uint64_t started_ns;   /* CLOCK_BOOTTIME */
	uint64_t connected_ns; /* of the client that is there; 0: none is */
	struct telem_bridge_counts counts;
	struct telem_region regions[TELEM_REGIONS];
	/*
	 * Trapped accesses by what they took, from the message until its reply was sent; where there is none, or one for
	 * several writes, to their end.
	 */
	uint64_t latency[TELEM_LATENCY];
};

/* --- for the writer --- */

enum telem_access { TELEM_READ, TELEM_WRITE, TELEM_POSTED };

/* Count one access of a region; an index out of range counts nothing. What it took is known once it is answered: telem_took(). */
void telem_count(struct telem_bridge *b, uint32_t region, enum telem_access what);
void telem_took(struct telem_bridge *b, uint64_t ns);

/* Both. */
void telem_access(struct telem_bridge *b, uint32_t region, enum telem_access what, uint64_t ns);

/* Add what another one counted of accesses, errors and refusals. */
void telem_bridge_add(struct telem_bridge *to, const struct telem_bridge *from);

uint32_t telem_bucket(uint64_t ns); /* the bucket of a latency */

/* --- for readers --- */

/* "trap", "waiting for client"; range-checked numbers only. */
const char *telem_mode_name(uint32_t mode);
const char *telem_region_name(uint32_t index); /* "BAR0", "ROM", "config" */

/*
 * Below how many ns lie `share` (0 to 1) of what the buckets count, as far as buckets can tell: evenly within one.
 * -1: they are empty.
 */
double telem_percentile(const uint64_t latency[TELEM_LATENCY], double share);

/* Ended and clean texts, numbers in their ranges: what telem_check does to the page of a bridge. */
void telem_bridge_clean(struct telem_bridge *b);

_Static_assert(sizeof(struct telem_region) == 56, "docs/formats.md: a region is 56 bytes");
_Static_assert(offsetof(struct telem_bridge, mode) == 376, "docs/formats.md: mode at 64 + 376");
_Static_assert(offsetof(struct telem_bridge, started_ns) == 400,
	       "docs/formats.md: started at 64 + 400");
_Static_assert(offsetof(struct telem_bridge, counts) == 416, "docs/formats.md: counts at 64 + 416");
_Static_assert(offsetof(struct telem_bridge, regions) == 528,
	       "docs/formats.md: regions at 64 + 528");
_Static_assert(offsetof(struct telem_bridge, latency) == 976,
	       "docs/formats.md: latency at 64 + 976");
_Static_assert(sizeof(struct telem_bridge) == 1232, "docs/formats.md: 1296 - 64");

#endif

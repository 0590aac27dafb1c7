/* SPDX-License-Identifier: MIT */
/*
 * Who holds which GPU, as collected from /proc, KFD and NVML, before it is one list a GPU. A claim is one
 * opening of a device by one process.
 */
#ifndef BERTH_PROBE_CLAIMS_H
#define BERTH_PROBE_CLAIMS_H

#include "probe/fdinfo.h"
#include "probe/probe_priv.h"

#define CLAIMS_MAX 4096

enum claim_of {
	CLAIM_FD,    /* a descriptor: those of one process add up */
	CLAIM_TOTAL, /* what a driver says of a whole process: the larger of it and the sum counts */
};

struct claim {
	uint32_t gpu; /* index in the report */
	uint32_t pid;
	char name[32]; /* comm */
	enum claim_of of;
	bool broker; /* opens devices for others */
	bool has_client;
	uint64_t client;
	struct fact vram, host;
	uint32_t engines;
};

/* Zeroed is empty. */
struct claims {
	struct claim *v;
	uint32_t n, room;
	struct fact unseen; /* processes whose descriptors may not be read */
	uint32_t n_seen;    /* processes there were, of ours and of others */
};

/* A program that everybody runs: what a capture may say of a process. */
bool process_is_public(const char *name);

/* One opening that several processes hold counts once. False: no room. */
bool claims_add(struct claims *c, const struct claim *claim);
void claims_fini(struct claims *c);

/*
 * What earlier walks found, for those that come often: processes without a descriptor of any GPU, or that we may
 * not look into, by pid, and how many descriptors each had. Zeroed knows of none.
 */
struct claims_past {
	struct walked {
		uint32_t pid;
		bool hidden;
		int64_t fds;
	} * v;
	uint32_t n, room;
	uint32_t walks; /* since all descriptors were looked at */
	uint64_t nodes; /* of which GPUs, as one number */
};
void claims_past_fini(struct claims_past *p);

#define CLAIMS_ALL_EVERY 6 /* walks: then all descriptors are looked at again */

/*
 * Every process of a machine, of a live one or of a folder with a proc/ of processes. Reading what a
 * client holds may wake its device: of a sleeping one, only that it is held. With a `past` (NULL: none) a live
 * machine's process that had no GPU open, and as many descriptors as now, is passed over: one that has closed
 * as many as it opened is found by the next walk of all.
 */
void claims_walk(struct claims *c, const struct machine *m, const struct report *r, bool wake,
		 struct claims_past *past);
/* KFD's account of every process that computes on an AMD GPU. */
void claims_kfd(struct claims *c, const struct machine *m, const struct report *r);
/* NVML's account. */
void claims_nvml(struct claims *c, const struct machine *m, const struct run *run);

/* One GPU's holders: a process once, its claims added up, the largest first. */
void claims_of_gpu(const struct claims *c, uint32_t gpu, struct holders *h);

#endif

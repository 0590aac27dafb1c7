/* SPDX-License-Identifier: MIT */
/*
 * The planner: pure functions from a model's facts, the devices' facts and the wishes to a plan. No
 * clock, no file, no environment. The rules are those of the engine version that `plan_engine` names.
 */
#ifndef BERTH_PLAN_H
#define BERTH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/planfile.h"
#include "base/text.h"
#include "probe/probe.h"
#include "vram-planner/model.h"
#include "vram-planner/wish.h"

/* A device that may be used. Made from probe's facts, or written by hand for what-if questions. */
struct place {
	char pci[24], uuid[64], name[120], backend[16], engine_name[32];
	struct fact total_bytes, free_bytes;
	struct fact bandwidth_bytes_s; /* of its memory, peak */
	struct fact link_bytes_s;      /* to the host's memory */
	struct fact gflops;            /* 16-bit matrices, peak, 10^9 a second */
	struct fact power_mw;          /* its limit */
	struct fact max_buffer_bytes;  /* of one buffer; unknown: no limit is known */
	struct fact
		overhead_bytes; /* outside the engine's account; unknown: as its backend's row */
	char driver[80];        /* with its version; "" unknown */
	bool hypothetical;      /* named by the user, not here */
	bool integrated; /* it works in the host's memory: without the engine's word, nothing to judge */
};

struct host_place {
	struct fact free_bytes; /* MemAvailable */
	struct fact bandwidth_bytes_s;
};

/* How the assumption begins that a plan is only an upper bound. */
#define PLAN_BOUND_NOTE "no rules for the architecture"

extern const char *const plan_engine; /* "llama.cpp v0.5.0" */

/*
 * The devices of a report that the engine can use: those chosen, in that order, or with n_chosen 0 all,
 * the one with the most free memory first. `places` has room for PROBE_GPUS_MAX.
 */
uint32_t places_from_report(const struct report *r, const uint32_t *chosen, uint32_t n_chosen,
			    struct place *places, struct host_place *host);

/*
 * Take the integrated GPUs out of places[], as the engine itself does, when there is another: by free
 * memory alone they would win, with the host's. Returns how many stay, in their order.
 */
uint32_t places_drop_integrated(struct place *places, uint32_t n);

/*
 * Decide. Always fills *p, whatever the verdict; an unknown architecture is VERDICT_UNKNOWN with the
 * architecture's name in decided_by. Returns 0, or -EBADMSG with *e when the header contradicts itself
 * (a key the family needs is missing or absurd), -EINVAL or -ERANGE when the wish cannot be met by any
 * engine (no such cache type, a split of more layers than there are), -ENODATA when a device named by
 * hand cannot be judged.
 *
 * A device's overhead_bytes is its backend's own (driver context, run-time pools) plus the margin: what
 * the wish says, else 2 % of the device and at least 256 MiB. The host's is the margin alone.
 */
int plan_make(struct plan *p, const struct model *m, const struct place *places, uint32_t n_places,
	      const struct host_place *host, const struct wish *w, struct err *e);

/* What is loaded beside a model: paths of files, borrowed. */
struct plan_beside {
	const char *draft; /* a draft model for speculation; NULL: none */
	const char *const *loras;
	uint32_t n_loras;
};

/*
 * The same with what is loaded beside it: that takes its memory first, and is in the plan's bytes. Also
 * -ENOENT, or -EBADMSG for a file that is not what it is named as.
 */
int plan_make_beside(struct plan *p, const struct model *m, const struct place *places,
		     uint32_t n_places, const struct host_place *host, const struct wish *w,
		     const struct plan_beside *b, struct err *e);

/* The same without header_sha256, which costs more than the rest: for answers that nobody carries out. */
int plan_decide(struct plan *p, const struct model *m, const struct place *places,
		uint32_t n_places, const struct host_place *host, const struct wish *w,
		struct err *e);

/*
 * Offer a change that makes a no a yes, by its rank; with too many the one that hurts most is dropped.
 * nearest_yes follows.
 */
void plan_offer(struct plan *p, const struct plan_nearest *n);

/*
 * The plan in words: the verdict and why in the first line, then one line a device. `command` begins what is
 * offered in place of a no: "berth plan".
 */
void plan_explain(struct text *t, const struct plan *p, const char *command);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the engine would allocate for a plan, found out by asking it, without a run: in a child process
 * with a limit of memory, because the engine aborts on what it cannot do, and that is an answer too.
 */
#ifndef BERTH_CORE_MEASURE_H
#define BERTH_CORE_MEASURE_H

#include <stdint.h>

#include "base/json.h"
#include "base/sanitized.h"
#include "core/account.h"

/* A sanitizer's shadow counts as memory, terabytes of it: such builds run without the limit. */
#define MEASURE_UNLIMITED SANITIZED

enum measure_end {
	MEASURE_DONE,      /* the sizes are there */
	MEASURE_REFUSED,   /* the engine said no */
	MEASURE_ABORTED,   /* the engine ended its process */
	MEASURE_NO_MEMORY, /* more memory than the limit was wanted */
	MEASURE_NO_DEVICE, /* a device of the plan is not here */
};

/* Plain values: a child sends it whole through a pipe. */
struct measure {
	enum measure_end end;
	char why[320];          /* when not MEASURE_DONE: the engine's last words, cleaned */
	uint32_t n_ctx_seq;     /* tokens one sequence may have */
	uint64_t weights_bytes; /* all tensors, as stored */
	uint64_t cache_bytes;   /* caches and states of all devices together */
	uint64_t cache_rounding_bytes;
	struct account account; /* compute buffers per device, outputs with the host's */
};

/*
 * Run work(arg, out) in a child that may take `limit_bytes` of memory of its own; what it prints on
 * stderr is kept for `why`, and shown when `echo`. The child's death is an end, not an error. 0, or a
 * negative errno with *e when no child could be made.
 */
int measure_in_child(void (*work)(void *arg, struct measure *out), void *arg, uint64_t limit_bytes,
		     bool echo, struct measure *out, struct err *e);

/* "berth.measure/1"; the caller owns it. */
json_t *measure_to_json(const struct measure *m, const char *engine);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The bill of one configuration: what the engine would allocate, buffer by buffer, before a driver's
 * overhead and anybody's margin. Everything that depends on the model alone is prepared once, so that
 * a search or a list of jobs can ask many times.
 */
#ifndef BERTH_BILL_H
#define BERTH_BILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vram-planner/ask.h"
#include "vram-planner/engine.h"
#include "vram-planner/model.h"
#include "vram-planner/placement.h"
#include "vram-planner/shape.h"

/* Kinds of buffer, by who can use the memory and how. */
enum bill_kind {
	BILL_DEVICE, /* the memory of a device */
	BILL_PINNED, /* host memory that a device reaches by itself; never dropped */
	BILL_CPU,    /* host memory; its weights are the mapped file, whose pages can be dropped */
	BILL_REPACK, /* host weights in the CPU backend's own layout; never dropped */
	BILL_AMX,    /* the same, in AMX tiles */
};

struct bill_part {
	enum bill_kind kind;
	uint32_t device; /* BILL_DEVICE, BILL_PINNED: index of the target */
	uint64_t weights_bytes;
	uint64_t kv_bytes; /* caches and recurrent states */
	uint64_t compute_bytes;
	uint64_t output_bytes; /* the logits and embeddings that the caller reads */
};

#define BILL_PARTS_MAX (PLAN_DEVICES_MAX + 4)

struct bill {
	const char *refused; /* why the engine would abort, or NULL; the rest is empty then */
	bool unverified; /* an upper bound by generic rules: this family, or its graph, is not known */
	uint32_t n;
	struct bill_part parts[BILL_PARTS_MAX]; /* devices in order, then the host's */
	uint32_t units[PLAN_DEVICES_MAX];       /* repeating layers, and one for the output */
	uint32_t n_host;                        /* units on the host */
	bool host_weights; /* some unit has weights on the host: layers, or experts of a layer */
};

struct biller; /* owns the shape and the scratch memory; the model must outlive it */

/*
 * Prepare a model for a version of the engine. 0; -EBADMSG with *e when the header contradicts itself,
 * -ENOTSUP when no rules are known for it.
 */
int biller_open(struct biller **b, const struct model *m, const struct engine *engine,
		struct err *e);
void biller_close(struct biller *b);

const struct shape *biller_shape(const struct biller *b);

/* Where everything is by the last bill. */
const struct placement *biller_placement(const struct biller *b);

/*
 * Weights and caches of the units before each on a device like *target: a quick first look at a
 * placement, which a bill confirms. Unit n_layer is the output.
 */
struct bill_units {
	uint64_t before[LAYERS_MAX + 2];
	uint64_t once; /* beside them, on every device that owns a layer */
};

/* *a is settled. 0, or -ENOTSUP with *e as biller_bill. */
int biller_units(struct biller *b, const struct ask *a, const struct target *target,
		 struct bill_units *out, struct err *e);

/*
 * Settle *a and write its bill. 0; -ERANGE with *e when no engine could take it; -ENOTSUP with *e when
 * the rules do not cover it. A refusal of the engine is an answer: 0, with out->refused.
 */
int biller_bill(struct biller *b, struct ask *a, const struct target *targets, uint32_t n,
		struct bill *out, struct err *e);

/* The part of a kind (and, for devices and their pinned memory, of that device), or NULL. */
const struct bill_part *bill_part(const struct bill *b, enum bill_kind kind, uint32_t device);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a model goes: the engine's own rules from its flags to the home of each unit,
 * tensor and cache (home.h). Pure.
 */
#ifndef BERTH_PLACEMENT_H
#define BERTH_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "vram-planner/ask.h"
#include "vram-planner/backend.h"
#include "vram-planner/home.h"
#include "vram-planner/shape.h"

/* Why a tensor is where it is. */
enum fate {
	FATE_DEVICE,  /* on the device of its unit */
	FATE_INPUT,   /* on the host: the input class always is */
	FATE_LAYER,   /* on the host: its layer, or the output, is on no device */
	FATE_FORCED,  /* elsewhere by an override: n_cpu_moe or -ot */
	FATE_MOVED,   /* on the host: its device cannot work on it */
	FATE_SKIPPED, /* not loaded: prediction layers */
};

/* Buffers of the host. */
enum host_kind {
	HOST_PLAIN,  /* the processor's own; with mmap the mapped file */
	HOST_PINNED, /* of the first device that has such a buffer, when it can work on the tensor */
	HOST_AMX,    /* repacked into tiles */
	HOST_REPACK, /* repacked for vector units */
	HOST_KINDS
};

struct placement {
	uint32_t n_devices;
	struct target devices[PLAN_DEVICES_MAX];
	uint32_t first[PLAN_DEVICES_MAX], units[PLAN_DEVICES_MAX]; /* each device's run of units */
	uint32_t n_host; /* the first units that are on no device; unit n_layer is the output */
	int32_t pinned;  /* the device whose pinned buffer the host uses; -1: none */
	bool overridden; /* tensors were forced elsewhere: no pipeline */
	int8_t unit[LAYERS_MAX + 1];
	int8_t output;       /* home of the matrix of logits: the tied copy's, or output.weight's */
	bool copied;         /* the tied output is a second copy of token_embd */
	uint8_t output_kind; /* enum host_kind of that copy, when it is on the host */
	int8_t *home;        /* owned; of each tensor of the model, by its index (enum home) */
	uint8_t *fate;       /* owned; enum fate of each tensor */
	uint8_t *kind;       /* owned; enum host_kind of those on the host */
};

/*
 * Place by the ask's n_gpu_layers, split, n_cpu_moe and mtp. `forced`: by tensor, a home or HOME_NONE for
 * "as usual" (overrides_resolve); NULL: no override. 0; -ENOMEM. Give back with placement_fini; a
 * placement may be made again in the same storage for the same model, which allocates nothing.
 */
int placement_make(struct placement *p, const struct shape *s, const struct ask *a,
		   const struct target *devices, uint32_t n_devices, const int8_t *forced,
		   struct err *e);
void placement_fini(struct placement *p);

/* Home of a tensor, as the layer `il` sees it: the few that every device has are where the layer is. */
int tensor_home(const struct placement *p, const struct shape *s, const struct tensor *t,
		uint32_t il);

/* Home of a layer's caches and states. */
int cache_home(const struct placement *p, const struct ask *a, uint32_t layer);

/* What a tensor of `bytes` with rows of `row` numbers takes in a buffer of this backend. */
uint64_t placed_bytes(const struct backend *b, uint32_t type, uint64_t row, uint64_t bytes);

/* Weights of each home, padded as its buffer does. */
struct weights {
	uint64_t device[PLAN_DEVICES_MAX];
	uint64_t host[HOST_KINDS];
};

void placement_weights(const struct placement *p, const struct shape *s, struct weights *w);

/*
 * Weights and caches of the units before each, were they all on a device like *d: a quick look at what a
 * run of units takes, which a placement confirms. Unit n_layer is the output.
 */
struct unit_sums {
	uint64_t before[LAYERS_MAX + 2];
	uint64_t once; /* beside them, on every device that owns a layer */
};

void units_sum(const struct shape *s, const struct ask *a, const struct target *d,
	       const int8_t *forced, struct unit_sums *out);

/* Whether a device of this kind can work on a weight as the engine tries it (supports.c). */
bool target_supports(const struct target *d, const struct shape *s, const struct tensor *t,
		     enum probe probe);

/* The host's buffer for a weight, and what it takes there. */
enum host_kind host_kind_of(const struct placement *p, const struct shape *s, const struct ask *a,
			    const struct tensor *t, enum probe probe);
uint64_t host_bytes(const struct placement *p, const struct tensor *t, enum host_kind kind);

/*
 * Resolve the ask's overrides by name: fills forced[], one home for each tensor of the model. -EINVAL
 * with *e when a pattern is no regular expression.
 */
int overrides_resolve(int8_t *forced, const struct shape *s, const struct ask *a, struct err *e);

#endif

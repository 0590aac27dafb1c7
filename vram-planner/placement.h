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

/* Why a tensor is on the host; the kinds of host buffer follow from it (page-locked, plain, repacked). */
enum fate {
	FATE_DEVICE, /* it is not: on a device */
	FATE_INPUT,  /* the input class: always there */
	FATE_LAYER,  /* its layer, or the output, is on no device */
	FATE_FORCED, /* an override: n_cpu_moe or -ot */
	FATE_MOVED, /* its device cannot work on it: larger than max_buffer_bytes, or its product is */
	FATE_SKIPPED, /* not loaded: prediction layers */
};

struct placement {
	uint32_t n_devices;
	struct target devices[PLAN_DEVICES_MAX];
	uint32_t first[PLAN_DEVICES_MAX], units[PLAN_DEVICES_MAX]; /* each device's run of units */
	uint32_t n_host; /* the first units that are on no device; unit n_layer is the output */
	bool overridden; /* tensors were forced elsewhere: no pipeline */
	int8_t unit[LAYERS_MAX + 1];
	int8_t output; /* home of what computes the logits: the tied copy, or output.weight */
	bool copied;   /* the output is a copy of token_embd beside the one of the input */
	int8_t *home;  /* owned; of each tensor of the model, by its index */
	uint8_t *fate; /* owned; enum fate of each tensor */
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

/* Weights and caches of each home. */
struct weights {
	uint64_t device[PLAN_DEVICES_MAX];
	uint64_t host[FATE_SKIPPED]; /* by fate; the copy of a tied output counts as FATE_LAYER */
};

void placement_weights(const struct placement *p, const struct shape *s, struct weights *w);

/*
 * Resolve the ask's overrides by name: fills forced[], one home for each tensor of the model. -EINVAL
 * with *e when a pattern is no regular expression.
 */
int overrides_resolve(int8_t *forced, const struct shape *s, const struct ask *a, struct err *e);

#endif

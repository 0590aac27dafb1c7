/* SPDX-License-Identifier: MIT */
/*
 * A hostile header through everything that counts memory: shape, placement, caches, refusals, the compute
 * graph, its schedule and its allocation. The last bytes of the input choose the configuration; the reader
 * of headers does not look at them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "vram-planner/cache.h"
#include "vram-planner/compute.h"
#include "vram-planner/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define N_KNOBS 8

static const char *const backends[] = { "cuda", "vulkan", "rpc", "rocm" };
static const uint32_t types[] = { 1, 0, 8, 2, 20 }; /* f16 f32 q8_0 q4_0 iq4_nl */
static const char *const versions[] = { "0.7.0", "0.5.0" };

static void choose(struct ask *a, const uint8_t *knob)
{
	ask_default(a);
	a->n_ctx = knob[0] ? 1u << (knob[0] % 24) : 0;
	a->n_ubatch = 1u << (knob[1] % 12);
	a->n_seq = 1 + knob[2] % 5;
	a->unified = knob[2] & 16;
	a->swa_full = knob[2] & 32;
	a->cache_on_host = knob[2] & 64;
	a->flash_attn = !(knob[2] & 128);
	a->type_k = types[knob[3] % 5];
	a->type_v = types[knob[3] / 5 % 5];
	a->n_outputs = knob[4] & 1 ? 1 : 0;
	a->embeddings = knob[4] & 2;
	a->mtp = knob[4] & 4;
	a->extra_buffers = knob[4] & 8;
	a->n_rs_seq = knob[4] >> 6;
	a->n_gpu_layers = knob[5] == 255 ? ASK_ALL_LAYERS : knob[5];
	a->n_cpu_moe = knob[6] & 7;
}

/* From a few of the layers, or from all: the same answer, and one that says what is wrong. */
static void compute(const struct shape *s, const struct ask *a, const struct placement *p,
		    const struct engine *engine)
{
	struct compute_bytes some, all;
	struct compute *c;
	int rc;

	if (compute_open(&c, s))
		return;
	rc = compute_bytes(c, a, p, engine, &some);
	if (rc && rc != -ENOMEM && !some.fault)
		abort();
	if (rc != compute_bytes_whole(c, a, p, engine, &all) || some.host != all.host ||
	    some.n_nodes != all.n_nodes || some.n_splits != all.n_splits)
		abort();
	for (uint32_t i = 0; i < p->n_devices; i++) {
		if (some.device[i] != all.device[i])
			abort();
	}
	compute_close(c);
}

static void plan(const struct shape *s, const uint8_t *knob)
{
	struct target targets[3] = { 0 };
	struct placement p = { 0 };
	struct caches caches;
	struct weights weights;
	struct err e;
	struct ask a;

	choose(&a, knob);
	if (ask_settle(&a, s->n_ctx_train, s->causal, &e))
		return;
	for (int i = 0; i < 3; i++) {
		targets[i].backend = backend_find(backends[knob[7] >> 4 & 3]);
		targets[i].memory_bytes = UINT64_C(1) << 34;
		targets[i].max_buffer_bytes = knob[7] & 128 ? UINT64_C(1) << 27 : 0;
	}
	if (placement_make(&p, s, &a, targets, knob[7] % 4, NULL, &e))
		return;
	placement_weights(&p, s, &weights);
	caches_sum(&p, s, &a, &caches);
	(void)refusal_find(s, &a, &p);
	compute(s, &a, &p, engine_find(versions[knob[6] >> 7]));
	placement_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct shape s;
	struct model *m;
	struct err e;

	if (size < N_KNOBS)
		return 0;
	if (model_from_bytes(&m, bytes, size, &e) == 0 && shape_read(&s, m, &e) == 0) {
		plan(&s, bytes + size - N_KNOBS);
		shape_fini(&s);
	}
	model_close(m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Which buffer the engine chooses for a weight: it tries an operation with it (llama-model-loader.cpp,
 * weight_buft_supported), with 512 rows, and takes the first buffer whose device can do that.
 */
#include "vram-planner/placement.h"

#include "vram-planner/round.h"

#define TRIAL_ROWS 512
#define TRIAL_SEQS 3

/* --- on a device --- */

struct trial {
	uint64_t operand, result; /* bytes, f32; UINT64_MAX: more than can be counted */
};

static uint64_t floats(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t v;

	if (__builtin_mul_overflow(a, b, &v) || __builtin_mul_overflow(v, c, &v) ||
	    __builtin_mul_overflow(v, (uint64_t)4, &v))
		return UINT64_MAX;
	return v;
}

static uint64_t planes(const struct tensor *t)
{
	return t->ne[2] * t->ne[3];
}

/* The trial's largest operand beside the weight, and its result. */
static struct trial trial_of(const struct shape *s, const struct tensor *t, enum probe probe)
{
	uint64_t same = floats(t->ne[0], t->ne[1], planes(t)), used = s->n_used_max;

	switch (probe) {
	case PROBE_MUL_MAT:
		return (struct trial) { floats(t->ne[0], TRIAL_ROWS, planes(t)),
					floats(t->ne[1], TRIAL_ROWS, planes(t)) };
	case PROBE_MUL_MAT_ID:
		return (struct trial) { floats(t->ne[0], used, TRIAL_ROWS),
					floats(t->ne[1], used, TRIAL_ROWS) };
	case PROBE_GET_ROWS:
		return (struct trial) { 0, floats(t->ne[0], TRIAL_ROWS, 1) };
	case PROBE_ADD_ID:
		return (struct trial) { floats(t->ne[0], used, TRIAL_ROWS),
					floats(t->ne[0], used, TRIAL_ROWS) };
	case PROBE_ROPE:
		return (struct trial) { floats(s->head_v, s->n_head, TRIAL_ROWS),
					floats(s->head_v, s->n_head, TRIAL_ROWS) };
	case PROBE_SSM_CONV:
		return (struct trial) { floats(t->ne[0] + TRIAL_ROWS, t->ne[1], TRIAL_SEQS),
					floats(t->ne[1], TRIAL_ROWS, TRIAL_SEQS) };
	case PROBE_SSM_SCAN:
		return (struct trial) { floats(s->ssm_inner, TRIAL_ROWS, TRIAL_SEQS),
					floats(s->ssm_inner, TRIAL_ROWS + s->ssm_state,
					       TRIAL_SEQS) };
	default:
		return (struct trial) { same, same };
	}
}

/* Mamba's first scan has a state for each channel, which is in the rows of its matrix. */
static bool is_wide(const struct shape *s, const struct tensor *t)
{
	return t->ne[0] == 1 && (s->ssm_state == 128 || s->ssm_state == 256);
}

bool target_supports(const struct target *d, const struct shape *s, const struct tensor *t,
		     enum probe probe)
{
	if (probe == PROBE_GET_ROWS && !(t->type < 64 && d->backend->row_types >> t->type & 1))
		return false;
	if (probe == PROBE_SSM_SCAN && d->backend->scans_wide && !is_wide(s, t))
		return false;
	if (d->max_buffer_bytes == 0)
		return true;
	struct trial trial = trial_of(s, t, probe);

	return t->bytes <= d->max_buffer_bytes && trial.operand <= d->max_buffer_bytes &&
	       trial.result <= d->max_buffer_bytes;
}

/* --- on the host --- */

/*
 * Types that the processor's kernels want rearranged: AMX tiles for the matrices of a layer, interleaved
 * rows for those of experts, too. ggml-cpu at v0.5.0: amx/amx.cpp (supports_op), amx/mmq.cpp
 * (get_row_size: blocks keep their bytes and gain sums or unpacked scales), repack.cpp
 * (ggml_repack_get_optimal_repack_type, on a processor with AVX-512).
 */
static const struct {
	uint32_t type;
	uint32_t amx_row;     /* ne[0] is a multiple of this for AMX; 0: never AMX */
	uint32_t amx_block;   /* weights per block */
	uint32_t amx_extra;   /* bytes more for each block in tiles */
	uint32_t repack_rows; /* ne[1] is a multiple of this for interleaving; 0: never */
} rearranged[] = {
	{ 1, 16, 0, 0, 0 },     /* f16: taken, not packed */
	{ 2, 32, 32, 0, 8 },    /* q4_0 */
	{ 3, 32, 32, 0, 0 },    /* q4_1 */
	{ 8, 32, 32, 4, 0 },    /* q8_0: a sum for each block */
	{ 10, 0, 0, 0, 8 },     /* q2_K */
	{ 12, 256, 256, 4, 8 }, /* q4_K: scales unpacked */
	{ 13, 256, 256, 4, 0 }, /* q5_K */
	{ 14, 256, 256, 0, 0 }, /* q6_K */
	{ 20, 0, 0, 0, 8 },     /* iq4_nl */
	{ 23, 256, 256, 2, 0 }, /* iq4_xs */
	{ 39, 0, 0, 0, 8 },     /* mxfp4 */
};

#define N_REARRANGED (sizeof(rearranged) / sizeof(rearranged[0]))
#define AMX_COLUMNS  32

static int rearranged_row(uint32_t type)
{
	for (size_t i = 0; i < N_REARRANGED; i++) {
		if (rearranged[i].type == type)
			return (int)i;
	}
	return -1;
}

static enum host_kind rearranged_kind(const struct tensor *t, enum probe probe)
{
	int i = rearranged_row(t->type);
	bool matrix = probe == PROBE_MUL_MAT, experts = probe == PROBE_MUL_MAT_ID;
	int dims = t->ne[3] > 1 ? 4 : t->ne[2] > 1 ? 3 : t->ne[1] > 1 ? 2 : 1;

	if (i < 0)
		return HOST_PLAIN;
	if (matrix && rearranged[i].amx_row && t->ne[0] % rearranged[i].amx_row == 0 &&
	    t->ne[1] % AMX_COLUMNS == 0)
		return HOST_AMX;
	if (((matrix && dims == 2) || (experts && dims == 3)) && rearranged[i].repack_rows &&
	    t->ne[1] % rearranged[i].repack_rows == 0)
		return HOST_REPACK;
	return HOST_PLAIN;
}

enum host_kind host_kind_of(const struct placement *p, const struct shape *s, const struct ask *a,
			    const struct tensor *t, enum probe probe)
{
	/* What would be pinned is left where it is mapped, even with buffers for rearranged weights. */
	if (p->pinned >= 0 && target_supports(&p->devices[p->pinned], s, t, probe))
		return a->mmap ? HOST_PLAIN : HOST_PINNED;
	return a->extra_buffers ? rearranged_kind(t, probe) : HOST_PLAIN;
}

uint64_t host_bytes(const struct placement *p, const struct tensor *t, enum host_kind kind)
{
	const struct backend *cpu = backend_find("cpu");
	uint64_t bytes = t->bytes;
	int i = rearranged_row(t->type);

	if (kind == HOST_PINNED)
		return round_up(bytes, p->devices[p->pinned].backend->host_alignment);
	if (kind == HOST_AMX && i >= 0 && rearranged[i].amx_block)
		bytes += t->ne[0] / rearranged[i].amx_block * t->ne[1] * rearranged[i].amx_extra;
	return round_up(bytes, cpu->alignment);
}

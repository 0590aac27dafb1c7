/* SPDX-License-Identifier: MIT */
/*
 * What each backend computes, and what room its kernels want beside their results. A backend that is not
 * told apart here computes everything and wants none.
 */
#include <stddef.h>

#include "vram-planner/galloc.h"
#include "vram-planner/model.h"
#include "vram-planner/vulkan.h"

#define ROW_PAD 512 /* MATRIX_ROW_PADDING of the CUDA backend */

/* --- types --- */

static bool is_quantized(uint32_t type)
{
	return quant_is_blocked(type);
}

/* ggml's numbers: q4_0 2, q4_1 3, q5_0 6, q5_1 7, q8_0 8, bf16 30. */
static bool type_is_plain_or_legacy(uint32_t type)
{
	return type <= 3 || (type >= 6 && type <= 8) || type == 30;
}

/* --- flash attention on CUDA (fattn.cu at v0.5.0, an Ampere card or later) --- */

enum flash { FLASH_NONE, FLASH_VECTOR, FLASH_TILES };

static bool strides_are_even(const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];

	if (!n || is_quantized(t->type))
		return true;
	for (int i = 1; i < G_DIMS; i++) {
		if (t->nb[i] % 16)
			return false;
	}
	return true;
}

/* Several query heads can share a key head: wants a mask and whole tiles of cells. */
static bool heads_are_grouped(const struct graph *g, const struct gnode *t, int64_t group)
{
	bool mask = t->n_src > 3 && t->src[3];

	if (group < 2 || !mask || g->nodes[t->src[1]].ne[1] % 256)
		return false;
	for (int i = 0; i < 4; i++) {
		if (!strides_are_even(g, t->src[i]))
			return false;
	}
	return true;
}

/* Head sizes that kernels exist for; `values` 0: the same as the key's. */
static const struct {
	int16_t keys, values;
	bool grouped;     /* only with shared key heads */
	int16_t multiple; /* of which their number must be */
} flash_heads[] = {
	{ 40, 0, false, 1 },   { 64, 0, false, 1 },    { 72, 0, false, 1 },  { 80, 0, false, 1 },
	{ 96, 0, false, 1 },   { 112, 0, false, 1 },   { 128, 0, false, 1 }, { 256, 0, false, 1 },
	{ 192, 128, true, 8 }, { 320, 256, true, 32 }, { 512, 0, true, 1 },  { 576, 512, true, 1 },
};

static bool heads_fit(int64_t keys, int64_t values, bool grouped, int64_t group)
{
	for (size_t i = 0; i < sizeof(flash_heads) / sizeof(flash_heads[0]); i++) {
		if (flash_heads[i].keys != keys)
			continue;
		return values == (flash_heads[i].values ? flash_heads[i].values : keys) &&
		       (grouped || !flash_heads[i].grouped) && group % flash_heads[i].multiple == 0;
	}
	return false;
}

static enum flash flash_kernel(const struct graph *g, const struct gnode *t)
{
	const struct gnode *q = &g->nodes[t->src[0]], *k = &g->nodes[t->src[1]];
	const struct gnode *v = &g->nodes[t->src[2]];
	int64_t group = k->ne[2] ? q->ne[2] / k->ne[2] : 0;
	bool grouped = heads_are_grouped(g, t, group), vector;

	if (!heads_fit(k->ne[0], v->ne[0], grouped, group) || !type_is_plain_or_legacy(k->type) ||
	    !type_is_plain_or_legacy(v->type))
		return FLASH_NONE;
	if (t->n_src > 3 && t->src[3] && g->nodes[t->src[3]].ne[2] != 1)
		return FLASH_NONE;
	vector = q->ne[0] <= 256 && q->ne[0] % 64 == 0 && q->ne[0] != 192 && k->ne[1] % 256 == 0;
	if (vector && q->ne[1] == 1 && (!grouped || is_quantized(k->type) || is_quantized(v->type)))
		return FLASH_VECTOR;
	return FLASH_TILES;
}

/* The tiles' kernel works on f16: what else there is gets a copy behind the result. */
static uint64_t flash_bytes(const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];
	const struct gnode *k = &g->nodes[t->src[1]], *v = &g->nodes[t->src[2]];
	uint64_t bytes = g_bytes(g, n);
	bool one = v->view_src && (v->view_src == t->src[1] || v->view_src == k->view_src);

	if (flash_kernel(g, t) != FLASH_TILES)
		return bytes;
	if (k->type != GT_F16)
		bytes = (bytes + 127) / 128 * 128 + 2 * (uint64_t)g_elements(g, t->src[1]);
	if (v->type != GT_F16 && !one)
		bytes = (bytes + 127) / 128 * 128 + 2 * (uint64_t)g_elements(g, t->src[2]);
	return bytes;
}

uint64_t side_bytes(const struct side *side, const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];
	uint64_t bytes, extra;

	if (t->op == OP_FLASH_ATTN && side->backend->stages_kv)
		return flash_bytes(g, n);
	bytes = g_bytes(g, n);
	if (side->backend->pads_rows && is_quantized(t->type) && t->ne[0] % ROW_PAD &&
	    quant_bytes(t->type, ROW_PAD - (uint64_t)t->ne[0] % ROW_PAD, &extra))
		bytes += extra;
	return bytes;
}

/* --- what runs where --- */

/* A device does not reach into another's buffers. */
static bool others_memory(int index, const struct graph *g, const struct gnode *t)
{
	for (uint32_t i = 0; i < t->n_src; i++) {
		int8_t home = g->nodes[t->src[i]].home;

		if (t->src[i] && home >= 0 && home != index)
			return true;
	}
	return false;
}

static bool cuda_supports(int index, const struct graph *g, const struct gnode *t)
{
	if (others_memory(index, g, t))
		return false;
	switch (t->op) {
	case OP_MUL_MAT:
	case OP_MUL_MAT_ID:
		return g->nodes[t->src[1]].type != GT_F16 || g->nodes[t->src[0]].type == GT_F16;
	case OP_FLASH_ATTN:
		return flash_kernel(g, t) != FLASH_NONE;
	default:
		return true;
	}
}

static bool rows_known(const struct side *side, const struct graph *g, const struct gnode *t)
{
	return t->op != OP_GET_ROWS || side->backend->row_types >> g->nodes[t->src[0]].type & 1;
}

bool side_supports(const struct side *side, int index, const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];

	if (side->backend->lacks >> t->op & 1 || !rows_known(side, g, t))
		return false;
	switch (side->backend->ops) {
	case OPS_CUDA:
		return cuda_supports(index, g, t);
	case OPS_VULKAN:
		return vulkan_supports(g, n, side->max_buffer_bytes);
	case OPS_ALL:
		break;
	}
	return true;
}

bool side_offloads(const struct side *side, const struct graph *g, int n)
{
	const struct gnode *t = &g->nodes[n];

	if (!side->backend->offloads_ops)
		return false;
	switch (t->op) {
	case OP_GET_ROWS:
		return false;
	case OP_MUL_MAT:
		return t->ne[1] >= OFFLOAD_ROWS;
	case OP_MUL_MAT_ID:
	case OP_ROPE:
		return t->ne[2] >= OFFLOAD_ROWS;
	default:
		return t->ne[1] * t->ne[2] * t->ne[3] >= OFFLOAD_ROWS;
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * The mixes of llama.cpp's quantizer (v0.5.0, without an importance matrix): a base type, and more bits
 * for the values of attention and the way down, in all or some layers.
 */
#include "vram-planner/mix.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Ids of the format; quants[] has the rest. */
enum {
	F32 = 0,
	F16 = 1,
	Q4_0 = 2,
	Q5_0 = 6,
	Q5_1 = 7,
	Q8_0 = 8,
	Q2_K = 10,
	Q3_K = 11,
	Q4_K = 12,
	Q5_K = 13,
	Q6_K = 14,
	IQ4_NL = 20,
	IQ4_XS = 23,
	BF16 = 30,
};

/* Which layers get the better type. */
enum which {
	NO_LAYER,
	ALL,
	SOME,
	FIRST_EIGHTH,
	FIRST_SIXTEENTH,
	FIRST_FOUR,
	FIRST_TWO,
	IF_GROUPED
};

struct choice_of_type {
	enum which which;
	uint32_t type, otherwise; /* otherwise 0: the base */
};

struct mix {
	const char *name;
	uint32_t base;
	struct choice_of_type values, down;
	uint32_t attn_output; /* 0: the base */
};

/* clang-format off */
static const struct mix mixes[] = {
	{ "f32",    F32,    { 0 }, { 0 }, 0 },
	{ "f16",    F16,    { 0 }, { 0 }, 0 },
	{ "bf16",   BF16,   { 0 }, { 0 }, 0 },
	{ "q8_0",   Q8_0,   { 0 }, { 0 }, 0 },
	{ "q6_K",   Q6_K,   { 0 }, { 0 }, 0 },
	{ "q5_K_M", Q5_K,   { SOME, Q6_K, 0 }, { SOME, Q6_K, 0 }, 0 },
	{ "q5_K_S", Q5_K,   { 0 }, { 0 }, 0 },
	{ "q4_K_M", Q4_K,   { SOME, Q6_K, 0 }, { SOME, Q6_K, 0 }, 0 },
	{ "q4_K_S", Q4_K,   { FIRST_FOUR, Q5_K, 0 }, { FIRST_EIGHTH, Q5_K, 0 }, 0 },
	{ "q4_0",   Q4_0,   { 0 }, { 0 }, 0 },
	{ "iq4_xs", IQ4_XS, { IF_GROUPED, Q5_K, 0 }, { FIRST_EIGHTH, Q5_K, 0 }, 0 },
	{ "q3_K_M", Q3_K,   { FIRST_TWO, Q5_K, Q4_K }, { FIRST_SIXTEENTH, Q5_K, Q4_K }, Q4_K },
	{ "q2_K",   Q2_K,   { IF_GROUPED, Q4_K, Q3_K }, { ALL, Q3_K, 0 }, Q3_K },
};
/* clang-format on */

const char *const mix_names =
	"f32, f16, bf16, q8_0, q6_K, q5_K_M, q5_K_S, q4_K_M, q4_K_S, q4_0, iq4_xs, q3_K_M, q2_K";

const struct mix *mix_find(const char *name)
{
	for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
		if (strcasecmp(mixes[i].name, name) == 0)
			return &mixes[i];
	}
	return NULL;
}

const char *mix_name(const struct mix *m)
{
	return m->name;
}

/* The first and the last eighth, and each third layer between. */
static bool some(uint32_t i, uint32_t n)
{
	return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static bool is_chosen(enum which which, const struct mix_model *of, uint32_t i)
{
	switch (which) {
	case ALL:
		return true;
	case SOME:
		return some(i, of->n_layer);
	case FIRST_EIGHTH:
		return i < of->n_layer / 8;
	case FIRST_SIXTEENTH:
		return i < of->n_layer / 16;
	case FIRST_FOUR:
		return i < 4;
	case FIRST_TWO:
		return i < 2;
	case IF_GROUPED:
		return of->n_head_kv && of->n_head / of->n_head_kv >= 4;
	default:
		return false;
	}
}

static uint32_t choose(const struct choice_of_type *c, const struct mix *m,
		       const struct mix_model *of, uint32_t layer)
{
	if (is_chosen(c->which, of, layer))
		return c->type;
	return c->otherwise ? c->otherwise : m->base;
}

static bool has(const char *name, const char *part)
{
	return strstr(name, part) != NULL;
}

static uint32_t of_values(const struct mix *m, const struct mix_model *of, uint32_t layer)
{
	uint32_t type = choose(&m->values, m, of, layer);

	if (of->seventy && (type == Q3_K || type == Q4_K))
		type = Q5_K;
	return of->n_expert == 8 ? Q8_0 : type;
}

static uint32_t of_layer(const struct mix *m, const struct mix_model *of, const char *name,
			 uint32_t layer)
{
	bool eight = of->n_expert == 8;

	if (has(name, "attn_v.weight") || has(name, "attn_qkv.weight") ||
	    has(name, "attn_kv_b.weight"))
		return of_values(m, of, layer);
	if (has(name, "attn_k.weight"))
		return eight ? Q8_0 : m->base;
	if (has(name, "ffn_down"))
		return choose(&m->down, m, of, layer);
	if (has(name, "attn_output.weight") && eight && m->base >= Q2_K && m->base != Q5_K &&
	    m->base != Q6_K)
		return Q5_K;
	if (has(name, "attn_output.weight") && m->attn_output)
		return m->attn_output;
	return m->base;
}

/* Rows that a block does not divide get a type with smaller blocks. */
static uint32_t fallback(uint32_t type, uint64_t ne0)
{
	static const uint8_t smaller[] = { [Q2_K] = Q4_0, [Q3_K] = Q4_0, [Q4_K] = Q5_0,
					   [Q5_K] = Q5_1, [Q6_K] = Q8_0, [IQ4_XS] = IQ4_NL };

	if (type < sizeof(smaller) && smaller[type] && ne0 % 256)
		type = smaller[type];
	return ne0 % 32 ? F16 : type;
}

static bool stays_whole(const char *name, uint32_t n_dims)
{
	size_t n = strlen(name);

	return n_dims < 2 || n < 6 || strcmp(name + n - 6, "weight") != 0 ||
	       has(name, "_norm.weight") || has(name, "ffn_gate_inp");
}

uint32_t mix_type(const struct mix *m, const struct mix_model *of, const char *name, int32_t layer,
		  uint32_t n_dims, uint64_t ne0)
{
	bool quantized = m->base != F32 && m->base != F16 && m->base != BF16;
	bool output = strcmp(name, "output.weight") == 0 ||
		      (of->tied && strcmp(name, "token_embd.weight") == 0);
	uint32_t type;

	if (stays_whole(name, n_dims))
		return F32;
	if (!quantized)
		return m->base;
	if (output)
		type = m->base == Q8_0 || ne0 % 256 ? Q8_0 : Q6_K;
	else if (layer < 0)
		type = m->base;
	else
		type = of_layer(m, of, name, (uint32_t)layer);
	return fallback(type, ne0);
}

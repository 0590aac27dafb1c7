/* SPDX-License-Identifier: MIT */
/* Random weights: uniform, of a given standard deviation, by a seeded xorshift; no libm. */
#include <string.h>

#include "tests/modelgen/modelgen_priv.h"

#define Q8_BLOCK      32
#define COLUMNS_MAX   65536
#define UNIFORM_WIDTH 1.7320508f /* sqrt(3): uniform in +-w has deviation w / sqrt(3) */

uint64_t row_bytes(enum ggml_type type, uint64_t columns)
{
	switch (type) {
	case GGML_F32:
		return columns * 4;
	case GGML_F16:
		return columns * 2;
	case GGML_Q8_0:
		return columns / Q8_BLOCK * (2 + Q8_BLOCK);
	}
	return 0;
}

/* Marsaglia's xorshift64, with the multiplication of Vigna's xorshift64*. The state is never zero. */
static uint64_t draw_u64(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* Separate streams for separate tensors, so that a changed layer count leaves the others alone. */
static uint64_t stream_of(uint64_t seed, const char *name)
{
	uint64_t s = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *name; name++)
		s = (s ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	s ^= (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	s ^= s >> 31;
	return s ? s : 1;
}

/* Round to nearest even; our weights are finite and small, so overflow and NaN need no care. */
static uint16_t to_f16(float v)
{
	uint32_t bits;
	uint32_t sign, exp, frac;

	memcpy(&bits, &v, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	exp = bits >> 23 & 0xff;
	frac = bits & 0x7fffff;
	if (exp < 103)
		return (uint16_t)sign;
	if (exp < 113) { /* a subnormal half */
		uint32_t shift = 126 - exp;

		frac |= 0x800000;
		return (uint16_t)(sign | ((frac + (1u << (shift - 1))) >> shift));
	}
	bits = (exp - 112) << 23 | frac;
	bits += 0xfff + (bits >> 13 & 1);
	return (uint16_t)(sign | bits >> 13);
}

/* As lrintf(), without libm. */
static int nearest(float v)
{
	return (int)(v < 0 ? v - 0.5f : v + 0.5f);
}

static float magnitude(float v)
{
	return v < 0 ? -v : v;
}

static void write_q8(struct gguf *g, const float *row, uint64_t n)
{
	for (uint64_t b = 0; b < n; b += Q8_BLOCK) {
		struct {
			uint16_t d;
			int8_t q[Q8_BLOCK];
		} block;
		float top = 0;
		float inverse;

		for (int i = 0; i < Q8_BLOCK; i++)
			top = magnitude(row[b + i]) > top ? magnitude(row[b + i]) : top;
		block.d = to_f16(top / 127);
		inverse = top > 0 ? 127 / top : 0;
		for (int i = 0; i < Q8_BLOCK; i++)
			block.q[i] = (int8_t)nearest(row[b + i] * inverse);
		gguf_bytes(g, &block, sizeof(block));
	}
}

static void write_row(struct gguf *g, enum ggml_type type, const float *row, uint64_t n)
{
	static _Thread_local uint16_t half[COLUMNS_MAX];

	if (type == GGML_Q8_0) {
		write_q8(g, row, n);
		return;
	}
	if (type == GGML_F32) {
		gguf_bytes(g, row, n * sizeof(*row));
		return;
	}
	for (uint64_t i = 0; i < n; i++)
		half[i] = to_f16(row[i]);
	gguf_bytes(g, half, n * sizeof(*half));
}

static void draw_row(float *row, uint64_t n, const struct draw *d, uint64_t *state)
{
	float width = d->std * UNIFORM_WIDTH;

	for (uint64_t c = 0; c < n; c++) {
		float unit = (float)((int64_t)draw_u64(state) >> 39) / (1 << 24);

		row[c] = d->std > 0 ? d->mean + unit * width : d->mean;
	}
}

void weights_write(struct gguf *g, const struct tensor_out *t, uint64_t seed)
{
	static _Thread_local float row[COLUMNS_MAX];
	uint64_t state = stream_of(seed, t->name);

	for (uint64_t r = 0; r < t->ne[1] * t->ne[2]; r++) {
		draw_row(row, t->ne[0], &t->draw, &state);
		if (t->draw.column0)
			row[0] = t->draw.column0[r % t->ne[1]];
		if (t->draw.column0_zero)
			row[0] = 0;
		if (t->draw.row0_zero && r % t->ne[1] == 0)
			memset(row, 0, t->ne[0] * sizeof(*row));
		write_row(g, t->type, row, t->ne[0]);
	}
	gguf_align(g);
}

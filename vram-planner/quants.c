/* SPDX-License-Identifier: MIT */
/*
 * The storage formats of weights. The index is the id in the file. Weights per block and bytes per
 * block are those of ggml at llama.cpp v0.5.0 (ggml-common.h, the block_* structs and their size
 * assertions; ids in ggml.h, enum ggml_type). Ids that are missing were removed from the format.
 */
#include <stddef.h>
#include <strings.h>

#include "vram-planner/model.h"

struct quant {
	const char *name;
	uint32_t weights; /* per block */
	uint32_t bytes;   /* per block */
};

/* clang-format off */
static const struct quant quants[] = {
	[0]  = { "f32",       1,   4 },
	[1]  = { "f16",       1,   2 },
	[2]  = { "q4_0",     32,  18 }, /* half scale, 32 nibbles */
	[3]  = { "q4_1",     32,  20 }, /* half scale and minimum, 32 nibbles */
	[6]  = { "q5_0",     32,  22 },
	[7]  = { "q5_1",     32,  24 },
	[8]  = { "q8_0",     32,  34 },
	[9]  = { "q8_1",     32,  36 },
	[10] = { "q2_K",    256,  84 },
	[11] = { "q3_K",    256, 110 },
	[12] = { "q4_K",    256, 144 },
	[13] = { "q5_K",    256, 176 },
	[14] = { "q6_K",    256, 210 },
	[15] = { "q8_K",    256, 292 },
	[16] = { "iq2_xxs", 256,  66 },
	[17] = { "iq2_xs",  256,  74 },
	[18] = { "iq3_xxs", 256,  98 },
	[19] = { "iq1_s",   256,  50 },
	[20] = { "iq4_nl",   32,  18 },
	[21] = { "iq3_s",   256, 110 },
	[22] = { "iq2_s",   256,  82 },
	[23] = { "iq4_xs",  256, 136 },
	[24] = { "i8",        1,   1 },
	[25] = { "i16",       1,   2 },
	[26] = { "i32",       1,   4 },
	[27] = { "i64",       1,   8 },
	[28] = { "f64",       1,   8 },
	[29] = { "iq1_m",   256,  56 },
	[30] = { "bf16",      1,   2 },
	[34] = { "tq1_0",   256,  54 },
	[35] = { "tq2_0",   256,  66 },
	[39] = { "mxfp4",    32,  17 }, /* one shared exponent byte, 32 nibbles */
	[40] = { "nvfp4",    64,  36 },
	[41] = { "q1_0",    128,  18 },
	[42] = { "q2_0",     64,  18 },
};
/* clang-format on */

#define N_QUANTS (sizeof(quants) / sizeof(quants[0]))

bool quant_bytes(uint32_t type, uint64_t n, uint64_t *bytes)
{
	if (type >= N_QUANTS || !quants[type].name || n % quants[type].weights)
		return false;
	return !__builtin_mul_overflow(n / quants[type].weights, (uint64_t)quants[type].bytes,
				       bytes);
}

bool quant_block(uint32_t type, uint32_t *weights, uint32_t *bytes)
{
	if (type >= N_QUANTS || !quants[type].name)
		return false;
	*weights = quants[type].weights;
	*bytes = quants[type].bytes;
	return true;
}

const char *quant_name(uint32_t type)
{
	return type < N_QUANTS ? quants[type].name : NULL;
}

bool quant_from_name(const char *name, uint32_t *type)
{
	for (uint32_t i = 0; i < N_QUANTS; i++) {
		if (quants[i].name && strcasecmp(quants[i].name, name) == 0) {
			*type = i;
			return true;
		}
	}
	return false;
}

bool quant_is_blocked(uint32_t type)
{
	return type < N_QUANTS && quants[type].name && quants[type].weights > 1;
}

/* SPDX-License-Identifier: MIT */
/* config.json: what is accepted has widths whose products do not overflow. */
#include <stdlib.h>

#include "vram-planner/hf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct hf_config c;
	struct err e = { 0 };

	if (hf_config_parse(&c, (const char *)bytes, size, &e)) {
		if (!e.text[0])
			abort();
		return 0;
	}
	if (!c.n_layer || c.n_layer > HF_LAYERS_MAX || !c.n_embd)
		abort();
	for (uint32_t i = 0; i < hf_n_rows; i++) {
		uint64_t in = hf_dim(&c, hf_rows[i].in), out = hf_dim(&c, hf_rows[i].out), n;

		if (hf_rows[i].in == D_NONE || hf_rows[i].out == D_NONE)
			continue;
		/* The writer checks the product with the experts again. */
		if (in > UINT64_C(1) << 60 || out > UINT64_C(1) << 60)
			abort();
		(void)__builtin_mul_overflow(in, out, &n);
	}
	return 0;
}

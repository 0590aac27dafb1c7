/* SPDX-License-Identifier: MIT */
/* Headers and indices of checkpoints: shapes that come out have a size, names of files stay in their folder. */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/hf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int tensor(void *arg, const struct st_tensor *t, struct err *e)
{
	const struct hf_config *c = arg;
	struct hf_place p;
	uint64_t n = 1;

	(void)e;
	for (uint32_t i = 0; t->n_dims != UINT32_MAX && i < t->n_dims; i++)
		if (!t->shape[i] || __builtin_mul_overflow(n, t->shape[i], &n))
			abort();
	if (hf_map(&p, c, t->name) == HF_PLACED &&
	    (p.row >= hf_n_rows || p.layer < -1 || p.layer >= (int32_t)c->n_layer))
		abort();
	return 0;
}

static int file(void *arg, const char *name, struct err *e)
{
	(void)arg;
	(void)e;
	if (strchr(name, '/') || strcmp(name, "..") == 0 || !*name)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct hf_config c = { .n_layer = 4 };
	const struct st_reader r = { .tensor = tensor, .file = file, .arg = &c };
	struct err e = { 0 };

	(void)safetensors_header((const char *)bytes, size, &r, &e);
	(void)safetensors_index((const char *)bytes, size, &r, &e);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* What a core reports, line by line, and the judgement on it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "launch/verify.h"
#include "launch/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct plan plan = { .n_layer = 8, .n_devices = 1, .flags = { .n_gpu_layers = 9 } };
	struct wire *w = calloc(1, sizeof(*w));
	const char *s = (const char *)bytes;
	struct err e = { 0 };

	if (!w)
		return 0;
	strcpy(plan.devices[0].engine_name, "Vulkan0");
	plan.devices[0].layers = 9;
	while (size > 0) {
		const char *end = memchr(s, '\n', size);
		size_t n = end ? (size_t)(end - s) : size;

		wire_line(w, s, n, &e);
		s += n + (end != NULL);
		size -= n + (end != NULL);
	}
	if (w->is_ready && verify_placement(&plan, &w->ready, &e) == 0) {
		struct proof proof;

		proof_make(&proof, &plan, &w->ready);
	}
	free(w);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The engine's log as input: the first byte says in what pieces it comes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct engine_device devices[] = { { .name = "CPU" }, { .name = "Vulkan0" } };
	static const uint32_t index[] = { 1 };
	struct enginelog *l = malloc(sizeof(*l));
	struct account *a = malloc(sizeof(*a));
	char piece[257];

	if (!l || !a || size == 0)
		goto out;
	enginelog_init(l);
	for (size_t at = 1; at < size;) {
		size_t n = (size_t)bytes[0] + 1 < size - at ? (size_t)bytes[0] + 1 : size - at;

		memcpy(piece, bytes + at, n);
		piece[n] = 0;
		enginelog_feed(l, at % 3 == 0, piece);
		at += n;
	}
	assert(l->n_layers <= ENGINELOG_LAYERS_MAX && l->n_buffers <= ENGINELOG_BUFFERS_MAX);
	account_make(a, l, devices, index, 1);
	assert(a->devices[0].layers + a->devices[1].layers <= a->n_layers);
out:
	free(a);
	free(l);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* A llama-server's log: however it is cut into pieces, it says the same, and nothing grows beyond its table. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/serverlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serverlog *whole = malloc(sizeof(*whole)), *pieces = malloc(sizeof(*pieces));

	if (whole && pieces) {
		serverlog_init(whole);
		serverlog_init(pieces);
		serverlog_feed(whole, (const char *)data, size);
		for (size_t i = 0; i < size; i++)
			serverlog_feed(pieces, (const char *)data + i, 1);
		assert(memcmp(whole, pieces, sizeof(*whole)) == 0);
		assert(whole->n_devices <= PLAN_DEVICES_MAX + 1);
		for (uint32_t i = 0; i < whole->n_devices; i++)
			assert(whole->devices[i].name[0] && strlen(whole->devices[i].pci) < 24);
	}
	free(whole);
	free(pieces);
	return 0;
}

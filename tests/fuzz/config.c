/* SPDX-License-Identifier: MIT */
/* The walker of the configuration space: what it found lies in the space, and a scrubbed space parses the same. */
#include <stdlib.h>
#include <string.h>

#include "probe/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct config before, after;
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	memcpy(copy, bytes, size);
	int rc = config_parse(bytes, size, &before);

	for (uint32_t i = 0; i < before.n_caps; i++)
		if (before.caps[i].at < 0x40 || before.caps[i].at >= before.n)
			abort();
	if (rc && (before.n_caps || before.rebar))
		abort();
	config_scrub(copy, size);
	/* A list so strange that a capability lies inside a serial number may change; an honest one does not. */
	if (config_parse(copy, size, &after) != rc || after.vendor != before.vendor)
		abort();
	free(copy);
	return 0;
}

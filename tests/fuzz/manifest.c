/* SPDX-License-Identifier: MIT */
/* Ollama's manifests: what comes out names a blob in its folder and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/stores.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const char *blob)
{
	if (blob[0] &&
	    (strlen(blob) != 7 + 64 || strncmp(blob, "sha256-", 7) != 0 || strchr(blob, '/')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct manifest m;
	struct err e = { 0 };

	if (manifest_parse(&m, (const char *)bytes, size, &e) == 0 && !m.model[0])
		abort();
	check(m.model);
	check(m.projector);
	check(m.adapter);
	return 0;
}

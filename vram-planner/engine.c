/* SPDX-License-Identifier: MIT */
/* Versions of the engine, oldest first. */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/engine.h"

static const struct engine engines[] = {
	{ .version = "0.5.0",
	  .pipeline_copies = 4,
	  .copies_beta = true,
	  .keeps_late = true,
	  .fuses_experts = true,
	  .source = "llama.cpp v0.5.0, ggml-backend.cpp, llama-graph.cpp and models/" },
	{ .version = "0.7.0",
	  .pipeline_copies = 4,
	  .mixed_inputs = true,
	  .gathers_all_states = true,
	  .scales_rows = true,
	  .tables_first = true,
	  .pads_uncached = true,
	  .copies_all_inputs = true,
	  .source =
		  "graphs that the 0.7.0 library builds; measured on simulated CUDA devices, which fuse "
		  "nothing" },
};

#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

/* Major, minor and patch as one number; parts that are missing count as 0. */
static uint64_t number(const char *version)
{
	uint64_t n = 0;

	for (int i = 0; i < 3; i++) {
		char *end;
		unsigned long part = strtoul(version, &end, 10);

		n = n << 20 | (part < (1u << 20) ? part : (1u << 20) - 1);
		version = *end == '.' ? end + 1 : end;
	}
	return n;
}

const struct engine *engine_find(const char *version)
{
	static const char prefix[] = "llama.cpp "; /* as a plan names it */
	const struct engine *found = NULL;

	if (strncmp(version, prefix, sizeof(prefix) - 1) == 0)
		version += sizeof(prefix) - 1;
	version += *version == 'v';
	for (size_t i = 0; i < N_ENGINES; i++) {
		if (number(engines[i].version) <= number(version))
			found = &engines[i];
	}
	return found;
}

const struct engine *engine_default(void)
{
	return &engines[N_ENGINES - 1];
}

const struct engine *engine_bundled(void)
{
	return engine_find("0.5.0");
}

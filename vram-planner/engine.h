/* SPDX-License-Identifier: MIT */
/* Versions of the engine, and what differs between them in what they allocate: rows of engines[]. */
#ifndef BERTH_ENGINE_H
#define BERTH_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

struct engine {
	const char *version;      /* "0.7.0" */
	uint32_t pipeline_copies; /* GGML_SCHED_MAX_COPIES */
	bool mixed_inputs;        /* a batch may mix tokens and embeddings: both are in the graph */
	bool gathers_all_states; /* rows of idle sequences are read for the largest number of them */
	bool scales_rows;        /* embeddings are scaled by a factor for each row, an input */
	bool tables_first;  /* positions and per-layer embeddings are looked up before the tokens */
	bool pads_uncached; /* without a cache, keys and values are padded as a cache would be */
	bool keeps_late;    /* families with a next-token head drop rows after the last norm */
	bool copies_beta;   /* Qwen3-Next's beta is made contiguous first */
	bool copies_all_inputs; /* a pipeline copies inputs that nothing reads, too */
	bool fuses_experts;     /* CUDA's kernels for experts keep their operands (keeps.h) */
	const char *source;
};

/*
 * The row of a version ("0.7.0", "llama.cpp v0.7.0"); the newest that is not newer, for versions between;
 * NULL: older than all, or no version.
 */
const struct engine *engine_find(const char *version);
const struct engine *engine_default(void); /* what --jobs assumes */
const struct engine *engine_bundled(void); /* what berth launch runs: core/engine/pins.tsv */

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The engine, libllama, behind our own structs: engine.c is the only file of berth that includes its
 * header. Everything here may end the process: the engine aborts when a device disappears, which is
 * why it lives in a process of its own.
 */
#ifndef BERTH_CORE_ENGINE_H
#define BERTH_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "core/device.h"
#include "core/enginelog.h"
#include "core/event.h"

struct engine;

#define ENGINE_NO_BACKENDS UINT32_MAX

/*
 * Check the engine's version and load its backends from `lib_dir` (absolute): the CPU's and those in
 * `backends` (names of rows of backends.c; n 0: all
 * there are, ENGINE_NO_BACKENDS: none). `echo`: repeat the engine's log on
 * stderr, from 2 on its debug lines too. FAILURE_NONE, or the failure with *e filled. engine_close() when done.
 */
enum failure engine_open(struct engine **out, const char *lib_dir, const char *const *backends,
			 uint32_t n, int echo, struct err *e);
void engine_close(struct engine *g);

const char *engine_version(void); /* of the library that runs: "v0.5.0" */

/* Fill at most CORE_DEVICES_MAX; the CPU is among them. Returns the count. */
uint32_t engine_devices(const struct engine *g, struct engine_device devices[CORE_DEVICES_MAX]);
uint64_t engine_free_bytes(const struct engine *g, uint32_t device);

struct engine_load {
	const struct plan *plan;
	const uint32_t *index; /* the engine's device for each device of the plan */
	uint32_t threads;
	/*
	 * Allocate nothing and read no weights: the log then has the sizes that a run would have, but
	 * those of weights. The CPU's own forms of weights (AMX, repacked) are left out: their sizes
	 * are not known before they are made.
	 */
	bool measure;
	/* Called now and then with 0..1; false stops the load (FAILURE_NONE, *stopped). */
	bool (*progress)(void *arg, float part);
	void *arg;
};

/* Load the model and make the context, exactly as the plan says. */
enum failure engine_load(struct engine *g, const struct engine_load *how, bool *stopped,
			 struct err *e);

/*
 * Load a model of our own (tiny.h), all of it on one device, and compute a batch and one token with it: what a first run makes the driver set up is there then.
 */
enum failure engine_run_tiny(struct engine *g, uint32_t device, struct err *e);

/* Of all tensors that the engine would load, as stored. */
uint64_t engine_weights_bytes(const struct engine *g);

const struct enginelog *engine_log(const struct engine *g);
uint32_t engine_n_ctx(const struct engine *g); /* tokens one sequence may have */

/* Tokens of a prompt, special tokens added; *tokens is the caller's to free. The count or -errno. */
long engine_tokenize(const struct engine *g, const char *text, int32_t **tokens, struct err *e);

/* Temperature 0 takes the likeliest token; else the seeded draw. Once, before engine_sample. */
void engine_sampler(struct engine *g, double temperature, uint32_t seed);

/* Compute n tokens (at most the plan's n_batch); the last one's logits are kept for engine_sample. */
enum failure engine_decode(struct engine *g, int32_t *tokens, uint32_t n, struct err *e);
int32_t engine_sample(struct engine *g);
bool engine_is_end(const struct engine *g, int32_t token);

/* The bytes of a token, at most `size`; may be a part of a character. */
size_t engine_piece(const struct engine *g, int32_t token, char *buf, size_t size);

#endif

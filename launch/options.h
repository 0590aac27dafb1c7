/* SPDX-License-Identifier: MIT */
/*
 * The command line of `berth launch`: its option table, which is also what a profile may say, and what
 * the options wish for.
 */
#ifndef BERTH_LAUNCH_OPTIONS_H
#define BERTH_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "vram-planner/plan.h"

#define MARGIN_DEFAULT UINT64_MAX
#define CTX_DEFAULT    UINT32_MAX

/* 0, NULL, false or -1 mean: not given. */
struct options {
	/* what to plan */
	const char *plan, *device;
	uint32_t n_ctx; /* CTX_DEFAULT: not given; 0: all that the model was trained for */
	uint32_t n_batch, n_ubatch, parallel, n_cpu_moe, min_ctx;
	int type_k, type_v; /* of cache_types */
	int flash_attn, want;
	const char *split, *shares, *gpu_layers, *min_speed;
	struct opt_list tensors;
	bool embeddings, unified, not_unified, cache_on_host, swa_full, cpu_moe;
	uint64_t margin; /* MARGIN_DEFAULT: not given */
	int accept;      /* enum accept */
	bool accept_unverified;
	/* how to run it */
	int engine; /* of cores[] */
	const char *prompt, *temperature;
	uint32_t max_tokens, seed;
	const char *power_cap; /* powerwish.h */
	const char *draft;
	uint32_t n_draft, draft_min; /* 0: not given */
	struct opt_list loras, vectors;
	bool dry_run, json;
	int quiet, verbose;
	/* of a run that serves */
	bool serve, detach, ollama, no_key, no_flight;
	const char *name, *key_file, *chat_template;
	struct opt_list listen, allow_host;
	uint32_t watchdog_s; /* 0: none */
	uint32_t sleep_idle_s, max_queue, max_connections;
	uint64_t max_body; /* 0: not given */
	/* by way of Slurm */
	bool slurm, granted;
	struct opt_list sbatch;
};

extern const struct cmd launch_command;
extern const struct options launch_defaults;

/* Names of options that a plan has decided; ends with NULL. */
extern const char *const launch_planned[];

/* Names of options that only a person at a terminal, or a script, can want; ends with NULL. */
extern const char *const launch_never_in_profiles[];

/*
 * Refuse what has no sense, or no sense together, and let what only makes sense of a run that serves imply
 * that it does. 0, or EXIT_USAGE after one sentence.
 */
int launch_options_check(struct options *o);

/* Fill *w. 0, or EXIT_USAGE after one sentence. */
int launch_options_wish(struct wish *w, const struct options *o);

#endif

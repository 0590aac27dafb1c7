/* SPDX-License-Identifier: MIT */
/* The command line of `berth plan`: its option table, and what the options wish for. */
#ifndef BERTH_OPTIONS_H
#define BERTH_OPTIONS_H

#include "base/cmd.h"
#include "vram-planner/devices.h"
#include "vram-planner/extras.h"
#include "vram-planner/plan.h"

struct options {
	/* The configuration; 0, NULL, false or -1 mean: not given. */
	uint32_t n_ctx, n_batch, n_ubatch, n_seq, n_outputs, n_cpu_moe, min_ctx, n_draft;
	int type_k, type_v, flash_attn, split_mode;
	const char *split, *shares, *gpu_layers, *min_speed;
	struct opt_list tensors;
	bool unified, not_unified, cache_on_host, swa_full, mtp, embeddings, cpu_moe;
	/* The question. */
	int accept, want;
	bool accept_unverified;
	uint64_t margin; /* UINT64_MAX: not given */
	struct devices_opts devices;
	const char *jobs, *price_kwh, *price_api, *quant;
	uint32_t timeout_s, depth;
	struct extras_opts beside;
	/* Several models. */
	bool list, quants, all;
	uint32_t top; /* 0: all */
	/* The answer. */
	const char *output, *bar;
	bool json, explain, verify, calibrate;
	int quiet, verbose;
};

extern const struct cmd plan_command;

struct options options_none(void);

/* The options that chose the devices, for commands that repeat the question; "" when they are too long. */
void options_devices(char *buf, size_t size, const struct devices_opts *o);

/* Whether any option is given that asks for a configuration or names devices, beside --margin. */
bool options_ask(const struct options *o);

/* Fill *w. 0, or EXIT_USAGE after one sentence: an option without sense, or two that contradict. */
int options_wish(struct wish *w, const struct options *o);

#endif

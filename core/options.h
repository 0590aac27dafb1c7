/* SPDX-License-Identifier: MIT */
/* The command line of the core. */
#ifndef BERTH_CORE_OPTIONS_H
#define BERTH_CORE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "core/serve.h"

struct options {
	const char *plan, *prompt, *telemetry;
	const char *temperature_text;
	double temperature; /* the same, checked */
	const char *chat_template;
	struct opt_list loras, vectors, backends;
	uint32_t max_tokens, seed, control_fd, threads, max_queue, sleep_idle, draft_min;
	bool list_devices, json, measure, calibrate, serve;
	struct serve_options http;
	int quiet, verbose;
};

/*
 * Defaults, then what argv says, checked. EXIT_YES: go on; *stop: everything is said, end with what is
 * returned.
 */
int options_parse(struct options *o, int argc, char **argv, bool *stop);

#endif

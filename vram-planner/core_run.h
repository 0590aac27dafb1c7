/* SPDX-License-Identifier: MIT */
/* Runs libexec/berth/core beside this program with a plan, and reads what it prints. */
#ifndef BERTH_CORE_RUN_H
#define BERTH_CORE_RUN_H

#include "base/json.h"
#include "base/planfile.h"

struct core_run {
	pid_t pid;
	int in, out; /* our ends of its standard input and output */
};

/*
 * Start it with `mode` ("--measure") and the plan, whose model is at model_path. Its diagnostics go
 * nowhere. 0, or a negative errno with *e: -ENOENT there is no core.
 */
int core_start(struct core_run *r, const struct plan *p, const char *model_path, const char *mode,
	       struct err *e);

/*
 * The JSON object it prints: on one line, or all of its output. NULL with *e when that is no object
 * or does not come in time.
 */
json_t *core_answer(const struct core_run *r, int timeout_s, struct err *e);

/* Close its standard input, give it a moment to leave, then end it. */
void core_end(struct core_run *r);

#endif

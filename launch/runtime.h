/* SPDX-License-Identifier: MIT */
/* The files of a run in the runtime directory, and the programs beside this one. */
#ifndef BERTH_LAUNCH_RUNTIME_H
#define BERTH_LAUNCH_RUNTIME_H

#include <limits.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"

struct runtime {
	char plan_path[PATH_MAX], page_path[PATH_MAX]; /* run-PID.plan.json, run-PID.telem */
};

/* Name the files, and remove what runs that are dead left behind. */
int runtime_open(struct runtime *r, struct err *e);

/*
 * Remove the plan, and the page of a run that ended well. The page of one that did not stays, so that
 * `berth top` can show it as failed; the next launch removes it.
 */
void runtime_close(const struct runtime *r, bool keep_page);

/* "libexec/berth/NAME" beside this program. */
int runtime_program(const char *name, char *path, size_t size, struct err *e);

#endif

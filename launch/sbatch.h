/* SPDX-License-Identifier: MIT */
/* Slurm's sbatch as a child: gets a script, says a number, and may stay until the job has ended. */
#ifndef BERTH_LAUNCH_SBATCH_H
#define BERTH_LAUNCH_SBATCH_H

#include <sys/types.h>

#include "base/err.h"

struct sbatch {
	pid_t pid; /* 0: none, or reaped */
	int out_fd, err_fd;
	char job[64];     /* the job's number */
	char cluster[64]; /* empty: there is but one */
};

/* Hand the script over, until the job has a number. 0, or an errno with *e: in sbatch's own words why not. */
int sbatch_begin(struct sbatch *s, const char *script, struct err *e);

/*
 * Wait for sbatch, which with its option wait stays as long as the job. The exit code: the job's, if it waited,
 * else 0. *warned, `size` bytes, is what it wrote on stderr.
 */
int sbatch_end(struct sbatch *s, char *warned, size_t size);

#endif

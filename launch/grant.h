/* SPDX-License-Identifier: MIT */
/* What Slurm granted to the job that we run in, by its environment and its gres.conf. */
#ifndef BERTH_LAUNCH_GRANT_H
#define BERTH_LAUNCH_GRANT_H

#include "launch/gres.h"

/*
 * Fill *g. *assumed: gres.conf or slurm.conf cannot be read or says nothing of this node, so that Slurm's order of the
 * GPUs is gres.conf's or that of `probe --format slurm` by assumption. 0; -EACCES: this is no job of Slurm's; or as grant_find.
 */
int grant_read(struct grant *g, const struct report *r, bool *assumed, struct err *e);

/*
 * Remove the variables by which Slurm tells CUDA and its like about the granted GPUs, if they do not mean
 * there what they mean to Slurm.
 */
void grant_clear_env(const struct grant *g);

#endif

/* SPDX-License-Identifier: MIT */
/* The report's GPUs as lines for other programs: a shell's environment, Slurm's gres.conf. Pure. */
#ifndef BERTH_PROBE_FORMAT_H
#define BERTH_PROBE_FORMAT_H

#include <stdio.h>

#include "probe/probe.h"

/*
 * Lines NAME=VALUE that make each programming interface see just the GPUs of r, in their order. What
 * is not known, or only guessed, is a comment that says so. The lines are safe to be read by a shell.
 */
void format_env(FILE *to, const struct report *r);

/* Lines of gres.conf(5), one GPU each. Cores= needs cpu.core_order, so hwloc must have been asked. */
void format_slurm(FILE *to, const struct report *r);

#endif

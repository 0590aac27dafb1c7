/* SPDX-License-Identifier: MIT */
/* A planned run handed to Slurm. */
#ifndef BERTH_LAUNCH_SUBMIT_H
#define BERTH_LAUNCH_SUBMIT_H

#include "launch/job.h"

/*
 * Print the script of j->plan, or submit it: then the job's number goes to stdout, and how to follow it is noted. An exit code,
 * or an errno with *e.
 */
int job_submit(struct job *j, struct err *e);

#endif

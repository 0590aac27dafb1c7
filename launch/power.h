/* SPDX-License-Identifier: MIT */
/*
 * Power limits of a run's GPUs, by `berth device power`: set before its core starts, taken back at its end, or
 * by whoever comes after a launch that was killed.
 */
#ifndef BERTH_LAUNCH_POWER_H
#define BERTH_LAUNCH_POWER_H

#include "base/log.h"
#include "launch/job.h"
#include "launch/runs.h"

/* What is asked can be: `berth device` says so of each GPU, and changes nothing. 0 or an errno with *e. */
int power_check(const struct job *j, struct err *e);

/*
 * Limit the plan's GPUs that are not limited yet. 0 or an errno with *e, the sentence of `berth device`: then
 * what was set before is set still, and power_restore() takes it back.
 */
int power_apply(struct job *j, struct err *e);

/* This GPU was lost: gone with its limit, or its limit may not be in force any more. */
void power_lost(struct job *j, const char *pci);

/* Take back what was set; what cannot be is said, and left to the next command. */
void power_restore(struct job *j);

/* What is set now, for the run's record. */
void power_record(const struct job *j, struct run_record *r);

/* Take back what launches that were killed have left. */
void power_recover(const struct log *log);

/* For people and JSON: "0000:03:00.0 250 W", of what is wished for the plan. */
void power_text(struct text *t, const struct job *j);
json_t *power_json(const struct job *j);

#endif

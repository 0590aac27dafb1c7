/* SPDX-License-Identifier: MIT */
/* Which CPUs a core runs on. Pure. */
#ifndef BERTH_LAUNCH_CPUS_H
#define BERTH_LAUNCH_CPUS_H

#include <sched.h>

#include "base/planfile.h"
#include "base/text.h"
#include "probe/probe.h"

/* Parse the kernel's list form, "0-7,16-23". 0 or -EINVAL. */
int cpus_parse(const char *list, cpu_set_t *set);

/* The reverse. */
void cpus_text(struct text *t, const cpu_set_t *set);

/*
 * One logical CPU per physical core of those we are allowed; of these the ones near the plan's GPUs,
 * when the probe knows which those are and any is left. Falls back to `allowed`.
 */
void cpus_choose(const struct report *r, const struct plan *p, const cpu_set_t *allowed,
		 cpu_set_t *set);

/*
 * How many threads to compute with on a set of n CPUs while `load` tasks (a load average) want CPUs too.
 * The engine's threads wait for each other by spinning: one that has to share its CPU stalls all of
 * them, so fewer are faster. At least 1. A negative load is unknown: all of them.
 */
uint32_t cpus_threads(uint32_t n, double load);

/* Whether threads should sleep while they wait, because others want the CPUs. Unknown load: they should. */
bool cpus_are_shared(double load);

#endif

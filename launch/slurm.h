/* SPDX-License-Identifier: MIT */
/*
 * A run as a job of Slurm's: what the job asks for, by its plan, and its script, which has the plan inside so that
 * nothing else must reach the node. Pure.
 */
#ifndef BERTH_LAUNCH_SLURM_H
#define BERTH_LAUNCH_SLURM_H

#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"
#include "base/planfile.h"
#include "base/text.h"
#include "probe/probe.h"

#define SLURM_SCRIPT_MAX (1 << 20) /* a quarter of what Slurm takes by default */

struct slurm_job {
	char name[80];   /* "berth-chat" */
	char gres[1024]; /* "gpu:nvidia_geforce_rtx_4090:2,gpu:intel_arc_a770:1"; empty: no GPU */
	char node[72];   /* the node the plan is for; empty: any */
	uint64_t memory_mib; /* of the host */
	uint32_t cpus;
	uint32_t n_alike; /* GPUs of this machine that Slurm may grant in place of planned ones */
};

/*
 * What a job for this plan asks for. `name`: of the run. The report tells the types of the plan's devices, and
 * whether they are this machine's; of others the plan's own names count. 0; -ENODEV with *e: a
 * device that Slurm cannot be asked for.
 */
int slurm_job_make(struct slurm_job *s, const struct plan *p, const struct report *r,
		   const char *name, struct err *e);

/* Whether sbatch may be given this, "NAME" or "NAME=VALUE". 0, or -EINVAL with *e. */
int slurm_option_check(const char *option, struct err *e);

/*
 * The script: `options` for sbatch behind what *s asks for, `plan_text` the plan as JSON, `berth` the path of the
 * program, `words` the options of the run, quoted and each behind a blank. t->cut when it does not fit.
 */
void slurm_script(struct text *t, const struct slurm_job *s, const struct plan *p,
		  const struct opt_list *options, const char *plan_text, const char *berth,
		  const char *words);

#endif

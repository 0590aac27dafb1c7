/* SPDX-License-Identifier: MIT */
/* One launch: what was asked, what was planned, how it went. Stays home. */
#ifndef BERTH_LAUNCH_JOB_H
#define BERTH_LAUNCH_JOB_H

#include <limits.h>
#include <sched.h>

#include "base/cmd.h"
#include "base/log.h"
#include "launch/child.h"
#include "launch/cores.h"
#include "launch/devmap.h"
#include "launch/ending.h"
#include "launch/gres.h"
#include "launch/loss.h"
#include "launch/memory.h"
#include "launch/options.h"
#include "launch/profile.h"
#include "launch/runtime.h"
#include "launch/tail.h"
#include "launch/verify.h"
#include "launch/wire.h"

struct serve;  /* serve.h */
struct narrow; /* narrow.h */
struct ledger; /* ledger.h */

struct job {
	struct options o;
	struct profile profile; /* what options point into; its path is "" when there is none */
	const char *model;      /* operand or the profile's; NULL: the plan's */
	struct wish wish;       /* from the options */
	struct log log;

	/* prepare.c */
	struct report *report;
	struct devmap map;
	struct devmap_choice choice;
	bool narrowed;
	/* with --granted: what Slurm granted, and the same as a selector; found once, before anything is lost */
	struct grant grant;
	char granted[PROBE_GPUS_MAX * 24]; /* empty: not found yet */
	bool planned;                      /* plan is filled */
	struct plan plan;
	char id[65];
	char program[PATH_MAX];        /* our core: it knows the devices */
	char engine_program[PATH_MAX]; /* what is started */
	cpu_set_t cpus;
	struct memory_policy memory; /* of the core's host memory */
	struct runtime runtime;
	struct core_start start;
	const struct sockets *sockets; /* NULL: it does not serve */
	const char *key_path;          /* NULL: no key */
	char name[64];                 /* of the run */
	char draft[PATH_MAX];          /* of --draft, found */
	bool plain_cpu;
	/* Devices that were lost: not to be planned with, until a restart finds them back */
	struct avoided {
		char pci[24];
		bool away; /* it was seen to be away: when it can be used again, it is back */
	} avoid[PLAN_DEVICES_MAX];
	uint32_t n_avoid;

	/* supervise.c */
	int signal_fd;       /* -1: not open */
	struct serve *serve; /* NULL: it does not serve */
	bool stop, again;    /* asked for: an end; a new start */
	struct wire wire;
	struct tail tail;
	struct ledger *power; /* power limits that were set; NULL: none is asked for */
	bool proven;          /* proof is filled: placement is as planned */
	struct proof proof;
	char *text; /* what was generated, kept for --json only */
	size_t n_text;
	struct losses losses;
	struct loss loss; /* of the core that runs, or ran last */
	struct ending ending;
};

/*
 * Find the devices, make or read the plan, and get everything ready to start. Returns 0 with j->plan
 * filled, whatever its verdict; an errno with *e otherwise.
 */
int job_plan(struct job *j, struct err *e);
int job_prepare(struct job *j, struct err *e);

/* Ask the probe, or the engine for all of its devices, anew: into j->report, j->map. */
int job_probe(struct job *j, struct err *e);
int job_devices(struct job *j, struct err *e);

/*
 * Fill j->choice with the places to plan m with. Of sleeping GPUs those alone are woken that --device
 * names, or that a plan by what is known of them would use: then j->narrowed, and a no may be asked again
 * with `wide`, which wakes all.
 */
int job_places(struct job *j, const struct model *m, bool wide, struct err *e);

/* Of the Vulkan loader's drivers those that the plan's devices need, in *n; NULL: all may be seen. */
const char *job_vulkan_drivers(const struct job *j, struct narrow *n);

/* Forget how the last core did, before the next one. */
void job_reset(struct job *j);
void job_free(struct job *j);

/*
 * Start the core, prove the placement, wait for its end, and judge it in j->ending. An errno with *e
 * only when it could not be started at all.
 */
int job_run(struct job *j, struct err *e);

/* Block the signals that matter and open j->signal_fd, once. */
int job_signals(struct job *j, struct err *e);

/* Take what came in: j->stop, j->again. true: there was one of them. */
bool job_heed(struct job *j);

/* "berth.launch/1". The caller owns it. */
json_t *job_to_json(const struct job *j, enum exit_code code);

/* What would be started, for people. */
void job_dry_run(struct text *t, const struct job *j);

#endif

/* SPDX-License-Identifier: MIT */
/* How a run ended: from the child's wait status and its last words to a class and an exit code. Pure. */
#ifndef BERTH_LAUNCH_ENDING_H
#define BERTH_LAUNCH_ENDING_H

#include <stdbool.h>

#include "base/err.h"
#include "launch/wire.h"

struct ending_facts {
	const struct wire *wire;
	int status;     /* of waitpid */
	bool user_stop; /* we were asked to stop, and asked the core */
	bool we_killed; /* the SIGKILL was ours */
	bool oom_kill;  /* the kernel's OOM killer was at work meanwhile */
	uint32_t
		stuck_s; /* so long it gave no sign of life, and was killed for it; 0: it was not */
	const char *refused; /* the sentence of verify_placement; NULL: not refused */
	const char *lost;    /* the sentence of struct loss; NULL: no device was lost */
	const char *reason;  /* tail_reason; may be "" */
};

struct ending {
	/*
	 * "none" when nothing is wrong; "stopped" (asked to stop before it was ready); "placement",
	 * "device lost"; "stuck"; "abort", "killed", "out of memory", "illegal instruction", "segmentation
	 * fault", "bus error", "signal", "exit"; or what the core itself said: "load", "oom" (which an abort for
	 * lack of memory is, too), "context",
	 * "decode", "output", "plan", "version", "device". The names do not change.
	 */
	char class[24];
	enum exit_code exit;
	char sentence[1600]; /* empty when nothing is wrong */
};

void ending_judge(struct ending *end, const struct ending_facts *f);

#endif

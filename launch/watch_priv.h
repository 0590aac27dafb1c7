/* SPDX-License-Identifier: MIT */
/* One core that is watched: what supervise.c and hear.c share. Stays home. */
#ifndef BERTH_LAUNCH_WATCH_PRIV_H
#define BERTH_LAUNCH_WATCH_PRIV_H

#include "launch/job.h"

struct watch {
	struct job *j;
	struct child child;
	int status;
	bool reaped, user_stop, we_killed, refused, counter_shown, stuck, mourned;
	int stops;          /* 0: running; 1: asked; 2: SIGTERM; 3: SIGKILL */
	int64_t stop_at_ms; /* the next step of stopping */
	int64_t tick_at_ms;
	char sentence[1024]; /* of the refusal */
	char *line;          /* being received on the control line */
	size_t n_line;
	uint64_t oom_kills;
};

/* Stop it: 1 asks, 2 is SIGTERM, 3 SIGKILL. Nothing, when that much was done. */
void watch_stop(struct watch *w, int step);

/* Read what there is on one of its lines; closes it at its end. */
void hear_control(struct watch *w);
void hear_stderr(struct watch *w);
void hear_text(struct watch *w);

void hear_clear_progress(struct watch *w);

#endif

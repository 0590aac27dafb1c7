/* SPDX-License-Identifier: MIT */
/*
 * The line to the supervisor: events go out, "go" and "stop" come in, and its end means stop. SIGINT
 * and SIGTERM mean stop as well; they arrive through a descriptor, so that nothing is interrupted.
 */
#ifndef BERTH_CORE_CONTROL_H
#define BERTH_CORE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct control {
	int fd; /* -1: no supervisor */
	int signal_fd;
	int wake_fd; /* -1; another descriptor whose bytes end a wait, not read here */
	bool go, stop;
	char line[64]; /* being received */
	size_t len;
};

/* Take over fd (-1: nobody supervises, go at once) and block the two signals for the whole process. */
int control_init(struct control *c, int fd, struct err *e);
void control_fini(struct control *c);

/* Send one event and free it. A supervisor that is gone shows at the next control_poll. */
void control_send(struct control *c, json_t *event);

/* Wait up to timeout_ms (0: just look) for a word or a signal; sets c->go and c->stop. */
void control_poll(struct control *c, int timeout_ms);

#endif

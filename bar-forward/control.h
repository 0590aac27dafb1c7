/* SPDX-License-Identifier: MIT */
/*
 * A bridge that runs is asked something: one packet of JSON with descriptors, one back. The socket lies beside the telemetry
 * page, for its own user alone. Files are opened by who asks, since a bridge may be without the right to.
 *
 *     {"schema":"berth.bridge.control/1","do":"record","path":"/tmp/a.trace"} and the recording's descriptor
 *     {"schema":"berth.bridge.control/1","do":"stop"}, and "upgrade", and how that went, "upgraded"
 *     answers: {"schema":...,"done":true}, or "done":false with "errno" and "why"
 */
#ifndef BERTH_CONTROL_H
#define BERTH_CONTROL_H

#include "base/err.h"
#include "base/json.h"

#define CONTROL_BYTES_MAX 8192
#define CONTROL_FDS_MAX   4
#define CONTROL_MS        200 /* for the question of one who has connected */

struct control {
	int fd; /* to poll for reading; -1: there is none */
	char path[600];
};

/* What is asked; descriptors that are kept become -1. */
struct control_ask {
	json_t *what;
	uint32_t n_fds;
	int fds[CONTROL_FDS_MAX];
};

/* Listen beside the page. 0 or an errno with *e. */
int control_open(struct control *c, const char *page, struct err *e);
void control_close(struct control *c);

/* Somebody asks: `act` does it, and its errno and sentence are the answer. Never waits longer than CONTROL_MS. */
void control_serve(struct control *c, int (*act)(void *arg, struct control_ask *a, struct err *e),
		   void *arg);

/* Ask the bridge of that page, with one descriptor or -1. 0, or what it answers, with *e. */
int control_ask(const char *page, const json_t *what, int fd, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* The last 64 KiB of what a child wrote to stderr: enough to say why it died, never more. */
#ifndef BERTH_LAUNCH_TAIL_H
#define BERTH_LAUNCH_TAIL_H

#include <stddef.h>

#define TAIL_SIZE 65536

struct tail {
	char bytes[TAIL_SIZE]; /* a ring */
	size_t next, used;
};

void tail_add(struct tail *t, const char *bytes, size_t n);

/*
 * The line that tells most about a failure: the last one with a word such as "error" or "assert" (but a bare
 * "fatal error" only where there is no other), else the last line. Cleaned, cut to fit; "" when nothing was written. Returns buf.
 */
const char *tail_reason(const struct tail *t, char *buf, size_t size);

#endif

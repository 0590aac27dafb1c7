/* SPDX-License-Identifier: MIT */
/* What a task has read and written so far, as the kernel counts it: /proc/PID/task/TID/io. */
#ifndef BERTH_COUNTED_H
#define BERTH_COUNTED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct counted {
	uint64_t read, written; /* bytes */
};

/* A descriptor of the first thread of a process (0: this one), or -1: the kernel has no such counts. */
int counted_open(pid_t pid);

/* *bytes: how much was read for it, which counts for whoever reads. False: not told. Also of a process that is a zombie. */
bool counted_read(int fd, struct counted *c, uint64_t *bytes);

/* Pure. */
bool counted_parse(const char *text, struct counted *c);

#endif

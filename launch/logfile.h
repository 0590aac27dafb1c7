/* SPDX-License-Identifier: MIT */
/*
 * The log of a run without a terminal: each line with its time, two files of 8 MiB at most. Nothing
 * that happens to it (a full disk, a folder that is gone) disturbs the run.
 */
#ifndef BERTH_LAUNCH_LOGFILE_H
#define BERTH_LAUNCH_LOGFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define LOGFILE_MAX (8 << 20)

struct logfile {
	int fd; /* -1: none */
	uint64_t size, max,
		lost; /* lost: bytes that could not be written since the last that could */
	bool in_line;
	int also_fd; /* the same without times goes there, too; -1: nowhere */
	char path[PATH_MAX];
};

/* Open (append) path; the one before becomes path.1 when it grows too long. 0 or -errno with *e. */
int logfile_open(struct logfile *l, const char *path, struct err *e);
void logfile_write(struct logfile *l, const char *bytes, size_t n);
void logfile_close(struct logfile *l);

/* A stream that writes to also_fd and into the log; to take the place of stderr. NULL: no memory. */
FILE *logfile_stream(struct logfile *l);

#endif

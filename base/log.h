/* SPDX-License-Identifier: MIT */
/*
 * Notes for the person at the terminal, on stderr. Data never comes this way.
 * -q silences notes, -v adds details. There is no global: a program owns one `struct log`.
 */
#ifndef BERTH_LOG_H
#define BERTH_LOG_H

#include <stdbool.h>

enum log_level { LOG_QUIET = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

struct log {
	const char *who; /* "berth launch" */
	int level;       /* enum log_level */
	bool colour;     /* stderr is a terminal, NO_COLOR is unset or empty, TERM is not dumb */
};

/* quiet and verbose are the counts of -q and -v. */
void log_init(struct log *l, const char *who, int quiet, int verbose);

/* "berth launch: text". note: unless quiet; warn: always, with "warning: "; detail: with -v only. */
void log_note(const struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_detail(const struct log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

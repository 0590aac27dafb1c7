/* SPDX-License-Identifier: MIT */
/*
 * Errors that a person will read.
 *
 * A function that can fail returns 0 or a negative errno. When a person should hear why, it takes a
 * `struct err *e` last, and fills it once, where the cause is known. Callers add the place on the
 * way up with err_at(). Passing NULL is allowed everywhere: the caller only wants the number.
 */
#ifndef BERTH_ERR_H
#define BERTH_ERR_H

#include <errno.h>

struct err {
	int rc;         /* negative errno, 0 while nothing is wrong */
	char text[768]; /* one sentence, no newline; cut at the end with "..." when too long */
};

/* Record a cause. Returns `rc`, so that a failing line can be `return err_set(e, -EINVAL, ...)`. */
int err_set(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put a place in front of the recorded cause: "reading x: <cause>". Returns `rc`. */
int err_at(struct err *e, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The exit codes of every berth command; docs/formats.md says what each promises. They never
 * change meaning: scripts believe them.
 */
enum exit_code {
	EXIT_YES = 0, /* the answer is yes, the action is done, or a list (even empty) was shown */
	EXIT_NO = 1,  /* the answer is no: it does not fit, or a named thing is absent */
	EXIT_USAGE = 2,     /* unknown option, missing argument */
	EXIT_UNKNOWN = 3,   /* facts are missing, so nothing can be said */
	EXIT_BAD_INPUT = 4, /* the file is not what it should be: not a GGUF, truncated, garbage */
	EXIT_ENV = 5,       /* the environment refuses: permission, driver, missing program */
	EXIT_LOST = 6,      /* a device was lost or changed while we worked */
	EXIT_PLACEMENT = 7, /* the engine put something elsewhere than planned */
	EXIT_ENGINE = 8,    /* the engine failed; its class is in the JSON */
	EXIT_WARNINGS = 10, /* doctor: warnings only */
};

/* The exit code for a negative errno, by table; EXIT_ENV for what the table does not know. */
enum exit_code err_exit(int rc);

/* Print "berth COMMAND: <text>" on stderr and return the exit code. Only main.c calls this. */
enum exit_code err_report(const char *command, int rc, const struct err *e);

#endif

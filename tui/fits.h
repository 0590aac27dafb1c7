/* SPDX-License-Identifier: MIT */
/*
 * What fits now: `berth plan --list --json` beside this program, asked in the background. Its answer is a
 * foreign text: cut to what can be shown, and cleaned.
 */
#ifndef BERTH_TUI_FITS_H
#define BERTH_TUI_FITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define FITS_MAX 128

enum fits_state { FITS_NONE, FITS_ASKING, FITS_KNOWN, FITS_FAILED };

struct fit {
	char name[96], store[24];
	char verdict[12]; /* "fits", "spills", "no", "unknown", "refused"; empty: not readable */
	char decided_by[200]; /* why, or what was wrong with the file */
	uint64_t size_bytes;  /* UINT64_MAX: not known */
	double low, high;     /* generated tokens a second; -1: not known */
};

struct fits {
	enum fits_state state;
	uint32_t n, n_left_out;
	struct fit rows[FITS_MAX];
	char why[160]; /* FITS_FAILED */

	/* private */
	pid_t pid;
	int fd;
	char *buf;
	size_t len, room;
};

/* Take in an answer. Pure. 0, or -EBADMSG with *e. */
int fits_read(struct fits *f, const char *bytes, size_t n, struct err *e);

void fits_init(struct fits *f);
void fits_fini(struct fits *f); /* ends the planner */

/* Ask anew; nothing while an answer is awaited. What was known stays until the new one is there. */
void fits_ask(struct fits *f);

/* Look whether the answer has come; never waits. True: something changed. */
bool fits_poll(struct fits *f);

#endif

/* SPDX-License-Identifier: MIT */
/* The command line of the monitor, and what it makes of a person's settings. */
#ifndef BERTH_TUI_OPTIONS_H
#define BERTH_TUI_OPTIONS_H

#include "base/cmd.h"
#include "base/log.h"
#include "tui/prefs.h"

struct options {
	bool once, json, line, prometheus, flight, demo;
	const char *interval, *theme, *glyphs;
	const char *machine, *replay, *host, *record;
	const char *at; /* "90", "1:30", "-60" */
	int64_t at_s;   /* the same */
	uint32_t count; /* frames; 0: until it is ended */
	int quiet, verbose;
};

extern const struct cmd top_command;

/*
 * argv, checked. CMD_RUN: go on; else everything is said, and *rc is how to end.
 */
enum cmd_go options_parse(struct options *o, int argc, char **argv, int *rc);

/*
 * Settings from the file, then from the command line. A file that makes no sense is told, and what makes
 * sense in it taken. 0, or -EINVAL with *e: an option's value.
 */
int options_settle(const struct options *o, struct prefs *p, const struct log *log, struct err *e);

#endif

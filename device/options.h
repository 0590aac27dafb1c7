/* SPDX-License-Identifier: MIT */
/*
 * The command line of `berth device`: one option table for all verbs, and which verb heeds which option (in verbs[],
 * verb.h). 0, NULL, false mean: not given.
 */
#ifndef BERTH_DEVICE_OPTIONS_H
#define BERTH_DEVICE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"

struct options {
	const char *machine;
	const char *cap, *profile; /* power */
	const char *whom;          /* --for */
	const char *bars;          /* of bind: bars.h */
	bool json, dry_run, force, any, persist, enrol, wake;
	bool only;          /* this function, not its whole card */
	const char *method; /* of reset */
	int quiet, verbose;
};

extern const struct cmd device_command;
extern const struct options device_defaults;

#endif

/* SPDX-License-Identifier: MIT */
/* What --power-cap asks for: which limit for which of a run's GPUs. Pure. */
#ifndef BERTH_LAUNCH_POWERWISH_H
#define BERTH_LAUNCH_POWERWISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"

#define POWER_CAP_MAX  24
#define POWER_CAP_NONE "none" /* the limits stay as they are */

struct power_wish {
	char all[POWER_CAP_MAX]; /* for every GPU that is not named; "": none */
	uint32_t n;
	struct power_one {
		char pci[24];
		char cap[POWER_CAP_MAX];
	} list[PLAN_DEVICES_MAX];
};

/*
 * "250", "default", "0000:03:00.0=250,06:00.0=200", or both: "250,06:00.0=200". NULL and "none" ask for
 * nothing. -EINVAL with *e. Whether a GPU can have the limit is not judged here.
 */
int power_wish_parse(struct power_wish *w, const char *text, struct err *e);

/* What is asked for at an address; NULL: nothing. */
const char *power_wish_of(const struct power_wish *w, const char *pci);

/* -EINVAL with *e: a GPU is named that the plan does not use. */
int power_wish_check(const struct power_wish *w, const struct plan *p, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* Options of which each of several devices has its own: "DEV=FILE". Pure. */
#ifndef BERTH_DEVOPTS_H
#define BERTH_DEVOPTS_H

#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"

/* The devices as they were named on the command line, and the option of which values are looked at. */
struct devopts {
	const char *const *devices;
	uint32_t n;
	const char *option;           /* "policy" */
	char mark;                    /* between a device and its value: '=' */
	const char *sample;           /* what a value looks like: "FILE" */
	const struct opt_list *given; /* all values */
};

/*
 * Which device value k is for, and in *value what it is: what comes after the device's name and the mark. A name is the one
 * that was given, an address's domain 0000 may be there or not. Of one device the name may be left out. The device's number,
 * or -EINVAL with *e: it is for none of them.
 */
int devopts_of(const struct devopts *o, uint32_t k, const char **value, struct err *e);

/* The one value of a device, NULL if it has none. 0, or -EINVAL with *e: it has two, or one is for no device. */
int devopts_one(const struct devopts *o, uint32_t device, const char **value, struct err *e);

#endif

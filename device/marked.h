/* SPDX-License-Identifier: MIT */
/*
 * Files of the kernel that list what can be chosen and mark what is: amdgpu's table of power profiles, a
 * list with one entry in brackets. Their bytes come from a driver: nothing of them is trusted. Pure.
 */
#ifndef BERTH_DEVICE_MARKED_H
#define BERTH_DEVICE_MARKED_H

#include <stdbool.h>
#include <stdint.h>

#define MARKED_MAX      24
#define MARKED_NAME_MAX 32

struct marked_entry {
	uint32_t number; /* what is written to choose it, where names are not */
	char name[MARKED_NAME_MAX];
	bool now;
};

struct marked {
	uint32_t n;
	struct marked_entry list[MARKED_MAX]; /* in the file's order, each name and number once */
};

/*
 * pp_power_profile_mode in any of its shapes: a line for each mode ("  1 3D_FULL_SCREEN*:  70  60", "1
 * VIDEO *"), or all of them in the first line with their settings below. At most one entry is `now`.
 */
void marked_table(const char *text, struct marked *m);

/* "[base]    power_saving". */
void marked_brackets(const char *text, struct marked *m);

/* The entry of this name, whatever its case, with '-' for '_'; NULL: none. */
const struct marked_entry *marked_find(const struct marked *m, const char *name);

/* The entry in force; NULL: none is marked. */
const struct marked_entry *marked_now(const struct marked *m);

/* LOOK_MARKED: whether the file, in either form, marks the entry of this name. */
bool marked_says(const char *text, const char *want);

/* LOOK_NEAR: both are numbers, and differ by at most a tenth of `want`. */
bool number_is_near(const char *text, const char *want);

#endif

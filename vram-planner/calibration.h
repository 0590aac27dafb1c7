/* SPDX-License-Identifier: MIT */
/*
 * What was measured once on this machine: the memory that a driver and the engine take on a device beside
 * the engine's own account, and how fast memories are. Kept in the user's cache, one row a device, by
 * its identity, its driver's version and the engine's: whatever changes there makes a row void.
 */
#ifndef BERTH_CALIBRATION_H
#define BERTH_CALIBRATION_H

#include "base/json.h"
#include "vram-planner/plan.h"

#define CALIBRATIONS_MAX 64
#define CALIBRATION_HOST "host" /* the key's beginning for the memory of the machine itself */

struct calibration {
	char key[320];
	int64_t time_s; /* when, since 1970 */
	/* Unknown when it could not be measured. */
	struct fact overhead_bytes, read_bytes_s, link_bytes_s;
};

struct calibrations {
	uint32_t n;
	struct calibration rows[CALIBRATIONS_MAX];
};

/* Of a place; NULL: of the host. */
void calibration_key(char *key, size_t size, const struct place *p);

/*
 * What is gone from a device besides the engine's account. Unknown when less is gone than the engine
 * accounts for: somebody else gave memory back meanwhile.
 */
struct fact calibration_overhead(const struct fact *free_before, const struct fact *free_during,
				 uint64_t account_bytes);

/* Put a row in, in the place of an older one of its key or of the oldest of all. */
void calibrations_put(struct calibrations *c, const struct calibration *row);
const struct calibration *calibrations_find(const struct calibrations *c, const char *key);

/* "berth.calibration/1". Foreign bytes: rows without sense are left out. -EBADMSG: no such file. */
json_t *calibrations_to_json(const struct calibrations *c);
int calibrations_from_json(struct calibrations *c, const json_t *o, struct err *e);

/* Fill what is known of these devices and of the host: source SRC_CACHE. */
void calibrations_apply(const struct calibrations *c, struct place *places, uint32_t n,
			struct host_place *host);

/* The user's file; empty when there is none, or when BERTH_NO_CACHE is in the environment. */
void calibrations_load(struct calibrations *c);
int calibrations_save(const struct calibrations *c, struct err *e);

#endif

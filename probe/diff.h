/* SPDX-License-Identifier: MIT */
/*
 * What differs between two reports of a machine. Pure. GPUs are told apart by what they are (UUID, ids and
 * subsystem), not by their numbers. What changes by itself (clocks, free memory) counts only when asked for.
 */
#ifndef BERTH_PROBE_DIFF_H
#define BERTH_PROBE_DIFF_H

#include <stdio.h>

#include "probe/probe.h"

struct moved {
	uint32_t from, to; /* indices in the gpus[] of the two reports */
};

struct diff {
	uint32_t n_vanished, n_appeared, n_moved;
	uint32_t vanished[PROBE_GPUS_MAX]; /* indices in the first report's gpus[] */
	uint32_t appeared[PROBE_GPUS_MAX]; /* in the second's */
	struct moved moved[PROBE_GPUS_MAX];
	json_t *machine; /* [{ "key", "from", "to" }]: facts of the machine itself */
	json_t *changed; /* [{ "pci", "name", "changes": [...] }], moved ones included; pci is the new one */
	bool any;
};

/* The caller ends it with diff_fini. live: also compare what changes by itself. */
void diff_reports(struct diff *d, const struct report *a, const struct report *b, bool live);
void diff_fini(struct diff *d);

/* The changed facts of one GPU, [{ "key", "from", "to" }]; the caller owns it. */
json_t *diff_gpu(const struct report *ra, const struct gpu *a, const struct report *rb,
		 const struct gpu *b, bool live);

/* "driver: amdgpu -> vfio-pci" of one of these objects. */
void diff_change_text(struct text *t, const json_t *change);

json_t *diff_to_json(const struct diff *d, const struct report *a, const struct report *b,
		     const char *from, const char *to);
void diff_print(FILE *f, const struct diff *d, const struct report *a, const struct report *b);

#endif

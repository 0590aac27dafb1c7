/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a device's BARs a guest reaches without us. Pure.
 *
 * A page that is mapped is out of our hands: nobody counts there, no rule holds, and a removal is not seen. So a page is
 * mapped only if the device lets it, the mode or a rule asks for it, and nothing of it is to be judged: no other rule, no
 * table of MSI-X, no mirror of configuration space (quirks.h).
 */
#ifndef BERTH_GRANTS_H
#define BERTH_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/cfg.h"
#include "bar-forward/device.h"
#include "bar-forward/policy.h"
#include "bar-forward/quirks.h"
#include "base/err.h"

enum grant_mode {
	GRANT_AUTO,   /* hybrid where that gives away no more than pages of memory, else trap */
	GRANT_TRAP,   /* nothing */
	GRANT_MAP,    /* all that no rule keeps */
	GRANT_HYBRID, /* what rules map; without such rules the BARs of memory (prefetchable ones) */
};

/* What of a device decides. */
struct grant_ground {
	const struct dev_facts *facts;
	const uint64_t *size;  /* of each BAR, as the guest sees it */
	const uint8_t *config; /* the device's own, CFG_SIZE bytes; those it has not are 0 */
	const struct quirk_set *quirks;
};

struct grant {
	uint32_t n;
	struct vu_area areas[VU_AREAS_MAX]; /* in their order, apart, whole pages */
};

/* A plain value; zeroed: nothing is mapped. */
struct grants {
	struct grant bar[CFG_BARS];
};

/*
 * 0; with *e -EINVAL: the rules and the mode contradict each other, or a rule maps what cannot be; -EACCES: a map would
 * give away the whole device while a rule denies or masks; -E2BIG: more areas than an answer has room for.
 */
int grants_make(struct grants *g, enum grant_mode mode, const struct grant_ground *on,
		const struct policy *p, struct err *e);

bool grants_any(const struct grants *g);
uint64_t grants_bytes(const struct grants *g, uint32_t bar);

/* The first BAR of which other pages are mapped; -1: they are the same. */
int grants_differ(const struct grants *a, const struct grants *b);

#endif

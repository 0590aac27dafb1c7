/* SPDX-License-Identifier: MIT */
/* Kernel versions as `uname -r` writes them, and what is known of ranges of them. Pure. */
#ifndef BERTH_PROBE_KVER_H
#define BERTH_PROBE_KVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kver {
	uint32_t major, minor, patch;
	uint32_t rc; /* of a release candidate: 1 for "-rc1"; 0: a release */
	bool known;
};

/*
 * "6.8.0-45-generic", "7.0-rc5", "6.19.10-2-cachyos", "6.6.87.2-microsoft-standard-WSL2": the numbers
 * before the distributor's suffix. What does not begin with MAJOR.MINOR is not known.
 */
struct kver kver_parse(const char *release);

/* Below, equal or above zero. A release candidate is older than its release. Both must be known. */
int kver_compare(struct kver a, struct kver b);

/* Whether v is known and at least "7.2". */
bool kver_at_least(struct kver v, const char *release);

/* A rule: what holds from one version on and before another. */
struct kver_rule {
	const char *from;   /* NULL: of all versions */
	const char *before; /* the first version that is free of it; NULL: none yet */
	/*
	 * Fixes are taken over into older series: "6.18.20" is free of it although it is older than
	 * `before`. NULL: none known.
	 */
	const char *also_fixed;
	bool harmful; /* a fault; else a change that other advice depends on */
	const char *says;
	const char *source;
};

extern const struct kver_rule kver_rules[];
extern const size_t n_kver_rules;

bool kver_rule_holds(const struct kver_rule *r, struct kver v);

#endif

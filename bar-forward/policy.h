/* SPDX-License-Identifier: MIT */
/*
 * What a guest may do with the registers of a device: rules for ranges of its BARs, from a file a person writes. Pure.
 *
 *     # BAR  RANGE            RULE [VALUE]
 *     bar0   0x88000-0x88fff  deny            writes are dropped and counted, reads give all-ones
 *     bar0   0x1800+0x100     deny 0          the same, but reads give 0
 *     bar0   0x9400+4         mask 0xffff     of what is written only these bits pass; the others become 0
 *     bar0   0x110000+0x1000  log             counted and recorded one by one
 *     bar0   0x0+0x1000       trap            through us, as everything without a rule
 *     bar1   all              map             the guest reaches it without us; whole pages only
 *
 * A range is FIRST-LAST or FIRST+BYTES, in C's numbers. Rules of one BAR must not overlap.
 */
#ifndef BERTH_POLICY_H
#define BERTH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define POLICY_BARS      6
#define POLICY_RULES_MAX 1024
#define POLICY_FILE_MAX  65536 /* bytes */
#define POLICY_PAGE      4096

/* The stricter, the larger: an access across several rules gets the strictest. */
enum policy_act { POLICY_MAP, POLICY_TRAP, POLICY_LOG, POLICY_MASK, POLICY_DENY, POLICY_ACT_COUNT };

struct rule {
	uint8_t bar;
	uint64_t first,
		last; /* offsets in the BAR, both in the range; `last` UINT64_MAX: to its end */
	enum policy_act act;
	uint64_t
		value; /* of a mask: the bits that pass; of a denial: each byte that reads give, repeated */
	uint32_t line; /* of the file */
};

/* Zeroed: no rules, so that everything is trapped. A plain value. */
struct policy {
	uint32_t n;
	uint32_t begin[POLICY_BARS +
		       1]; /* rules of BAR b are begin[b] to begin[b+1]-1, by `first` */
	struct rule rules[POLICY_RULES_MAX];
};

/* 0, or -EBADMSG with *e: "line 3: ...". `text` ends with NUL. */
int policy_parse(struct policy *p, const char *text, struct err *e);

/* The file of a policy, which never makes who opens it wait; or the errno of opening it, -EBADMSG for a pipe. */
int policy_open(const char *path, struct err *e);

/* What is in it, at most POLICY_FILE_MAX bytes. As policy_parse, or the errno of reading. */
int policy_take(struct policy *p, int fd, struct err *e);

/* As a file again; parsing it gives the same rules. */
void policy_text(const struct policy *p, struct text *t);

/* The strictest rule that any byte of an access falls under; NULL: none, so it is trapped. */
const struct rule *policy_find(const struct policy *p, uint32_t bar, uint64_t offset,
			       uint64_t count);

/* Of a write of `count` bytes at `offset` what a mask lets pass. Bits count from the range's first byte on, in turns of 8 bytes. */
void policy_mask(const struct rule *r, uint64_t offset, uint8_t *bytes, uint64_t count);
/* What a denied read gives. */
void policy_denied(const struct rule *r, uint8_t *bytes, uint64_t count);

bool policy_has(const struct policy *p, enum policy_act act);

/* Rules against a device's BARs (sizes in bytes, 0: none): those of a BAR that is not there, or beyond its end. 0 or -EINVAL. */
int policy_fits(const struct policy *p, const uint64_t sizes[POLICY_BARS], struct err *e);

const char *policy_act_name(enum policy_act act);

#endif

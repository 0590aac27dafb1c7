/* SPDX-License-Identifier: MIT */
/* Between the files that read a device's description: members of a JSON object, and the parts of the whole. */
#ifndef BERTH_PCIDESC_PRIV_H
#define BERTH_PCIDESC_PRIV_H

#include "bar-forward/pcidesc.h"
#include "base/json.h"

/* No members but these (a list that ends with NULL). 0 or -EBADMSG with *e. */
int desc_only(const json_t *o, const char *const *members, struct err *e);

/* A number of JSON, or as text: "0x88000", or with a unit, "256M". 0 or -EINVAL. */
int desc_value(const json_t *v, uint64_t *n);

/* A member that is one. Absent, it is `or`. 0, or -EBADMSG with *e: it is none, or above `most`. */
int desc_number(const json_t *o, const char *key, uint64_t or, uint64_t most, uint64_t *v,
		struct err *e);

/* The same where it must not be absent. */
int desc_needs(const json_t *o, const char *key, uint64_t most, uint64_t *v, struct err *e);

/* Absent, it is false. */
int desc_bool(const json_t *o, const char *key, bool *v, struct err *e);

/* One of `names`, by its index. Absent, it is the first. */
int desc_word(const json_t *o, const char *key, const char *const *names, uint32_t n, uint32_t *v,
	      struct err *e);

/* Bytes in hex, with or without spaces; absent: none. */
int desc_hex(const json_t *o, const char *key, uint8_t *to, uint16_t room, uint16_t *n,
	     struct err *e);

/* Elements of an array of objects; absent: none. At most `most`. */
int desc_array(const json_t *o, const char *key, uint32_t most, const json_t **a, uint32_t *n,
	       struct err *e);

int desc_caps(struct pcidesc *d, const json_t *o, struct err *e); /* after the BARs */
int desc_regs(struct pcidesc *d, const json_t *o, struct err *e); /* after the capabilities */

#endif

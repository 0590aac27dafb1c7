/* SPDX-License-Identifier: MIT */
/* The permission table: what may be written in each capability, and which are not shown. */
#ifndef BERTH_CFG_PRIV_H
#define BERTH_CFG_PRIV_H

#include <stdint.h>

enum cfg_show {
	CFG_SHOW = 0,
	CFG_HIDE,  /* unlinked from its chain, its bytes read 0 */
	CFG_REBAR, /* shown with the current size of each BAR as the only one */
};

/* A field of a capability: bytes from its beginning on. */
struct cfg_field {
	uint16_t at;
	uint8_t bytes;    /* 1, 2 or 4 */
	uint32_t through; /* bits a guest's write reaches */
	uint32_t clears;  /* of all bits, those that a written 1 clears */
};

#define CFG_FIELDS 8

struct cfg_cap {
	uint16_t id;
	const char *name; /* as PCI's specification calls it */
	enum cfg_show show;
	uint16_t length; /* bytes; 0: not fixed, see cap_length() */
	struct cfg_field fields[CFG_FIELDS];
};

/* The row of a capability, or of an extended one; those that have none are shown, and read-only. */
const struct cfg_cap *cfg_cap(uint16_t id);
const struct cfg_cap *cfg_ext_cap(uint16_t id);

#endif

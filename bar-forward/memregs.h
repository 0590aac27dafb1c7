/* SPDX-License-Identifier: MIT */
/* What the registers of a described device do when they are read and written: behaviours, as rows of a table. */
#ifndef BERTH_MEMREGS_H
#define BERTH_MEMREGS_H

#include "bar-forward/memstate.h"
#include "bar-forward/pcidesc.h"

/* Members of a register's description that only some behaviours have. */
enum reg_wants {
	WANTS_MASK = 1,
	WANTS_STATUS = 2,
	WANTS_VECTOR = 4,
	WANTS_ENGINE = 8,
};

struct behaviour {
	const char *name;
	uint32_t wants; /* enum reg_wants */
	/* What a read gives; all of the register's bytes, whichever are asked for. NULL: its value. */
	uint64_t (*read)(struct access *a, const struct desc_reg *r);
	/* `value` with only the bits of `bytes` written. NULL: lost. */
	void (*write)(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes);
};

extern const struct behaviour behaviours[REG_BEHAVIOURS];

/* Bytes of a BAR of registers; those without a register read 0, and writes to them are lost. */
void memregs_read(struct access *a, uint8_t bar, uint64_t at, uint8_t *bytes, uint32_t width);
void memregs_write(struct access *a, uint8_t bar, uint64_t at, const uint8_t *bytes,
		   uint32_t width);

#endif

/* SPDX-License-Identifier: MIT */
/* The config space of a described function: its bytes after a reset, and what writes do to them. Pure. */
#ifndef BERTH_PCISPACE_H
#define BERTH_PCISPACE_H

#include "bar-forward/pcidesc.h"
#include "base/text.h"

#define PCISPACE_SIZE 4096

struct pcispace {
	uint8_t first[PCISPACE_SIZE];    /* after a reset */
	uint8_t writable[PCISPACE_SIZE]; /* bits that take what is written */
	uint8_t clears[PCISPACE_SIZE];   /* bits that become 0 where 1 is written */
	uint16_t pcie, msi, msix;        /* places of capabilities; 0: none */
};

/* 0, or -EBADMSG with *e: the capabilities do not fit. */
int pcispace_build(struct pcispace *s, const struct pcidesc *d, struct err *e);

/* Of one byte that holds `now` what it holds once `value` is written. */
uint8_t pcispace_write(const struct pcispace *s, uint32_t at, uint8_t now, uint8_t value);

/* The offsets and bytes as `lspci -xxxx` writes them; `lspci -F` reads them. 4096 bytes take less than PCISPACE_TEXT. */
#define PCISPACE_TEXT 16384
void pcispace_text(const uint8_t *bytes, const char *name, struct text *t);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Transfers of a doorbell between the memory of a client and that of the device. Only the one who attends to the device does
 * them, in pieces, never inside an access; where a piece ends is in the block, so that another process goes on with
 * it. A piece done twice gives the same.
 *
 * A map with a descriptor is read and written by pread and pwrite, never by mmap: a client may cut its file short.
 * Other maps, and descriptors that refuse, are asked for by message.
 */
#ifndef BERTH_MEMDMA_H
#define BERTH_MEMDMA_H

#include "bar-forward/device.h"
#include "bar-forward/maps.h"
#include "bar-forward/memstate.h"

/* What is written to a doorbell; as QEMU's edu device has it. FAILED is read. */
enum dma_command { DMA_START = 1, DMA_TO_CLIENT = 2, DMA_INTERRUPT = 4, DMA_FAILED = 8 };

#define MEMDMA_PIECE 65536

struct memdma {
	struct maps maps; /* rows without ownership of their descriptors */
	uint64_t asked;   /* the transfer whose piece goes by message; 0: none does */
	uint32_t asked_bytes;
	uint8_t piece[MEMDMA_PIECE];
};

/* Under the lock, as a part of an access. */
void memdma_ring(struct access *a, uint64_t command);

int memdma_map(struct memdma *g, const struct map *row, struct err *e);
int memdma_unmap(struct memdma *g, const struct map *row, struct err *e);
void memdma_close(struct memdma *g);

/* Do a piece. 1: *ask is to be done by message; 0. *more: there is another piece to do at once. Takes the lock. */
int memdma_step(struct memdma *g, struct memstate *m, struct dev_dma *ask, bool *more);

/* The piece that was asked for: its bytes, when it was read. */
void memdma_done(struct memdma *g, struct memstate *m, int rc, const uint8_t *bytes);

/* CRC-32 of IEEE 802.3, as zlib and Python's binascii have it, going on from `crc`, 0 at the beginning. */
uint32_t memdma_crc(uint32_t crc, const uint8_t *bytes, uint64_t n);

#endif

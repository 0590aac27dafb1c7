/* SPDX-License-Identifier: MIT */
/*
 * The DMA maps of one client: which of its memory the device may reach, and by which addresses. Pure bookkeeping; what
 * the IOMMU is told is the caller's, and always in this order: maps_add() first, then the side effect, and
 * maps_drop() again when that fails. So no effect is ever left without a row that would take it back.
 *
 * One row is one map of the IOMMU, never merged with a neighbour: type 1 refuses to unmap half of a merged map.
 */
#ifndef BERTH_MAPS_H
#define BERTH_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct map {
	uint64_t iova, size; /* bytes; the last one may be UINT64_MAX */
	uint64_t offset;     /* in fd */
	int fd;              /* the client's memory, owned by the row; -1: only by message */
	bool read, write;
};

/* Zeroed: empty. maps_free() closes the descriptors. */
struct maps {
	uint32_t n, room;
	struct map *map; /* by iova, none overlapping another */
	uint64_t bytes;  /* of all */
	uint32_t most;   /* rows allowed; 0: VU_DMA_MAPS */
};

/*
 * Take a map; its descriptor becomes the table's when it is taken. 0, -EEXIST (it overlaps one that is there), -ENOSPC
 * (too many), -ENOMEM, with *e.
 */
int maps_add(struct maps *m, const struct map *add, struct err *e);

/*
 * What an unmap of [iova, iova + size) takes: the rows from *first on, their count returned (0: nothing is
 * mapped there, which is fine), or -EINVAL with *e when it would cut a row in two. Nothing is changed.
 */
int maps_covered(const struct maps *m, uint64_t iova, uint64_t size, uint32_t *first,
		 struct err *e);

/* Forget n rows, and close their descriptors. */
void maps_drop(struct maps *m, uint32_t first, uint32_t n);

/* The row that holds all of these addresses; NULL: none does alone. */
const struct map *maps_find(const struct maps *m, uint64_t iova, uint64_t size);

void maps_free(struct maps *m);

/*
 * In rows of any kind, `stride` bytes each, that begin with iova and size as struct map does, in order and none overlapping
 * another: the first that ends at or behind an address; n: none.
 */
uint32_t maps_search(const void *rows, size_t stride, uint32_t n, uint64_t iova);

#endif

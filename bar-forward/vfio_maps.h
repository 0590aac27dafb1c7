/* SPDX-License-Identifier: MIT */
/*
 * What is mapped in one IOMMU address space, which all functions of a group have in common: each map once, and who wants
 * it. Clients of two functions of one virtual machine ask for the same maps; two machines do not, and cannot share a
 * group. Pure.
 */
#ifndef BERTH_VFIO_MAPS_H
#define BERTH_VFIO_MAPS_H

#include <stdbool.h>
#include <stdint.h>

struct vmap {
	uint64_t iova, size;            /* bytes; the last one may be UINT64_MAX */
	uint64_t device, inode, offset; /* which memory it is */
	bool read, write;
	uint64_t holders; /* a bit for each that wants it */
};

/* A plain block, so that processes can share it. */
struct vmaps {
	uint32_t n, room;
	uint64_t bytes;    /* of all */
	struct vmap map[]; /* by iova, none overlapping another; `room` of them */
};

/*
 * `add`, with one holder. 1: it is new, and the IOMMU is to be told (vmaps_drop() when that fails); 0: the same is there
 * already, and has one holder more; -EBUSY: other memory is at these addresses; -ENOSPC: there is no room for more.
 */
int vmaps_add(struct vmaps *m, const struct vmap *add);

/* 1: nobody else wants it, and the IOMMU is to be told, then vmaps_drop(); 0: others do; -ENOENT: it has none such. */
int vmaps_release(struct vmaps *m, uint64_t iova, uint64_t size, uint64_t holder);

/* Forget the map that begins there. */
void vmaps_drop(struct vmaps *m, uint64_t iova);

/* The first map at or behind an address that the holder has; NULL: none. */
const struct vmap *vmaps_next(const struct vmaps *m, uint64_t iova, uint64_t holder);

#endif

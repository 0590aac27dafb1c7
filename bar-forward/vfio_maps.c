/* SPDX-License-Identifier: MIT */
#include "bar-forward/vfio_maps.h"

#include <errno.h>
#include <string.h>

#include "bar-forward/maps.h"

static uint64_t last(uint64_t iova, uint64_t size)
{
	return iova + (size - 1);
}

static uint32_t find(const struct vmaps *m, uint64_t iova)
{
	return maps_search(m->map, sizeof(m->map[0]), m->n, iova);
}

static struct vmap *exact(struct vmaps *m, uint64_t iova, uint64_t size)
{
	uint32_t at = find(m, iova);

	return at < m->n && m->map[at].iova == iova && m->map[at].size == size ? &m->map[at] : NULL;
}

static bool is_same(const struct vmap *a, const struct vmap *b)
{
	return a->iova == b->iova && a->size == b->size && a->device == b->device &&
	       a->inode == b->inode && a->offset == b->offset && a->read == b->read &&
	       a->write == b->write;
}

int vmaps_add(struct vmaps *m, const struct vmap *add)
{
	uint32_t at = find(m, add->iova);
	struct vmap *there = at < m->n && m->map[at].iova <= last(add->iova, add->size)
				     ? &m->map[at]
				     : NULL;

	if (there && is_same(there, add)) {
		there->holders |= add->holders;
		return 0;
	}
	if (there)
		return -EBUSY;
	if (m->n >= m->room)
		return -ENOSPC;
	memmove(&m->map[at + 1], &m->map[at], (m->n - at) * sizeof(*m->map));
	m->map[at] = *add;
	m->n++;
	m->bytes += add->size;
	return 1;
}

int vmaps_release(struct vmaps *m, uint64_t iova, uint64_t size, uint64_t holder)
{
	struct vmap *row = exact(m, iova, size);

	if (!row || !(row->holders & holder))
		return -ENOENT;
	if (row->holders == holder)
		return 1;
	row->holders &= ~holder;
	return 0;
}

void vmaps_drop(struct vmaps *m, uint64_t iova)
{
	uint32_t at = find(m, iova);

	if (at == m->n || m->map[at].iova != iova)
		return;
	m->bytes -= m->map[at].size;
	memmove(&m->map[at], &m->map[at + 1], (m->n - at - 1) * sizeof(*m->map));
	m->n--;
}

const struct vmap *vmaps_next(const struct vmaps *m, uint64_t iova, uint64_t holder)
{
	for (uint32_t at = find(m, iova); at < m->n; at++)
		if (m->map[at].iova >= iova && m->map[at].holders & holder)
			return &m->map[at];
	return NULL;
}

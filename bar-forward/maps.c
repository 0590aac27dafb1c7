/* SPDX-License-Identifier: MIT */
#include "bar-forward/maps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/wire.h"

static uint64_t last(uint64_t iova, uint64_t size)
{
	return iova + (size - 1);
}

uint32_t maps_search(const void *rows, size_t stride, uint32_t n, uint64_t iova)
{
	uint32_t low = 0, high = n;
	uint64_t row[2]; /* iova, size */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		memcpy(row, (const char *)rows + middle * stride, sizeof(row));
		if (last(row[0], row[1]) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t find(const struct maps *m, uint64_t iova)
{
	return maps_search(m->map, sizeof(*m->map), m->n, iova);
}

static int grow(struct maps *m)
{
	uint32_t room = m->room ? 2 * m->room : 16;
	struct map *more;

	if (m->n < m->room)
		return 0;
	more = realloc(m->map, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->map = more;
	m->room = room;
	return 0;
}

int maps_add(struct maps *m, const struct map *add, struct err *e)
{
	uint32_t at = find(m, add->iova);
	uint32_t most = m->most ? m->most : VU_DMA_MAPS;

	if (at < m->n && m->map[at].iova <= last(add->iova, add->size))
		return err_set(e, -EEXIST,
			       "DMA addresses 0x%" PRIx64 " to 0x%" PRIx64 " are mapped in part",
			       add->iova, last(add->iova, add->size));
	if (m->n >= most)
		return err_set(e, -ENOSPC, "the client has %" PRIu32 " DMA maps, as many as it may",
			       m->n);
	if (grow(m))
		return err_set(e, -ENOMEM, "out of memory");
	memmove(&m->map[at + 1], &m->map[at], (m->n - at) * sizeof(*m->map));
	m->map[at] = *add;
	m->n++;
	m->bytes += add->size;
	return 0;
}

int maps_covered(const struct maps *m, uint64_t iova, uint64_t size, uint32_t *first, struct err *e)
{
	uint32_t at = find(m, iova), n = 0;
	uint64_t end = last(iova, size);

	*first = at;
	while (at + n < m->n && m->map[at + n].iova <= end) {
		const struct map *row = &m->map[at + n++];

		if (row->iova < iova || last(row->iova, row->size) > end)
			return err_set(e, -EINVAL,
				       "an unmap of 0x%" PRIx64 " to 0x%" PRIx64
				       " would cut the map of 0x%" PRIx64 " to 0x%" PRIx64
				       " in two",
				       iova, end, row->iova, last(row->iova, row->size));
	}
	return (int)n;
}

void maps_drop(struct maps *m, uint32_t first, uint32_t n)
{
	if (!n)
		return; /* an empty table has no array */
	for (uint32_t i = first; i < first + n; i++) {
		m->bytes -= m->map[i].size;
		if (m->map[i].fd >= 0)
			close(m->map[i].fd);
	}
	memmove(&m->map[first], &m->map[first + n], (m->n - first - n) * sizeof(*m->map));
	m->n -= n;
}

const struct map *maps_find(const struct maps *m, uint64_t iova, uint64_t size)
{
	uint32_t at = find(m, iova);
	const struct map *row = at < m->n ? &m->map[at] : NULL;

	return row && size && row->iova <= iova && iova <= UINT64_MAX - (size - 1) &&
			       last(iova, size) <= last(row->iova, row->size)
		       ? row
		       : NULL;
}

void maps_free(struct maps *m)
{
	maps_drop(m, 0, m->n);
	free(m->map);
	*m = (struct maps) { 0 };
}

/* SPDX-License-Identifier: MIT */
/*
 * The client's memory: what of it the device may reach. The table comes first and the device second, so that no effect is
 * without a row that takes it back.
 */
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bar-forward/session_priv.h"

static void tell_counts(struct session *s)
{
	s->o.count->counts.dma_maps = s->maps.n;
	s->o.count->counts.dma_bytes = s->maps.bytes;
}

static uint32_t row_of(const struct session *s, const struct map *row)
{
	return (uint32_t)(row - s->maps.map);
}

static int add(struct session *s, struct map *row, int *fd, struct err *e)
{
	int rc = maps_add(&s->maps, row, e);

	if (rc)
		return rc;
	if (row->fd >= 0)
		*fd = -1;
	const struct map *kept = maps_find(&s->maps, row->iova, row->size);

	rc = s->o.ops->map(s->d, kept, e);
	if (rc)
		maps_drop(&s->maps, row_of(s, kept), 1);
	return rc;
}

/*
 * A guest whose memory the device does not reach would run into the IOMMU later, and nobody would know why: QEMU only prints
 * what a map answers. So it is told where QEMU listens, with DEVICE_GET_INFO, and after that the device is lost.
 */
static void failed(struct session *s, int rc, const struct err *why)
{
	s->o.count->counts.dma_refused++;
	if (rc == -EEXIST) /* the client's mistake */
		return;
	if (s->step == SESSION_INFORMED)
		session_lose(s, why->text);
	else if (!s->unmapped.rc)
		s->unmapped = *why;
}

/*
 * A file that is memory never keeps who reads it waiting. Of anything else (a pipe, a file that another program serves) we
 * do as if the client had sent none: its DMA goes by message.
 */
static bool is_memory(int fd)
{
	struct statfs f;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstatfs(fd, &f) == 0 &&
	       (f.f_type == TMPFS_MAGIC || f.f_type == HUGETLBFS_MAGIC);
}

int session_map(struct session *s, const struct vu_dma *dma, int *fd, struct err *e)
{
	struct map row = { .iova = dma->iova,
			   .size = dma->size,
			   .offset = dma->offset,
			   .fd = *fd >= 0 && is_memory(*fd) ? *fd : -1,
			   .read = dma->read,
			   .write = dma->write };
	struct err why = { 0 };
	int rc;

	if (!s->d)
		return 0;
	rc = add(s, &row, fd, &why);
	tell_counts(s);
	session_record_map(s, TRACE_DMA_MAP, &row, 0, rc);
	if (rc == -ENODEV) {
		session_lose(s, "does not answer");
		return 0;
	}
	if (rc)
		failed(s, rc, &why);
	return rc ? err_set(e, rc, "%s", why.text) : 0;
}

static int drop(struct session *s, uint32_t first, uint32_t n, struct err *e)
{
	int rc = 0;

	for (; n; n--) {
		rc = s->d ? s->o.ops->unmap(s->d, &s->maps.map[first], e) : 0;
		if (rc == -ENODEV) {
			session_lose(s, "does not answer");
			rc = 0;
		}
		if (rc)
			break;
		maps_drop(&s->maps, first, 1);
	}
	tell_counts(s);
	return rc;
}

int session_unmap(struct session *s, const struct vu_dma *dma, struct err *e)
{
	uint32_t first = 0;
	int n = dma->all ? (int)s->maps.n : maps_covered(&s->maps, dma->iova, dma->size, &first, e);
	int rc = n > 0 ? drop(s, first, (uint32_t)n, e) : n;
	const struct map asked = { .iova = dma->iova, .size = dma->size };

	session_record_map(s, TRACE_DMA_UNMAP, &asked, dma->all ? TRACE_MAP_ALL : 0, rc);
	if (rc)
		s->o.count->counts.dma_refused++;
	return rc;
}

void session_unmap_all(struct session *s)
{
	struct err e = { 0 };

	/* From the end on: nothing moves. A row that stays is forgotten all the same, and said. */
	for (uint32_t i = s->maps.n; i-- && s->d;)
		if (drop(s, i, 1, &e))
			session_say(s, SESSION_WARNING, "%s", e.text);
	maps_free(&s->maps);
	tell_counts(s);
}

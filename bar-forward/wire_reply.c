/* SPDX-License-Identifier: MIT */
/* What goes back to a client. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bar-forward/wire.h"

/* The bits of linux/vfio.h that travel in replies. */
enum {
	DEVICE_RESET_FLAG = 1,
	DEVICE_PCI_FLAG = 2,
	REGION_READ_FLAG = 1,
	REGION_WRITE_FLAG = 2,
	REGION_MMAP_FLAG = 4,
	REGION_CAPS_FLAG = 8,
	REGION_CAP_SPARSE = 1,
	IRQ_EVENTFD_FLAG = 1,
	IRQ_MASKABLE_FLAG = 2,
	IRQ_AUTOMASKED_FLAG = 4,
	IRQ_NORESIZE_FLAG = 8,
};

/* A message being written. */
struct out {
	uint8_t *at;
	size_t n;
};

static void put(struct out *o, const void *bytes, size_t n)
{
	memcpy(o->at + o->n, bytes, n);
	o->n += n;
}

static void put16(struct out *o, uint16_t v)
{
	put(o, &v, sizeof(v));
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, sizeof(v));
}

static void put64(struct out *o, uint64_t v)
{
	put(o, &v, sizeof(v));
}

/* The header comes last, when the size is known. */
static struct out begin(uint8_t *to)
{
	return (struct out) { to, sizeof(struct vu_header) };
}

static size_t end(const struct out *o, const struct vu_request *r, uint32_t flags, int rc)
{
	struct vu_header h = { .id = r->id,
			       .command = r->command,
			       .size = (uint32_t)o->n,
			       .flags = VU_TYPE_REPLY | flags,
			       .error = rc < 0 ? (uint32_t)-rc : 0 };

	memcpy(o->at, &h, sizeof(h));
	return o->n;
}

size_t vu_reply_error(const struct vu_request *r, int rc, uint8_t *to)
{
	struct out o = begin(to);

	return end(&o, r, VU_ERROR, rc);
}

size_t vu_reply_empty(const struct vu_request *r, uint8_t *to)
{
	struct out o = begin(to);

	return end(&o, r, 0, 0);
}

/* Which capabilities we name, the most important first, and when. */
static bool capability(const struct vu_version *v, uint32_t i, char *to, size_t size)
{
	switch (i) {
	case 0:
		snprintf(to, size, "\"max_msg_fds\":%d", VU_FDS_MAX);
		return true;
	case 1:
		snprintf(to, size, "\"write_multiple\":true");
		return v->write_multiple;
	case 2:
		snprintf(to, size, "\"max_data_xfer_size\":%" PRIu32, VU_DATA_MAX);
		return true;
	case 3:
		snprintf(to, size, "\"pgsizes\":4096");
		return true;
	default:
		snprintf(to, size, "\"max_dma_maps\":%d", VU_DMA_MAPS);
		return true;
	}
}

size_t vu_reply_version(const struct vu_request *r, uint8_t *to)
{
	static const char head[] = "{\"capabilities\":{", tail[] = "}}";
	struct out o = begin(to);
	char one[64], all[256] = "";

	put16(&o, 0);
	put16(&o, 0);
	for (uint32_t i = 0; i < 5; i++) {
		size_t have = strlen(all);

		if (!capability(&r->version, i, one, sizeof(one)))
			continue;
		if (4 + sizeof(head) - 1 + have + 1 + strlen(one) + sizeof(tail) > r->room)
			break;
		snprintf(all + have, sizeof(all) - have, "%s%s", have ? "," : "", one);
	}
	if (all[0]) {
		put(&o, head, sizeof(head) - 1);
		put(&o, all, strlen(all));
		put(&o, tail, sizeof(tail));
	}
	return end(&o, r, 0, 0);
}

size_t vu_reply_unmap(const struct vu_request *r, uint8_t *to)
{
	struct out o = begin(to);

	put32(&o, 24);
	put32(&o, r->dma.all ? 2 : 0);
	put64(&o, r->dma.iova);
	put64(&o, r->dma.size);
	return end(&o, r, 0, 0);
}

size_t vu_reply_info(const struct vu_request *r, bool reset, uint32_t n_regions, uint32_t n_irqs,
		     uint8_t *to)
{
	struct out o = begin(to);

	put32(&o, 16);
	put32(&o, DEVICE_PCI_FLAG | (reset ? DEVICE_RESET_FLAG : 0));
	put32(&o, n_regions);
	put32(&o, n_irqs);
	return end(&o, r, 0, 0);
}

static void put_areas(struct out *o, const struct vu_region *info)
{
	put16(o, REGION_CAP_SPARSE);
	put16(o, 1); /* of the capability's format */
	put32(o, 0); /* no next one */
	put32(o, info->n_areas);
	put32(o, 0);
	for (uint32_t i = 0; i < info->n_areas; i++) {
		put64(o, info->areas[i].offset);
		put64(o, info->areas[i].size);
	}
}

size_t vu_reply_region(const struct vu_request *r, const struct vu_region *info, uint8_t *to,
		       bool *fits)
{
	uint32_t caps = info->map && info->n_areas ? 16 + 16 * info->n_areas : 0;
	struct out o = begin(to);

	*fits = r->room >= 32 + caps;
	put32(&o, 32 + caps);
	if (!*fits)
		caps = 0;
	put32(&o, (info->read ? REGION_READ_FLAG : 0) | (info->write ? REGION_WRITE_FLAG : 0) |
			  (info->map && *fits ? REGION_MMAP_FLAG : 0) |
			  (caps ? REGION_CAPS_FLAG : 0));
	put32(&o, info->index);
	put32(&o, caps ? 32 : 0);
	put64(&o, info->size);
	put64(&o, info->offset);
	if (caps)
		put_areas(&o, info);
	return end(&o, r, 0, 0);
}

size_t vu_reply_irq(const struct vu_request *r, const struct vu_irq_info *info, uint8_t *to)
{
	struct out o = begin(to);

	put32(&o, 16);
	put32(&o, (info->eventfd ? IRQ_EVENTFD_FLAG : 0) |
			  (info->maskable ? IRQ_MASKABLE_FLAG : 0) |
			  (info->automasked ? IRQ_AUTOMASKED_FLAG : 0) |
			  (info->noresize ? IRQ_NORESIZE_FLAG : 0));
	put32(&o, info->index);
	put32(&o, info->count);
	return end(&o, r, 0, 0);
}

static struct out begin_access(const struct vu_request *r, uint8_t *to)
{
	struct out o = begin(to);

	put64(&o, r->access.offset);
	put32(&o, r->access.region);
	put32(&o, r->access.count);
	return o;
}

size_t vu_reply_read(const struct vu_request *r, uint8_t *to)
{
	struct out o = begin_access(r, to);

	o.n += r->access.count;
	return end(&o, r, 0, 0);
}

size_t vu_reply_write(const struct vu_request *r, uint8_t *to)
{
	struct out o = begin_access(r, to);

	return end(&o, r, 0, 0);
}

size_t vu_reply_multi(const struct vu_request *r, uint64_t done, uint8_t *to)
{
	struct out o = begin(to);

	put64(&o, done);
	return end(&o, r, 0, 0);
}

/* --- our own commands --- */

size_t vu_ask_dma(uint16_t id, bool write, uint64_t iova, uint64_t count, uint8_t *to)
{
	struct out o = begin(to);
	struct vu_header h = { .id = id, .command = write ? VU_DMA_WRITE : VU_DMA_READ };

	put64(&o, iova);
	put64(&o, count);
	h.size = (uint32_t)(o.n + (write ? count : 0));
	memcpy(to, &h, sizeof(h));
	return o.n;
}

int vu_check_dma_reply(const uint8_t *message, bool write, uint64_t iova, uint64_t count,
		       const uint8_t **data, struct err *e)
{
	struct vu_header h;
	uint64_t said[2];

	memcpy(&h, message, sizeof(h));
	if (h.flags & VU_ERROR)
		return err_set(e, -EIO, "the client does no DMA at 0x%" PRIx64 ": errno %" PRIu32,
			       iova, h.error);
	/* Of a write's reply some clients send a count of 4 bytes. */
	if (h.size < sizeof(h) + (write ? 12 : 16 + count))
		return err_set(e, -EPROTO, "the client's reply to DMA has %" PRIu32 " bytes",
			       h.size);
	memcpy(said, message + sizeof(h), write ? 8 : 16);
	if (said[0] != iova || (!write && said[1] != count))
		return err_set(e, -EPROTO, "the client's reply is to other DMA, at 0x%" PRIx64,
			       said[0]);
	*data = message + sizeof(h) + 16;
	return 0;
}

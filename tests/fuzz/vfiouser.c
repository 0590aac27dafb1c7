/* SPDX-License-Identifier: MIT */
/* A vfio-user client's message: what is taken lies inside it, and every reply stays in its room. */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static volatile uint8_t touched;

static void touch(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		touched ^= bytes[i];
}

static void answer(const struct vu_request *r)
{
	static const struct vu_irq_info irq = {
		.index = 2, .count = 4, .eventfd = true, .noresize = true
	};
	static struct vu_region region = {
		.read = true, .write = true, .map = true, .size = 1 << 20
	};
	uint8_t to[VU_REPLY_MAX];
	bool fits;

	region.n_areas = r->index % (VU_AREAS_MAX + 1);
	switch (r->command) {
	case VU_VERSION:
		if (vu_reply_version(r, to) > UINT64_C(16) + (r->room < 4 ? 4 : r->room))
			abort();
		break;
	case VU_GET_REGION_INFO:
		if (vu_reply_region(r, &region, to, &fits) > UINT64_C(16) + r->room)
			abort();
		break;
	case VU_GET_IRQ_INFO:
		vu_reply_irq(r, &irq, to);
		break;
	case VU_SET_IRQS:
		if (r->irqs.data == VU_IRQ_BOOL)
			touch(r->irqs.bools, r->irqs.count);
		break;
	case VU_REGION_WRITE:
		touch(r->access.data, r->access.count);
		break;
	case VU_REGION_WRITE_MULTI:
		for (uint64_t i = 0; i < r->multi.count; i++) {
			struct vu_access w;

			if (!vu_multi_write(r, i, &w))
				touch(w.data, w.count);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct vu_header h;
	struct vu_request r;

	if (size < sizeof(h))
		return 0;
	/* Its own copy, just as large as it says: to read behind it is an error that shows. */
	memcpy(&h, bytes, sizeof(h));
	h.size = (uint32_t)size;
	if (vu_check_header(&h, NULL))
		return 0;
	uint8_t *message = malloc(size);

	memcpy(message, bytes, size);
	memcpy(message, &h, sizeof(h));
	if (!vu_parse(message, h.id % 3, &r, NULL))
		answer(&r);
	free(message);
	return 0;
}

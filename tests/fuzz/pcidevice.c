/* SPDX-License-Identifier: MIT */
/* Descriptions of devices: whatever is taken is a device that answers every access within it, and whose capabilities form chains. */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/dev_memory.h"
#include "bar-forward/pcispace.h"
#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define SMALL (1 << 20) /* larger memory is not tried: there may be a terabyte of it */

static void chains(const struct pcispace *s)
{
	uint32_t at = s->first[0x34], n = 0;

	for (; at; at = s->first[at + 1])
		if (at < 0x40 || at % 4 || ++n > 48)
			abort();
	for (at = 0x100, n = 0; at; at = s->first[at + 2] >> 4 | s->first[at + 3] << 4)
		if (at < 0x100 || at % 4 || at > 4092 || ++n > 960)
			abort();
}

static bool is_small(const struct pcidesc *d)
{
	for (uint32_t i = 0; i < PCIDESC_BARS; i++)
		if (d->bar[i].memory && d->bar[i].size > SMALL)
			return false;
	if (d->doorbell != REG_NONE && d->reg[d->doorbell].memory_bytes > SMALL)
		return false;
	return d->n_faults == 0; /* they may wait */
}

static void touch(struct device *d, const struct pcidesc *desc)
{
	const struct dev_facts *f = memory_device_ops.facts(d);
	uint64_t v = UINT64_MAX;
	struct dev_dma ask;

	for (uint32_t r = 0; r < DEV_REGIONS; r++)
		for (uint32_t width = 1; f->region[r].size >= 8 && width <= 8; width *= 2) {
			if (memory_device_ops.read(d, r, f->region[r].size - width, &v, width) &&
			    !f->region[r].io)
				abort();
			memory_device_ops.write(d, r, 4, &v, width);
		}
	for (uint32_t i = 0; i < desc->n_regs; i++) {
		const struct desc_reg *reg = &desc->reg[i];

		if (reg->behaviour == REG_FAULT)
			continue;
		if (memory_device_ops.write(d, reg->bar, reg->at, &v, reg->width) ||
		    memory_device_ops.read(d, reg->bar, reg->at, &v, reg->width))
			if (reg->width < 8)
				abort();
		memory_device_ops.attend(d, &ask);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct pcispace s;
	struct pcidesc *desc, *same;
	struct device *d;

	if (size > PCIDESC_FILE_MAX || pcidesc_parse(&desc, (const char *)bytes, size, NULL))
		return 0;
	if (!pcispace_build(&s, desc, NULL)) {
		chains(&s);
		if (is_small(desc) && !pcidesc_parse(&same, (const char *)bytes, size, NULL) &&
		    !memory_device_make(&d, same, NULL)) {
			touch(d, desc);
			memory_device_ops.close(d);
		}
	}
	free(desc);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * A device's configuration space, and a guest's writes to it: no bit reaches the device that no row lets through, and what the
 * guest sees is a sound chain without what is hidden.
 */
#include <stdlib.h>
#include <string.h>

#include "bar-forward/cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct cfg c;
static uint8_t real[CFG_SIZE];

static uint32_t see32(uint32_t at)
{
	uint8_t b[4];

	memcpy(b, &real[at], 4);
	cfg_read(&c, at, 4, b);
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void walk(void)
{
	uint32_t steps = 0;

	for (uint32_t at = c.size > 256 ? 0x100 : 0; at; steps++) {
		uint32_t header = see32(at), id = header & 0xffff;

		if (header == 0 || header == UINT32_MAX)
			break;
		if (steps > 1024 || id == 0x0f || id == 0x10 || id == 0x13 || id == 0x1b)
			abort();
		at = header >> 20 & ~3u;
	}
	steps = 0;
	for (uint32_t at = see32(0x34) & 0xfc; at && see32(4) >> 20 & 1; steps++) {
		uint32_t header = see32(at & ~3u);

		if (steps > 256 || at < 0x40)
			abort();
		at = header >> 8 & 0xfc;
	}
}

static void write_some(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i + 7 <= size; i += 7) {
		uint32_t width = 1u << bytes[i] % 3,
			 at = (bytes[i + 1] | (uint32_t)bytes[i + 2] << 8) % c.size;
		uint8_t b[4];

		at -= at % width;
		memcpy(b, &bytes[i + 3], width);
		if (!cfg_write(&c, at, width, b, &real[at]))
			continue;
		for (uint32_t k = 0; k < width; k++)
			if ((b[k] ^ real[at + k]) & ~c.through[at + k] & ~c.clears[at + k])
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cfg_shape shape = { .rom_size = 65536 };
	uint32_t space = size % 2 ? 256 : CFG_SIZE;
	size_t n = size < space ? size : space;

	memset(real, 0, sizeof(real));
	memcpy(real, bytes, n);
	for (uint32_t i = 0; i < CFG_BARS; i++)
		shape.bar[i] = (struct cfg_bar) { .size = UINT64_C(1) << (4 + (real[i] + i) % 40),
						  .io = real[0x10 + 4 * i] & 1,
						  .is_64bit = real[0x10 + 4 * i] & 4 };
	if (cfg_open(&c, real, space, &shape, NULL))
		return 0;
	walk();
	write_some(bytes + n, size - n);
	write_some(bytes, size < 64 ? size : 64);
	walk();
	cfg_reset(&c);
	return 0;
}

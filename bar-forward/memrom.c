/* SPDX-License-Identifier: MIT */
/* PCI Firmware Specification 3.0, 5.1: the header, and the data structure behind it. */
#include "bar-forward/memrom.h"

#include <string.h>

#define PCIR 0x1c

void memrom_image(const struct pcidesc *d, uint8_t image[MEMROM_IMAGE])
{
	uint8_t *p = image + PCIR, sum = 0;

	memset(image, 0, MEMROM_IMAGE);
	image[0] = 0x55;
	image[1] = 0xaa;
	image[2] = MEMROM_IMAGE / 512;
	image[3] = 0xcb; /* its entry: a far return */
	image[0x18] = PCIR;
	memcpy(p, "PCIR", 4);
	p[4] = (uint8_t)d->vendor;
	p[5] = (uint8_t)(d->vendor >> 8);
	p[6] = (uint8_t)d->device;
	p[7] = (uint8_t)(d->device >> 8);
	p[10] = 0x18; /* bytes of this structure */
	p[13] = (uint8_t)d->class;
	p[14] = (uint8_t)(d->class >> 8);
	p[15] = (uint8_t)(d->class >> 16);
	p[16] = MEMROM_IMAGE / 512;
	p[21] = 0x80; /* the last image */
	for (uint32_t i = 0; i < MEMROM_IMAGE - 1; i++)
		sum = (uint8_t)(sum + image[i]);
	image[MEMROM_IMAGE - 1] = (uint8_t)-sum;
}

void memrom_read(const struct pcidesc *d, uint64_t at, uint8_t *bytes, uint32_t width)
{
	uint8_t image[MEMROM_IMAGE];

	memrom_image(d, image);
	for (uint32_t i = 0; i < width; i++)
		bytes[i] = at + i < MEMROM_IMAGE ? image[at + i] : 0;
}

/* SPDX-License-Identifier: MIT */
/* The expansion ROM of a described device: an image with its ids, for whoever reads a card's ROM, that does nothing. Pure. */
#ifndef BERTH_MEMROM_H
#define BERTH_MEMROM_H

#include "bar-forward/pcidesc.h"

#define MEMROM_IMAGE 512 /* bytes; behind them are zeroes */

void memrom_image(const struct pcidesc *d, uint8_t image[MEMROM_IMAGE]);
void memrom_read(const struct pcidesc *d, uint64_t at, uint8_t *bytes, uint32_t width);

#endif

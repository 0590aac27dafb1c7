/* SPDX-License-Identifier: MIT */
/*
 * A card's energy counter as the kernel's hwmon class tells it: energy1_input of the card (xe, i915),
 * else energy2_input of its package (xe), in microjoules. A driver that has none leaves it unknown;
 * NVIDIA's library is never asked from here.
 */
#ifndef BERTH_CORE_ENERGY_H
#define BERTH_CORE_ENERGY_H

#include <stdint.h>

/* A descriptor of the counter of a PCI device below `root` ("" is this machine), or -1. */
int energy_open(const char *root, const char *pci);

/* Microjoules since the driver was loaded; UINT64_MAX: no counter, or it could not be read. */
uint64_t energy_read(int fd);

#endif

/* SPDX-License-Identifier: MIT */
/* PCI addresses, "0000:c1:00.0", and what a function's class says. Pure; part of probe.h. */
#ifndef BERTH_PROBE_ADDR_H
#define BERTH_PROBE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "0000:c1:00.0", in small letters; the domain has 4 to 8 digits. False for everything else. */
bool addr_ok(const char *s);
/* The PCI function that a device below it belongs to: the last address in its path; "" for none. */
void addr_of_path(char *pci, size_t size, const char *path);

/* Order by domain, bus, device and function, which is not the order of the bytes once domains differ. */
int addr_compare(const char *a, const char *b);

/* The display and accelerator classes: 03xx, 0b40, 1200. */
bool class_is_ours(uint32_t class);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The agent "pci" only looks: what a function's registers and resources say after something was done to it. Objects:
 *
 *   config ADDR   its ids, class, header type and BARs out of the configuration space, as hex: after a reset they must
 *                 be what they were
 *   ids ADDR      its ids, "10de:2684": out of the configuration space where that can be read, else as the kernel
 *                 remembers them
 *   bar N ADDR    the size of BAR N in bytes; "0": it has no address, or there is none
 *   nested ADDR   "yes": each BAR lies inside the windows of the bridge above, and each window inside the next; "no";
 *                 "unknown"
 *
 * A function that is not there is -ENODEV.
 */
#ifndef BERTH_DEVICE_AGENT_PCI_H
#define BERTH_DEVICE_AGENT_PCI_H

#include <stddef.h>
#include <stdint.h>

#include "device/agent.h"

#define PCI_HEADER_BYTES 64
#define PCI_HEADER_TEXT  67 /* 33 bytes as hex, and the end */

/* What "config" says of the first 64 bytes. Pure. */
void pci_header_text(const uint8_t bytes[PCI_HEADER_BYTES], char text[PCI_HEADER_TEXT]);

/* In words: "its ids are ffff:ffff, not 10de:2684". Pure; what it cannot read it shows as it is. */
void pci_differs(struct text *t, const char *object, const char *want, const char *said);

int pci_look(const struct machine *m, const char *object, char *said, size_t size, struct err *e);

#endif

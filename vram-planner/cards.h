/* SPDX-License-Identifier: MIT */
/* Cards of the market: what a GPU that is not here would bring. */
#ifndef BERTH_CARDS_H
#define BERTH_CARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct card {
	const char *name;
	uint32_t memory_gib; /* 0: it works in the host's memory, as much as its owner gives it */
	uint32_t bandwidth_gb_s;      /* decimal, of the memory, as vendors state it */
	uint32_t tflops;              /* 16-bit matrices; 0: unknown */
	uint8_t link_gen, link_lanes; /* PCIe; 0: on the processor's own fabric */
	uint32_t power_w;             /* of the board, at its default limit */
	const char *backend;          /* of berth's engine builds */
	const char *source;
};

const struct card *card_at(size_t i); /* NULL after the last */

/* Bytes a second over its link after line coding; 0: no PCIe link. */
uint64_t card_link_bytes_s(const struct card *c);

/*
 * The card that a person means: "rtx 3090", "RX7900XTX", "A770", "H100 80GB". Vendor's names and case
 * do not matter; memory_bytes, when not 0, must be the card's. Of cards with equal memory that the name
 * fits alike the slower one is meant. -ENOENT, -EINVAL (fits several, which *e names).
 */
int card_find(const struct card **c, const char *name, uint64_t memory_bytes, struct err *e);

/* The same whatever its memory, for a card that was changed: the slowest that the name fits. NULL: none. */
const struct card *card_like(const char *name);

/*
 * The card of a device by the name that drivers and pci.ids give it ("GA102 [GeForce RTX 3090]",
 * which may list several). NULL: none fits, or those that do differ in what matters.
 */
const struct card *card_of_device(const char *name, uint64_t memory_bytes);

#endif

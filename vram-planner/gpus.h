/* SPDX-License-Identifier: MIT */
/* Hypothetical GPUs, as a user writes them. */
#ifndef BERTH_GPUS_H
#define BERTH_GPUS_H

#include "vram-planner/plan.h"

/*
 * "NAME[,KEY=VALUE]...": what the table of cards knows of NAME, overruled by the keys backend, memory,
 * bandwidth, link, power, max_buffer; count makes several of it. Everything of it is free. The places
 * have no PCI address; their engine_name is no name of any engine's, so that nothing runs on them by
 * accident. `n` places are there already, room for `max`.
 *
 * Returns how many there are now; -EINVAL with *e: an unknown card without a memory, a value that is none.
 */
int gpus_add(struct place *places, uint32_t n, uint32_t max, const char *spec, struct err *e);

/* "936GB/s", "1.8TB/s", "936": bytes a second, above 0. -EINVAL. */
int gpus_read_rate(const char *s, uint64_t *bytes_s);

/* Where its numbers come from, in words; `p` was made by gpus_add(). */
void gpus_explain(struct text *t, const struct place *p);

#endif

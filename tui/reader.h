/* SPDX-License-Identifier: MIT */
/*
 * A thread that reads something again and again, because what it reads may hang for seconds; whoever looks
 * at the results never waits for it.
 */
#ifndef BERTH_TUI_READER_H
#define BERTH_TUI_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* One reading; it publishes what it found itself. The milliseconds until the next one. */
typedef uint32_t read_fn(void *ctx);

struct reader; /* opaque */

int reader_start(struct reader **r, read_fn *read, void *ctx, struct err *e);

/* How long the reading in flight has taken so far, in milliseconds; 0: none is. */
uint64_t reader_waiting_ms(struct reader *r);

/* Do not wait for the next reading's time. */
void reader_kick(struct reader *r);

/*
 * Ends the threads. One that hangs for more than 200 ms is left behind for the end of the program, and
 * false is returned: what it reads into must then stay.
 */
bool readers_stop(struct reader **readers, uint32_t n);

#endif

/* SPDX-License-Identifier: MIT */
/* What the histories of devices, runs and bridges share. */
#ifndef BERTH_TUI_HISTORY_PRIV_H
#define BERTH_TUI_HISTORY_PRIV_H

#include "tui/history.h"

/* Nothing is known of it yet. */
void series_clear(struct series *s);

/* The newest point moves `by` places to the left; what comes in is unknown. */
void series_shift(struct series *s, uint64_t by);

/* The value of this moment: of the newest second, and of those that went by unseen. */
void series_put(struct series *s, double v, uint64_t seconds);

/* Time has passed; then what the snapshot says of each bridge. */
void bridges_move_on(struct history *h, uint64_t seconds);
void bridges_add(struct history *h, const struct snapshot *s, uint64_t seconds, double passed_s);

#endif

/* SPDX-License-Identifier: MIT */
/* What outlives a run: its log, and the key that its clients show. */
#ifndef BERTH_LAUNCH_STATE_H
#define BERTH_LAUNCH_STATE_H

#include <stddef.h>

#include "base/err.h"

/*
 * The folder for it: $BERTH_STATE_DIR, else $STATE_DIRECTORY (a service's), else $XDG_STATE_HOME/berth,
 * else ~/.local/state/berth; made (0700) when absent. 0 or -EACCES with *e.
 */
int state_dir(char *dir, size_t size, struct err *e);

/* The same without making it: where it would be. */
int state_place(char *dir, size_t size, struct err *e);

/*
 * The file with the API key: made with a random one when absent. -EACCES when it is there and others
 * may read it.
 */
int state_key(const char *path, struct err *e);

#endif

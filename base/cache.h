/* SPDX-License-Identifier: MIT */
/*
 * The user's cache folder of berth, $XDG_CACHE_HOME/berth, else ~/.cache/berth. What lies there may be
 * deleted at any time. With $BERTH_NO_CACHE it is neither read nor written: there is none.
 */
#ifndef BERTH_CACHE_H
#define BERTH_CACHE_H

#include "base/json.h"

/* A JSON object of at most CACHE_FILE_MAX bytes; the caller owns it. NULL: none, or not readable. */
#define CACHE_FILE_MAX (256u << 10)
json_t *cache_read(const char *name);

/*
 * Write it whole or not at all (beside, then renamed), 0600: caches hold UUIDs. -ENOENT: there is no
 * folder; else -errno of the writing.
 */
int cache_write(const char *name, const json_t *o, struct err *e);

#endif

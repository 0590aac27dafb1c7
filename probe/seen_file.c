/* SPDX-License-Identifier: MIT */
/* Where last known values are kept. */
#include <time.h>

#include "base/cache.h"
#include "probe/probe_priv.h"
#include "probe/seen.h"

#define FILE_NAME "seen.json"

json_t *seen_read(void)
{
	return cache_read(FILE_NAME);
}

void seen_store(const struct report *r, bool woken)
{
	if (!r->n_gpus)
		return;
	json_t *file = seen_read();
	json_t *o = seen_update(file, r, time(NULL), woken);

	if (o)
		cache_write(FILE_NAME, o, NULL); /* a cache that cannot be kept is no error */
	json_decref(o);
	json_decref(file);
}

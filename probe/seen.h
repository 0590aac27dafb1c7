/* SPDX-License-Identifier: MIT */
/*
 * What was known of a GPU when it was last awake, for the times it sleeps: a file of one's own cache
 * folder, $XDG_CACHE_HOME/berth/seen.json. With $BERTH_NO_CACHE it is neither read nor written.
 */
#ifndef BERTH_PROBE_SEEN_H
#define BERTH_PROBE_SEEN_H

#include "probe/probe.h"

/*
 * Pure. What is stored for the GPUs of r that are asleep, as answers/cache.json; NULL: nothing. `file` is
 * hostile. scrub: UUIDs are replaced. now: seconds since 1970.
 */
json_t *seen_answer(const json_t *file, const struct report *r, int64_t now, bool scrub);

/* Pure. Facts of that answer into the GPUs that are asleep; what is known already stays. */
void seen_take(struct report *r, const json_t *answer);

/*
 * Pure. The file with what r knows of GPUs that are awake; NULL: nothing that is new, or older than a day.
 * `file` may be NULL; woken: sleeping GPUs were asked too. The caller owns the answer.
 */
json_t *seen_update(const json_t *file, const struct report *r, int64_t now, bool woken);

/* The file, or NULL when there is none that can be used. The caller owns it. */
json_t *seen_read(void);

/* Store what a live report knows. It is a cache: where it cannot be written, nothing is said. */
void seen_store(const struct report *r, bool woken);

#endif

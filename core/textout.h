/* SPDX-License-Identifier: MIT */
/*
 * From the bytes of tokens to text that may go out: whole UTF-8 characters, and nothing that may be
 * the beginning of a stop string. Bytes that are no UTF-8 pass as they are. Pure.
 */
#ifndef BERTH_CORE_TEXTOUT_H
#define BERTH_CORE_TEXTOUT_H

#include <stddef.h>
#include <stdint.h>

#define TEXTOUT_STOP_BYTES 1024 /* of one stop string; longer ones are refused */

struct textout {
	char *const *stops; /* the caller's */
	size_t n_stops;
	char *held; /* ours; NULL until something came */
	size_t n_held, size;
	size_t n_ready; /* of held: may go out */
	int stopped_by; /* index of the stop string that came; -1 */
};

void textout_init(struct textout *t, char *const *stops, size_t n_stops);
void textout_fini(struct textout *t);

/*
 * Add bytes; those ready are then the first t->n_ready of t->held. When a stop string came, they end
 * before it, and nothing may be added any more. 0 or -ENOMEM.
 */
int textout_feed(struct textout *t, const char *bytes, size_t n);

/* Nothing more comes: all that is held is ready (unless a stop string came). */
void textout_end(struct textout *t);

/* The ready bytes are out. */
void textout_taken(struct textout *t);

#endif

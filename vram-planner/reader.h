/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a model come from: a file here, or a server that hands out ranges. The loader
 * asks for the beginning, piece by piece, and never learns which of the two it was.
 */
#ifndef BERTH_READER_H
#define BERTH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Without a known size, nothing can be absurd before it is met; below what offsets can overflow. */
#define READER_SIZE_UNKNOWN (UINT64_C(1) << 62)

struct reader {
	/*
	 * Put the bytes [at, at + n) into buf; *got is less than n only at the end. 0, or a negative
	 * errno with *e.
	 */
	int (*read)(struct reader *r, uint64_t at, void *buf, uint64_t n, uint64_t *got,
		    struct err *e);
	/* NULL, or: this much from the beginning was enough; it may be kept for the next time. */
	void (*keep)(struct reader *r, const void *bytes, uint64_t n);
	void (*close)(struct reader *r); /* frees r */
	uint64_t size;  /* of the whole; READER_SIZE_UNKNOWN until the end is met */
	char note[160]; /* what must be said of these bytes; "": nothing */
	bool in_steps; /* asking costs more than reading: the loader takes one piece after another */
};

/* A regular file. -ENOENT, -EACCES, -EISDIR; -EBADMSG when it is a pipe, a socket, a device. */
int reader_file(struct reader **r, const char *path, struct err *e);

/* Bytes in memory, which it owns from now on, as the beginning of `size`. NULL: no memory; freed. */
struct reader *reader_memory(uint8_t *bytes, uint64_t n, uint64_t size);

static inline void reader_close(struct reader *r)
{
	if (r)
		r->close(r);
}

static inline void own_close_reader(struct reader **r)
{
	reader_close(*r);
	*r = NULL;
}

#define own_reader __attribute__((cleanup(own_close_reader)))

#endif

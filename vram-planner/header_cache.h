/* SPDX-License-Identifier: MIT */
/*
 * Headers that were fetched before: one file a URL, its first line JSON (url, etag, size), then the
 * bytes from the beginning. Read as hostile; kept to HEADER_CACHE_FILES files.
 */
#ifndef BERTH_HEADER_CACHE_H
#define BERTH_HEADER_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#define HEADER_CACHE_FILES 64

struct cached {
	char etag[160];
	uint64_t total; /* of the file on the server */
	uint8_t *bytes; /* owned */
	uint64_t n;
};

/* false: there is nothing usable. */
bool header_cache_read(struct cached *c, const char *dir, const char *url);

/* Keep it, written beside and renamed; a cache that cannot be written is no error. */
void header_cache_write(const struct cached *c, const char *dir, const char *url);

void cached_free(struct cached *c);

#endif

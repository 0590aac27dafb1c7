/* SPDX-License-Identifier: MIT */
/*
 * Tokens cut characters in the middle. This buffer holds back the beginning of an unfinished UTF-8
 * sequence, so that only whole characters reach the reader; bytes that are no UTF-8 pass as they are.
 */
#ifndef BERTH_CORE_UTF8_H
#define BERTH_CORE_UTF8_H

#include <stddef.h>

struct utf8 {
	char held[4];
	size_t n_held;
};

/* How many of the last bytes begin a sequence that is not finished: 0 to 3. */
size_t utf8_unfinished(const char *s, size_t n);

/*
 * Add bytes; writes what may go out to `out` (room for n + 4 bytes) and returns its length. n 0 with
 * bytes NULL: the end, everything held goes out.
 */
size_t utf8_pass(struct utf8 *u, const char *bytes, size_t n, char *out);

#endif

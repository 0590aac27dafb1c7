/* SPDX-License-Identifier: MIT */
/* Bytes that grow. When memory is gone `lost` is set, and what follows is dropped. */
#ifndef BERTH_CORE_BYTES_H
#define BERTH_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
	char *p;
	size_t n, room;
	bool lost;
};

void bytes_add(struct bytes *b, const void *p, size_t n);
void bytes_text(struct bytes *b, const char *s);
void bytes_printf(struct bytes *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bytes_fini(struct bytes *b);

#endif

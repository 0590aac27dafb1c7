/* SPDX-License-Identifier: MIT */
/* What the parts of a recording share: numbers of pages, and what differs from the moment before. */
#ifndef BERTH_TUI_FRAMES_PRIV_H
#define BERTH_TUI_FRAMES_PRIV_H

#include "tui/frames.h"

/* A number of 4 or 8 bytes; all ones are unknown, null in JSON. */
struct frame_number {
	const char *key;
	size_t offset, size;
};

#define FRAME_NUMBER(type, member, key)                                                            \
	{                                                                                          \
		key, offsetof(type, member), sizeof(((type *)0)->member)                           \
	}

/* Those that differ from `was`; NULL: all. */
void frame_put_numbers(json_t *o, const struct frame_number *rows, size_t n, const void *obj,
		       const void *was);
/* What is absent or no number is unknown. */
void frame_get_numbers(const json_t *o, const struct frame_number *rows, size_t n, void *obj);

void frame_put_unless(json_t *o, bool same, const char *key, json_int_t v);
void frame_put_text(json_t *o, const char *key, const char *v, const char *was);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Text: a builder that never writes past its buffer, and the parsing and formatting of numbers that
 * people type and read. Sizes print in binary units (KiB, MiB, GiB, TiB); nothing here allocates.
 */
#ifndef BERTH_TEXT_H
#define BERTH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf;   /* the caller's storage; always NUL-terminated */
	size_t size; /* of buf, at least 1 */
	size_t len;  /* bytes in buf, without the NUL */
	bool cut;    /* something did not fit; buf holds the beginning */
};

void text_init(struct text *t, char *buf, size_t size);
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Add one word as a POSIX shell reads it, in quotes where it needs them. */
void text_add_word(struct text *t, const char *word);

#define TEXT_SIZE_MAX 24

/* "12.3 GiB", "512 MiB", "17 B". `buf` has TEXT_SIZE_MAX bytes; returns buf. */
const char *text_size(char *buf, uint64_t bytes);

/* The same with a sign: "+1.2 GiB", "-340 MiB". */
const char *text_size_signed(char *buf, int64_t bytes);

/*
 * Parse a size: digits, an optional fraction, an optional unit (B, k/KiB, M/MiB, G/GiB, T/TiB are
 * binary; kB, MB, GB, TB are decimal), nothing else. 0 or -EINVAL (not a size), -ERANGE (over 2^63-1).
 */
int text_parse_size(const char *s, uint64_t *bytes);

/* Parse a whole unsigned decimal or, with 0x, hexadecimal number. 0, -EINVAL or -ERANGE. */
int text_parse_u64(const char *s, uint64_t *v);

/* Remove trailing white space in place, as sysfs attributes end in a newline. Returns s. */
char *text_trim(char *s);

/* Copy at most size-1 bytes and end with NUL; true when all of src fitted. */
bool text_copy(char *dst, size_t size, const char *src);

/*
 * Make foreign bytes printable: invalid UTF-8 and control characters (a terminal would obey them)
 * become '?'. In place; returns s. Applied to every name that comes from a file or a device.
 */
char *text_clean(char *s);

/* Whether all of it is sound UTF-8, as JSON wants it; control characters are allowed. */
bool text_is_utf8(const char *s);

/* Lower-case hex of n bytes into buf (2n+1 bytes); returns buf. */
const char *text_hex(char *buf, const void *bytes, size_t n);

#endif

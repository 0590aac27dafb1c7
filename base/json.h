/* SPDX-License-Identifier: MIT */
/*
 * What every JSON answer of berth has in common, over jansson.
 *
 * One object, its first key "schema": "berth.plan/1". Numbers are numbers with the unit in the key
 * (`vram_free_bytes`, `power_mw`). An unknown number is null with `<key>_why`; a known one has
 * `<key>_src`. Addresses and hashes are strings. Changes are additive.
 */
#ifndef BERTH_JSON_H
#define BERTH_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"
#include "base/fact.h"

/* A new object with its "schema" set; the caller owns it (json_decref). Aborts when out of memory. */
json_t *json_answer(const char *schema);

/* Set a key; strings are cleaned of broken UTF-8 first, so that setting cannot fail. */
void json_put_text(json_t *o, const char *key, const char *v);
void json_put_int(json_t *o, const char *key, int64_t v);
void json_put_bool(json_t *o, const char *key, bool v);
void json_put_null(json_t *o, const char *key);

/* The empty text, which means "none" here, is null in JSON. */
void json_put_text_or_null(json_t *o, const char *key, const char *v);

/* `key`, and `key_src` or `key_why`. */
void json_put_fact(json_t *o, const char *key, const struct fact *f);
void json_put_fact_text(json_t *o, const char *key, const struct fact_text *f);

/* Read one back; an absent or ill-typed key is unknown with WHY_GARBLED. */
struct fact json_get_fact(const json_t *o, const char *key);
struct fact_text json_get_fact_text(const json_t *o, const char *key);

/* A text, cut to fit and cleaned of what a terminal would obey; absent, null or ill-typed it is "". */
void json_get_text(const json_t *o, const char *key, char *to, size_t size);

/* Print with two spaces of indent and a newline. 0, or -EIO when the stream failed. */
int json_print(const json_t *o, FILE *to);

/* Print on one line: a stream is one object a line. */
int json_print_line(const json_t *o, FILE *to);

/*
 * Parse at most `size` bytes of foreign JSON. Depth and duplicates are checked; the top must be an
 * object. NULL with *e filled (what, where) on failure.
 */
json_t *json_parse(const char *bytes, size_t size, const char *what, struct err *e);

/* The same from a whole file of at most `max` bytes. */
json_t *json_read_file(const char *path, size_t max, struct err *e);

#endif

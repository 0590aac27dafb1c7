/* SPDX-License-Identifier: MIT */
#include "base/field.h"

#include <inttypes.h>
#include <string.h>

static const void *member(const struct field *row, const void *obj)
{
	return (const char *)obj + row->offset;
}

static uint64_t u_value(const struct field *row, const void *obj)
{
	uint64_t v64;
	uint32_t v32;

	if (row->kind == FIELD_U32) {
		memcpy(&v32, member(row, obj), sizeof(v32));
		return v32;
	}
	memcpy(&v64, member(row, obj), sizeof(v64));
	return v64;
}

static void put_unsigned(json_t *o, const struct field *row, uint64_t v)
{
	char hex[24];

	if (row->unit != UNIT_HEX) {
		json_put_int(o, row->key, v > INT64_MAX ? INT64_MAX : (int64_t)v);
		return;
	}
	snprintf(hex, sizeof(hex), "0x%04" PRIx64, v);
	json_put_text(o, row->key, hex);
}

static void put_field(json_t *o, const struct field *r, const void *obj)
{
	const void *at = member(r, obj);

	switch (r->kind) {
	case FIELD_FACT:
		json_put_fact(o, r->key, at);
		break;
	case FIELD_FACT_TEXT:
		json_put_fact_text(o, r->key, at);
		break;
	case FIELD_TEXT:
		json_put_text_or_null(o, r->key, at);
		break;
	case FIELD_BOOL:
		json_put_bool(o, r->key, *(const bool *)at);
		break;
	case FIELD_I64:
		json_put_int(o, r->key, (int64_t)u_value(r, obj));
		break;
	case FIELD_U32:
	case FIELD_U64:
		put_unsigned(o, r, u_value(r, obj));
		break;
	}
}

void fields_to_json(json_t *o, const struct field *rows, size_t n, const void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++)
		put_field(o, r, obj);
}

/* Of an unknown fact only the reason is told. */
static bool same_fact(const struct fact *a, const struct fact *b)
{
	return a->src == b->src && (fact_known(a) ? a->v == b->v : a->why == b->why);
}

static bool same_fact_text(const struct fact_text *a, const struct fact_text *b)
{
	return a->src == b->src &&
	       (fact_text_known(a) ? strcmp(a->v, b->v) == 0 : a->why == b->why);
}

static bool same_field(const struct field *r, const void *a, const void *b)
{
	const void *x = member(r, a), *y = member(r, b);

	switch (r->kind) {
	case FIELD_FACT:
		return same_fact(x, y);
	case FIELD_FACT_TEXT:
		return same_fact_text(x, y);
	case FIELD_TEXT:
		return strcmp(x, y) == 0;
	case FIELD_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case FIELD_I64:
	case FIELD_U32:
	case FIELD_U64:
		break;
	}
	return u_value(r, a) == u_value(r, b);
}

/* Known before and now, by the same source: only the value differs. */
static bool put_value(json_t *o, const struct field *r, const void *obj, const void *was)
{
	const struct fact *now = member(r, obj), *old = member(r, was);

	if (r->kind != FIELD_FACT || !fact_known(now) || now->src != old->src)
		return false;
	json_put_int(o, r->key, now->v);
	return true;
}

/* A fact's value and its source are keys of their own: those that differ. False: one is gone. */
static bool put_difference(json_t *o, const struct field *r, const void *obj, const void *was)
{
	if (put_value(o, r, obj, was))
		return true;
	json_t *before = json_object(), *after = json_object(), *v;
	const char *key;
	bool all = true;

	put_field(before, r, was);
	put_field(after, r, obj);
	json_object_foreach(before, key, v) all = all && json_object_get(after, key);
	json_object_foreach(after, key, v)
	{
		if (!json_equal(v, json_object_get(before, key)))
			json_object_set(o, key, v);
	}
	json_decref(before);
	json_decref(after);
	return all;
}

bool fields_to_json_since(json_t *o, const struct field *rows, size_t n, const void *obj,
			  const void *was)
{
	bool all = true;

	for (const struct field *r = rows; r < rows + n; r++) {
		if (!was)
			put_field(o, r, obj);
		else if (!same_field(r, obj, was))
			all = put_difference(o, r, obj, was) && all;
	}
	return all;
}

void fields_to_json_changed(json_t *o, const struct field *rows, size_t n, const void *obj,
			    const void *was)
{
	for (const struct field *r = rows; r < rows + n; r++)
		if (!same_field(r, obj, was))
			put_field(o, r, obj);
}

void fields_copy(const struct field *rows, size_t n, void *to, const void *from)
{
	for (const struct field *r = rows; r < rows + n; r++)
		memcpy((char *)to + r->offset, (const char *)from + r->offset, r->size);
}

bool fields_same(const struct field *rows, size_t n, const void *a, const void *b)
{
	const struct field *r = rows;

	while (r < rows + n && same_field(r, a, b))
		r++;
	return r == rows + n;
}

void fields_from_json(const json_t *o, const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		void *at = (char *)obj + r->offset;

		if (r->kind == FIELD_FACT)
			*(struct fact *)at = json_get_fact(o, r->key);
		else if (r->kind == FIELD_FACT_TEXT)
			*(struct fact_text *)at = json_get_fact_text(o, r->key);
	}
}

static void restore_unsigned(const json_t *v, const struct field *row, void *at)
{
	json_int_t i = json_integer_value(v);
	uint64_t n = i < 0 ? 0 : (uint64_t)i;
	uint32_t small;

	if (json_is_string(v) ? text_parse_u64(json_string_value(v), &n) != 0 : !json_is_integer(v))
		return;
	small = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
	if (row->kind == FIELD_U32)
		memcpy(at, &small, sizeof(small));
	else
		memcpy(at, &n, sizeof(n));
}

static void restore_plain(const json_t *v, const struct field *row, void *at)
{
	int64_t i = json_integer_value(v);

	if (row->kind == FIELD_TEXT && json_is_string(v)) {
		text_copy(at, row->size, json_string_value(v));
		text_clean(at);
	} else if (row->kind == FIELD_BOOL && json_is_boolean(v)) {
		*(bool *)at = json_is_true(v);
	} else if (row->kind == FIELD_I64 && json_is_integer(v)) {
		memcpy(at, &i, sizeof(i));
	} else if (row->kind == FIELD_U32 || row->kind == FIELD_U64) {
		restore_unsigned(v, row, at);
	}
}

void fields_restore(const json_t *o, const struct field *rows, size_t n, void *obj)
{
	for (const struct field *r = rows; r < rows + n; r++) {
		void *at = (char *)obj + r->offset;

		if (r->kind == FIELD_FACT || r->kind == FIELD_FACT_TEXT)
			fields_from_json(o, r, 1, obj);
		else
			restore_plain(json_object_get(o, r->key), r, at);
	}
}

static void number_text(struct text *t, enum unit unit, int64_t v)
{
	char size[TEXT_SIZE_MAX];

	switch (unit) {
	case UNIT_BYTES:
		text_add(t, "%s", v < 0 ? text_size_signed(size, v) : text_size(size, (uint64_t)v));
		break;
	case UNIT_MW:
		text_add(t, "%.1f W", (double)v / 1000);
		break;
	case UNIT_MC:
		text_add(t, "%.0f C", (double)v / 1000);
		break;
	case UNIT_MHZ:
		text_add(t, "%" PRId64 " MHz", v);
		break;
	case UNIT_HEX:
		text_add(t, "0x%04" PRIx64, (uint64_t)v);
		break;
	case UNIT_NONE:
		text_add(t, "%" PRId64, v);
		break;
	}
}

static void unknown_text(struct text *t, enum why why)
{
	text_add(t, "unknown (%s)", why_name(why));
}

void field_text(struct text *t, const struct field *row, const void *obj)
{
	const void *at = member(row, obj);
	const struct fact *f = at;
	const struct fact_text *ft = at;

	switch (row->kind) {
	case FIELD_FACT:
		if (fact_known(f))
			number_text(t, row->unit, f->v);
		else
			unknown_text(t, f->why);
		break;
	case FIELD_FACT_TEXT:
		if (fact_text_known(ft))
			text_add(t, "%s", ft->v);
		else
			unknown_text(t, ft->why);
		break;
	case FIELD_TEXT:
		text_add(t, "%s", (const char *)at);
		break;
	case FIELD_BOOL:
		text_add(t, "%s", *(const bool *)at ? "yes" : "no");
		break;
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_I64:
		number_text(t, row->unit, (int64_t)u_value(row, obj));
		break;
	}
}

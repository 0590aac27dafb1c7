/* SPDX-License-Identifier: MIT */
/*
 * A table from struct member to name, unit, JSON key and text label: one row per fact, and reading,
 * printing and comparing come from the same rows.
 *
 *     static const struct field fields[] = {
 *             FIELD(struct gpu, numa_node, FIELD_FACT, UNIT_NONE, "NUMA node"),
 *             FIELD_KEY(struct gpu, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
 *     };
 */
#ifndef BERTH_FIELD_H
#define BERTH_FIELD_H

#include <stddef.h>

#include "base/fact.h"
#include "base/json.h"
#include "base/text.h"

enum field_kind {
	FIELD_FACT,      /* struct fact */
	FIELD_FACT_TEXT, /* struct fact_text */
	FIELD_TEXT,      /* char[]: printed when not empty, null in JSON when empty */
	FIELD_U32,
	FIELD_U64,
	FIELD_I64,
	FIELD_BOOL,
};

enum unit {
	UNIT_NONE,
	UNIT_BYTES, /* "12.3 GiB" */
	UNIT_MW,    /* milliwatts, printed as "72.5 W" */
	UNIT_HEX,   /* "0x7480"; in JSON a string, as ids are no quantities */
	UNIT_MC,    /* thousandths of a degree Celsius, printed as "54 C" */
	UNIT_MHZ,
};

struct field {
	const char *key;   /* JSON key, with its unit */
	const char *label; /* for people; NULL: JSON only */
	size_t offset;
	size_t size; /* of the member; bounds FIELD_TEXT */
	enum field_kind kind;
	enum unit unit;
};

#define FIELD_KEY(type, member, key_, kind_, unit_, label_)                                        \
	{                                                                                          \
		.key = key_, .label = label_, .offset = offsetof(type, member),                    \
		.size = sizeof(((type *)0)->member), .kind = kind_, .unit = unit_                  \
	}
#define FIELD(type, member, kind_, unit_, label_)                                                  \
	FIELD_KEY(type, member, #member, kind_, unit_, label_)

/* Put every field of obj into o. */
void fields_to_json(json_t *o, const struct field *rows, size_t n, const void *obj);

/*
 * Put those into o that differ from `was` (NULL: all of them). False: a key of before is none any more, as
 * when a fact becomes unknown, so that what was put does not tell all that changed.
 */
bool fields_to_json_since(json_t *o, const struct field *rows, size_t n, const void *obj,
			  const void *was);

/* Put those that differ from `was`, each whole: its source or reason, too. */
void fields_to_json_changed(json_t *o, const struct field *rows, size_t n, const void *obj,
			    const void *was);

/* The members of these rows, and no others. */
void fields_copy(const struct field *rows, size_t n, void *to, const void *from);

bool fields_same(const struct field *rows, size_t n, const void *a, const void *b);

/* Fill the facts and texts of obj from o (an answer that fields_to_json wrote); others untouched. */
void fields_from_json(const json_t *o, const struct field *rows, size_t n, void *obj);

/*
 * Fill every member of obj from what fields_to_json wrote, all kinds, from anybody's hands: texts are cut
 * and cleaned. A key that is absent, null or of another kind leaves a fact unknown and the rest as it is.
 */
void fields_restore(const json_t *o, const struct field *rows, size_t n, void *obj);

/*
 * One value for people: "15.7 GiB", "unknown (needs root)". `buf` is what text_init got; the source
 * is not included.
 */
void field_text(struct text *t, const struct field *row, const void *obj);

#endif

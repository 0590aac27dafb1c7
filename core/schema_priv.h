/* SPDX-License-Identifier: MIT */
/* Inside of the schema: schema.c walks it and knows what it refers to, schema_keys.c its keywords, schema_kinds.c has a kind of value
 * each, schema_number.c ranges of numbers, schema_pattern.c regular expressions. */
#ifndef BERTH_CORE_SCHEMA_PRIV_H
#define BERTH_CORE_SCHEMA_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/schema.h"

#define SCHEMA_DEPTH_MAX   64
#define SCHEMA_NODES_MAX   5000
#define SCHEMA_VALUES_MAX  1000  /* of all enums together */
#define SCHEMA_LENGTH_MAX  10000 /* of one text or list */
#define SCHEMA_REPEATS_MAX 50000 /* of all lengths: each is a rule in the engine */
#define SCHEMA_BYTES_MAX   ((size_t)512 << 10)

/* Where we are, for the sentence. */
struct place {
	const struct place *up; /* NULL: the root */
	const char *key;
	size_t index; /* when key is NULL */
};

struct target {
	const json_t *schema;
	uint32_t rule;
	uint32_t level; /* while its rule is being made: of brackets around it */
	bool open;
};

struct grammar {
	struct bytes *out;
	const json_t *root;
	struct err *e;
	uint32_t n_rules, n_nodes, n_values, n_repeats, depth, level;
	uint64_t n_compared;
	struct target *targets; /* of $ref */
	size_t n_targets;
};

/* "the schema's "key" at #/a ..."; key NULL: "the schema at #/a ...". Returns -EINVAL. */
int schema_refuse(const struct grammar *g, const struct place *at, const char *key, const char *fmt,
		  ...) __attribute__((format(printf, 4, 5)));

/* What a keyword is about: it constrains values of this kind only. */
enum about {
	ABOUT_OBJECT = 1,
	ABOUT_ARRAY = 2,
	ABOUT_STRING = 4,
	ABOUT_NUMBER = 8,
	ABOUT_ALL = 16,
	ABOUT_NOTHING = 32, /* tells people something */
	CANNOT = 64,        /* constrains in a way that we do not hold to */
	CANNOT_TRUE = 128,  /* the same, unless it is false */
};

/* What the keywords of a schema are about, all together (enum about); refuses what we cannot. */
int schema_look(const struct grammar *g, const json_t *s, const struct place *at, unsigned *what);

/* `main` stands for the whole: refuse what else constrains beside it but `also`, as it would be lost. */
int schema_alone(const struct grammar *g, const json_t *s, const struct place *at, const char *main,
		 const char *also);

/* The rule of the schema at a place; *rule is its number: "r7". */
int schema_visit(struct grammar *g, const json_t *s, const struct place *at, uint32_t *rule);

/* "r7 ::= text", and text is gone. */
int schema_rule(struct grammar *g, uint32_t rule, struct bytes *text);
uint32_t schema_new_rule(struct grammar *g);

/* `rule` again and again, min to max times (-1: no end), into text. */
int schema_repeat(struct grammar *g, struct bytes *text, const char *rule, uint32_t min,
		  int64_t max, const struct place *at);

/* A GBNF literal of these bytes. */
void schema_literal(struct bytes *text, const char *s, size_t n);

/* One kind of value each, as the right side of a rule. */
int schema_object(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);
int schema_array(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);
int schema_string(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);
int schema_integer(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);
int schema_number(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);

/* The inside of a JSON string that a regular expression takes. */
int schema_pattern(struct grammar *g, const char *pattern, const struct place *at,
		   struct bytes *text);

#endif

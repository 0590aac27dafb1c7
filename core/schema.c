/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/schema_priv.h"

/*
 * What every grammar has. The space that may come is bounded, or a model could go on with it for ever;
 * so are numbers, which readers put into 64 bits. In a \u no half of a pair comes alone, and no NUL.
 */
static const char base[] =
	"gap ::= (\" \" | \"\\n\" \" \"{0,24})?\n"
	"object ::= \"{\" gap (pair (\",\" gap pair)*)? \"}\"\n"
	"pair ::= string \":\" gap value gap\n"
	"array ::= \"[\" gap (value gap (\",\" gap value gap)*)? \"]\"\n"
	"value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
	"string ::= \"\\\"\" char* \"\\\"\"\n"
	"char ::= [^\"\\\\\\x00-\\x1f\\x7f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" hex4)\n"
	"hex ::= [0-9a-fA-F]\n"
	"hex4 ::= \"00\" ([1-9a-fA-F] hex | \"0\" [1-9a-fA-F]) | \"0\" [1-9a-fA-F] hex hex | "
	"[1-9a-cA-CefEF] hex hex hex | [dD] [0-7] hex hex\n"
	"number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n";

/* --- saying where --- */

static void put_place(struct bytes *b, const struct place *at)
{
	if (!at) {
		bytes_text(b, "#");
		return;
	}
	put_place(b, at->up);
	if (at->key)
		bytes_printf(b, "/%.40s", at->key);
	else
		bytes_printf(b, "/%zu", at->index);
}

int schema_refuse(const struct grammar *g, const struct place *at, const char *key, const char *fmt,
		  ...)
{
	struct bytes where = { .p = NULL };
	char says[240];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(says, sizeof(says), fmt, ap);
	va_end(ap);
	put_place(&where, at);
	rc = err_set(g->e, -EINVAL, "the schema%s%.40s%s at %.*s %s", key ? "'s \"" : "",
		     key ? key : "", key ? "\"" : "", (int)(where.n < 160 ? where.n : 160),
		     where.p ? where.p : "#", says);
	bytes_fini(&where);
	return rc;
}

/* --- rules --- */

uint32_t schema_new_rule(struct grammar *g)
{
	return g->n_rules++;
}

int schema_rule(struct grammar *g, uint32_t rule, struct bytes *text)
{
	bytes_printf(g->out, "r%u ::= ", rule);
	bytes_add(g->out, text->p ? text->p : "\"\"", text->p ? text->n : 2);
	bytes_text(g->out, "\n");
	if (text->lost || g->out->lost) {
		bytes_fini(text);
		return err_set(g->e, -ENOMEM, "there is no memory for the schema's grammar");
	}
	bytes_fini(text);
	if (g->out->n > SCHEMA_BYTES_MAX)
		return err_set(g->e, -EINVAL, "the schema makes a grammar of more than %zu KiB",
			       SCHEMA_BYTES_MAX >> 10);
	return 0;
}

void schema_literal(struct bytes *text, const char *s, size_t n)
{
	bytes_text(text, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			bytes_printf(text, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			bytes_printf(text, "\\x%02x", c);
		else
			bytes_add(text, &s[i], 1);
	}
	bytes_text(text, "\"");
}

/* The engine makes a rule of each time, at most 2000 in one place: longer ones go by blocks. */
#define BLOCK 100

/* A rule that is `rule` BLOCK times, and one that is it less often; each `rule` has them once. */
static int blocks(struct grammar *g, const char *rule, uint32_t *block, uint32_t *some)
{
	struct bytes text = { .p = NULL };
	int rc;

	*block = schema_new_rule(g);
	*some = schema_new_rule(g);
	bytes_printf(&text, "%s{%d}", rule, BLOCK);
	rc = schema_rule(g, *block, &text);
	if (rc)
		return rc;
	text = (struct bytes) { .p = NULL };
	bytes_printf(&text, "%s{0,%d}", rule, BLOCK - 1);
	g->n_repeats += 2 * BLOCK;
	return schema_rule(g, *some, &text);
}

int schema_repeat(struct grammar *g, struct bytes *text, const char *rule, uint32_t min,
		  int64_t max, const struct place *at)
{
	uint32_t more, block, some;
	int rc;

	g->n_repeats += min;
	if (max >= 0)
		g->n_repeats += (uint32_t)(max - min) / BLOCK + BLOCK;
	if (g->n_repeats > SCHEMA_REPEATS_MAX)
		return schema_refuse(g, at, NULL,
				     "has more and longer lengths than this core takes");
	/* In parts, as the engine takes not all at once */
	for (uint32_t left = min; left > 0;) {
		uint32_t part = left < 1000 ? left : 1000;

		bytes_printf(text, "%s{%u} ", rule, part);
		left -= part;
	}
	if (max < 0) {
		bytes_printf(text, "%s*", rule);
		return 0;
	}
	more = (uint32_t)max - min;
	if (more < BLOCK) {
		if (more)
			bytes_printf(text, "%s{0,%u}", rule, more);
		return 0;
	}
	rc = blocks(g, rule, &block, &some);
	bytes_printf(text, "(r%u{0,%u} r%u | r%u{%u} %s{0,%u})", block, more / BLOCK - 1, some,
		     block, more / BLOCK, rule, more % BLOCK);
	return rc;
}

/* --- references --- */

/* "#/$defs/a~1b": the next name of a pointer, unescaped; false: too long. */
static bool next_name(const char **at, char *name, size_t size)
{
	size_t n = 0;

	while (**at && **at != '/') {
		char c = *(*at)++;

		if (c == '~' && (**at == '0' || **at == '1'))
			c = *(*at)++ == '0' ? '~' : '/';
		if (n + 1 == size)
			return false;
		name[n++] = c;
	}
	name[n] = 0;
	return true;
}

static const json_t *resolve(const struct grammar *g, const char *pointer)
{
	const json_t *j = g->root;
	char name[256];

	if (*pointer++ != '#')
		return NULL;
	while (j && *pointer == '/') {
		uint64_t i;

		pointer++;
		if (!next_name(&pointer, name, sizeof(name)))
			return NULL;
		if (json_is_array(j))
			j = text_parse_u64(name, &i) ? NULL : json_array_get(j, i);
		else
			j = json_object_get(j, name);
	}
	return *pointer ? NULL : j;
}

static struct target *find_target(struct grammar *g, const json_t *s)
{
	struct target *more;

	for (size_t i = 0; i < g->n_targets; i++) {
		if (g->targets[i].schema == s)
			return &g->targets[i];
	}
	more = realloc(g->targets, (g->n_targets + 1) * sizeof(*more));
	if (!more)
		return NULL;
	g->targets = more;
	more[g->n_targets] = (struct target) { .schema = s, .rule = UINT32_MAX };
	return &more[g->n_targets++];
}

static int build(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text);

/* The rule of what others refer to; it is made once. */
static int visit_target(struct grammar *g, const json_t *s, const struct place *at, uint32_t *rule)
{
	struct target *t = find_target(g, s);
	struct bytes text = { .p = NULL };
	size_t i;
	int rc;

	if (!t)
		return err_set(g->e, -ENOMEM, "there is no memory for the schema's grammar");
	if (t->rule != UINT32_MAX) {
		*rule = t->rule;
		if (t->open && t->level == g->level)
			return schema_refuse(g, at, "$ref",
					     "refers to itself and says nothing else");
		return 0;
	}
	*rule = t->rule = schema_new_rule(g);
	t->open = true;
	t->level = g->level;
	i = (size_t)(t - g->targets); /* the table moves as it grows */
	rc = build(g, s, at, &text);
	g->targets[i].open = false;
	if (rc)
		bytes_fini(&text);
	return rc ? rc : schema_rule(g, *rule, &text);
}

static int reference(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	const char *ref = json_string_value(json_object_get(s, "$ref"));
	const json_t *to = ref ? resolve(g, ref) : NULL;
	uint32_t rule;
	int rc = schema_alone(g, s, at, "$ref", "$ref");

	if (rc)
		return rc;
	if (!to)
		return schema_refuse(g, at, "$ref",
				     "is %.80s, and must lead to a part of this schema, as "
				     "\"#/$defs/NAME\"",
				     ref ? ref : "no text");
	rc = visit_target(g, to, at, &rule);
	bytes_printf(text, "r%u", rule);
	return rc;
}

/* --- the choices --- */

static int each_of(struct grammar *g, const json_t *list, const struct place *at, const char *key,
		   struct bytes *text)
{
	struct place in = { .up = at, .key = key };

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct place one = { .up = &in, .index = i };
		uint32_t rule;
		int rc = schema_visit(g, json_array_get(list, i), &one, &rule);

		if (rc)
			return rc;
		bytes_printf(text, "%sr%u", i ? " | " : "", rule);
	}
	return 0;
}

#define COMPARED_MAX 1000000 /* pairs of values: what is not told apart by then is not */

/* The values a schema takes when they are listed; a list of one, made of "const", is the caller's. */
static json_t *listed(const json_t *s)
{
	json_t *all = json_object_get(s, "enum"), *one = json_object_get(s, "const");

	if (json_is_array(all))
		return json_incref(all);
	return one ? json_pack("[O]", one) : NULL;
}

static bool none_in_common(struct grammar *g, const json_t *a, const json_t *b)
{
	g->n_compared += (uint64_t)json_array_size(a) * json_array_size(b);
	if (g->n_compared > COMPARED_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(a); i++) {
		for (size_t k = 0; k < json_array_size(b); k++) {
			if (json_equal(json_array_get(a, i), json_array_get(b, k)))
				return false;
		}
	}
	return true;
}

static bool differ(struct grammar *g, const json_t *a, const json_t *b)
{
	json_t *of_a = listed(a), *of_b = listed(b);
	bool yes = of_a && of_b && none_in_common(g, of_a, of_b);

	json_decref(of_a);
	json_decref(of_b);
	return yes;
}

static bool requires(struct grammar *g, const json_t *s, const char *key)
{
	const json_t *all = json_object_get(s, "required");

	g->n_compared += json_array_size(all);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const char *one = json_string_value(json_array_get(all, i));

		if (one && strcmp(one, key) == 0)
			return true;
	}
	return false;
}

/* No value is both: other types, other listed values, or a key that tells them apart. */
static bool exclude(struct grammar *g, const json_t *a, const json_t *b)
{
	const char *ref_a = json_string_value(json_object_get(a, "$ref"));
	const char *ref_b = json_string_value(json_object_get(b, "$ref"));
	const char *type_a, *type_b, *key;
	json_t *v;

	a = ref_a ? resolve(g, ref_a) : a;
	b = ref_b ? resolve(g, ref_b) : b;
	type_a = json_string_value(json_object_get(a, "type"));
	type_b = json_string_value(json_object_get(b, "type"));
	if (type_a && type_b && strcmp(type_a, type_b) != 0) {
		bool numbers = strchr("in", type_a[0]) && strchr("in", type_b[0]);

		return !numbers || strcmp(type_a, "null") == 0 || strcmp(type_b, "null") == 0;
	}
	if (differ(g, a, b))
		return true;
	json_object_foreach(json_object_get(a, "properties"), key, v)
	{
		const json_t *other = json_object_get(json_object_get(b, "properties"), key);

		if (g->n_compared > COMPARED_MAX || !type_a || !type_b)
			return false;
		if (requires(g, a, key) && requires(g, b, key) && differ(g, v, other))
			return true;
	}
	return false;
}

/* "exactly one" is "any" where no two can be met at once. */
static int one_of(struct grammar *g, const json_t *list, const struct place *at, struct bytes *text)
{
	if (json_array_size(list) > 64)
		return schema_refuse(g, at, "oneOf", "has more than 64 choices");
	for (size_t i = 0; i < json_array_size(list); i++) {
		for (size_t k = 0; k < i; k++) {
			if (!exclude(g, json_array_get(list, i), json_array_get(list, k)))
				return schema_refuse(
					g, at, "oneOf",
					"has choices that one value may meet together; "
					"\"anyOf\" allows that");
		}
	}
	return each_of(g, list, at, "oneOf", text);
}

static int choice(struct grammar *g, const json_t *s, const struct place *at, const char *key,
		  struct bytes *text)
{
	const json_t *list = json_object_get(s, key);
	int rc = schema_alone(g, s, at, key, key);

	if (rc)
		return rc;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return schema_refuse(g, at, key, "must be a list of schemas");
	if (strcmp(key, "allOf") == 0 && json_array_size(list) > 1)
		return schema_refuse(g, at, key, "has more than one schema; put them into one");
	if (strcmp(key, "oneOf") == 0)
		return one_of(g, list, at, text);
	return each_of(g, list, at, key, text);
}

/* --- types --- */

static int boolean(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	(void)g;
	(void)s;
	(void)at;
	bytes_text(text, "\"true\" | \"false\"");
	return 0;
}

static int null(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	(void)g;
	(void)s;
	(void)at;
	bytes_text(text, "\"null\"");
	return 0;
}

static const struct type {
	const char *name;
	unsigned about; /* the keywords that tell it when no type is said */
	int (*text)(struct grammar *, const json_t *, const struct place *, struct bytes *);
} types[] = {
	{ "object", ABOUT_OBJECT, schema_object },
	{ "array", ABOUT_ARRAY, schema_array },
	{ "string", ABOUT_STRING, schema_string },
	{ "number", ABOUT_NUMBER, schema_number },
	{ "integer", 0, schema_integer },
	{ "boolean", 0, boolean },
	{ "null", 0, null },
};

static const struct type *type_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	}
	return NULL;
}

static int one_type(struct grammar *g, const json_t *s, const struct place *at, const json_t *name,
		    struct bytes *text)
{
	const struct type *t = type_of(json_string_value(name));

	if (!t)
		return schema_refuse(g, at, "type",
				     "must be object, array, string, number, integer, boolean or "
				     "null, or a list of them");
	if (text->n)
		bytes_text(text, " | ");
	return t->text(g, s, at, text);
}

static int typed(struct grammar *g, const json_t *s, const struct place *at, unsigned what,
		 struct bytes *text)
{
	const json_t *type = json_object_get(s, "type");
	size_t n = json_array_size(type);
	int rc = 0;

	if (json_is_array(type)) {
		if (n == 0 || n > sizeof(types) / sizeof(types[0]))
			return one_type(g, s, at, NULL, text);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = one_type(g, s, at, json_array_get(type, i), text);
		return rc;
	}
	if (type)
		return one_type(g, s, at, type, text);
	/* Keywords of a type without the type: values of that one are allowed, and that will do */
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!(types[i].about & what))
			continue;
		if (text->n)
			bytes_text(text, " | ");
		return types[i].text(g, s, at, text);
	}
	bytes_text(text, "value");
	return 0;
}

/* --- listed values --- */

static bool is_type(const json_t *v, const char *name)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return strcmp(name, "object") == 0;
	case JSON_ARRAY:
		return strcmp(name, "array") == 0;
	case JSON_STRING:
		return strcmp(name, "string") == 0;
	case JSON_INTEGER:
		return strcmp(name, "integer") == 0 || strcmp(name, "number") == 0;
	case JSON_REAL:
		return strcmp(name, "number") == 0;
	case JSON_NULL:
		return strcmp(name, "null") == 0;
	default:
		return strcmp(name, "boolean") == 0;
	}
}

static bool has_type(const json_t *v, const json_t *type)
{
	if (!type)
		return true;
	if (json_is_string(type))
		return is_type(v, json_string_value(type));
	for (size_t i = 0; i < json_array_size(type); i++) {
		const char *one = json_string_value(json_array_get(type, i));

		if (one && is_type(v, one))
			return true;
	}
	return false;
}

/* As short as still means the same number. */
static char *dump(const json_t *v)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
	char *text = json_dumps(v, flags | JSON_REAL_PRECISION(15));
	json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	if (text && !json_equal(back, v)) {
		free(text);
		text = json_dumps(v, flags | JSON_REAL_PRECISION(17));
	}
	json_decref(back);
	return text;
}

static int values(struct grammar *g, const json_t *s, const struct place *at, const char *key,
		  struct bytes *text)
{
	json_t *list = listed(s);
	int rc = schema_alone(g, s, at, key, "type");

	if (rc == 0 && json_object_get(s, "enum") && !json_is_array(json_object_get(s, "enum")))
		rc = schema_refuse(g, at, key, "must be a list of values");
	for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
		const json_t *v = json_array_get(list, i);
		char *one;

		if (!has_type(v, json_object_get(s, "type")))
			continue;
		if (++g->n_values > SCHEMA_VALUES_MAX)
			rc = schema_refuse(g, at, key, "is one value too many: %d are taken",
					   SCHEMA_VALUES_MAX);
		if (text->n)
			bytes_text(text, " | ");
		one = dump(v);
		if (!one)
			rc = err_set(g->e, -ENOMEM, "there is no memory for the schema's grammar");
		else
			schema_literal(text, one, strlen(one));
		free(one);
	}
	json_decref(list);
	if (rc == 0 && text->n == 0)
		rc = schema_refuse(g, at, key, "leaves no value that is allowed");
	return rc;
}

/* --- the walk --- */

static int build_object(struct grammar *g, const json_t *s, const struct place *at,
			struct bytes *text)
{
	static const char *const lists[] = { "anyOf", "oneOf", "allOf" };
	unsigned what;
	int rc;

	rc = schema_look(g, s, at, &what);
	if (rc)
		return rc;
	if (json_object_get(s, "$ref"))
		return reference(g, s, at, text);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (json_object_get(s, lists[i]))
			return choice(g, s, at, lists[i], text);
	}
	if (json_object_get(s, "const"))
		return values(g, s, at, "const", text);
	if (json_object_get(s, "enum"))
		return values(g, s, at, "enum", text);
	return typed(g, s, at, what, text);
}

static int build(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	int rc = 0;

	if (++g->n_nodes > SCHEMA_NODES_MAX)
		return schema_refuse(g, at, NULL, "has more than %d parts", SCHEMA_NODES_MAX);
	if (g->depth == SCHEMA_DEPTH_MAX)
		return schema_refuse(g, at, NULL, "is deeper than %d levels", SCHEMA_DEPTH_MAX);
	g->depth++;
	if (json_is_true(s))
		bytes_text(text, "value");
	else if (json_is_object(s))
		rc = build_object(g, s, at, text);
	else
		rc = schema_refuse(g, at, NULL, "must be an object");
	g->depth--;
	return rc;
}

int schema_visit(struct grammar *g, const json_t *s, const struct place *at, uint32_t *rule)
{
	struct bytes text = { .p = NULL };
	int rc;

	*rule = schema_new_rule(g);
	rc = build(g, s, at, &text);
	if (rc)
		bytes_fini(&text);
	return rc ? rc : schema_rule(g, *rule, &text);
}

void schema_any(struct bytes *out)
{
	bytes_text(out, "root ::= object\n");
	bytes_text(out, base);
}

int schema_grammar(struct bytes *out, const json_t *schema, struct err *e)
{
	struct grammar g = { .out = out, .root = schema, .e = e };
	uint32_t rule;
	int rc = visit_target(&g, schema, NULL, &rule);

	free(g.targets);
	if (rc)
		return rc;
	bytes_printf(out, "root ::= r%u\n", rule);
	bytes_text(out, base);
	return out->lost ? err_set(e, -ENOMEM, "there is no memory for the schema's grammar") : 0;
}

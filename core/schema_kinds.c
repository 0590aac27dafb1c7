/* SPDX-License-Identifier: MIT */
/* Objects, lists and texts. Every part ends with the space after it, so that no two come together. */
#include <stdlib.h>
#include <string.h>

#include "core/schema_priv.h"

/* A whole number of a keyword from 0 on; *v stays where there is none. */
static int get_count(const struct grammar *g, const json_t *s, const struct place *at,
		     const char *key, int64_t *v)
{
	const json_t *j = json_object_get(s, key);

	if (!j)
		return 0;
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return schema_refuse(g, at, key, "must be a whole number from 0 on");
	if (json_integer_value(j) > SCHEMA_LENGTH_MAX)
		return schema_refuse(g, at, key, "is more than this core takes, which is %d",
				     SCHEMA_LENGTH_MAX);
	*v = json_integer_value(j);
	return 0;
}

/* Two of them; *max -1: no end. */
static int get_counts(const struct grammar *g, const json_t *s, const struct place *at,
		      const char *min_key, const char *max_key, int64_t *min, int64_t *max)
{
	int rc;

	*min = 0;
	*max = -1;
	rc = get_count(g, s, at, min_key, min);
	if (rc == 0)
		rc = get_count(g, s, at, max_key, max);
	if (rc == 0 && *max >= 0 && *max < *min)
		rc = schema_refuse(g, at, max_key, "is less than \"%s\"", min_key);
	return rc;
}

/* --- objects --- */

struct property {
	uint32_t pair; /* its rule: key, value, space */
	bool required;
};

/* "key": value, as a rule of its own. */
static int pair_rule(struct grammar *g, const char *key, const json_t *s, const struct place *at,
		     uint32_t *rule)
{
	struct bytes text = { .p = NULL };
	json_t *name = json_string(key);
	char *dumped = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
	uint32_t value = 0;
	int rc;

	json_decref(name);
	if (!dumped)
		return err_set(g->e, -ENOMEM, "there is no memory for the schema's grammar");
	rc = schema_visit(g, s, at, &value);
	if (rc == 0) {
		*rule = schema_new_rule(g);
		schema_literal(&text, dumped, strlen(dumped));
		bytes_printf(&text, " \":\" gap r%u gap", value);
		rc = schema_rule(g, *rule, &text);
	}
	free(dumped);
	return rc;
}

static bool is_in(const json_t *list, const char *key)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *one = json_string_value(json_array_get(list, i));

		if (one && strcmp(one, key) == 0)
			return true;
	}
	return false;
}

static int list_properties(struct grammar *g, const json_t *s, const struct place *at,
			   struct property *list, size_t *n)
{
	const json_t *all = json_object_get(s, "properties"),
		     *need = json_object_get(s, "required");
	struct place in = { .up = at, .key = "properties" };
	const char *key;
	json_t *v;

	*n = 0;
	json_object_foreach((json_t *)all, key, v)
	{
		struct place one = { .up = &in, .key = key };
		int rc = pair_rule(g, key, v, &one, &list[*n].pair);

		if (rc)
			return rc;
		list[(*n)++].required = is_in(need, key);
	}
	return 0;
}

/* What is required and not described: any value, or what "additionalProperties" says. */
static int list_others(struct grammar *g, const json_t *s, const struct place *at,
		       struct property *list, size_t *n)
{
	const json_t *all = json_object_get(s, "properties"),
		     *need = json_object_get(s, "required");
	const json_t *more = json_object_get(s, "additionalProperties");
	struct place in = { .up = at, .key = "additionalProperties" };

	for (size_t i = 0; i < json_array_size(need); i++) {
		const char *key = json_string_value(json_array_get(need, i));
		int rc;

		if (json_object_get(all, key))
			continue;
		if (json_is_false(more))
			return schema_refuse(g, at, "required",
					     "has \"%.60s\", which \"properties\" lacks and "
					     "\"additionalProperties\" forbids",
					     key);
		rc = pair_rule(g, key, more ? more : json_true(), &in, &list[*n].pair);
		if (rc)
			return rc;
		list[(*n)++].required = true;
	}
	return 0;
}

/*
 * Rules from the last to the first: `rest` is what may follow a pair, `first` what may begin the
 * object where none came yet. Writes what stands between the braces.
 */
static int chain(struct grammar *g, const struct property *list, size_t n, struct bytes *text)
{
	uint32_t first = UINT32_MAX, rest = UINT32_MAX;

	for (size_t i = n; i-- > 0;) {
		const struct property *p = &list[i];
		struct bytes one = { .p = NULL }, other = { .p = NULL };
		uint32_t a = schema_new_rule(g), b = schema_new_rule(g);
		int rc;

		bytes_printf(&one, "r%u", p->pair);
		bytes_printf(&other, p->required ? "\",\" gap r%u" : "(\",\" gap r%u)?", p->pair);
		if (rest != UINT32_MAX) {
			bytes_printf(&one, " r%u", rest);
			bytes_printf(&other, " r%u", rest);
		}
		if (!p->required)
			bytes_printf(&one, first == UINT32_MAX ? " | \"\"" : " | r%u", first);
		rc = schema_rule(g, a, &one);
		if (rc) {
			bytes_fini(&other);
			return rc;
		}
		rc = schema_rule(g, b, &other);
		if (rc)
			return rc;
		first = a;
		rest = b;
	}
	bytes_printf(text, "\"{\" gap r%u \"}\"", first);
	return 0;
}

/* An object in which any key may be. */
static int map(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	const json_t *more = json_object_get(s, "additionalProperties");
	struct place in = { .up = at, .key = "additionalProperties" };
	uint32_t value;
	int rc;

	if (json_is_false(more)) {
		bytes_text(text, "\"{\" gap \"}\"");
		return 0;
	}
	if (!more || json_is_true(more)) {
		bytes_text(text, "object");
		return 0;
	}
	rc = schema_visit(g, more, &in, &value);
	bytes_printf(text,
		     "\"{\" gap (string \":\" gap r%u gap (\",\" gap string \":\" gap r%u gap)*)? "
		     "\"}\"",
		     value, value);
	return rc;
}

static int check_object(const struct grammar *g, const json_t *s, const struct place *at)
{
	const json_t *all = json_object_get(s, "properties"),
		     *need = json_object_get(s, "required");
	const json_t *more = json_object_get(s, "additionalProperties");

	if (all && !json_is_object(all))
		return schema_refuse(g, at, "properties", "must be an object");
	if (need && !json_is_array(need))
		return schema_refuse(g, at, "required", "must be a list of names");
	if (json_array_size(need) > SCHEMA_VALUES_MAX)
		return schema_refuse(g, at, "required", "has more than %d names",
				     SCHEMA_VALUES_MAX);
	for (size_t i = 0; i < json_array_size(need); i++) {
		const char *key = json_string_value(json_array_get(need, i));

		if (!key)
			return schema_refuse(g, at, "required", "must be a list of names");
		for (size_t k = 0; k < i; k++) {
			if (strcmp(json_string_value(json_array_get(need, k)), key) == 0)
				return schema_refuse(g, at, "required", "has \"%.60s\" twice", key);
		}
	}
	if (more && !json_is_boolean(more) && !json_is_object(more))
		return schema_refuse(g, at, "additionalProperties", "must be a schema");
	return 0;
}

int schema_object(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	size_t room = json_object_size(json_object_get(s, "properties")) +
		      json_array_size(json_object_get(s, "required")),
	       n = 0;
	struct property *list;
	int rc = check_object(g, s, at);

	if (rc)
		return rc;
	list = calloc(room + 1, sizeof(*list));
	if (!list)
		return err_set(g->e, -ENOMEM, "there is no memory for the schema's grammar");
	g->level++;
	rc = list_properties(g, s, at, list, &n);
	if (rc == 0)
		rc = list_others(g, s, at, list, &n);
	if (rc == 0)
		rc = n ? chain(g, list, n, text) : map(g, s, at, text);
	g->level--;
	free(list);
	return rc;
}

/* --- lists --- */

/* "rN gap", and the same after a comma, as rules. */
static int item_rules(struct grammar *g, const json_t *items, const struct place *at, uint32_t *one,
		      uint32_t *more)
{
	const struct place in = { .up = at, .key = "items" };
	struct bytes text = { .p = NULL };
	uint32_t value;
	int rc = schema_visit(g, items ? items : json_true(), &in, &value);

	if (rc)
		return rc;
	*one = schema_new_rule(g);
	*more = schema_new_rule(g);
	bytes_printf(&text, "r%u gap", value);
	rc = schema_rule(g, *one, &text);
	if (rc)
		return rc;
	text = (struct bytes) { .p = NULL };
	bytes_printf(&text, "\",\" gap r%u", *one);
	return schema_rule(g, *more, &text);
}

/* A list whose places differ: it has just these. */
static int tuple(struct grammar *g, const json_t *parts, const struct place *at, int64_t min,
		 int64_t max, struct bytes *text)
{
	size_t n = json_array_size(parts);
	struct place in = { .up = at, .key = "prefixItems" };

	if (min > (int64_t)n || (max >= 0 && max < (int64_t)n))
		return schema_refuse(g, at, "prefixItems",
				     "has another length than \"minItems\" and \"maxItems\" allow");
	bytes_text(text, "\"[\" gap ");
	for (size_t i = 0; i < n; i++) {
		struct place one = { .up = &in, .index = i };
		uint32_t rule;
		int rc = schema_visit(g, json_array_get(parts, i), &one, &rule);

		if (rc)
			return rc;
		bytes_printf(text, "%sr%u gap ", i ? "\",\" gap " : "", rule);
	}
	bytes_text(text, "\"]\"");
	return 0;
}

static int list(struct grammar *g, const json_t *items, const struct place *at, int64_t min,
		int64_t max, struct bytes *text)
{
	uint32_t one, more;
	char name[16];
	int rc;

	if (max == 0 || json_is_false(items)) {
		if (min > 0)
			return schema_refuse(g, at, "items",
					     "allows none, and \"minItems\" wants some");
		bytes_text(text, "\"[\" gap \"]\"");
		return 0;
	}
	rc = item_rules(g, items, at, &one, &more);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "r%u", more);
	bytes_printf(text, "\"[\" gap %sr%u ", min ? "" : "(", one);
	rc = schema_repeat(g, text, name, min ? (uint32_t)min - 1 : 0, max < 0 ? -1 : max - 1, at);
	bytes_text(text, min ? " \"]\"" : ")? \"]\"");
	return rc;
}

int schema_array(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	const json_t *parts = json_object_get(s, "prefixItems"),
		     *items = json_object_get(s, "items");
	int64_t min, max;
	int rc = get_counts(g, s, at, "minItems", "maxItems", &min, &max);

	if (rc)
		return rc;
	if (json_is_array(items) || (parts && !json_is_array(parts)))
		return schema_refuse(
			g, at, parts ? "prefixItems" : "items",
			parts ? "must be a list of schemas"
			      : "must be one schema; \"prefixItems\" has a list of them");
	g->level++;
	if (json_array_size(parts))
		rc = tuple(g, parts, at, min, max, text);
	else
		rc = list(g, items, at, min, max, text);
	g->level--;
	return rc;
}

/* --- texts --- */

/*
 * What JSON Schema 2020-12 says of "format" (section 7.3), each in the forms that every reader takes:
 * no 29th of February, no leap seconds, no abbreviated addresses.
 */
static const struct format {
	const char *name, *text;
} formats[] = {
#define DATE                                                                                          \
	"[1-9] [0-9]{3} \"-\" ((\"01\" | \"03\" | \"05\" | \"07\" | \"08\" | \"10\" | \"12\") \"-\" " \
	"(\"0\" [1-9] | [1-2] [0-9] | \"3\" [0-1]) | (\"04\" | \"06\" | \"09\" | \"11\") \"-\" "      \
	"(\"0\" [1-9] | [1-2] [0-9] | \"30\") | \"02-\" (\"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8]))"
#define CLOCK "([0-1] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9]"
#define TIME  CLOCK " \":\" [0-5] [0-9] (\".\" [0-9]{1,6})? (\"Z\" | [-+] " CLOCK ")"
#define HOST                                                                                       \
	"[a-z] [a-z0-9]{0,30} (\"-\" [a-z0-9]{1,20})? (\".\" [a-z] [a-z0-9]{0,30} "                \
	"(\"-\" [a-z0-9]{1,20})?){1,3}"
#define OCTET "(\"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9] [0-9] | [1-9]? [0-9])"
	{ "date", DATE },
	{ "time", TIME },
	{ "date-time", DATE " \"T\" " TIME },
	{ "duration",
	  "\"P\" ([1-9] [0-9]{0,2} \"W\" | [1-9] [0-9]{0,3} \"D\" (\"T\" [1-9] [0-9]{0,1} \"H\")? "
	  "| \"T\" [1-9] [0-9]{0,3} [HMS])" },
	{ "uuid", "hex{8} \"-\" hex4 \"-\" hex{4} \"-\" hex{4} \"-\" hex{12}" },
	{ "ipv4", OCTET " \".\" " OCTET " \".\" " OCTET " \".\" " OCTET },
	{ "ipv6", "hex{1,4} (\":\" hex{1,4}){7}" },
	{ "hostname", HOST },
	{ "email",
	  "[a-zA-Z0-9] [a-zA-Z0-9_+-]{0,30} (\".\" [a-zA-Z0-9_+-]{1,30}){0,2} \"@\" " HOST },
	{ "uri", "(\"https://\" | \"http://\") " HOST " (\"/\" [a-zA-Z0-9._~-]{0,40}){0,8}" },
#undef DATE
#undef CLOCK
#undef TIME
#undef HOST
#undef OCTET
};

static int format(const struct grammar *g, const json_t *s, const struct place *at,
		  struct bytes *text)
{
	const char *name = json_string_value(json_object_get(s, "format"));

	for (size_t i = 0; name && i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i].name, name) == 0) {
			bytes_printf(text, "\"\\\"\" %s \"\\\"\"", formats[i].text);
			return 0;
		}
	}
	return schema_refuse(
		g, at, "format",
		"is none of date, time, date-time, duration, uuid, ipv4, ipv6, hostname, "
		"email and uri, which this core knows");
}

int schema_string(struct grammar *g, const json_t *s, const struct place *at, struct bytes *text)
{
	const json_t *pattern = json_object_get(s, "pattern");
	bool formed = json_object_get(s, "format") != NULL;
	int64_t min, max;
	int rc = get_counts(g, s, at, "minLength", "maxLength", &min, &max);

	if (rc)
		return rc;
	if ((formed || pattern) && (min > 0 || max >= 0))
		return schema_refuse(g, at, formed ? "format" : "pattern",
				     "beside a length is more than this core can hold to");
	if (formed && pattern)
		return schema_refuse(g, at, "pattern",
				     "beside \"format\" is more than this core can hold to");
	if (formed)
		return format(g, s, at, text);
	if (pattern && !json_is_string(pattern))
		return schema_refuse(g, at, "pattern", "must be a string");
	if (!pattern && min == 0 && max < 0) {
		bytes_text(text, "string");
		return 0;
	}
	bytes_text(text, "\"\\\"\" ");
	rc = pattern ? schema_pattern(g, json_string_value(pattern), at, text)
		     : schema_repeat(g, text, "char", (uint32_t)min, max, at);
	bytes_text(text, " \"\\\"\"");
	return rc;
}

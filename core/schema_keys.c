/* SPDX-License-Identifier: MIT */
/* What every keyword is about. */
#include <string.h>

#include "core/schema_priv.h"

/* JSON Schema 2020-12 and draft 7, chapters "vocabulary"; what is in neither constrains nothing. */
/* clang-format off */
static const struct {
	const char *key;
	unsigned about;
} keywords[] = {
	{ "type", ABOUT_ALL },
	{ "enum", ABOUT_ALL },
	{ "const", ABOUT_ALL },
	{ "$ref", ABOUT_ALL },
	{ "anyOf", ABOUT_ALL },
	{ "oneOf", ABOUT_ALL },
	{ "allOf", ABOUT_ALL },
	{ "properties", ABOUT_OBJECT },
	{ "required", ABOUT_OBJECT },
	{ "additionalProperties", ABOUT_OBJECT },
	{ "items", ABOUT_ARRAY },
	{ "prefixItems", ABOUT_ARRAY },
	{ "minItems", ABOUT_ARRAY },
	{ "maxItems", ABOUT_ARRAY },
	{ "minLength", ABOUT_STRING },
	{ "maxLength", ABOUT_STRING },
	{ "pattern", ABOUT_STRING },
	{ "format", ABOUT_STRING },
	{ "minimum", ABOUT_NUMBER },
	{ "maximum", ABOUT_NUMBER },
	{ "exclusiveMinimum", ABOUT_NUMBER },
	{ "exclusiveMaximum", ABOUT_NUMBER },
	{ "multipleOf", ABOUT_NUMBER },
	{ "not", CANNOT },
	{ "if", CANNOT },
	{ "dependencies", CANNOT },
	{ "dependentRequired", CANNOT },
	{ "dependentSchemas", CANNOT },
	{ "patternProperties", CANNOT },
	{ "propertyNames", CANNOT },
	{ "minProperties", CANNOT },
	{ "maxProperties", CANNOT },
	{ "contains", CANNOT },
	{ "uniqueItems", CANNOT_TRUE },
	{ "unevaluatedItems", CANNOT_TRUE },
	{ "unevaluatedProperties", CANNOT_TRUE },
	{ "additionalItems", CANNOT_TRUE },
	{ "$dynamicRef", CANNOT },
	{ "$recursiveRef", CANNOT },
	{ "nullable", CANNOT_TRUE }, /* OpenAPI 3.0's */
};
/* clang-format on */

static unsigned about(const char *key)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(keywords[i].key, key) == 0)
			return keywords[i].about;
	}
	return ABOUT_NOTHING;
}

int schema_look(const struct grammar *g, const json_t *s, const struct place *at, unsigned *what)
{
	const char *key;
	json_t *v;

	*what = 0;
	json_object_foreach((json_t *)s, key, v)
	{
		unsigned a = about(key);

		if (a == CANNOT || (a == CANNOT_TRUE && !json_is_false(v)))
			return schema_refuse(g, at, key,
					     "is more than this core can hold an answer to; leave "
					     "it out");
		*what |= a;
	}
	return 0;
}

int schema_alone(const struct grammar *g, const json_t *s, const struct place *at, const char *main,
		 const char *also)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)s, key, v)
	{
		if (strcmp(key, main) == 0 || strcmp(key, also) == 0 || about(key) == ABOUT_NOTHING)
			continue;
		return schema_refuse(g, at, key, "beside \"%s\" is more than this core can hold to",
				     main);
	}
	return 0;
}

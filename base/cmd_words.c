/* SPDX-License-Identifier: MIT */
/* The other way round: from an options struct to the words that would fill it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cmd.h"
#include "base/text.h"

static const void *member(const struct opt *o, const void *options)
{
	return (const char *)options + o->offset;
}

static uint64_t number(const struct opt *o, const void *at)
{
	return o->kind == OPT_U32 ? *(const uint32_t *)at : *(const uint64_t *)at;
}

bool cmd_given(const struct opt *o, const void *options, const void *defaults)
{
	const void *now = member(o, options), *before = member(o, defaults);

	switch (o->kind) {
	case OPT_FLAG:
		return *(const bool *)now != *(const bool *)before;
	case OPT_COUNT:
	case OPT_ENUM:
		return *(const int *)now != *(const int *)before;
	case OPT_TEXT:
		return *(const char *const *)now != *(const char *const *)before;
	case OPT_LIST:
		return ((const struct opt_list *)now)->n != ((const struct opt_list *)before)->n;
	case OPT_U32:
	case OPT_U64:
	case OPT_SIZE:
		return number(o, now) != number(o, before);
	}
	return false;
}

static void add(struct text *t, const struct opt *o, const char *value)
{
	text_add(t, " --%s", o->name);
	if (!value)
		return;
	text_add(t, " ");
	text_add_word(t, value);
}

static void add_option(struct text *t, const struct opt *o, const void *at)
{
	const struct opt_list *l = at;
	char digits[24];

	switch (o->kind) {
	case OPT_FLAG:
		add(t, o, NULL);
		break;
	case OPT_COUNT:
		for (int i = 0; i < *(const int *)at; i++)
			add(t, o, NULL);
		break;
	case OPT_TEXT:
		add(t, o, *(const char *const *)at);
		break;
	case OPT_ENUM:
		add(t, o, o->choices[*(const int *)at]);
		break;
	case OPT_LIST:
		for (uint32_t i = 0; i < l->n; i++)
			add(t, o, l->v[i]);
		break;
	case OPT_U32:
	case OPT_U64:
	case OPT_SIZE:
		snprintf(digits, sizeof(digits), "%" PRIu64, number(o, at));
		add(t, o, digits);
		break;
	}
}

static bool is_among(const char *name, const char *const *list)
{
	for (; list && *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

void cmd_words(struct text *t, const struct cmd *c, const void *options, const void *defaults,
	       const char *const *but)
{
	for (size_t i = 0; i < c->n_opts; i++) {
		const struct opt *o = &c->opts[i];

		if (!is_among(o->name, but) && cmd_given(o, options, defaults))
			add_option(t, o, member(o, options));
	}
}

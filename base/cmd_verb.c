/* SPDX-License-Identifier: MIT */
/* The verb among a command's operands. */
#include <string.h>

#include "base/cmd.h"

static bool find(const struct cmd *c, const char *name, struct cmd_verb *v, size_t *i)
{
	for (*i = 0; c->verb_at(*i, v); (*i)++)
		if (strcmp(v->name, name) == 0 || (v->alias && strcmp(v->alias, name) == 0))
			return true;
	return false;
}

static bool heeds(const struct cmd_verb *v, const char *option)
{
	for (size_t i = 0; i < sizeof(v->heeds) / sizeof(v->heeds[0]); i++)
		for (const char *const *name = v->heeds[i]; name && *name; name++)
			if (strcmp(*name, option) == 0)
				return true;
	return false;
}

int cmd_verb_find(const struct cmd *c, int n, char **words, const void *options,
		  const void *defaults, size_t *i)
{
	struct cmd_verb v;

	if (n < 1)
		return cmd_usage_error(c, "give a VERB");
	if (!find(c, words[0], &v, i))
		return cmd_usage_error(c, "there is no verb '%s'", words[0]);
	uint32_t n_words = (uint32_t)n - 1;

	if (n_words > v.max_words || n_words > CMD_WORDS_MAX)
		return cmd_usage_error(c, "'%s' is one word too many: %s%s%s",
				       words[v.max_words + 1], v.name, *v.operands ? " " : "",
				       v.operands);
	if (n_words < v.min_words)
		return cmd_usage_error(c, "a word is missing: %s %s", v.name, v.operands);
	for (size_t k = 0; k < c->n_opts; k++)
		if (cmd_given(&c->opts[k], options, defaults) && !heeds(&v, c->opts[k].name))
			return cmd_usage_error(c, "%s takes no --%s", v.name, c->opts[k].name);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Which words the privileged helper takes. Whatever is not in these tables, it refuses. */
#include <string.h>

#include "device/elevate.h"

#define HELPER_WORDS_MAX 24
#define HELPER_WORD_MAX  96

static const struct helper_verb {
	const char *verb, *action;
	bool device; /* its first word is one */
} helper_verbs[] = {
	{ "bind", "manage", true },      { "unbind", "manage", true },
	{ "authorise", "manage", true }, { "deauthorise", "manage", true },
	{ "eject", "manage", true },     { "rescan", "manage", false },
	{ "reset", "manage", true },     { "rebar", "manage", true },
	{ "undo", "manage", false },     { "power", "power", true },
	{ "sleep", "sleep", true },
};

/* Every option but --machine, which names a path and changes nothing; unit/device_helper holds them to options.c. */
static const struct helper_option {
	const char *name;
	bool value;
} helper_options[] = {
	{ "--any", false },     { "--bars", true },     { "--cap", true },
	{ "--dry-run", false }, { "--enrol", false },   { "--for", true },
	{ "--force", false },   { "--json", false },    { "--method", true },
	{ "--only", false },    { "--persist", false }, { "--profile", true },
	{ "--quiet", false },   { "--restore", false }, { "--verbose", false },
	{ "--wake", false },
};

static const struct helper_verb *find_verb(const char *verb)
{
	for (size_t i = 0; i < sizeof(helper_verbs) / sizeof(helper_verbs[0]); i++)
		if (strcmp(verb, helper_verbs[i].verb) == 0)
			return &helper_verbs[i];
	return NULL;
}

const char *helper_action(const char *verb, bool force)
{
	const struct helper_verb *v = find_verb(verb);

	if (!v)
		return NULL;
	return force ? "force" : v->action;
}

bool helper_takes_device(const char *verb)
{
	const struct helper_verb *v = find_verb(verb);

	return v && v->device;
}

static const struct helper_option *find_option(const char *word)
{
	for (size_t i = 0; i < sizeof(helper_options) / sizeof(helper_options[0]); i++)
		if (strcmp(word, helper_options[i].name) == 0)
			return &helper_options[i];
	return NULL;
}

/* Addresses, names of drivers and boxes, sizes, watts, numbers of transactions: no path, no blank, no option. */
static bool word_ok(const char *word)
{
	static const char some[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(word);

	return n && n < HELPER_WORD_MAX && strchr(some, word[0]) &&
	       strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    ":._,+%-") == n;
}

/* What an option gets may be a few words of text. */
static bool value_ok(const char *value)
{
	size_t n = strlen(value);

	if (!n || n >= HELPER_WORD_MAX || value[0] == '-')
		return false;
	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '/')
			return false;
	return true;
}

/* One word or option, from *i on; sets *force. */
static int check_word(int argc, const char *const *argv, int *i, bool *force, struct err *e)
{
	const struct helper_option *o;

	if (argv[*i][0] != '-')
		return word_ok(argv[*i]) ? 0 : err_set(e, -EINVAL, "a word is not allowed here");
	o = find_option(argv[*i]);
	if (!o)
		return err_set(e, -EINVAL, "an option is not allowed here");
	*force |= strcmp(o->name, "--force") == 0;
	if (!o->value)
		return 0;
	if (++*i == argc || !value_ok(argv[*i]))
		return err_set(e, -EINVAL, "%s lacks its value, or has a bad one", o->name);
	return 0;
}

int helper_check(int argc, const char *const *argv, struct err *e)
{
	bool force = false;

	if (argc < 3)
		return err_set(e, -EINVAL, "an action and a verb are needed");
	if (argc > 3 + HELPER_WORDS_MAX)
		return err_set(e, -EINVAL, "%d words; at most %d", argc - 3, HELPER_WORDS_MAX);
	if (!find_verb(argv[2]))
		return err_set(e, -EINVAL, "this verb is not among those that need rights");
	for (int i = 3; i < argc; i++) {
		int rc = check_word(argc, argv, &i, &force, e);

		if (rc)
			return rc;
	}
	/* polkit judged by the first word: it must be that of the verb, or the password was for another. */
	if (strcmp(argv[1], helper_action(argv[2], force)) != 0)
		return err_set(e, -EINVAL, "this verb is of another action");
	return 0;
}

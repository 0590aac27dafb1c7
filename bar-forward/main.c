/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>

#include "bar-forward/verbs.h"

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *v = bridge_verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* The verb and its words. 0, or EXIT_USAGE after one sentence. */
static int read_words(const struct verb **v, struct ask *a, int n, char **words)
{
	if (n < 1)
		return cmd_usage_error(&bridge_command, "give a VERB");
	*v = find_verb(words[0]);
	if (!*v)
		return cmd_usage_error(&bridge_command, "there is no verb '%s'", words[0]);
	a->n_words = (uint32_t)n - 1;
	if (a->n_words > (*v)->max_words || a->n_words > WORDS_MAX)
		return cmd_usage_error(&bridge_command, "'%s' is one word too many: %s %s",
				       words[(*v)->max_words + 1], (*v)->name, (*v)->operands);
	if (a->n_words < (*v)->min_words)
		return cmd_usage_error(&bridge_command, "a word is missing: %s %s", (*v)->name,
				       (*v)->operands);
	for (uint32_t i = 0; i < a->n_words; i++)
		a->words[i] = words[i + 1];
	return bridge_options_check(*v, a->o);
}

int main(int argc, char **argv)
{
	struct options o = bridge_defaults;
	struct ask a = { .o = &o };
	const struct verb *v = NULL;
	struct machine m;
	struct err e = { 0 };
	struct log log;
	int first;
	enum cmd_go go = cmd_parse(&bridge_command, argc, argv, &o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	int rc = read_words(&v, &a, argc - first, argv + first);

	if (rc)
		return rc;
	/* A file at its limit is a write that fails, and is told. */
	signal(SIGXFSZ, SIG_IGN);
	log_init(&log, "berth bridge", o.quiet, o.verbose);
	rc = machine_open(&m, o.machine, &e);
	if (rc)
		return err_report("bridge", rc, &e);
	a.m = &m;
	a.log = &log;
	rc = v->run(&a, &e);
	machine_close(&m);
	if (rc == VERB_USAGE)
		return cmd_usage_error(&bridge_command, "%s", e.text);
	return rc < 0 ? (int)err_report("bridge", rc, &e) : rc;
}

/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "device/act.h"
#include "device/scene.h"
#include "device/verb.h"

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0 || (v->alias && strcmp(v->alias, name) == 0))
			return v;
	return NULL;
}

/* The verb and its words. 0, or EXIT_USAGE after one sentence. */
static int read_words(const struct verb **v, struct ask *a, int n, char **words)
{
	if (n < 1)
		return cmd_usage_error(&device_command, "give a VERB");
	*v = find_verb(words[0]);
	if (!*v)
		return cmd_usage_error(&device_command, "there is no verb '%s'", words[0]);
	a->n_words = (uint32_t)n - 1;
	if (a->n_words > (*v)->max_words || a->n_words > WORDS_MAX)
		return cmd_usage_error(&device_command, "'%s' is one word too many: %s %s",
				       words[(*v)->max_words + 1], (*v)->name, (*v)->operands);
	if (a->n_words < (*v)->min_words)
		return cmd_usage_error(&device_command, "a word is missing: %s %s", (*v)->name,
				       (*v)->operands);
	for (uint32_t i = 0; i < a->n_words; i++)
		a->words[i] = words[i + 1];
	return device_options_check(*v, &a->o);
}

/* A verb that only answers. */
static int answer(const struct verb *v, const struct machine *m, const struct ask *a,
		  const struct log *log)
{
	struct scene_opts opts = { 0 };
	struct scene *s = NULL;
	struct err e = { 0 };
	int rc = v->needs_scene ? scene_collect(m, &opts, &s, &e) : 0;

	if (!rc)
		rc = v->answer(m, s, a, log, &e);
	scene_free(s);
	return rc < 0 ? (int)err_report("device", rc, &e) : rc;
}

static int run(const struct verb *v, const struct machine *m, struct ask *a, const struct log *log)
{
	if (v->run)
		return v->run(v, m, a, log);
	if (v->answer && (!v->plan || (v->asks && v->asks(a))))
		return answer(v, m, a, log);
	return act_on(v, m, a, log);
}

int main(int argc, char **argv)
{
	struct ask a = { .o = device_defaults };
	const struct verb *v = NULL;
	struct machine m;
	struct err e = { 0 };
	struct log log;
	int first;
	enum cmd_go go = cmd_parse(&device_command, argc, argv, &a.o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	int rc = read_words(&v, &a, argc - first, argv + first);

	if (rc)
		return rc;
	/* A file at its limit is a write that fails, and is told. */
	signal(SIGXFSZ, SIG_IGN);
	log_init(&log, "berth device", a.o.quiet, a.o.verbose);
	rc = machine_open(&m, a.o.machine, &e);
	if (rc)
		return err_report("device", rc, &e);
	rc = run(v, &m, &a, &log);
	machine_close(&m);
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "device/act.h"
#include "device/scene.h"
#include "device/verb.h"

/* The verb and its words. 0, or EXIT_USAGE after one sentence. */
static int read_words(const struct verb **v, struct ask *a, int n, char **words)
{
	size_t which;
	int rc = cmd_verb_find(&device_command, n, words, &a->o, &device_defaults, &which);

	if (rc)
		return rc;
	*v = &verbs[which];
	for (a->n_words = 0; a->n_words + 1 < (uint32_t)n; a->n_words++)
		a->words[a->n_words] = words[a->n_words + 1];
	return 0;
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

/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "bar-forward/backends.h"
#include "bar-forward/verbs.h"
#include "bar-forward/worker.h"

/* The verb and its words. 0, or EXIT_USAGE after one sentence. */
static int read_words(const struct verb **v, struct ask *a, int n, char **words)
{
	size_t which;
	int rc = cmd_verb_find(&bridge_command, n, words, a->o, &bridge_defaults, &which);

	if (rc)
		return rc;
	*v = &bridge_verbs[which];
	for (a->n_words = 0; a->n_words + 1 < (uint32_t)n; a->n_words++)
		a->words[a->n_words] = words[a->n_words + 1];
	return 0;
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

	if (worker_asked(argc, argv))
		return worker_run(worker_backends);
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

/* SPDX-License-Identifier: MIT */
/* `berth probe --diff`: read two machines, print what differs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "probe/diff.h"
#include "probe/modes_priv.h"

static int read_machine(const char *dir, bool wake, struct run **run, struct err *e)
{
	/* A capture tells the CPU as hwloc does, so now it has to be asked too. */
	const struct want want = { .wake = wake, .topology = true, .no_procs = true };
	struct machine m;
	int rc = machine_open(&m, dir, e);

	if (rc)
		return rc;
	rc = run_collect(&m, &want, run, e);
	machine_close(&m);
	return rc;
}

static int print(const struct compare_opts *o, const struct diff *d, const struct report *a,
		 const struct report *b, struct err *e)
{
	int rc;

	if (o->json) {
		json_t *j = diff_to_json(d, a, b, o->from ? o->from : "now", o->to ? o->to : "now");

		rc = json_print(j, stdout);
		json_decref(j);
	} else {
		diff_print(stdout, d, a, b);
		rc = fflush(stdout) || ferror(stdout);
	}
	return rc ? err_set(e, -ENOSPC, "cannot write to standard output") : 0;
}

int compare_machines(const struct compare_opts *o, struct err *e)
{
	own_free struct run *a = NULL;
	own_free struct run *b = NULL;
	struct diff d;
	int rc = read_machine(o->from, o->wake, &a, e);

	if (!rc)
		rc = read_machine(o->to, o->wake, &b, e);
	if (rc)
		return rc;
	diff_reports(&d, &a->merged, &b->merged, o->live);
	bool any = d.any;

	rc = print(o, &d, &a->merged, &b->merged, e);
	diff_fini(&d);
	return rc ? rc : any ? EXIT_NO : EXIT_YES;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/upgrade.h"

#include <errno.h>
#include <time.h>

#include "bar-forward/control.h"
#include "bar-forward/whichbridge.h"
#include "base/clock.h"

#define WAIT_MS 15000

static int ask_it(const struct whichbridge *w, const char *what, struct err *e)
{
	json_t *question = json_answer("berth.bridge.control/1");
	int rc;

	json_put_text(question, "do", what);
	rc = control_ask(w->page, question, -1, e);
	json_decref(question);
	return rc;
}

int upgrade_verb(const struct ask *a, struct err *e)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	int64_t until = clock_ms() + WAIT_MS;
	struct whichbridge w;
	int rc = whichbridge_find(&w, a->words[0], e);

	if (!rc)
		rc = ask_it(&w, "upgrade", e);
	if (rc)
		return rc;
	while ((rc = ask_it(&w, "upgraded", e)) == -EINPROGRESS && clock_ms() < until)
		nanosleep(&moment, NULL);
	if (!rc)
		log_note(a->log, "process %d has another worker", (int)w.pid);
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/upgrade.h"

#include <errno.h>
#include <time.h>

#include "bar-forward/control.h"
#include "bar-forward/whichbridge.h"
#include "base/clock.h"
#include "base/telem.h"

#define WAIT_MS 8000

static int worker_of(const struct whichbridge *w, int32_t *pid, struct err *e)
{
	struct telem_page page;
	enum telem_life life;
	int rc = telem_read(w->page, &page, &life, e);

	if (!rc && life == TELEM_DEAD)
		rc = err_set(e, -ENODEV, "the bridge has ended");
	*pid = rc ? 0 : page.bridge.worker_pid;
	return rc;
}

/* It says on its own standard error why another one does not take over. */
static int wait_for_another(const struct whichbridge *w, int32_t old, int32_t *now, struct err *e)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	int64_t until = clock_ms() + WAIT_MS;

	for (;;) {
		int rc = worker_of(w, now, e);

		if (rc)
			return rc;
		if (*now && *now != old)
			return 0;
		if (clock_ms() > until)
			return err_set(e, -EBUSY,
				       "process %d keeps its worker: what it says tells why",
				       (int)w->pid);
		nanosleep(&moment, NULL);
	}
}

int upgrade_verb(const struct ask *a, struct err *e)
{
	json_t *question = json_answer("berth.bridge.control/1");
	struct whichbridge w;
	int32_t old = 0, now = 0;
	int rc = whichbridge_find(&w, a->words[0], e);

	if (!rc)
		rc = worker_of(&w, &old, e);
	if (!rc && !old)
		rc = err_set(e, -ENODEV, "process %d serves its device without a worker",
			     (int)w.pid);
	json_put_text(question, "do", "upgrade");
	if (!rc)
		rc = control_ask(w.page, question, -1, e);
	json_decref(question);
	if (!rc)
		rc = wait_for_another(&w, old, &now, e);
	if (!rc)
		log_note(a->log, "process %d is the worker of process %d", (int)now, (int)w.pid);
	return rc;
}

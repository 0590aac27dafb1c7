/* SPDX-License-Identifier: MIT */
/* What a person asks of a bridge that runs: recordings, and another version. */
#include <errno.h>
#include <string.h>

#include "bar-forward/opener.h"
#include "bar-forward/whichbridge.h"
#include "base/own.h"

/* It records there from now on; without a descriptor: nowhere. The holder has it from us, and its workers from it. */
static void record(struct server *v, struct trace *fresh)
{
	trace_stop(&v->trace);
	trace_close(&v->trace);
	v->trace = *fresh;
	opener_send(v, &(struct line) { .kind = LINE_TRACE }, fresh->head ? fresh->fd : -1);
}

static int record_in(struct server *v, const char *path, int *fd, struct err *e)
{
	struct trace fresh;
	int rc = trace_join(&fresh, take_fd(fd), e);

	if (rc)
		return rc;
	rc = whichbridge_link(v->page.writer.path, path, e);
	if (rc)
		trace_close(&fresh);
	else
		record(v, &fresh);
	return rc;
}

/* Whether it fits, the holder finds out. */
static int upgrade(struct server *v, struct err *e)
{
	int rc = opener_spawn(v, true);

	if (rc)
		return err_set(e, rc, "%s cannot be started: %s", v->spawn.path, strerror(-rc));
	v->upgrade = -EINPROGRESS;
	return 0;
}

static int upgraded(const struct server *v, struct err *e)
{
	if (v->upgrade == -EINPROGRESS)
		return err_set(e, v->upgrade, "%s is not ready yet", v->spawn.path);
	return v->upgrade ? err_set(e, -EBUSY, "%s does not fit what runs, the worker stays",
				    v->spawn.path)
			  : 0;
}

int opener_asked(void *arg, struct control_ask *a, struct err *e)
{
	struct server *v = arg;
	char what[16], path[4096];

	json_get_text(a->what, "do", what, sizeof(what));
	json_get_text(a->what, "path", path, sizeof(path));
	if (strcmp(what, "record") == 0 && a->n_fds == 1)
		return record_in(v, path, &a->fds[0], e);
	if (strcmp(what, "upgrade") == 0)
		return upgrade(v, e);
	if (strcmp(what, "upgraded") == 0)
		return upgraded(v, e);
	if (strcmp(what, "stop") != 0)
		return err_set(e, -EINVAL, "it cannot do '%s'", what);
	if (!v->trace.head)
		return err_set(e, -ENODEV, "it records nothing");
	record(v, &(struct trace) { 0 });
	return whichbridge_link(v->page.writer.path, NULL, e);
}

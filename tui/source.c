/* SPDX-License-Identifier: MIT */
#include "tui/source.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"

/* The feed of one look: only the runs are new. */
static void next_runs(void *ctx, struct snapshot *s)
{
	const struct source *src = ctx;

	s->origin = src->machine.live ? ORIGIN_LIVE : ORIGIN_CAPTURED;
	s->report = src->hold;
	runs_read(s, src->run_dir);
}

/* One look at all devices: for a single frame, and for a folder that never changes. */
static int look_once(struct source *s, bool once, struct err *e)
{
	const struct probe_opts o = { .no_procs = once && !s->machine.live };

	s->feed = (struct feed) { .next = next_runs, .ctx = s };
	return probe_collect(&s->machine, &o, &s->hold, e);
}

static int open_machine(struct source *s, const struct options *o, uint32_t interval_ms,
			struct err *e)
{
	const char *runtime = getenv("BERTH_RUNTIME_DIR");
	int rc = machine_open(&s->machine, o->machine, e);

	if (rc)
		return rc;
	s->has_machine = true;
	if (o->machine)
		s->run_dir = runtime ? runtime : "";
	if (!s->machine.live || o->once || o->prometheus)
		return look_once(s, o->once, e);
	const struct senses senses = senses_of(&s->machine);

	rc = lookout_start(&s->live, &senses, s->run_dir, interval_ms, e);
	if (!rc)
		s->feed = lookout_feed(s->live);
	return rc;
}

static int open_film(struct source *s, const struct options *o, struct err *e)
{
	const char *slash = strrchr(o->replay, '/');
	int rc = film_open(&s->film, o->replay, e);

	if (rc)
		return rc;
	replay_begin(&s->replay, s->film, slash ? slash + 1 : o->replay, o->at_s);
	s->feed = replay_feed(&s->replay);
	return 0;
}

static int open_demo(struct source *s, struct err *e)
{
	char path[PATH_MAX];
	int rc = self_path(path, sizeof(path), "share/berth/demo.berthrec", e);

	if (!rc)
		rc = film_open(&s->film, path, e);
	if (rc)
		return rc;
	demo_begin(&s->demo, s->film);
	s->feed = demo_feed(&s->demo);
	return 0;
}

int source_open(struct source *s, const struct options *o, uint32_t interval_ms, struct err *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	if (o->replay)
		return open_film(s, o, e);
	if (o->demo)
		return open_demo(s, e);
	if (!o->host)
		return open_machine(s, o, interval_ms, e);
	rc = ssh_open(&s->ssh, o->host, interval_ms, e);
	if (!rc)
		s->feed = ssh_feed(s->ssh);
	return rc;
}

bool source_close(struct source *s)
{
	bool all = !s->live || lookout_stop(s->live);

	ssh_close(s->ssh);
	film_close(s->film);
	if (!all)
		return false;
	probe_free(s->hold);
	if (s->has_machine)
		machine_close(&s->machine);
	return true;
}

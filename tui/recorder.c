/* SPDX-License-Identifier: MIT */
/* Snapshots to lines of a recording. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "tui/frames.h"
#include "tui/recording.h"

/* What was told last: "machine", "device/PCI", "run/KEY" -> state. */
struct recorder {
	json_t *told;
	bool begun;
	uint64_t index_ms; /* of the last index */
};

/* Where the lines of one moment go. */
struct moment {
	struct recorder *r;
	uint64_t ms;
	recording_put *put;
	void *ctx;
	json_t *now; /* what is told now; becomes r->told */
	int rc;
};

struct recorder *recorder_new(void)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (r)
		r->told = json_object();
	return r;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	json_decref(r->told);
	free(r);
}

void recorder_restart(struct recorder *r)
{
	r->begun = false;
}

/* Takes o over. */
static int put_line(recording_put *put, void *ctx, json_t *o)
{
	own_free char *text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	size_t n = text ? strlen(text) : 0;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	text[n] = '\n'; /* in the place of the zero: the line is handed over with its length */
	return put(ctx, text, n + 1);
}

static void write_line(struct moment *m, json_t *o)
{
	int rc = put_line(m->put, m->ctx, o);

	if (!m->rc)
		m->rc = rc;
}

static json_t *frame(uint64_t ms, const char *kind, const char *id)
{
	json_t *o = json_object();

	json_put_int(o, "t", (int64_t)ms);
	json_put_text(o, "f", kind);
	if (id)
		json_put_text(o, "id", id);
	return o;
}

/* What differs; NULL: a key is gone, so that only the whole would do. */
static json_t *difference(json_t *before, json_t *after)
{
	json_t *changed = json_object();
	const char *key;
	json_t *v;

	json_object_foreach(before, key, v)
	{
		if (!json_object_get(after, key)) {
			json_decref(changed);
			return NULL;
		}
	}
	json_object_foreach(after, key, v)
	{
		if (!json_equal(v, json_object_get(before, key)))
			json_object_set(changed, key, v);
	}
	return changed;
}

/* Tell of one subject what has changed. Takes state over. */
static void tell(struct moment *m, const char *kind, const char *id, json_t *state)
{
	char key[160];

	snprintf(key, sizeof(key), "%s/%s", kind, id ? id : "");
	json_t *before = json_object_get(m->r->told, key);
	json_t *change = before ? difference(before, state) : NULL;
	json_t *o = frame(m->ms, kind, id);

	json_object_set_new(m->now, key, state);
	if (change && json_object_size(change) == 0) {
		json_decref(change);
		json_decref(o);
		return;
	}
	if (change)
		json_object_set_new(o, "d", change);
	else
		json_object_set(o, "full", state);
	write_line(m, o);
}

/* Subjects that were there the moment before. */
static void tell_gone(struct moment *m)
{
	const char *key;
	json_t *v;

	json_object_foreach(m->r->told, key, v)
	{
		const char *slash = strchr(key, '/');
		char kind[16];

		if (json_object_get(m->now, key) || !slash)
			continue;
		snprintf(kind, sizeof(kind), "%.*s", (int)(slash - key), key);
		json_t *o = frame(m->ms, kind, slash + 1);

		json_put_bool(o, "gone", true);
		write_line(m, o);
	}
}

static void put_header(struct moment *m, const struct snapshot *s)
{
	struct timespec now;
	json_t *o = json_answer(RECORDING_SCHEMA);

	clock_gettime(CLOCK_REALTIME, &now);
	json_put_int(o, "t", (int64_t)m->ms);
	json_put_int(o, "clock_ms", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	json_put_text(o, "origin", s->origin_name);
	write_line(m, o);
}

static void begin(struct moment *m, const struct snapshot *s)
{
	struct recorder *r = m->r;

	if (!r->begun)
		put_header(m, s);
	if (!r->begun || m->ms - r->index_ms >= RECORDING_INDEX_MS) {
		json_object_clear(r->told);
		r->index_ms = m->ms;
		write_line(m, frame(m->ms, "index", NULL));
	}
	r->begun = true;
}

int recorder_moment(struct recorder *r, const struct snapshot *s, recording_put *put, void *ctx)
{
	struct moment m = { .r = r, .ms = s->now_ns / 1000000, .put = put, .ctx = ctx };

	begin(&m, s);
	m.now = json_object();
	if (s->report)
		tell(&m, "machine", NULL, frame_of_machine(s->report));
	for (uint32_t i = 0; s->report && i < s->report->n_gpus; i++) {
		const struct gpu *g = &s->report->gpus[i];

		tell(&m, "device", g->pci, frame_of_device(g, &s->devices[i]));
	}
	for (uint32_t i = 0; i < s->n_runs; i++)
		tell(&m, "run", run_key(&s->runs[i]), frame_of_run(&s->runs[i]));
	tell_gone(&m);
	write_line(&m, frame(m.ms, "moment", NULL));
	json_decref(r->told);
	r->told = m.now;
	if (m.rc)
		recorder_restart(r); /* nobody knows what arrived */
	return m.rc;
}

int recorder_event(struct recorder *r, const struct event *ev, recording_put *put, void *ctx)
{
	static const char *const severities[] = { "info", "warn", "bad" };

	if (!r->begun)
		return 0;
	json_t *o = frame(ev->ns / 1000000, "event", NULL);

	json_put_text(o, "severity", severities[ev->severity <= SEVERITY_BAD ? ev->severity : 0]);
	json_put_text(o, "rule", ev->rule);
	json_put_text(o, "subject", ev->subject);
	json_put_text(o, "text", ev->text);
	json_put_text(o, "help", ev->help);
	return put_line(put, ctx, o);
}

/* SPDX-License-Identifier: MIT */
/* Snapshots to lines of a recording. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "base/pages.h"
#include "base/text.h"
#include "tui/frames.h"
#include "tui/recording.h"

/* What was told last of one subject. */
struct told {
	const char *kind;
	char id[96];
	bool known; /* `state` is filled */
	bool here;  /* at the moment at hand */
	void *state; /* what the frames of its kind take as `was`, in pages of its own: it is large and sparse */
	size_t size; /* of it */
};

struct recorder {
	struct told *told;
	size_t n_told, room;
	bool begun;
	uint64_t index_ms; /* of the last index */
};

/* Where the lines of one moment go. */
struct moment {
	struct recorder *r;
	uint64_t ms;
	recording_put *put;
	void *ctx;
	int rc;
};

struct recorder *recorder_new(void)
{
	return calloc(1, sizeof(struct recorder));
}

static void forget_all(struct recorder *r)
{
	for (; r->n_told; r->n_told--)
		pages_free(r->told[r->n_told - 1].state, r->told[r->n_told - 1].size);
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	forget_all(r);
	free(r->told);
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

static struct told *find(const struct recorder *r, const char *kind, const char *id)
{
	for (size_t i = 0; i < r->n_told; i++)
		if (!strcmp(r->told[i].kind, kind) && !strcmp(r->told[i].id, id))
			return &r->told[i];
	return NULL;
}

static int add(struct recorder *r, const char *kind, const char *id, size_t size)
{
	void *state = pages_new(size);

	if (state && r->n_told == r->room) {
		size_t room = r->room ? 2 * r->room : 8;
		struct told *more = realloc(r->told, room * sizeof(*more));

		if (more) {
			r->told = more;
			r->room = room;
		}
	}
	if (!state || r->n_told == r->room) {
		pages_free(state, size);
		return -ENOMEM;
	}
	struct told *t = &r->told[r->n_told++];

	*t = (struct told) { .kind = kind, .state = state, .size = size };
	text_copy(t->id, sizeof(t->id), id);
	return 0;
}

/* It is there now; a new one has room for its state. NULL: no memory. */
static struct told *meet(struct moment *m, const char *kind, const char *id, size_t size)
{
	struct told *t = find(m->r, kind, id);
	int rc = t ? 0 : add(m->r, kind, id, size);

	if (rc) {
		m->rc = m->rc ? m->rc : rc;
		return NULL;
	}
	t = t ? t : &m->r->told[m->r->n_told - 1];
	t->here = true;
	return t;
}

/* What changed, or when that would not do all of it. Takes both over. */
static void tell(struct moment *m, struct told *t, json_t *change, json_t *full)
{
	t->known = true;
	if (!full && json_object_size(change) == 0) {
		json_decref(change);
		return;
	}
	json_t *o = frame(m->ms, t->kind, t->id[0] ? t->id : NULL);

	json_object_set_new(o, full ? "full" : "d", full ? full : change);
	write_line(m, o);
}

static void tell_machine(struct moment *m, const struct report *r)
{
	const size_t head = offsetof(struct report, gpus);
	struct told *t = meet(m, "machine", "", head);

	if (!t)
		return;
	json_t *change = t->known ? frame_of_machine(r, t->state) : NULL;

	tell(m, t, change, change ? NULL : frame_of_machine(r, NULL));
	memcpy(t->state, r, head);
}

static void tell_device(struct moment *m, const struct gpu *g, const struct device_seen *seen)
{
	struct told *t = meet(m, "device", g->pci, sizeof(struct device_told));

	if (!t)
		return;
	struct device_told *was = t->state;
	json_t *change = t->known ? frame_of_device(g, seen, was) : NULL;

	tell(m, t, change, change ? NULL : frame_of_device(g, seen, NULL));
	frame_told_device(was, g, seen);
}

static void tell_run(struct moment *m, const struct run_seen *run)
{
	struct told *t = meet(m, "run", run_key(run), sizeof(*run));

	if (!t)
		return;
	struct run_seen *was = t->state;
	json_t *change = t->known ? frame_of_run(run, was) : NULL;

	tell(m, t, change, change ? NULL : frame_of_run(run, NULL));
	*was = *run;
}

static void tell_bridge(struct moment *m, const struct bridge_seen *b)
{
	struct told *t = meet(m, "bridge", b->key, sizeof(*b));

	if (!t)
		return;
	struct bridge_seen *was = t->state;
	json_t *change = t->known ? frame_of_bridge(b, was) : NULL;

	tell(m, t, change, change ? NULL : frame_of_bridge(b, NULL));
	*was = *b;
}

/* Subjects that were there the moment before. */
static void tell_gone(struct moment *m)
{
	struct recorder *r = m->r;

	for (size_t i = 0; i < r->n_told;) {
		struct told *t = &r->told[i];

		if (t->here) {
			t->here = false;
			i++;
			continue;
		}
		json_t *o = frame(m->ms, t->kind, t->id);

		json_put_bool(o, "gone", true);
		write_line(m, o);
		pages_free(t->state, t->size);
		*t = r->told[--r->n_told];
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
		forget_all(r);
		r->index_ms = m->ms;
		write_line(m, frame(m->ms, "index", NULL));
	}
	r->begun = true;
}

int recorder_moment(struct recorder *r, const struct snapshot *s, recording_put *put, void *ctx)
{
	struct moment m = { .r = r, .ms = s->now_ns / 1000000, .put = put, .ctx = ctx };

	begin(&m, s);
	if (s->report)
		tell_machine(&m, s->report);
	for (uint32_t i = 0; s->report && i < s->report->n_gpus; i++)
		tell_device(&m, &s->report->gpus[i], &s->devices[i]);
	for (uint32_t i = 0; i < s->n_runs; i++)
		tell_run(&m, &s->runs[i]);
	for (uint32_t i = 0; i < s->n_bridges; i++)
		tell_bridge(&m, &s->bridges[i]);
	tell_gone(&m);
	write_line(&m, frame(m.ms, "moment", NULL));
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

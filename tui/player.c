/* SPDX-License-Identifier: MIT */
/* Lines of a recording to snapshots. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "tui/frames.h"
#include "tui/recording.h"

struct player {
	uint64_t ms;         /* of the newest line since the last header */
	int64_t clock_ms;    /* what to add for the time of day; of the header */
	json_t *machine;     /* NULL: not told yet */
	json_t *devices;     /* address -> state, in the order in which they appeared */
	json_t *runs;        /* key -> state */
	json_t *bridges;     /* key -> state */
	struct report *made; /* of the last snapshot */
	char origin[64];
};

struct player *player_new(void)
{
	struct player *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->devices = json_object();
	p->runs = json_object();
	p->bridges = json_object();
	return p;
}

void player_free(struct player *p)
{
	if (!p)
		return;
	json_decref(p->machine);
	json_decref(p->devices);
	json_decref(p->runs);
	json_decref(p->bridges);
	free(p->made);
	free(p);
}

/* --- lines --- */

static int bad(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, "%s", what);
}

static int take_header(struct player *p, const json_t *o, const char *schema, struct err *e)
{
	json_int_t t = json_integer_value(json_object_get(o, "t"));
	json_int_t clock = json_integer_value(json_object_get(o, "clock_ms"));
	const char *origin = json_string_value(json_object_get(o, "origin"));

	if (strcmp(schema, RECORDING_SCHEMA) != 0)
		return err_set(e, -EBADMSG, "not a recording this berth reads: '%.60s', not '%s'",
			       schema, RECORDING_SCHEMA);
	text_copy(p->origin, sizeof(p->origin), origin ? origin : "");
	text_clean(p->origin);
	p->clock_ms = clock > 0 && clock < INT64_C(1) << 52 ? clock - t : 0;
	return FRAME_HEADER;
}

/* One subject's state: all of it, what changed, or that it is gone. `states` keeps at most `max`. */
static int take_state(json_t *states, const json_t *o, size_t max, struct err *e)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	json_t *full = json_object_get(o, "full"), *change = json_object_get(o, "d");
	json_t *state = id ? json_object_get(states, id) : NULL;

	if (!id || strlen(id) >= 96)
		return bad(e, "a recorded state that says not whose it is");
	if (json_is_true(json_object_get(o, "gone")))
		json_object_del(states, id);
	else if (json_is_object(full) && (state || json_object_size(states) < max))
		json_object_set(states, id, full);
	else if (json_is_object(change) && state)
		json_object_update(state, change);
	return FRAME_STATE; /* a change of what began before the recording says nothing */
}

static int take_machine(struct player *p, const json_t *o)
{
	json_t *full = json_object_get(o, "full"), *change = json_object_get(o, "d");

	if (json_is_object(full)) {
		json_decref(p->machine);
		p->machine = json_incref(full);
	} else if (json_is_object(change) && p->machine) {
		json_object_update(p->machine, change);
	}
	return FRAME_STATE;
}

/* All that follows is whole: nothing of before may linger. */
static int take_index(struct player *p)
{
	json_decref(p->machine);
	p->machine = NULL;
	json_object_clear(p->devices);
	json_object_clear(p->runs);
	json_object_clear(p->bridges);
	return FRAME_INDEX;
}

static int take(struct player *p, const json_t *o, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const char *kind = json_string_value(json_object_get(o, "f"));

	if (schema)
		return take_header(p, o, schema, e);
	if (!kind)
		return bad(e, "a line that is no frame of a recording");
	if (!strcmp(kind, "index"))
		return take_index(p);
	if (!strcmp(kind, "machine"))
		return take_machine(p, o);
	if (!strcmp(kind, "device"))
		return take_state(p->devices, o, PROBE_GPUS_MAX, e);
	if (!strcmp(kind, "run"))
		return take_state(p->runs, o, SNAP_RUNS_MAX, e);
	if (!strcmp(kind, "bridge"))
		return take_state(p->bridges, o, SNAP_BRIDGES_MAX, e);
	if (!strcmp(kind, "moment"))
		return FRAME_MOMENT;
	return !strcmp(kind, "event") ? FRAME_EVENT : FRAME_OTHER;
}

int player_line(struct player *p, const char *line, size_t size, struct err *e)
{
	json_t *o = size < RECORDING_LINE_MAX ? json_parse(line, size, "the recording", e) : NULL;
	json_int_t t = json_integer_value(json_object_get(o, "t"));
	int rc;

	if (!o)
		return size < RECORDING_LINE_MAX ? -EBADMSG
						 : bad(e, "the recording has a line too long");
	rc = t < 0 || (uint64_t)t > RECORDING_MS_MAX
		     ? bad(e, "the recording has a time that cannot be")
		     : take(p, o, e);
	/* Another boot begins with a header, and may be earlier. */
	if (rc == FRAME_HEADER || (rc >= 0 && (uint64_t)t > p->ms))
		p->ms = (uint64_t)t;
	json_decref(o);
	return rc;
}

int recording_peek(const char *line, size_t size, uint64_t *ms)
{
	/* The keys are written in this order; a whole parse of each line would be slow. */
	static const char index[] = "\"f\":\"index\"";
	static const char time_key[] = "{\"t\":";
	const char *at = line + sizeof(time_key) - 1, *end = line + size;
	uint64_t v = 0;

	if (size < sizeof(time_key) || memcmp(line, time_key, sizeof(time_key) - 1) != 0)
		return size > 10 && memmem(line, size, "\"schema\"", 8) ? FRAME_HEADER : -EBADMSG;
	while (at < end && *at >= '0' && *at <= '9' && v <= RECORDING_MS_MAX)
		v = v * 10 + (uint64_t)(*at++ - '0');
	if (v > RECORDING_MS_MAX)
		return -EBADMSG;
	*ms = v;
	return (size_t)(end - at) >= sizeof(index) && memcmp(at + 1, index, sizeof(index) - 1) == 0
		       ? FRAME_INDEX
		       : FRAME_STATE;
}

/* --- snapshots --- */

static void put_clock(const struct player *p, struct snapshot *s)
{
	time_t at = (time_t)(((int64_t)p->ms + p->clock_ms) / 1000);
	struct tm tm;

	s->clock[0] = '\0';
	if (p->clock_ms && localtime_r(&at, &tm))
		strftime(s->clock, sizeof(s->clock), "%Y-%m-%d %H:%M:%S", &tm);
}

static void put_devices(struct player *p, struct snapshot *s)
{
	const char *pci;
	json_t *state;

	free(p->made);
	p->made = p->machine ? calloc(1, sizeof(*p->made)) : NULL;
	s->report = p->made;
	if (!p->made)
		return;
	frame_to_machine(p->machine, p->made);
	json_object_foreach(p->devices, pci, state)
	{
		uint32_t i = p->made->n_gpus++;

		s->devices[i] = (struct device_seen) { 0 };
		frame_to_device(state, &p->made->gpus[i], &s->devices[i]);
	}
}

void player_snapshot(struct player *p, struct snapshot *s)
{
	const char *key;
	json_t *state;

	put_devices(p, s);
	s->n_runs = s->n_bridges = s->n_runs_left_out = 0;
	json_object_foreach(p->runs, key, state)
	{
		struct run_seen *r = &s->runs[s->n_runs++];

		memset(r, 0, sizeof(*r));
		frame_to_run(state, r);
	}
	json_object_foreach(p->bridges, key, state)
	{
		struct bridge_seen *b = &s->bridges[s->n_bridges++];

		memset(b, 0, sizeof(*b));
		text_copy(b->key, sizeof(b->key), key);
		text_clean(b->key);
		frame_to_bridge(state, b);
	}
	s->device_error[0] = '\0';
	s->device_age_ms = 0;
	s->now_ns = p->ms * 1000000;
	text_copy(s->origin_name, sizeof(s->origin_name), p->origin);
	put_clock(p, s);
}

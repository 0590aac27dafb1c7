/* SPDX-License-Identifier: MIT */
/* What a recording gives back is what went in, however it was cut; and lines of anybody's making. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tests/unit/harness.h"
#include "tui/frames.h"
#include "tui/recording.h"

/* Lines as they were written. */
struct tape {
	size_t n, room;
	char *bytes;
	size_t fail_after; /* lines; 0: never */
	size_t lines;
};

static int to_tape(void *ctx, const char *line, size_t size)
{
	struct tape *t = ctx;

	if (t->fail_after && ++t->lines > t->fail_after)
		return -ENOSPC;
	assert_int_equal(line[size - 1], '\n');
	if (t->n + size > t->room) {
		t->room = 2 * (t->n + size);
		t->bytes = realloc(t->bytes, t->room);
		assert_non_null(t->bytes);
	}
	memcpy(t->bytes + t->n, line, size);
	t->n += size;
	return 0;
}

static void play(struct player *p, const char *bytes, size_t n)
{
	const char *end = bytes + n, *next;
	struct err e = { 0 };

	for (; (next = memchr(bytes, '\n', (size_t)(end - bytes))); bytes = next + 1)
		assert_true(player_line(p, bytes, (size_t)(next - bytes), &e) >= 0);
}

/* A machine with two GPUs and a run, all members in use. */
struct stage {
	struct snapshot snap;
	struct report *report;
};

static void put_gpu(struct gpu *g, const char *pci, int64_t seed)
{
	strcpy(g->pci, pci);
	g->vendor = 0x1002;
	g->device = 0x744c;
	g->class = 0x030000;
	g->name = fact_text_of("Radeon \xC3\xA4", SRC_PCI);
	g->driver = fact_text_of("amdgpu", SRC_SYSFS);
	g->awake = AWAKE_YES;
	g->kind = GPU_EXTERNAL;
	g->vram_total = fact_of(INT64_C(16) << 30, SRC_SYSFS);
	g->vram_used = fact_of(seed << 20, SRC_SYSFS);
	g->power_mw = fact_unknown(WHY_ASLEEP);
	g->temp_mc = fact_of(54000, SRC_HWMON);
	g->live.throttle = fact_text_of("thermal", SRC_SYSFS);
	g->link.n_hops = 2;
	g->link.bottleneck = 1;
	g->link.cause = LINK_CAUSE_TUNNEL;
	strcpy(g->link.hops[1].pci, "0000:00:01.1");
	g->link.hops[1].kind = HOP_TUNNEL;
	g->link.hops[1].speed_mts = fact_of(16000, SRC_SYSFS);
	g->holders.n_procs = 1;
	g->holders.procs[0].pid = 4711;
	strcpy(g->holders.procs[0].name, "blender");
	g->holders.procs[0].vram = fact_of(1 << 20, SRC_PROC);
}

static struct stage *stage_make(void)
{
	struct stage *st = calloc(1, sizeof(*st));
	struct run_seen *r = &st->snap.runs[0];

	st->report = calloc(1, sizeof(*st->report));
	st->snap.report = st->report;
	st->report->host = fact_text_of("ws1", SRC_SYSFS);
	st->report->cpu.ram_total = fact_of(INT64_C(64) << 30, SRC_PROC);
	st->report->n_gpus = 2;
	put_gpu(&st->report->gpus[0], "0000:03:00.0", 7);
	put_gpu(&st->report->gpus[1], "0000:c1:00.0", 8);
	st->snap.devices[1].lost = true;
	st->snap.devices[1].waiting_ms = 12000;
	st->snap.now_ns = UINT64_C(100000) * 1000000000;
	st->snap.n_runs = 1;
	strcpy(r->name, "chat");
	strcpy(r->file, "chat.telem");
	strcpy(r->phase, "ready");
	r->supervised = true;
	r->starts = 2;
	r->page.header.writer_pid = 99;
	strcpy(r->page.run.model, "tiny");
	r->page.run.state = TELEM_GENERATING;
	r->page.run.n_seq = 2;
	r->page.run.n_devices = 1;
	r->page.run.seq_tokens[1] = 33;
	r->page.run.counts.requests = TELEM_UNKNOWN;
	r->page.run.devices[0].measured.other = TELEM_UNKNOWN;
	r->page.run.devices[0].measured.kv = 1 << 30;
	st->snap.n_bridges = 1;
	strcpy(st->snap.bridges[0].key, "0000:05:00.0 bridge");
	st->snap.bridges[0].pid = 12;
	strcpy(st->snap.bridges[0].page.pci, "0000:05:00.0");
	st->snap.bridges[0].page.counts.interrupts = TELEM_UNKNOWN;
	st->snap.bridges[0].page.regions[TELEM_BAR0].size_bytes = 4096;
	return st;
}

static void stage_free(struct stage *st)
{
	free(st->report);
	free(st);
}

static void assert_json(json_t *a, json_t *b)
{
	if (!json_equal(a, b)) {
		own_free char *x = json_dumps(a, JSON_INDENT(1)),
			      *y = json_dumps(b, JSON_INDENT(1));

		fail_msg("differ:\n%s\n%s", x, y);
	}
	json_decref(a);
	json_decref(b);
}

static void assert_same(const struct snapshot *a, const struct snapshot *b)
{
	assert_int_equal(a->report->n_gpus, b->report->n_gpus);
	assert_int_equal(a->n_runs, b->n_runs);
	assert_true(a->now_ns / 1000000 == b->now_ns / 1000000);
	assert_json(frame_of_machine(a->report, NULL), frame_of_machine(b->report, NULL));
	for (uint32_t i = 0; i < a->report->n_gpus; i++)
		assert_json(frame_of_device(&a->report->gpus[i], &a->devices[i], NULL),
			    frame_of_device(&b->report->gpus[i], &b->devices[i], NULL));
	for (uint32_t i = 0; i < a->n_runs; i++)
		assert_json(frame_of_run(&a->runs[i], NULL), frame_of_run(&b->runs[i], NULL));
	assert_int_equal(a->n_bridges, b->n_bridges);
	for (uint32_t i = 0; i < a->n_bridges; i++) {
		assert_string_equal(a->bridges[i].key, b->bridges[i].key);
		assert_memory_equal(&a->bridges[i].page, &b->bridges[i].page,
				    sizeof(a->bridges[i].page));
	}
}

/* Something changes each second, and now and then what there is. */
static void step(struct stage *st, uint32_t i)
{
	struct run_seen *r = &st->snap.runs[0];

	st->snap.now_ns += 1000000000;
	st->report->gpus[0].vram_used.v = (int64_t)i << 16;
	st->report->gpus[0].power_mw = i % 7 ? fact_of(70000 + i, SRC_HWMON)
					     : fact_unknown(WHY_GARBLED);
	st->report->n_gpus = i % 50 < 40 ? 2 : 1;
	st->snap.n_runs = i % 90 < 80;
	r->page.run.counts.generated_tokens += i % 5;
	st->snap.n_bridges = i % 70 < 60;
	telem_access(&st->snap.bridges[0].page, i % TELEM_REGIONS, i % 3, i * 100);
	if (i % 40 == 0) /* another server: counters begin anew, a region is gone */
		memset(st->snap.bridges[0].page.regions, 0,
		       sizeof(st->snap.bridges[0].page.regions));
	r->rc = i % 33 == 0 ? -ENOENT : 0;
}

static void what_goes_in_comes_out(void **state)
{
	struct stage *st = stage_make();
	struct recorder *rec = recorder_new();
	struct player *p = player_new();
	struct snapshot *out = calloc(1, sizeof(*out));
	struct tape t = { 0 };
	size_t at = 0, first = 0;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		step(st, i);
		at = t.n;
		assert_int_equal(recorder_moment(rec, &st->snap, to_tape, &t), 0);
		first = first ? first : t.n;
		play(p, t.bytes + at, t.n - at);
		player_snapshot(p, out);
		assert_same(&st->snap, out);
	}
	/* Not all of it each second: that is what the format is for. */
	assert_true(t.n < 200 * first / 4);
	player_free(p);
	recorder_free(rec);
	free(out);
	free(t.bytes);
	stage_free(st);
}

/* From any index on, the moments are the same as from the beginning. */
static void an_index_needs_nothing_before_it(void **state)
{
	struct stage *st = stage_make();
	struct recorder *rec = recorder_new();
	struct player *p = player_new();
	struct snapshot *out = calloc(1, sizeof(*out));
	struct tape t = { 0 };
	uint32_t indexes = 0;
	uint64_t ms = 0, last = 0;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		step(st, i);
		assert_int_equal(recorder_moment(rec, &st->snap, to_tape, &t), 0);
	}
	char *line = t.bytes, *from = NULL, *end = t.bytes + t.n;

	for (char *next; (next = memchr(line, '\n', (size_t)(end - line))); line = next + 1) {
		int kind = recording_peek(line, (size_t)(next - line), &ms);

		assert_true(kind >= 0);
		if (kind != FRAME_INDEX)
			continue;
		from = line;
		assert_true(!indexes || ms - last == RECORDING_INDEX_MS);
		last = ms;
		indexes++;
	}
	assert_int_equal(indexes, 4); /* at 0, 60, 120 and 180 s */
	play(p, from, (size_t)(end - from));
	player_snapshot(p, out);
	assert_same(&st->snap, out);
	player_free(p);
	recorder_free(rec);
	free(out);
	free(t.bytes);
	stage_free(st);
}

/* --- changes --- */

/* What differs; NULL: a key is gone. As a reader of two whole frames would say it. Takes both over. */
static json_t *difference(json_t *before, json_t *after)
{
	json_t *changed = json_object(), *v;
	const char *key;
	bool all = true;

	json_object_foreach(before, key, v) all = all && json_object_get(after, key);
	json_object_foreach(after, key, v)
	{
		if (!json_equal(v, json_object_get(before, key)))
			json_object_set(changed, key, v);
	}
	json_decref(before);
	json_decref(after);
	if (all)
		return changed;
	json_decref(changed);
	return NULL;
}

static void assert_change(json_t *change, json_t *want)
{
	assert_int_equal(!change, !want);
	if (want)
		assert_json(want, change);
}

static uint32_t dice(uint64_t *seed, uint32_t n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33) % n;
}

/* Any of the facts, texts and numbers of a device, to one of few values, so that some stay as they are. */
static void change_device(struct gpu *g, struct device_seen *seen, uint64_t *seed)
{
	struct fact *const facts[] = { &g->power_mw,           &g->vram_used,
				       &g->live.energy_uj,     &g->link.bytes_per_s,
				       &g->holders.unseen,     &g->boot_vga,
				       &g->link.hops[1].width, &g->holders.procs[0].vram };
	struct fact_text *const texts[] = { &g->driver, &g->live.throttle,
					    &g->holders.procs[0].engines };
	struct fact *f = facts[dice(seed, COUNT(facts))];
	struct fact_text *t = texts[dice(seed, COUNT(texts))];

	*f = dice(seed, 4) ? fact_of(dice(seed, 2), dice(seed, 9) ? SRC_SYSFS : SRC_CACHE)
			   : fact_unknown(dice(seed, 2) ? WHY_ASLEEP : WHY_TIMEOUT);
	if (dice(seed, 3) == 0)
		*t = dice(seed, 4) ? fact_text_of(dice(seed, 2) ? "a" : "b", SRC_SYSFS)
				   : fact_text_unknown(WHY_NO_DRIVER);
	switch (dice(seed, 12)) {
	case 0:
		g->awake = dice(seed, 3);
		break;
	case 1:
		g->kind = dice(seed, GPU_KIND_COUNT);
		break;
	case 2:
		g->link.n_hops = 1 + dice(seed, 3);
		break;
	case 3:
		g->holders.n_procs = dice(seed, 3);
		break;
	case 4:
		g->holders.procs[0].pid = dice(seed, 2);
		break;
	case 5:
		g->link.hops[0].kind = dice(seed, HOP_COUNT);
		break;
	case 6:
		seen->waiting_ms = dice(seed, 3000);
		break;
	case 7:
		seen->lost = dice(seed, 2);
		break;
	case 8:
		g->device = dice(seed, 2);
		break;
	case 9:
		g->driver_note[0] = dice(seed, 2) ? 'x' : '\0';
		break;
	case 10:
		g->link.cause = dice(seed, LINK_CAUSE_COUNT);
		g->link.bottleneck = (int)dice(seed, 3) - 1;
		break;
	default:
		g->holders.n_left_out = dice(seed, 2);
	}
}

static void a_device_tells_what_changed(void **state)
{
	struct stage *st = stage_make();
	struct gpu *g = &st->report->gpus[0];
	struct device_told *was = calloc(1, sizeof(*was));
	uint32_t whole = 0, none = 0;
	uint64_t seed = 6;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		was->gpu = *g;
		was->seen = st->snap.devices[0];
		change_device(g, &st->snap.devices[0], &seed);
		json_t *change = frame_of_device(g, &st->snap.devices[0], was);

		whole += !change;
		none += change && json_object_size(change) == 0;
		assert_change(change, difference(frame_of_device(&was->gpu, &was->seen, NULL),
						 frame_of_device(g, &st->snap.devices[0], NULL)));
	}
	assert_in_range(whole, 100, 4000);
	assert_in_range(none, 100, 4000);
	free(was);
	stage_free(st);
}

static void change_run(struct run_seen *r, uint64_t *seed)
{
	struct telem_run *run = &r->page.run;

	switch (dice(seed, 12)) {
	case 0:
		r->rc = dice(seed, 2) ? 0 : -EBUSY;
		break;
	case 1:
		r->life = dice(seed, TELEM_DEAD + 1);
		break;
	case 2:
		r->supervised = dice(seed, 2);
		break;
	case 3:
		r->phase[0] = dice(seed, 2) ? 'x' : 'y';
		break;
	case 4:
		run->n_seq = dice(seed, 4);
		break;
	case 5:
		run->seq_tokens[dice(seed, 4)] = dice(seed, 2);
		break;
	case 6:
		run->n_devices = dice(seed, 3);
		break;
	case 7:
		run->devices[0].energy_uj = dice(seed, 2) ? TELEM_UNKNOWN : 5;
		break;
	case 8:
		run->ctx_used_tokens = dice(seed, 2) ? TELEM_UNKNOWN32 : 5;
		break;
	case 9:
		run->counts.requests = dice(seed, 2) ? TELEM_UNKNOWN : 5;
		break;
	case 10:
		run->model[0] = dice(seed, 2) ? 'm' : 'n';
		break;
	default:
		r->page.header.writer_pid = (int32_t)dice(seed, 2);
	}
}

static void a_run_tells_what_changed(void **state)
{
	struct stage *st = stage_make();
	struct run_seen *r = &st->snap.runs[0], *was = calloc(1, sizeof(*was));
	uint32_t whole = 0, none = 0;
	uint64_t seed = 7;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		*was = *r;
		change_run(r, &seed);
		json_t *change = frame_of_run(r, was);

		whole += !change;
		none += change && json_object_size(change) == 0;
		assert_change(change, difference(frame_of_run(was, NULL), frame_of_run(r, NULL)));
	}
	assert_in_range(whole, 50, 4000);
	assert_in_range(none, 100, 4900);
	free(was);
	stage_free(st);
}

/* Two pages of one name, in two folders: what is told of the second is told against the first. */
static void two_of_a_name_leave_the_last(void **state)
{
	struct stage *st = stage_make();
	struct recorder *rec = recorder_new();
	struct player *p = player_new();
	struct snapshot *out = calloc(1, sizeof(*out));
	struct run_seen *r = st->snap.runs;
	struct tape t = { 0 };

	(void)state;
	r[1] = r[0];
	r[1].page.run.counts.generated_tokens = 500;
	st->snap.n_runs = 2;
	for (uint32_t i = 0; i < 3; i++) {
		st->snap.now_ns += 1000000000;
		r[0].page.run.counts.prompt_tokens += i; /* of the first alone */
		assert_int_equal(recorder_moment(rec, &st->snap, to_tape, &t), 0);
	}
	play(p, t.bytes, t.n);
	player_snapshot(p, out);
	assert_int_equal(out->n_runs, 1);
	assert_json(frame_of_run(&r[1], NULL), frame_of_run(&out->runs[0], NULL));
	player_free(p);
	recorder_free(rec);
	free(out);
	free(t.bytes);
	stage_free(st);
}

static void a_full_disk_ends_no_recording(void **state)
{
	struct stage *st = stage_make();
	struct recorder *rec = recorder_new();
	struct tape t = { .fail_after = 3 };

	(void)state;
	assert_int_equal(recorder_moment(rec, &st->snap, to_tape, &t), -ENOSPC);
	t.fail_after = 0;
	t.n = 0;
	step(st, 1);
	assert_int_equal(recorder_moment(rec, &st->snap, to_tape, &t), 0);

	/* It began anew: what could not be written is not missed. */
	struct player *p = player_new();
	struct snapshot *out = calloc(1, sizeof(*out));

	play(p, t.bytes, t.n);
	player_snapshot(p, out);
	assert_same(&st->snap, out);
	player_free(p);
	recorder_free(rec);
	free(out);
	free(t.bytes);
	stage_free(st);
}

static void garbage_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"x",
		"[]",
		"{}",
		"{\"t\":1}",
		"{\"t\":-1,\"f\":\"index\"}",
		"{\"t\":9999999999999999,\"f\":\"index\"}",
		"{\"t\":1,\"f\":\"device\"}",
		"{\"schema\":\"berth.recording/2\",\"t\":1}",
		"{\"schema\":\"berth.plan/1\"}",
	};
	struct player *p = player_new();

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct err e = { 0 };

		assert_int_equal(player_line(p, lines[i], strlen(lines[i]), &e), -EBADMSG);
		assert_true(e.text[0]);
	}
	player_free(p);
}

static void absurd_values_are_unknown(void **state)
{
	static const char *const lines[] = {
		"{\"t\":5,\"f\":\"index\"}",
		"{\"t\":5,\"f\":\"machine\",\"id\":\"\",\"full\":{}}",
		"{\"t\":5,\"f\":\"device\",\"id\":\"a\",\"full\":{\"vram_total_bytes\":-5,"
		"\"vram_total_bytes_src\":\"sysfs\",\"vram_used_bytes\":9223372036854775807,"
		"\"vram_used_bytes_src\":\"sysfs\",\"kind\":99,\"link_bottleneck\":7,\"hops\":[{\"kind\":-1}],"
		"\"pci\":\"0123456789012345678901234567890\"}}",
		("{\"t\":6,\"f\":\"run\",\"id\":\"r\",\"full\":{\"rc\":0,\"life\":77,\"state\":-3,"
		 "\"devices\":[1,2,{}],\"starts\":-1}}"),
		"{\"t\":7,\"f\":\"new thing\",\"id\":\"a\"}",
		"{\"t\":7,\"f\":\"run\",\"id\":\"never told\",\"d\":{\"rc\":0}}",
	};
	struct player *p = player_new();
	struct snapshot *s = calloc(1, sizeof(*s));

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_true(player_line(p, lines[i], strlen(lines[i]), NULL) >= 0);
	player_snapshot(p, s);
	assert_int_equal(s->report->n_gpus, 1);
	const struct gpu *g = &s->report->gpus[0];

	assert_false(fact_known(&g->vram_total));
	assert_false(fact_known(&g->vram_used));
	assert_int_equal(g->kind, GPU_UNKNOWN);
	assert_int_equal(g->link.bottleneck, -1);
	assert_int_equal(strlen(g->pci), sizeof(g->pci) - 1);
	assert_int_equal(s->n_runs, 1);
	assert_int_equal(s->runs[0].life, TELEM_DEAD);
	assert_int_equal(s->runs[0].page.run.state, TELEM_FAILED);
	assert_int_equal(s->runs[0].page.run.n_devices, 3);
	player_free(p);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(an_index_needs_nothing_before_it),
		cmocka_unit_test(a_device_tells_what_changed),
		cmocka_unit_test(a_run_tells_what_changed),
		cmocka_unit_test(two_of_a_name_leave_the_last),
		cmocka_unit_test(a_full_disk_ends_no_recording),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(absurd_values_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

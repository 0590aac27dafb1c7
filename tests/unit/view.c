/* SPDX-License-Identifier: MIT */
/* What top shows, from snapshots made by hand: no terminal, no probe, no clock. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/moment.h"
#include "tui/picture.h"

#define MIB (UINT64_C(1) << 20)

struct stage {
	struct snapshot snap;
	struct report report;
};

static struct stage *stage_new(void)
{
	struct stage *st = calloc(1, sizeof(*st));

	st->report.host = fact_text_of("ws1", SRC_PROC);
	st->report.cpu.name = fact_text_of("Ryzen 9 9950X", SRC_HWLOC);
	st->report.cpu.ram_total = fact_of(128 * GIB, SRC_PROC);
	st->report.cpu.ram_available = fact_of(96 * GIB, SRC_PROC);
	st->snap.report = &st->report;
	st->snap.interval_ms = 1000;
	st->snap.now_ns = 100 * SECOND;
	strcpy(st->snap.clock, "12:34:56");
	return st;
}

static struct gpu *add_gpu(struct stage *st, const char *pci, const char *name)
{
	struct gpu *g = &st->report.gpus[st->report.n_gpus++];

	strcpy(g->pci, pci);
	g->name = fact_text_of(name, SRC_PCI);
	g->driver = fact_text_of("nvidia", SRC_SYSFS);
	g->awake = AWAKE_YES;
	return g;
}

static struct gpu *add_full_gpu(struct stage *st)
{
	struct gpu *g = add_gpu(st, "0000:01:00.0", "GeForce RTX 5090");

	g->vram_total = fact_of(32 * GIB, SRC_NVML);
	g->vram_used = fact_of(16 * GIB, SRC_NVML);
	g->power_mw = fact_of(411600, SRC_NVML);
	g->power_cap_mw = fact_of(575000, SRC_NVML);
	g->temp_mc = fact_of(71000, SRC_NVML);
	return g;
}

static struct run_seen *add_run(struct stage *st, const char *model)
{
	struct run_seen *r = moment_run(&st->snap.runs[st->snap.n_runs++], "r1.telem", model);
	struct telem_run *run = &r->page.run;

	r->page.header.writer_pid = 4711;
	run->ctx_tokens = 8192;
	run->ctx_used_tokens = 1024;
	run->counts.prompt_tokens = 1000;
	run->counts.prompt_ns = 500000000;
	run->counts.generated_tokens = 101; /* 100 after the first */
	run->counts.generated_ns = 4000000000;
	run->n_devices = 2;
	strcpy(run->devices[0].name, "CUDA0");
	run->devices[0].layers_asked = run->devices[0].layers_verified = 30;
	run->devices[0].planned = (struct telem_bytes) { 8192 * MIB, 2048 * MIB, 1024 * MIB, 0 };
	run->devices[0].measured = (struct telem_bytes) { 8192 * MIB, 2048 * MIB, 1024 * MIB, 0 };
	strcpy(run->devices[1].name, "CPU");
	run->devices[1].layers_asked = run->devices[1].layers_verified = 3;
	run->devices[1].planned = (struct telem_bytes) { 1024 * MIB, 0, 0, 0 };
	run->devices[1].measured = (struct telem_bytes) { 1024 * MIB, 0, 128 * MIB, 0 };
	run->ring[0] = (struct telem_sample) { st->snap.now_ns - 1500000000, 0, 50 };
	run->ring[1] = (struct telem_sample) { st->snap.now_ns - 500000000, 0, 82 };
	run->ring_next = 2;
	return r;
}

/* The whole view as one text. */
static char *text_of(const struct stage *st, uint32_t cols, bool utf8)
{
	char row[4 * VIEW_COLS_MAX + 1];
	struct view v;
	char *all = calloc(1, 1);

	view_init(&v, cols, utf8);
	view_make(&v, &(struct frame) { .snap = &st->snap });
	for (uint32_t i = 0; i < v.n_rows; i++) {
		const char *line = view_text(&v, i, row);

		all = realloc(all, strlen(all) + strlen(line) + 2);
		strcat(strcat(all, line), "\n");
	}
	view_fini(&v);
	return all;
}

static void shows(const struct stage *st, uint32_t cols, const char *want)
{
	char *got = text_of(st, cols, false);

	if (strcmp(got, want))
		print_error("at %u columns:\n%s", cols, got);
	assert_string_equal(got, want);
	free(got);
}

static void says(const struct stage *st, const char *words)
{
	char *got = text_of(st, 80, false);

	if (!strstr(got, words))
		print_error("no '%s' in:\n%s", words, got);
	assert_non_null(strstr(got, words));
	free(got);
}

static void says_not(const struct stage *st, const char *words)
{
	char *got = text_of(st, 80, false);

	if (strstr(got, words))
		print_error("'%s' in:\n%s", words, got);
	assert_null(strstr(got, words));
	free(got);
}

static void a_working_machine(void **state)
{
	struct stage *st = stage_new();

	(void)state;
	add_full_gpu(st);
	add_run(st, "chat-55b Q4_K_M");
	shows(st, 80,
	      "berth top  ws1  12:34:56  1 GPU  1 run  every 1.0 s\n"
	      "DEVICE                    MEMORY            USED/TOTAL     POWER  TEMP STATE\n"
	      "01:00.0 GeForce RTX 5090  [WWKCOO......] 16.0/32.0 GiB 412/575 W  71 C ok\n"
	      "CPU Ryzen 9 9950X         [WCO.........]    32/128 GiB         -     - ok\n"
	      "\n"
	      "RUN               STATE      LAYERS           CONTEXT PROMPT t/s NOW t/s AVG t/s\n"
	      "chat-55b Q4_K_M   generating verified       1024/8192       2000    32.0    25.0\n"
	      "  on CUDA0 01:00.0 30/30, CPU 3/3 layers  drift +1.0% of 12.0 GiB planned\n");
	shows(st, 40,
	      "berth top  ws1  12:34:56  1 GPU  1 run\n"
	      "DEVICE              USED/TOTAL STATE\n"
	      "01:00.0 GeForce  16.0/32.0 GiB ok\n"
	      "CPU Ryzen 9 9950    32/128 GiB ok\n"
	      "\n"
	      "RUN              STATE      LAYERS\n"
	      "chat-55b Q4_K_M  generating verified\n"
	      "  on CUDA0 01:00.0 30/30, CPU 3/3 layers\n"
	      "  drift +1.0% of 12.0 GiB planned\n");
	shows(st, 120,
	      "berth top  ws1  12:34:56  1 GPU  1 run  every 1.0 s\n"
	      "DEVICE                            MEMORY                    USED/TOTAL     POWER  TEMP  BUSY STATE     LINK        CLOCK\n"
	      "01:00.0 GeForce RTX 5090          [WWWWWKCOOO..........] 16.0/32.0 GiB 412/575 W  71 C     - ok        -               -\n"
	      "CPU Ryzen 9 9950X                 [WCOOO...............]    32/128 GiB         -     -     - ok        -               -\n"
	      "\n"
	      "RUN                            STATE      LAYERS                      CONTEXT PROMPT t/s  NOW t/s  AVG t/s   FIRST QUEUE\n"
	      "chat-55b Q4_K_M                generating verified             1024/8192  12%       2000     32.0     25.0       -     0\n"
	      "  on CUDA0 01:00.0 30/30, CPU 3/3 layers  drift +1.0% of 12.0 GiB planned\n");
	free(st);
}

static void nothing_known(void **state)
{
	struct stage *st = stage_new();
	struct gpu *g = &st->report.gpus[0];

	(void)state;
	st->report.cpu = (struct cpu) { 0 };
	st->report.host = fact_text_unknown(WHY_NONE);
	st->report.n_gpus = 1;
	strcpy(g->pci, "0000:05:00.0");
	g->vendor = 0x1002;
	g->device = 0x744c;
	shows(st, 80,
	      "berth top  12:34:56  1 GPU  0 runs  every 1.0 s\n"
	      "DEVICE                    MEMORY            USED/TOTAL     POWER  TEMP STATE\n"
	      "05:00.0 1002:744c         not asked                  -         -     - unknown\n"
	      "CPU                       not asked                  -         -     - ok\n"
	      "\n"
	      "No runs; 'berth launch MODEL' starts one.\n");
	free(st);
}

static void no_gpu(void **state)
{
	struct stage *st = stage_new();

	(void)state;
	says(st, "0 GPUs");
	says(st, "No GPU found; the CPU is the device.");
	says(st, "No runs");
	free(st);
}

static void states_of_devices(void **state)
{
	struct stage *st = stage_new();
	struct gpu *g = add_gpu(st, "0000:02:00.0", "Sleeper");

	(void)state;
	g->awake = AWAKE_NO;
	g->vram_total = fact_unknown(WHY_ASLEEP);
	says(st, "ASLEEP");
	says(st, "02:00.0");
	g->awake = AWAKE_YES;
	g->driver = fact_text_unknown(WHY_NO_DRIVER);
	says(st, "no driver");
	g->driver = fact_text_unknown(WHY_GARBLED);
	says(st, "unknown");
	assert_int_equal(judge_device(&st->snap, 0), DEVICE_UNKNOWN);
	/* Who should tell of it crashes: its driver being there does not make it well. */
	g->driver = fact_text_of("nvidia", SRC_SYSFS);
	g->vram_used = fact_unknown(WHY_GARBLED);
	assert_int_equal(judge_device(&st->snap, 0), DEVICE_OK); /* one number may be odd */
	g->power_mw = fact_unknown(WHY_GARBLED);
	assert_int_equal(judge_device(&st->snap, 0), DEVICE_UNKNOWN);
	free(st);
}

static void squeeze(char *to, const char *text)
{
	for (; *text; text++)
		if (*text != ' ')
			*to++ = *text;
	*to = '\0';
}

/* A page of it has all of the text, however narrow it is; where words part is not looked at. */
static void is_whole(const struct frame *f, const char *said)
{
	char want[256], got[16384], row[4 * VIEW_COLS_MAX + 1];
	struct picture *p = calloc(1, sizeof(*p));

	squeeze(want, said);
	for (uint32_t cols = 9; cols <= 180; cols++) {
		picture_init(p);
		picture_make(p, f, cols, 90, true);
		got[0] = '\0';
		for (uint32_t i = 0; i < p->view.n_rows; i++)
			squeeze(got + strlen(got), view_text(&p->view, i, row));
		if (!strstr(got, want))
			print_error("%u columns: %s\n", cols, got);
		assert_non_null(strstr(got, want));
		picture_fini(p);
	}
	free(p);
}

/* On the page of events nothing is cut, however narrow it is: it may be the name of a file. */
static void events_are_told_whole(void **state)
{
	static const char said[] =
		"What came before the alarm is saved in /home/\xe6\xbc\xa2\xe5\xad\x97/.local/state/berth/"
		"alarm-2026-11-22T02-14-53.berthrec  and so on.";
	struct stage *st = stage_new();
	struct events *ev = calloc(1, sizeof(*ev));
	struct prefs prefs;
	struct ui ui = { .page = PAGE_EVENTS };
	struct frame f = { .snap = &st->snap, .events = ev, .prefs = &prefs, .ui = &ui };

	(void)state;
	prefs_default(&prefs);
	events_say(ev, &st->snap, SEVERITY_BAD, said);
	is_whole(&f, said);
	free(ev);
	free(st);
}

static void what_does_not_fit_is_told_whole(void **state)
{
	static const char why[] =
		"/home/me/store/broken.gguf: not a GGUF file: it begins with 62d24436";
	struct stage *st = stage_new();
	struct fits *fits = calloc(1, sizeof(*fits));
	struct prefs prefs;
	struct ui ui = { .page = PAGE_FITS };
	struct frame f = { .snap = &st->snap, .fits = fits, .prefs = &prefs, .ui = &ui };

	(void)state;
	prefs_default(&prefs);
	fits->state = FITS_KNOWN;
	fits->n = 2;
	strcpy(fits->rows[0].verdict, "fits");
	strcpy(fits->rows[0].name, "Some-Model-Of-Seventy-Billions-Q4_K_M.gguf");
	strcpy(fits->rows[1].name, "broken.gguf");
	strcpy(fits->rows[1].decided_by, why);
	is_whole(&f, why);
	is_whole(&f, fits->rows[0].name);
	free(fits);
	free(st);
}

/* 16 devices: each has its row, in order, and no row is wider than the view. */
static void sixteen_devices(void **state)
{
	struct stage *st = stage_new();
	char pci[32];

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		snprintf(pci, sizeof(pci), "0000:%02x:00.0", i);
		add_gpu(st, pci, "Card")->vram_total = fact_of((int64_t)i * GIB, SRC_DRM);
	}
	for (unsigned i = 0; i < 16; i++) {
		snprintf(pci, sizeof(pci), "\n%02x:00.0 Card", i);
		says(st, pci);
	}
	free(st);
}

static void states_of_runs(void **state)
{
	struct stage *st = stage_new();
	struct run_seen *r = add_run(st, "m");

	(void)state;
	says(st, "generating");
	says(st, "verified");
	says_not(st, "NOT VERIFIED");
	says(st, " 32.0");
	r->page.run.devices[1].layers_verified = 2;
	says(st, "NOT VERIFIED"); /* whatever the page claims */
	r->page.run.verified = 0;
	r->page.run.state = TELEM_STARTING;
	says(st, "not yet");
	says_not(st, "drift");
	r->page.run.state = TELEM_STOPPING;
	says(st, "stopping");
	r->page.run.state = TELEM_ASLEEP;
	says(st, "asleep");
	for (uint32_t i = 0; i < r->page.run.n_devices; i++)
		r->page.run.devices[i].measured = (struct telem_bytes) { 0 };
	says(st, "drift -"); /* nothing is loaded that could be compared */
	r->page.run.state = TELEM_READY;
	r->life = TELEM_STALE;
	says(st, "STALLED");
	r->life = TELEM_DEAD;
	says(st, "LOST");
	says(st, "writer dead: process 4711");
	says(st, "0 runs");
	r->page.run.state = TELEM_STOPPED;
	says(st, "stopped");
	says_not(st, "writer dead");
	r->page.run.state = TELEM_FAILED;
	says(st, "FAILED");
	free(st);
}

/* No sample, no speed: "-", not zero. */
static void no_speed_is_no_zero(void **state)
{
	struct stage *st = stage_new();
	struct telem_run *run = &add_run(st, "m")->page.run;

	(void)state;
	memset(run->ring, 0, sizeof(run->ring));
	run->counts.prompt_ns = run->counts.generated_ns = run->counts.generated_tokens = 0;
	assert_true(judge_rate_now(&st->snap.runs[0], st->snap.now_ns) < 0);
	assert_true(judge_prompt_rate(run) < 0);
	assert_true(judge_average_rate(run) < 0);
	says_not(st, " 0.0");
	free(st);
}

/* The dead hold nothing. What runs hold and what is left is what is used. */
static void memory_by_purpose(void **state)
{
	struct stage *st = stage_new();
	struct gpu *g = add_full_gpu(st);
	struct run_seen *r = add_run(st, "m");
	struct held h = judge_held(&st->snap, "0000:01:00.0", &g->vram_used);

	(void)state;
	assert_int_equal(h.weights, 8192 * MIB);
	assert_int_equal(h.kv, 2048 * MIB);
	assert_int_equal(h.compute, 1024 * MIB);
	assert_int_equal(h.other.v, 16 * GIB - 11 * GIB);
	h = judge_held(&st->snap, NULL, &g->vram_used);
	assert_int_equal(h.weights, 1024 * MIB);
	r->page.run.devices[0].measured.kv = TELEM_UNKNOWN;
	h = judge_held(&st->snap, "0000:01:00.0", &g->vram_used);
	assert_int_equal(h.kv, 0);
	r->page.run.devices[0].measured.kv = UINT64_MAX - 1;
	h = judge_held(&st->snap, "0000:01:00.0", &g->vram_used);
	assert_int_equal(h.other.v, 0);
	r->life = TELEM_DEAD;
	h = judge_held(&st->snap, "0000:01:00.0", &g->vram_used);
	assert_int_equal(h.weights, 0);
	assert_int_equal(h.other.v, 16 * GIB);
	g->vram_used = fact_unknown(WHY_NEEDS_ROOT);
	h = judge_held(&st->snap, "0000:01:00.0", &g->vram_used);
	assert_false(fact_known(&h.other));
	says(st, "??");
	says(st, "-/32.0 GiB");
	free(st);
}

static void drift(void **state)
{
	struct stage *st = stage_new();
	struct telem_run *run = &add_run(st, "m")->page.run;
	double percent, measured, planned;

	(void)state;
	run->n_devices = 1;
	assert_true(judge_drift(run, &percent, &measured, &planned));
	assert_true(percent > -0.001 && percent < 0.001);
	run->devices[0].measured.kv = 1024 * MIB; /* 10 of 11 GiB */
	assert_true(judge_drift(run, &percent, &measured, &planned));
	assert_true(percent > -9.1 && percent < -9.0);
	run->devices[0].measured.weights = TELEM_UNKNOWN; /* 2 of 3 */
	assert_true(judge_drift(run, &percent, &measured, &planned));
	assert_true(percent > -33.4 && percent < -33.3);
	run->devices[0].planned = (struct telem_bytes) { TELEM_UNKNOWN, TELEM_UNKNOWN, 0, 0 };
	assert_false(judge_drift(run, &percent, &measured, &planned));
	says(st, "drift -");
	free(st);
}

static void notes_are_shown(void **state)
{
	struct stage *st = stage_new();
	struct run_seen *r = &st->snap.runs[st->snap.n_runs++];

	(void)state;
	r->rc = -EBADMSG;
	strcpy(r->note, "x.telem is not a telemetry page");
	st->snap.n_runs_left_out = 3;
	st->report.n_left_out = 2;
	says(st, "note: x.telem is not a telemetry page");
	says(st, "note: 3 more telemetry pages");
	says(st, "2 more display functions");
	st->snap.device_age_ms = 7000;
	says(st, "devices silent for 7 s");
	st->snap.paused = true;
	says(st, "PAUSED");
	st->snap.origin = ORIGIN_CAPTURED;
	says(st, "(captured)");
	says_not(st, "silent");
	free(st);
}

static void before_the_first_report(void **state)
{
	struct stage *st = stage_new();
	json_t *o;

	(void)state;
	st->snap.report = NULL;
	says(st, "reading the devices");
	strcpy(st->snap.device_error, "cannot read /sys");
	says(st, "cannot read /sys");
	says_not(st, "GPU");
	o = frame_to_json(&(struct frame) { .snap = &st->snap });
	assert_true(json_is_null(json_object_get(o, "devices"))); /* unknown, not none */
	assert_true(json_is_null(json_object_get(o, "cpu")));
	json_decref(o);
	free(st);
}

/* Nothing foreign reaches the terminal as a command, and columns stay where they are. */
static void hostile_names(void **state)
{
	static const char *const names[] = {
		"\033[2J\033[31mred",
		"a\nb\rc\td",
		"\xff\xfe\xc0\x80",
		"\xe2\x80\xaegpj",
		"\xed\xa0\x80\xf5",
		"%s%n%d",
		"\302\23331m", /* CSI as one C1 character; in octal, as hex would eat the digits */
		"\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad",
		"e\xcc\x81\xcc\x81",
		"\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stage *st = stage_new();
		struct gpu *g = add_full_gpu(st);
		struct telem_run *run = &add_run(st, names[i])->page.run;

		strcpy(g->name.v, names[i]);
		strcpy(run->devices[0].name, names[i]);
		for (int utf8 = 0; utf8 < 2; utf8++) {
			char *got = text_of(st, 80, utf8);

			assert_non_null(strstr(got, "16.0/32.0 GiB"));
			for (const char *c = got; *c; c++) {
				assert_true(*c == '\n' || (unsigned char)*c >= ' ');
				assert_true(utf8 || (unsigned char)*c < 0x7f);
			}
			assert_null(strstr(got, "\xc2\x9b"));
			assert_null(strstr(got, "\xe2\x80\xae"));
			free(got);
		}
		free(st);
	}
}

/* A wide character takes two cells, or is left out whole at the edge of its column. */
static void wide_characters(void **state)
{
	struct stage *st = stage_new();
	struct view v;
	char row[4 * VIEW_COLS_MAX + 1];

	(void)state;
	add_run(st, "\xe4\xb8\xad\xe6\x96\x87");
	view_init(&v, 80, true);
	view_make(&v, &(struct frame) { .snap = &st->snap });
	for (uint32_t i = 0; i < v.n_rows; i++) {
		const struct cell *cells = view_row(&v, i);

		if (cells[0].ch != 0x4e2d)
			continue;
		assert_int_equal(cells[1].ch, 0);
		assert_int_equal(cells[2].ch, 0x6587);
		assert_int_equal(cells[4].ch, ' ');
		assert_memory_equal(view_text(&v, i, row), "\xe4\xb8\xad\xe6\x96\x87 ", 7);
		view_fini(&v);
		free(st);
		return;
	}
	fail_msg("the name is not shown");
}

/* Any size: no row is lost or overrun (the sanitizers watch), and the first column stays. */
static void any_size(void **state)
{
	struct stage *st = stage_new();

	(void)state;
	add_full_gpu(st);
	add_run(st, "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87");
	for (uint32_t cols = 0; cols <= VIEW_COLS_MAX + 1; cols++) {
		struct view v;
		char row[4 * VIEW_COLS_MAX + 1];

		view_init(&v, cols, cols & 1);
		view_make(&v, &(struct frame) { .snap = &st->snap });
		assert_true(v.cols >= 1 && v.cols <= VIEW_COLS_MAX);
		assert_in_range(v.n_rows, 8, 9); /* drift has its own row where it must */
		for (uint32_t i = 0; i < v.n_rows; i++)
			assert_true(strlen(view_text(&v, i, row)) <= 4 * v.cols);
		assert_int_equal(view_text(&v, 0, row)[0], 'b');
		view_fini(&v);
	}
	free(st);
}

/* Unknown is null with a reason; a lie of a page does not become a number. */
static void as_json(void **state)
{
	struct stage *st = stage_new();
	struct telem_run *run;
	json_t *o, *r, *d;

	(void)state;
	add_gpu(st, "0000:02:00.0", "\xff\x1b");
	run = &add_run(st, "\xff")->page.run;
	run->devices[0].measured.kv = TELEM_UNKNOWN;
	run->devices[0].measured.compute = UINT64_MAX - 1;
	run->counts.prompt_ns = 0;
	run->counts.generated_tokens = UINT64_MAX;
	st->snap.runs[st->snap.n_runs].rc = -EBADMSG;
	strcpy(st->snap.runs[st->snap.n_runs++].note, "garbage");
	o = frame_to_json(&(struct frame) { .snap = &st->snap });
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "berth.top/1");
	d = json_array_get(json_object_get(o, "devices"), 0);
	assert_true(json_is_null(json_object_get(d, "vram_total_bytes")));
	assert_string_equal(json_string_value(json_object_get(d, "vram_total_bytes_why")),
			    "not asked");
	assert_int_equal(json_array_size(json_object_get(o, "runs")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "notes")), 1);
	r = json_array_get(json_object_get(o, "runs"), 0);
	assert_string_equal(json_string_value(json_object_get(r, "model")), "?");
	assert_true(json_is_null(json_object_get(r, "prompt_tokens_per_s")));
	assert_non_null(json_object_get(r, "prompt_tokens_per_s_why"));
	assert_true(json_is_null(json_object_get(r, "generated_tokens"))); /* the page's unknown */
	d = json_object_get(json_array_get(json_object_get(r, "devices"), 0), "measured");
	assert_true(json_is_null(json_object_get(d, "kv_bytes")));
	assert_true(json_is_null(json_object_get(d, "compute_bytes")));
	json_decref(o);
	free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_working_machine),
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(no_gpu),
		cmocka_unit_test(events_are_told_whole),
		cmocka_unit_test(what_does_not_fit_is_told_whole),
		cmocka_unit_test(states_of_devices),
		cmocka_unit_test(sixteen_devices),
		cmocka_unit_test(states_of_runs),
		cmocka_unit_test(no_speed_is_no_zero),
		cmocka_unit_test(memory_by_purpose),
		cmocka_unit_test(drift),
		cmocka_unit_test(notes_are_shown),
		cmocka_unit_test(before_the_first_report),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(wide_characters),
		cmocka_unit_test(any_size),
		cmocka_unit_test(as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Keys and pictures of them: what each key does, and a monkey at the keyboard of every size of screen. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "tests/unit/moment.h"
#include "tui/picture.h"

struct stage {
	struct snapshot snap;
	struct report report;
	struct history history;
	struct events events;
	struct prefs prefs;
	struct ui ui;
	struct picture picture;
	struct frame frame;
	uint32_t cols, rows;
};

static void draw(struct stage *st)
{
	picture_make(&st->picture, &st->frame, st->cols, st->rows, st->cols & 1);
	memcpy(st->ui.scroll, st->picture.scroll, sizeof(st->ui.scroll));
	st->ui.page_scroll = st->picture.page_scroll;
}

static void fill_runs(struct stage *st, uint32_t n)
{
	char file[32], model[32];

	st->snap.n_runs = n;
	for (uint32_t i = 0; i < n; i++) {
		struct run_seen *r = &st->snap.runs[i];

		snprintf(file, sizeof(file), "run-%u.telem", i);
		snprintf(model, sizeof(model), "model-%u", i);
		moment_run(r, file, model);
		r->page.header.writer_pid = 1000 + (int32_t)i;
	}
}

static void fill_gpus(struct stage *st, uint32_t n)
{
	st->report.n_gpus = n;
	for (uint32_t i = 0; i < n; i++) {
		struct gpu *g = moment_card(&st->report, i);

		g->vram_used = fact_of((int64_t)(i % 16) * GIB, SRC_SYSFS);
		g->power_mw = fact_of(1000 * (int64_t)(n - i), SRC_HWMON);
		g->holders.n_procs = i == 0 ? 2 : 0;
		g->holders.procs[0] = (struct gpu_proc) { .pid = 77, .name = "ollama" };
		g->holders.procs[1] = (struct gpu_proc) { .pid = 78, .name = "Xorg" };
	}
}

static void fill_bridges(struct stage *st, uint32_t n)
{
	st->snap.n_bridges = n;
	for (uint32_t i = 0; i < n; i++) {
		struct bridge_seen *b = &st->snap.bridges[i];

		snprintf(b->key, sizeof(b->key), "0000:%02x:00.0 bridge", i + 1);
		snprintf(b->page.pci, sizeof(b->page.pci), "0000:%02x:00.0", i + 1);
		b->page.state = i % TELEM_BRIDGE_STATE_COUNT;
		telem_access(&b->page, i % TELEM_REGIONS, TELEM_READ, 1000 + i);
	}
}

static struct stage *stage_new(uint32_t gpus, uint32_t runs)
{
	struct stage *st = calloc(1, sizeof(*st));

	prefs_default(&st->prefs);
	ui_init(&st->ui);
	picture_init(&st->picture);
	fill_gpus(st, gpus);
	fill_runs(st, runs);
	st->snap.report = &st->report;
	st->snap.now_ns = UINT64_C(100000000000);
	st->cols = 80;
	st->rows = 24;
	st->frame = (struct frame) { .snap = &st->snap,
				     .history = &st->history,
				     .events = &st->events,
				     .prefs = &st->prefs,
				     .ui = &st->ui };
	history_add(&st->history, &st->snap);
	draw(st);
	return st;
}

static void stage_free(struct stage *st)
{
	picture_fini(&st->picture);
	free(st);
}

static struct action press(struct stage *st, uint32_t key)
{
	struct action a = ui_key(&st->ui, &st->prefs, &st->frame, &st->picture,
				 (struct stroke) { .key = key });

	draw(st);
	return a;
}

static void the_cursor_keeps_its_device(void **state)
{
	struct stage *st = stage_new(16, 1);

	(void)state;
	assert_string_equal(st->ui.at[PANE_DEVICES], "");
	press(st, K_DOWN);
	assert_string_equal(st->ui.at[PANE_DEVICES], "0000:01:00.0");
	press(st, K_DOWN);
	press(st, 'j');
	assert_string_equal(st->ui.at[PANE_DEVICES], "0000:03:00.0");
	/* Others come and go: the cursor stays with the card, not with the row. */
	memmove(&st->report.gpus[0], &st->report.gpus[1], 15 * sizeof(st->report.gpus[0]));
	st->report.n_gpus = 15;
	draw(st);
	press(st, K_UP);
	assert_string_equal(st->ui.at[PANE_DEVICES], "0000:02:00.0");
	press(st, K_END);
	assert_string_equal(st->ui.at[PANE_DEVICES], "CPU");
	press(st, K_DOWN);
	assert_string_equal(st->ui.at[PANE_DEVICES], "CPU");
	press(st, K_HOME);
	assert_string_equal(st->ui.at[PANE_DEVICES], "0000:02:00.0");
	stage_free(st);
}

/* What the cursor stands on is on the screen, wherever it goes. */
static void the_cursor_is_seen(void **state)
{
	struct stage *st = stage_new(64, 20);

	(void)state;
	for (uint32_t pane = '1'; pane <= '2'; pane++) {
		press(st, pane);
		for (int i = 0; i < 70; i++) {
			const struct cell *row;

			press(st, K_DOWN);
			row = view_row(&st->picture.view, st->picture.view.cursor_row);
			assert_true(st->picture.view.cursor_row < st->rows - 1);
			assert_int_equal(row[0].reversed, 1);
		}
	}
	stage_free(st);
}

static void sorting_is_asked_for(void **state)
{
	struct stage *st = stage_new(4, 1);

	(void)state;
	assert_int_equal(st->picture.lists[PANE_DEVICES].items[0].index, 0);
	press(st, 's'); /* name: equal, so as they are */
	assert_int_equal(st->picture.lists[PANE_DEVICES].items[0].index, 0);
	press(st, 's'); /* memory */
	assert_int_equal(st->picture.lists[PANE_DEVICES].items[0].index, 3);
	press(st, 's'); /* power */
	assert_int_equal(st->picture.lists[PANE_DEVICES].items[0].index, 0);
	assert_int_equal(st->picture.lists[PANE_DEVICES].items[4].index, 4); /* the CPU is last */
	stage_free(st);
}

static void a_filter_hides_the_rest(void **state)
{
	struct stage *st = stage_new(3, 3);

	(void)state;
	press(st, '/');
	for (const char *c = "mOdel-1"; *c; c++)
		press(st, (uint32_t)*c);
	press(st, 'x');
	press(st, K_BACKSPACE);
	assert_true(st->ui.typing);
	press(st, K_ENTER);
	assert_false(st->ui.typing);
	assert_int_equal(st->picture.lists[PANE_RUNS].n, 1);
	assert_int_equal(st->picture.lists[PANE_DEVICES].n, 0);
	press(st, K_ESCAPE);
	assert_int_equal(st->picture.lists[PANE_RUNS].n, 3);
	stage_free(st);
}

static void ending_asks_and_holds_first(void **state)
{
	struct stage *st = stage_new(2, 2);
	struct action a;

	(void)state;
	assert_int_equal(press(st, 'K').kind, DO_NOTHING); /* a device cannot be ended */
	assert_false(st->ui.asking);
	press(st, '2');
	a = press(st, 'K');
	assert_int_equal(a.kind, DO_HOLD);
	assert_int_equal(a.pid, 1000);
	assert_true(st->ui.asking);
	assert_int_equal(press(st, 'q').kind, DO_LET_GO); /* any other key is a no */
	assert_false(st->ui.asking);
	press(st, 'K');
	assert_int_equal(press(st, KEY_NONE_).kind, DO_NOTHING); /* a window that was resized */
	assert_true(st->ui.asking);
	assert_int_equal(press(st, 'y').kind, DO_END);
	st->snap.runs[0].supervised = true;
	strcpy(st->snap.runs[0].name, "chat");
	strcpy(st->snap.runs[0].phase, "ready");
	draw(st);
	press(st, '2');
	press(st, 'K');
	a = press(st, 'y');
	assert_int_equal(a.kind, DO_STOP); /* or its supervisor would start the next */
	assert_string_equal(a.name, "chat");
	press(st, '4');
	a = press(st, 'K');
	assert_int_equal(a.pid, 77);
	press(st, 'n');
	st->snap.origin = ORIGIN_REMOTE;
	assert_int_equal(press(st, 'K').kind, DO_NOTHING);
	assert_false(st->ui.asking);
	stage_free(st);
}

static void the_mouse_hits_what_is_there(void **state)
{
	struct stage *st = stage_new(3, 1);
	struct stroke k = { .key = K_CLICK, .row = 3, .col = 10 };

	(void)state;
	ui_key(&st->ui, &st->prefs, &st->frame, &st->picture, k);
	assert_string_equal(st->ui.at[PANE_DEVICES], "0000:02:00.0");
	ui_key(&st->ui, &st->prefs, &st->frame, &st->picture, k);
	assert_int_equal(st->ui.page, PAGE_DEVICE);
	assert_string_equal(st->ui.subject, "0000:02:00.0");
	k.row = 4000000;
	ui_key(&st->ui, &st->prefs, &st->frame, &st->picture, k);
	assert_int_equal(st->ui.page, PAGE_MAIN);
	ui_key(&st->ui, &st->prefs, &st->frame, &st->picture, k); /* nowhere: nothing */
	stage_free(st);
}

static void lists_are_hidden_and_sized(void **state)
{
	struct stage *st = stage_new(8, 4);
	uint32_t runs;

	(void)state;
	runs = st->picture.layout.rows[PANE_RUNS];
	assert_true(runs > 3);
	press(st, '2');
	press(st, '[');
	assert_int_equal(st->picture.layout.rows[PANE_RUNS], runs - 1);
	press(st, '[');
	press(st, ']');
	assert_int_equal(st->picture.layout.rows[PANE_RUNS], runs - 1);
	assert_int_equal(st->prefs.rows[PANE_RUNS], runs - 1);
	for (int i = 0; i < 40; i++)
		press(st, '[');
	assert_int_equal(st->picture.layout.rows[PANE_RUNS], 1 + st->picture.layout.titles);
	press(st, 'x');
	assert_int_equal(st->picture.layout.rows[PANE_RUNS], 0);
	assert_int_equal(st->ui.focus, PANE_PROCESSES);
	press(st, '2'); /* who goes there wants to see it */
	assert_true(st->picture.layout.rows[PANE_RUNS] > 0);
	press(st, 'x');
	press(st, '4');
	press(st, 'x');
	assert_int_equal(st->ui.focus, PANE_DEVICES);
	press(st, 'x'); /* the last one */
	assert_true(st->picture.layout.rows[PANE_DEVICES] > 0);
	assert_non_null(strstr(st->ui.notice, "stays"));
	press(st, 'X');
	assert_int_equal(st->picture.layout.rows[PANE_RUNS], runs);
	assert_false(st->prefs.hidden[PANE_PROCESSES]);
	stage_free(st);
}

static void a_filter_of_any_script(void **state)
{
	struct stage *st = stage_new(2, 2);

	(void)state;
	strcpy(st->snap.runs[1].page.run.model, "\xe4\xb8\xad\xe6\x96\x87 7B");
	draw(st);
	press(st, '/');
	press(st, 0x4e2d);
	press(st, 0x6587);
	assert_string_equal(st->ui.filter, "\xe4\xb8\xad\xe6\x96\x87");
	assert_int_equal(st->picture.lists[PANE_RUNS].n, 1);
	press(st, K_BACKSPACE);
	assert_string_equal(st->ui.filter, "\xe4\xb8\xad");
	press(st, 0xe9);
	assert_int_equal(st->picture.lists[PANE_RUNS].n, 0);
	press(st, 0x9b); /* control characters, half a pair of UTF-16, no character */
	press(st, 0xd83d);
	press(st, 0x110000);
	press(st, 0x7f);
	assert_string_equal(st->ui.filter, "\xe4\xb8\xad\xc3\xa9");
	for (int i = 0; i < 100; i++)
		press(st, 0x1f600);
	assert_in_range(strlen(st->ui.filter), 50, sizeof(st->ui.filter) - 1);
	assert_int_equal((strlen(st->ui.filter) - 5) % 4, 0); /* no half of one */
	for (int i = 0; i < 100; i++)
		press(st, K_BACKSPACE);
	assert_string_equal(st->ui.filter, "");
	stage_free(st);
}

static void a_bridge_has_a_pane_and_a_page(void **state)
{
	struct stage *st = stage_new(2, 1);

	(void)state;
	press(st, '3');
	press(st, K_ENTER); /* there is none: nothing */
	assert_int_equal(st->ui.page, PAGE_MAIN);
	fill_bridges(st, 3);
	draw(st);
	press(st, '3');
	assert_string_equal(st->ui.at[PANE_BRIDGES], "0000:01:00.0 bridge");
	press(st, K_DOWN);
	press(st, K_ENTER);
	assert_int_equal(st->ui.page, PAGE_BRIDGE);
	assert_string_equal(st->ui.subject, "0000:02:00.0 bridge");
	press(st, K_ESCAPE);
	press(st, K_TAB);
	assert_int_equal(st->ui.focus, PANE_PROCESSES);
	stage_free(st);
}

/* Any keys on any screen while things come and go: nothing breaks, and every row is the screen's width. */
/* Narrower than what it puts in columns, with numbers that are too large for any bar. */
static void every_page_at_every_width(void **state)
{
	struct stage *st = stage_new(2, 1);
	struct telem_device *d = &st->snap.runs[0].page.run.devices[0];

	(void)state;
	st->report.gpus[0].tunnel.tunnelled = true;
	d->measured = (struct telem_bytes) { UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1, 1 };
	fill_bridges(st, 1);
	for (uint32_t page = PAGE_MAIN; page <= PAGE_HELP; page++) {
		st->ui.page = (enum page)page;
		strcpy(st->ui.subject, page == PAGE_RUN      ? "run-0.telem"
				       : page == PAGE_BRIDGE ? "0000:01:00.0 bridge"
							     : "0000:01:00.0");
		for (st->cols = 1; st->cols <= 60; st->cols++)
			for (st->rows = 1; st->rows <= 40; st->rows += 3) {
				draw(st);
				assert_int_equal(st->picture.view.n_rows, st->rows);
			}
	}
	strcpy(st->ui.subject, "CPU");
	st->ui.page = PAGE_DEVICE;
	st->cols = 80;
	draw(st);
	stage_free(st);
}

static bool shows(const struct stage *st, const char *words)
{
	char buf[4 * VIEW_COLS_MAX + 1];

	for (uint32_t i = 0; i < st->picture.view.n_rows; i++)
		if (strstr(view_text(&st->picture.view, i, buf), words))
			return true;
	return false;
}

/* What there is no room for is told, wherever it was dropped. */
static void processes_beyond_number_are_counted(void **state)
{
	struct stage *st = stage_new(64, 0);

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		struct holders *h = &st->report.gpus[i].holders;

		h->n_procs = PROCS_MAX;
		for (uint32_t k = 0; k < PROCS_MAX; k++)
			h->procs[k] = (struct gpu_proc) { .pid = 100 + k, .name = "worker" };
	}
	st->report.gpus[0].holders.n_left_out = 7;
	draw(st);
	press(st, '4');
	press(st, K_END);
	for (st->rows = 24; st->rows <= 90; st->rows += 66) {
		draw(st);
		assert_int_equal(st->picture.lists[PANE_PROCESSES].n, LIST_MAX);
	}
	press(st, 'x');
	press(st, 'X');
	st->prefs.hidden[PANE_DEVICES] = st->prefs.hidden[PANE_RUNS] = true;
	st->rows = 300;
	draw(st);
	assert_true(shows(st, "note: 1799 more processes are not shown"));
	stage_free(st);
}

static void the_cpu_has_a_page(void **state)
{
	struct stage *st = stage_new(1, 1);

	(void)state;
	st->report.cpu.ram_total = fact_of(128 * GIB, SRC_PROC);
	st->report.cpu.ram_available = fact_of(96 * GIB, SRC_PROC);
	st->snap.runs[0].page.run.devices[0].pci[0] = '\0';
	draw(st);
	press(st, K_END);
	press(st, K_ENTER);
	assert_true(shows(st, "total 128.0 GiB  used 32.0 GiB  free 96.0 GiB"));
	assert_true(shows(st, "run           run-0.telem generating"));
	stage_free(st);
}

static void a_monkey(void **state)
{
	static const uint32_t special[] = { K_UP,        K_DOWN,      K_LEFT,   K_RIGHT,
					    K_PAGE_UP,   K_PAGE_DOWN, K_HOME,   K_END,
					    K_ENTER,     K_ESCAPE,    K_TAB,    K_BACK_TAB,
					    K_BACKSPACE, K_F1,        K_REDRAW, K_CLICK,
					    K_WHEEL_UP,  K_WHEEL_DOWN };
	struct stage *st = stage_new(8, 4);
	uint32_t seed = 12345;

	(void)state;
	for (int i = 0; i < 6000; i++) {
		struct stroke k;

		seed = seed * 1664525 + 1013904223;
		k.key = seed >> 24 & 1 ? special[(seed >> 8) % COUNT(special)]
				       : ' ' + (seed >> 8) % 95;
		k.row = seed >> 16 & 63;
		k.col = seed >> 10 & 63;
		if (i % 50 == 0) {
			st->cols = 1 + (seed >> 7) % 310;
			st->rows = 1 + (seed >> 13) % 95;
			fill_gpus(st, (seed >> 5) % 65);
			fill_runs(st, (seed >> 9) % 65);
			fill_bridges(st, (seed >> 11) % (SNAP_BRIDGES_MAX + 1));
			st->snap.now_ns += 1000000000;
			history_add(&st->history, &st->snap);
			events_add(&st->events, &st->snap, &st->prefs.alarm);
		}
		ui_key(&st->ui, &st->prefs, &st->frame, &st->picture, k);
		draw(st);
		assert_int_equal(st->picture.view.n_rows, st->rows);
		assert_true(st->picture.view.cursor_row < st->rows);
	}
	stage_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cursor_keeps_its_device),
		cmocka_unit_test(the_cursor_is_seen),
		cmocka_unit_test(sorting_is_asked_for),
		cmocka_unit_test(a_filter_hides_the_rest),
		cmocka_unit_test(ending_asks_and_holds_first),
		cmocka_unit_test(the_mouse_hits_what_is_there),
		cmocka_unit_test(lists_are_hidden_and_sized),
		cmocka_unit_test(a_filter_of_any_script),
		cmocka_unit_test(a_bridge_has_a_pane_and_a_page),
		cmocka_unit_test(every_page_at_every_width),
		cmocka_unit_test(processes_beyond_number_are_counted),
		cmocka_unit_test(the_cpu_has_a_page),
		cmocka_unit_test(a_monkey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

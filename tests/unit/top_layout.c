/* SPDX-License-Identifier: MIT */
/* Which parts a screen shows, what charts are made of, and the settings file. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/unit/harness.h"
#include "tui/prefs.h"
#include "tui/glyphs.h"
#include "tui/layout.h"

static struct wish wish_of(uint32_t devices, uint32_t runs, uint32_t processes, uint32_t events)
{
	return (struct wish) { .devices = { devices, devices + 1, devices * 3 + 1 },
			       .runs = { runs, runs + 1, runs * 2 + 1 },
			       .processes = processes,
			       .events = events };
}

static uint32_t total(const struct layout *l)
{
	uint32_t n = 1 + l->footer;

	for (int i = 0; i < PANES; i++)
		n += l->rows[i];
	return n;
}

/* Every size and every number of things: nothing beyond the screen, and what matters is there. */
static void all_sizes(void **state)
{
	(void)state;
	for (uint32_t cols = 1; cols <= 300; cols += 7)
		for (uint32_t rows = 1; rows <= 90; rows++)
			for (uint32_t n = 0; n <= 64; n = n ? n * 2 : 1) {
				struct wish w = wish_of(n + 1, n / 2 + 1, n, n * 3);
				struct layout l = layout_choose(cols, rows, &w);

				assert_in_range(total(&l), 1, rows > 0 ? rows : 1);
				if (rows >= 2)
					assert_true(l.rows[PANE_DEVICES] > 0);
				if (rows >= 8)
					assert_true(l.rows[PANE_RUNS] > l.titles);
				if (rows >= 16 && n)
					assert_true(l.rows[PANE_EVENTS] > 1u * l.titles);
			}
}

static void richer_with_room(void **state)
{
	struct wish few = wish_of(3, 2, 0, 4), many = wish_of(17, 2, 4, 100);

	(void)state;
	assert_string_equal(layout_choose(20, 5, &few).name, "short");
	assert_string_equal(layout_choose(59, 90, &few).name, "short");
	assert_string_equal(layout_choose(80, 24, &few).name, "wide");
	assert_string_equal(layout_choose(120, 36, &few).name, "cards");
	assert_string_equal(layout_choose(120, 36, &many).name, "wide");
	assert_string_equal(layout_choose(300, 90, &many).name, "cards");
	assert_int_equal(layout_choose(80, 24, &many).rows[PANE_EVENTS] > 0, 1);
}

/* What a person asked for is what there is, as far as there is anything to show. */
static void sizes_that_were_asked_for(void **state)
{
	struct wish w = wish_of(17, 20, 4, 100);
	struct layout l;

	(void)state;
	w.fixed[PANE_EVENTS] = 12;
	w.fixed[PANE_DEVICES] = 4;
	l = layout_choose(80, 24, &w);
	assert_int_equal(l.rows[PANE_EVENTS], 12);
	assert_int_equal(l.rows[PANE_DEVICES], 4);
	assert_int_equal(total(&l), 24);
	w.fixed[PANE_PROCESSES] = 300; /* all of it, and no more */
	l = layout_choose(80, 60, &w);
	assert_int_equal(l.rows[PANE_PROCESSES], 5);
	w.fixed[PANE_RUNS] = 1; /* a title alone would be none */
	l = layout_choose(80, 24, &w);
	assert_int_equal(l.rows[PANE_RUNS], 2);
	w.fixed[PANE_RUNS] = 300; /* the others keep something */
	w.fixed[PANE_PROCESSES] = 0;
	l = layout_choose(80, 24, &w);
	assert_true(l.rows[PANE_DEVICES] >= 2);
	assert_int_equal(total(&l), 24);
}

/* --- charts --- */

static void terminals(void **state)
{
	(void)state;
	assert_int_equal(glyphs_choose(true, "xterm-256color"), GLYPHS_BRAILLE);
	assert_int_equal(glyphs_choose(true, "xterm"), GLYPHS_BLOCKS);
	assert_int_equal(glyphs_choose(true, "linux"), GLYPHS_ASCII);
	assert_int_equal(glyphs_choose(true, "vt100"), GLYPHS_ASCII);
	assert_int_equal(glyphs_choose(true, NULL), GLYPHS_ASCII);
	assert_int_equal(glyphs_choose(false, "xterm-256color"), GLYPHS_ASCII);
}

static void charts(void **state)
{
	struct series s;
	struct chart c = { .series = &s, .cols = 4, .rows = 1, .top = 8 };

	(void)state;
	for (int i = 0; i < HISTORY_POINTS; i++)
		s.points[i] = POINT_UNKNOWN;
	s.points[HISTORY_POINTS - 1] = 8;
	s.points[HISTORY_POINTS - 2] = 4;
	s.points[HISTORY_POINTS - 3] = 0.01f;
	c.glyphs = GLYPHS_ASCII;
	assert_int_equal(chart_at(&c, 0, 3), '#');
	assert_int_equal(chart_at(&c, 0, 2), '=');
	assert_int_equal(chart_at(&c, 0, 1), '.');
	assert_int_equal(chart_at(&c, 0, 0), ' ');
	c.glyphs = GLYPHS_BLOCKS;
	assert_int_equal(chart_at(&c, 0, 3), 0x2588);
	assert_int_equal(chart_at(&c, 0, 2), 0x2584);
	assert_int_equal(chart_at(&c, 0, 1), 0x2581);
	c.glyphs = GLYPHS_BRAILLE;
	assert_int_equal(chart_at(&c, 0, 3), 0x2800 + 0xb8 + 0x44); /* full right, half left */
	assert_int_equal(chart_at(&c, 0, 2), 0x2880);
	c.rows = 2;
	c.glyphs = GLYPHS_BLOCKS;
	assert_int_equal(chart_at(&c, 0, 2), ' ');
	assert_int_equal(chart_at(&c, 1, 2), 0x2588);
	assert_int_equal(chart_at(&c, 0, 3), 0x2588);
	assert_int_equal(chart_at(&c, 2, 3), ' ');
	c.top = 0;
	assert_int_equal(chart_at(&c, 0, 3), ' ');
	assert_float_equal(chart_top(0), 1, 0);
	assert_float_equal(chart_top(412), 500, 0);
	assert_float_equal(chart_top(12), 20, 0);
	assert_float_equal(chart_top(1e300), 1, 0);
}

/* --- settings --- */

static void a_file_says_what_it_changes(void **state)
{
	struct prefs c, back;
	char buf[8192];
	struct text t;
	struct err e = { 0 };

	(void)state;
	prefs_default(&c);
	assert_int_equal(
		prefs_parse(&c,
			    "# mine\n theme = light \n\nprice-kwh=0.325\ninterval = 2.5\n"
			    "alarm-temp = 80\nhide-events = yes\nrows-runs = 7\ncurrency = CHF",
			    &e),
		0);
	assert_int_equal(c.theme, THEME_LIGHT);
	assert_int_equal(c.interval_ms, 2500);
	assert_int_equal(c.alarm.temp_c, 80);
	assert_true(c.hidden[PANE_EVENTS]);
	assert_int_equal(c.rows[PANE_RUNS], 7);
	assert_float_equal(c.price_kwh, 0.325, 1e-9);
	text_init(&t, buf, sizeof(buf));
	prefs_text(&c, &t);
	assert_false(t.cut);
	prefs_default(&back);
	assert_int_equal(prefs_parse(&back, buf, &e), 0);
	assert_memory_equal(&c, &back, sizeof(c));
}

static void the_dearest_price_is_written_and_read_back(void **state)
{
	struct prefs c, back;
	char buf[8192];
	struct text t;
	struct err e = { 0 };

	(void)state;
	prefs_default(&c);
	assert_int_equal(prefs_set(&c, "price-kwh", "1000000000", &e), 0);
	text_init(&t, buf, sizeof(buf));
	prefs_text(&c, &t);
	prefs_default(&back);
	assert_int_equal(prefs_parse(&back, buf, &e), 0);
	assert_float_equal(back.price_kwh, 1e9, 0);
	assert_int_equal(prefs_set(&c, "price-kwh", "1000000000.001", &e), -EINVAL);
}

static void nonsense_is_named_and_the_rest_taken(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "theme = pink", "line 1: theme is one of safe, dark, light, mono, not 'pink'" },
		{ "\nfoo = 1", "line 2: there is no setting 'foo'" },
		{ "theme", "line 1: 'theme' is not written as setting = value" },
		{ "interval = 0.05", "0.1 to 60" },
		{ "interval = 99999999999999999999", "0.1 to 60" },
		{ "price-kwh = -1", "a price such as" },
		{ "currency = Doubloons", "at most 7 letters" },
		{ "alarm-memory = 101", "from 0 to 100" },
		{ "hide-events = maybe", "one of no, yes" },
		{ "rows-runs = 301", "from 0 to 300" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct prefs c;
		struct err e = { 0 };
		char text[256];

		prefs_default(&c);
		snprintf(text, sizeof(text), "%s\nunits = si\n", cases[i].text);
		assert_int_equal(prefs_parse(&c, text, &e), -EBADMSG);
		if (!strstr(e.text, cases[i].says))
			print_error("no '%s' in '%s'\n", cases[i].says, e.text);
		assert_non_null(strstr(e.text, cases[i].says));
		assert_int_equal(c.units, UNITS_SI);
	}
}

/* Settings that are kept elsewhere stay there; what is no text is not taken for one. */
static void a_link_to_the_file_stays_one(void **state)
{
	char dir[] = "/tmp/berth-prefs.XXXXXX", path[64], real[64], to[64];
	struct prefs c;
	struct err e = { 0 };
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("XDG_CONFIG_HOME", dir, 1);
	prefs_default(&c);
	c.theme = THEME_MONO;
	assert_int_equal(prefs_save(&c, &e), 0);
	snprintf(path, sizeof(path), "%s/berth/top.conf", dir);
	snprintf(real, sizeof(real), "%s/elsewhere", dir);
	assert_int_equal(rename(path, real), 0);
	assert_int_equal(symlink("../elsewhere", path), 0);
	c.theme = THEME_LIGHT;
	assert_int_equal(prefs_save(&c, &e), 0);
	assert_int_equal(readlink(path, to, sizeof(to)), strlen("../elsewhere"));
	prefs_default(&c);
	assert_int_equal(prefs_load(&c, &e), 0);
	assert_int_equal(c.theme, THEME_LIGHT);
	f = fopen(real, "w");
	assert_int_equal(fwrite("theme = mono\n\0units = si\n", 1, 25, f), 25);
	fclose(f);
	assert_int_equal(prefs_load(&c, &e), -EBADMSG);
	unlink(path);
	unlink(real);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes),
		cmocka_unit_test(richer_with_room),
		cmocka_unit_test(sizes_that_were_asked_for),
		cmocka_unit_test(terminals),
		cmocka_unit_test(charts),
		cmocka_unit_test(a_file_says_what_it_changes),
		cmocka_unit_test(the_dearest_price_is_written_and_read_back),
		cmocka_unit_test(nonsense_is_named_and_the_rest_taken),
		cmocka_unit_test(a_link_to_the_file_stays_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

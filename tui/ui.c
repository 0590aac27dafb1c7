/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tui/ui_priv.h"

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 60000
#define WIND_S          10

void ui_init(struct ui *ui)
{
	memset(ui, 0, sizeof(*ui));
}

/* --- moving --- */

const struct listing *ui_list(const struct ask *a)
{
	return &a->shown->lists[a->ui->focus];
}

static void stand_on(const struct ask *a, uint32_t item)
{
	const struct listing *l = ui_list(a);

	if (item < l->n)
		text_copy(a->ui->at[a->ui->focus], sizeof(a->ui->at[0]), l->items[item].key);
}

/* The item where the cursor is; the first when it is nowhere yet. n: there is nothing. */
uint32_t ui_item(const struct ask *a)
{
	const struct listing *l = ui_list(a);
	uint32_t i = listing_find(l, a->ui->at[a->ui->focus]);

	return i < l->n ? i : 0;
}

static void move(const struct ask *a, int64_t by)
{
	const struct listing *l = ui_list(a);
	bool fresh = listing_find(l, a->ui->at[a->ui->focus]) >= l->n;
	int64_t to = fresh ? 0 : (int64_t)ui_item(a) + by;

	if (!l->n)
		return;
	stand_on(a, to < 0 ? 0 : to >= l->n ? l->n - 1 : (uint32_t)to);
}

static void scroll_page(const struct ask *a, int64_t by)
{
	int64_t to = (int64_t)a->shown->page_scroll + by;

	a->ui->page_scroll = to < 0 ? 0 : to > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)to;
}

static struct action on_step(const struct ask *a)
{
	if (is_text_page(a->ui))
		scroll_page(a, a->arg);
	else
		move(a, a->arg);
	return just(DO_NOTHING);
}

static struct action on_leap(const struct ask *a)
{
	uint32_t rows = a->shown->view.n_rows;
	int64_t page = rows > 4 ? rows - 3 : 1;

	if (is_text_page(a->ui)) {
		scroll_page(a, a->arg * page);
		return just(DO_NOTHING);
	}
	page = a->shown->layout.rows[a->ui->focus];
	move(a, a->arg * (page > 2 ? page - 1 : 1));
	return just(DO_NOTHING);
}

static struct action on_end(const struct ask *a)
{
	if (is_text_page(a->ui))
		a->ui->page_scroll = a->arg ? UINT32_MAX / 2 : 0;
	else
		stand_on(a, a->arg && ui_list(a)->n ? ui_list(a)->n - 1 : 0);
	return just(DO_NOTHING);
}

static struct action on_pane(const struct ask *a)
{
	a->ui->page = PAGE_MAIN;
	a->ui->focus = (enum pane)a->arg;
	a->prefs->hidden[a->ui->focus] = false; /* who goes there wants to see it */
	stand_on(a, ui_item(a));
	return just(DO_NOTHING);
}

void ui_next_list(const struct ask *a, int by)
{
	enum pane p = a->ui->focus;

	for (int i = 0; i < PANES; i++) {
		p = (enum pane)((p + PANES + by) % PANES);
		if (a->shown->lists[p].n && a->shown->layout.rows[p] && !a->prefs->hidden[p])
			break;
	}
	a->ui->focus = p;
	stand_on(a, ui_item(a));
}

static struct action on_tab(const struct ask *a)
{
	if (!is_text_page(a->ui))
		ui_next_list(a, a->arg);
	return just(DO_NOTHING);
}

/* --- pages --- */

static void turn_to(const struct ask *a, enum page page)
{
	a->ui->page = page;
	a->ui->page_scroll = 0;
}

static struct action on_page(const struct ask *a)
{
	turn_to(a, a->ui->page == (enum page)a->arg ? PAGE_MAIN : (enum page)a->arg);
	return just(DO_NOTHING);
}

/* Once on the page, the same key asks again. */
static struct action on_fits(const struct ask *a)
{
	turn_to(a, PAGE_FITS);
	return just(DO_FITS);
}

static struct action on_enter(const struct ask *a)
{
	static const enum page pages[PANES] = {
		[PANE_DEVICES] = PAGE_DEVICE, [PANE_RUNS] = PAGE_RUN, [PANE_BRIDGES] = PAGE_BRIDGE
	};
	const struct listing *l = ui_list(a);

	if (is_text_page(a->ui)) {
		turn_to(a, PAGE_MAIN);
	} else if (a->ui->focus == PANE_EVENTS) {
		turn_to(a, PAGE_EVENTS);
	} else if (l->n && a->ui->focus != PANE_PROCESSES) {
		stand_on(a, ui_item(a));
		text_copy(a->ui->subject, sizeof(a->ui->subject), l->items[ui_item(a)].key);
		turn_to(a, pages[a->ui->focus]);
	}
	return just(DO_NOTHING);
}

static struct action on_escape(const struct ask *a)
{
	if (is_text_page(a->ui))
		turn_to(a, PAGE_MAIN);
	else if (a->ui->filter[0])
		a->ui->filter[0] = '\0';
	else
		a->ui->at[a->ui->focus][0] = '\0';
	return just(DO_NOTHING);
}

/* --- what the person wants otherwise --- */

void ui_tell(const struct ask *a, const char *what, const char *value)
{
	snprintf(a->ui->notice, sizeof(a->ui->notice), "%s: %s", what, value);
}

static void next(const struct ask *a, const char *what, const char *const *names, int *value)
{
	*value = names[*value + 1] ? *value + 1 : 0;
	ui_tell(a, what, names[*value]);
}

static struct action on_sort(const struct ask *a)
{
	next(a, "sorted by", sort_names, &a->prefs->sort);
	return just(DO_NOTHING);
}

static struct action on_theme(const struct ask *a)
{
	next(a, "theme", theme_names, &a->prefs->theme);
	return just(DO_LOOKS);
}

static struct action on_glyphs(const struct ask *a)
{
	next(a, "charts", glyphs_names, &a->prefs->glyphs);
	return just(DO_LOOKS);
}

static struct action on_units(const struct ask *a)
{
	next(a, "bytes", units_names, &a->prefs->units);
	return just(DO_NOTHING);
}

static struct action on_degrees(const struct ask *a)
{
	next(a, "degrees", degrees_names, &a->prefs->degrees);
	return just(DO_NOTHING);
}

static struct action on_mouse(const struct ask *a)
{
	a->prefs->no_mouse = !a->prefs->no_mouse;
	ui_tell(a, "the mouse", a->prefs->no_mouse ? "selects text" : "moves the cursor");
	return just(DO_LOOKS);
}

static struct action on_interval(const struct ask *a)
{
	uint32_t ms = a->arg < 0 ? a->prefs->interval_ms / 2 : a->prefs->interval_ms * 2;

	ms = ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms;
	a->prefs->interval_ms = ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : ms;
	return just(DO_INTERVAL);
}

static struct action on_simple(const struct ask *a)
{
	return just((enum wish_kind)a->arg);
}

static struct action on_wind(const struct ask *a)
{
	return (struct action) { .kind = DO_WIND, .seconds = a->arg };
}

static struct action on_filter(const struct ask *a)
{
	turn_to(a, PAGE_MAIN);
	a->ui->typing = true;
	return just(DO_NOTHING);
}

/* --- the mouse --- */

static struct action on_click(const struct ask *a)
{
	const struct place *at = a->k.row < PICTURE_ROWS_MAX ? &a->shown->places[a->k.row] : NULL;
	const struct listing *l;

	if (is_text_page(a->ui)) {
		turn_to(a, PAGE_MAIN);
		return just(DO_NOTHING);
	}
	if (!at || !at->of_pane)
		return just(DO_NOTHING);
	l = &a->shown->lists[at->pane];
	/* The second click on the same row opens it. */
	if (at->item && at->item <= l->n && a->ui->focus == at->pane &&
	    !strcmp(a->ui->at[at->pane], l->items[at->item - 1].key))
		return on_enter(a);
	a->ui->focus = at->pane;
	if (at->item)
		stand_on(a, at->item - 1);
	return just(DO_NOTHING);
}

static struct action on_wheel(const struct ask *a)
{
	const struct place *at = a->k.row < PICTURE_ROWS_MAX ? &a->shown->places[a->k.row] : NULL;

	if (!is_text_page(a->ui) && at && at->of_pane)
		a->ui->focus = at->pane;
	return on_step(a);
}

/* --- keys --- */

/* clang-format off */
const struct key_help key_helps[] = {
	{ "q",          "quit",    "Leave." },
	{ "?",          "help",    "Show or hide this page." },
	{ "Enter",      "details", "All about the device, run or bridge under the cursor; back." },
	{ "Up Down",    NULL,      "Move the cursor, or scroll by a row." },
	{ "PgUp PgDn",  NULL,      "The same by a screen." },
	{ "Home End",   NULL,      "To the first or the last." },
	{ "Tab",        NULL,      "Next list: 1 devices, 2 runs, 3 bridges, 4 processes, 5 events." },
	{ "Esc",        NULL,      "Back; without a filter; without a cursor." },
	{ "p",          "pause",   "Freeze the picture, or go on." },
	{ "+ -",        NULL,      "Halve or double the interval (0.1 s to 60 s)." },
	{ "/",          "filter",  "Show only what has these letters in its name." },
	{ "s",          "sort",    "Order of devices and runs: none, name, memory, power, speed." },
	{ "e",          "events",  "All that changed, and the command that helps." },
	{ "f",          "fits",    "Which models of this disk fit now." },
	{ "K",          NULL,      "Stop the run, or end the process, under the cursor; asks first." },
	{ "t",          NULL,      "Theme: safe, dark, light, mono." },
	{ "c",          NULL,      "What charts are made of: auto, ascii, blocks, braille." },
	{ "u",          NULL,      "Bytes in GiB or in GB." },
	{ "d",          NULL,      "Degrees Celsius or Fahrenheit." },
	{ "P E",        NULL,      "Show or hide processes, events." },
	{ "x",          NULL,      "Hide the list with the cursor; 1 to 5 show it again, X shows all." },
	{ "[ ]",        NULL,      "Fewer or more rows for that list; X gives each what fits." },
	{ "m",          NULL,      "The mouse moves the cursor, or selects text." },
	{ "S",          NULL,      "Save these settings." },
	{ "R",          NULL,      "Save the last minutes as a recording." },
	{ "< >",        NULL,      "Wind a recording by ten seconds." },
	{ "Ctrl-L",     NULL,      "Draw everything again." },
};
const uint32_t n_key_helps = sizeof(key_helps) / sizeof(key_helps[0]);

static const struct {
	uint32_t key;
	key_fn *fn;
	int arg;
} keys[] = {
	{ 'q', on_simple, DO_QUIT },  { 'Q', on_simple, DO_QUIT },
	{ '?', on_page, PAGE_HELP },  { 'h', on_page, PAGE_HELP }, { K_F1, on_page, PAGE_HELP },
	{ 'e', on_page, PAGE_EVENTS }, { 'f', on_fits, 0 },
	{ K_ENTER, on_enter, 0 },     { K_ESCAPE, on_escape, 0 }, { K_BACKSPACE, on_escape, 0 },
	{ K_UP, on_step, -1 },        { 'k', on_step, -1 },
	{ K_DOWN, on_step, 1 },       { 'j', on_step, 1 },
	{ K_PAGE_UP, on_leap, -1 },   { K_PAGE_DOWN, on_leap, 1 },
	{ K_HOME, on_end, 0 },        { 'g', on_end, 0 },
	{ K_END, on_end, 1 },         { 'G', on_end, 1 },
	{ K_TAB, on_tab, 1 },         { K_BACK_TAB, on_tab, -1 },
	{ K_RIGHT, on_tab, 1 },       { K_LEFT, on_tab, -1 },
	{ '1', on_pane, PANE_DEVICES }, { '2', on_pane, PANE_RUNS },
	{ '3', on_pane, PANE_BRIDGES }, { '4', on_pane, PANE_PROCESSES }, { '5', on_pane, PANE_EVENTS },
	{ 'p', on_simple, DO_PAUSE }, { ' ', on_simple, DO_PAUSE },
	{ '+', on_interval, -1 },     { '=', on_interval, -1 },   { '-', on_interval, 1 },
	{ '/', on_filter, 0 },
	{ 's', on_sort, 0 },          { 't', on_theme, 0 },       { 'c', on_glyphs, 0 },
	{ 'u', on_units, 0 },         { 'd', on_degrees, 0 },
	{ 'P', ui_on_hide, PANE_PROCESSES }, { 'E', ui_on_hide, PANE_EVENTS },
	{ 'x', ui_on_hide_this, 0 },     { 'X', ui_on_all, 0 },
	{ '[', ui_on_size, -1 },         { ']', ui_on_size, 1 },
	{ 'K', ui_on_kill, 0 },       { 'm', on_mouse, 0 },
	{ 'S', on_simple, DO_SAVE },  { 'R', on_simple, DO_RECORD },
	{ '<', on_wind, -WIND_S },    { '>', on_wind, WIND_S },
	{ K_REDRAW, on_simple, DO_REDRAW },
	{ K_CLICK, on_click, 0 },     { K_WHEEL_UP, on_wheel, -1 }, { K_WHEEL_DOWN, on_wheel, 1 },
};
/* clang-format on */

/* Of any script; no control characters, which no name that is shown has, and no halves of UTF-16. */
static bool is_letter(uint32_t key)
{
	return key >= ' ' && !(key >= 0x7f && key < 0xa0) && !(key >= 0xd800 && key < 0xe000) &&
	       key < KEY_NONE_;
}

static void type(struct ui *ui, uint32_t key)
{
	size_t n = strlen(ui->filter);

	if (key == K_ENTER) {
		ui->typing = false;
	} else if (key == K_ESCAPE) {
		ui->typing = false;
		ui->filter[0] = '\0';
	} else if (key == K_BACKSPACE) {
		/* A character of several bytes goes as one. */
		while (n && (ui->filter[--n] & 0xc0) == 0x80)
			;
		ui->filter[n] = '\0';
	} else if (is_letter(key)) {
		char bytes[4];
		size_t more = view_encode(bytes, key);

		if (n + more < sizeof(ui->filter)) {
			memcpy(ui->filter + n, bytes, more);
			ui->filter[n + more] = '\0';
		}
	}
}

struct action ui_key(struct ui *ui, struct prefs *prefs, const struct frame *f,
		     const struct picture *shown, struct stroke k)
{
	struct ask a = { .ui = ui, .prefs = prefs, .f = f, .shown = shown, .k = k };

	/* A window that was resized, a mouse that was let go: nobody has said anything. */
	if (k.key == KEY_NONE_)
		return just(DO_NOTHING);
	ui->notice[0] = '\0';
	if (ui->asking) {
		ui->asking = false;
		return k.key == 'y' || k.key == 'Y' ? ui->asked : just(DO_LET_GO);
	}
	if (ui->typing) {
		type(ui, k.key);
		return just(DO_NOTHING);
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].key == k.key) {
			a.arg = keys[i].arg;
			return keys[i].fn(&a);
		}
	return just(DO_NOTHING);
}

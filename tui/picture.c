/* SPDX-License-Identifier: MIT */
#include "tui/picture.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "tui/view_priv.h"

void picture_init(struct picture *p)
{
	memset(p, 0, sizeof(*p));
}

void picture_fini(struct picture *p)
{
	view_fini(&p->view);
}

/* --- panes --- */

static void make_pane(struct rows *r, const struct frame *f, const struct listing *l,
		      enum pane pane, enum form form)
{
	if (f->prefs->hidden[pane])
		return;
	if (pane == PANE_DEVICES)
		rows_devices(r, f, l, form);
	else if (pane == PANE_RUNS)
		rows_runs(r, f, l, form);
	else if (pane == PANE_BRIDGES)
		rows_bridges(r, f, l, form);
	else if (pane == PANE_PROCESSES)
		rows_processes(r, f, l);
	else if (pane == PANE_EVENTS)
		rows_events(r, f, l, false);
}

/* What a pane has in each form: how many rows, and whose they are. None is written. */
struct counted {
	struct rows rows[PANES][FORM_CARD + 1];
};

static void count(struct counted *c, const struct picture *p, const struct frame *f, enum pane pane,
		  enum form form)
{
	struct rows *r = &c->rows[pane][form];

	view_init(&r->view, p->view.cols, p->view.utf8);
	view_only(&r->view, &(struct extent) { 0 });
	make_pane(r, f, &p->lists[pane], pane, form);
}

static void count_all(struct counted *c, const struct picture *p, const struct frame *f)
{
	for (int pane = 0; pane < PANES; pane++)
		for (int form = FORM_SHORT; form <= FORM_CARD; form++)
			count(c, p, f, (enum pane)pane, (enum form)form);
}

static void uncount(struct counted *c)
{
	for (int pane = 0; pane < PANES; pane++)
		for (int form = FORM_SHORT; form <= FORM_CARD; form++)
			rows_fini(&c->rows[pane][form]);
}

/* Rows without titles that a pane would have; its title is the layout's to count. */
static uint32_t rows_of(const struct counted *c, const struct picture *p, enum pane pane,
			enum form form)
{
	const struct rows *r = &c->rows[pane][form];
	bool title = r->view.n_rows && !r->items[0] && form != FORM_SHORT && p->lists[pane].n;

	return r->view.n_rows - title;
}

static struct layout choose(const struct picture *p, const struct counted *c, const struct frame *f,
			    uint32_t rows)
{
	enum form list = p->view.cols >= VIEW_NARROW ? FORM_ROW : FORM_SHORT;
	struct wish w = { 0 };

	memcpy(w.fixed, f->prefs->rows, sizeof(w.fixed));
	for (int form = FORM_SHORT; form <= FORM_CARD; form++) {
		w.devices[form] = rows_of(c, p, PANE_DEVICES, (enum form)form);
		w.runs[form] = rows_of(c, p, PANE_RUNS, (enum form)form);
		w.bridges[form] = rows_of(c, p, PANE_BRIDGES, (enum form)form);
	}
	w.processes = rows_of(c, p, PANE_PROCESSES, list);
	w.events = rows_of(c, p, PANE_EVENTS, list);
	return layout_choose(p->view.cols, rows, &w);
}

/* The first and last row of the thing that the cursor stands on; false: it stands on nothing. */
static bool span(const struct rows *r, uint32_t item, uint32_t *first, uint32_t *last)
{
	bool any = false;

	for (uint32_t i = 0; item && i < r->view.n_rows; i++) {
		if (r->items[i] != item)
			continue;
		*first = any ? *first : i;
		*last = i;
		any = true;
	}
	return any;
}

/* Where the rows below the titles begin, so that what the cursor stands on shows whole. */
static uint32_t scroll_to(const struct rows *r, uint32_t titles, uint32_t shown, uint32_t scroll,
			  uint32_t item)
{
	uint32_t body = r->view.n_rows > titles ? r->view.n_rows - titles : 0;
	uint32_t room = shown > titles ? shown - titles : 0;
	uint32_t most = body > room ? body - room : 0;
	uint32_t first = 0, last = 0;

	if (span(r, item, &first, &last)) {
		if (last - titles >= scroll + room)
			scroll = last - titles + 1 - room;
		if (first - titles < scroll)
			scroll = first - titles;
	}
	return scroll < most ? scroll : most;
}

static void copy_row(struct picture *p, const struct rows *r, uint32_t from, enum pane pane,
		     bool selected)
{
	struct pen pen = view_line(&p->view);
	struct cell *to = &p->view.cells[(size_t)pen.row * p->view.cols];

	memcpy(to, view_row(&r->view, from), p->view.cols * sizeof(*to));
	for (uint32_t i = 0; selected && i < p->view.cols; i++)
		to[i].reversed = 1;
	if (pen.row < PICTURE_ROWS_MAX)
		p->places[pen.row] =
			(struct place) { .of_pane = true, .pane = pane, .item = r->items[from] };
}

/* "12 more" at the right end of a pane's last row, where what it has does not fit. */
static void tell_more(struct picture *p, uint32_t above, uint32_t below)
{
	struct pen pen = { .v = &p->view, .row = p->view.n_rows - 1, .end = p->view.cols };
	char text[48];
	struct text t;

	if (!above && !below)
		return;
	text_init(&t, text, sizeof(text));
	if (below)
		text_add(&t, " %" PRIu32 " below", below);
	if (above)
		text_add(&t, " %" PRIu32 " above", above);
	pen.col = pen.end > t.len ? pen.end - (uint32_t)t.len : 0;
	pen_text(&pen, ATTR_WARN, text);
}

static void add_pane(struct picture *p, const struct frame *f, enum pane pane, enum form form,
		     const struct rows *c)
{
	uint32_t shown = p->layout.rows[pane], n = c->view.n_rows;
	uint32_t titles = n && !c->items[0] && p->layout.titles && p->lists[pane].n ? 1 : 0;
	uint32_t at = listing_find(&p->lists[pane], f->ui->at[pane]);
	uint32_t item = f->ui->at[pane][0] && at < p->lists[pane].n ? at + 1 : 0;
	bool focus = f->ui->focus == pane;
	uint32_t scroll = scroll_to(c, titles, shown, f->ui->scroll[pane], item);
	uint32_t first = 0, last = 0;
	struct rows r = { 0 };

	p->scroll[pane] = scroll;
	if (!shown || !n)
		return;
	if (!span(c, item, &first, &last))
		first = UINT32_MAX;
	view_init(&r.view, p->view.cols, p->view.utf8);
	view_only(&r.view, &(struct extent) { titles, titles + scroll, shown + scroll });
	make_pane(&r, f, &p->lists[pane], pane, form);
	for (uint32_t i = 0; i < shown && i < n; i++) {
		uint32_t from = i < titles ? i : i + scroll;

		if (from >= n)
			break;
		if (from == first && focus) {
			p->view.cursor_row = p->view.n_rows;
			p->view.cursor_col = 0;
		}
		copy_row(p, &r, from, pane, from == first && focus);
	}
	rows_fini(&r);
	if (n > shown && shown > titles + 1)
		tell_more(p, scroll, n - titles - scroll - (shown - titles));
}

static void main_page(struct picture *p, const struct frame *f, uint32_t rows)
{
	struct counted c = { 0 };

	count_all(&c, p, f);
	p->layout = choose(p, &c, f, rows);
	for (int i = 0; i < PANES; i++) {
		enum form form = i == PANE_DEVICES ? p->layout.devices : p->layout.runs;

		add_pane(p, f, (enum pane)i, form, &c.rows[i][form]);
	}
	uncount(&c);
}

/* --- other pages: a text that scrolls --- */

static const char *const legend[] = {
	"",
	"Memory bars: W weights, K kv cache, C compute, as measured; O other use, . free, ? unknown.",
	"A sleeping GPU is shown as ASLEEP and is not woken to be read.",
	"An idle GPU is read every 5 s, one that may sleep every 15 s, who holds GPUs every 5 to 30 s.",
	"What a card is (limits, MIG, ECC) is asked each minute, or when its size or processes change.",
	"'-' means unknown. NOW is the last two seconds; AVG the whole run; PROMPT the last minute.",
	"tok/J counts the GPUs alone, and only while one run has them to itself.",
};

static void page_help(struct view *v)
{
	for (uint32_t i = 0; i < n_key_helps; i++) {
		struct pen p = view_line(v);

		pen_flows(&p, 13);
		pen_printf(&p, ATTR_HEAD, "  %-10s", key_helps[i].label);
		pen_printf(&p, ATTR_PLAIN, " %s", key_helps[i].help);
	}
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++) {
		struct pen p = view_line(v);

		pen_flows(&p, 2);
		pen_text(&p, ATTR_PLAIN, legend[i]);
	}
}

static void page_events(struct view *v, const struct frame *f, const struct listing *l)
{
	struct rows r = { 0 };

	view_init(&r.view, v->cols, v->utf8);
	rows_events(&r, f, l, true);
	if (!r.view.n_rows) {
		struct pen p = view_line(v);

		pen_text(&p, ATTR_DIM, "Nothing has changed since the monitor began.");
	}
	for (uint32_t i = 0; i < r.view.n_rows; i++) {
		struct pen p = view_line(v);

		memcpy(&v->cells[(size_t)p.row * v->cols], view_row(&r.view, i),
		       v->cols * sizeof(*v->cells));
	}
	rows_fini(&r);
}

static void text_page(struct picture *p, const struct frame *f, uint32_t rows, bool utf8)
{
	uint32_t room = rows > 2 ? rows - 2 : 1;
	uint32_t most;
	struct view v;

	view_init(&v, p->view.cols, utf8);
	if (f->ui->page == PAGE_HELP)
		page_help(&v);
	else if (f->ui->page == PAGE_EVENTS)
		page_events(&v, f, &p->lists[PANE_EVENTS]);
	else if (f->ui->page == PAGE_FITS)
		page_fits(&v, f);
	else if (f->ui->page == PAGE_DEVICE)
		page_device(&v, f, room);
	else if (f->ui->page == PAGE_BRIDGE)
		page_bridge(&v, f, room);
	else
		page_run(&v, f, room);
	most = v.n_rows > room ? v.n_rows - room : 0;
	p->page_scroll = f->ui->page_scroll < most ? f->ui->page_scroll : most;
	for (uint32_t i = 0; i < room && i + p->page_scroll < v.n_rows; i++) {
		struct pen pen = view_line(&p->view);

		memcpy(&p->view.cells[(size_t)pen.row * p->view.cols],
		       view_row(&v, i + p->page_scroll), v.cols * sizeof(*v.cells));
	}
	if (most)
		tell_more(p, p->page_scroll, most - p->page_scroll);
	view_fini(&v);
}

/* --- the last line --- */

/* Keys of a page that is a text; the main page's are those of key_helps[] that have a name. */
static const struct key_help page_keys[] = {
	{ "q", "quit", NULL },         { "Esc", "back", NULL }, { "?", "help", NULL },
	{ "Up Down", "scroll", NULL }, { "p", "pause", NULL },
};

/* As many as there is room for, none of them in part. */
static void hints(struct pen *p, const struct key_help *keys, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!keys[i].name)
			continue;
		if (p->col + strlen(keys[i].label) + 1 + strlen(keys[i].name) > p->end)
			return;
		pen_text(p, ATTR_TITLE, keys[i].label);
		pen_printf(p, ATTR_DIM, " %s  ", keys[i].name);
	}
}

static void last_line(struct picture *p, const struct frame *f)
{
	const struct ui *ui = f->ui;
	struct pen pen = view_line(&p->view);

	if (ui->asking) {
		pen_text(&pen, ATTR_BAD, ui->ask_text);
	} else if (ui->typing) {
		pen_printf(&pen, ATTR_TITLE, "filter: %s", ui->filter);
		p->view.cursor_row = pen.row;
		p->view.cursor_col = pen.col;
	} else if (ui->notice[0]) {
		pen_text(&pen, ATTR_WARN, ui->notice);
	} else {
		if (ui->filter[0])
			pen_printf(&pen, ATTR_WARN, "only '%s'  ", ui->filter);
		if (ui->page == PAGE_MAIN)
			hints(&pen, key_helps, n_key_helps);
		else
			hints(&pen, page_keys, sizeof(page_keys) / sizeof(page_keys[0]));
	}
}

void picture_make(struct picture *p, const struct frame *f, uint32_t cols, uint32_t rows, bool utf8)
{
	struct view *v = &p->view;

	rows = rows > PICTURE_ROWS_MAX ? PICTURE_ROWS_MAX : rows < 1 ? 1 : rows;
	cols = cols > VIEW_COLS_MAX ? VIEW_COLS_MAX : cols < 1 ? 1 : cols;
	if (v->cols != cols || v->utf8 != utf8) {
		view_fini(v);
		view_init(v, cols, utf8);
	}
	view_clear(v);
	v->cursor_row = rows - 1;
	v->cursor_col = 0;
	memset(p->places, 0, sizeof(p->places));
	for (int i = 0; i < PANES; i++)
		listing_make(&p->lists[i], f, (enum pane)i);
	view_header(v, f);
	if (rows > 1 && f->ui->page == PAGE_MAIN)
		main_page(p, f, rows);
	else if (rows > 1)
		text_page(p, f, rows, utf8);
	if (f->ui->page != PAGE_MAIN || p->layout.footer || f->ui->asking || f->ui->typing) {
		if (v->n_rows >= rows)
			v->n_rows = rows - 1;
		while (v->n_rows + 1 < rows)
			view_line(v);
		if (rows > 1)
			last_line(p, f);
	}
	while (v->n_rows < rows)
		view_line(v);
}

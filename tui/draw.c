/* SPDX-License-Identifier: MIT */
#include "tui/draw.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <ncurses.h>

struct screen {
	SCREEN *term;
	bool colour;
	attr_t attrs[ATTR_COUNT];
	/* What stands on the screen: cells that are the same again are passed over. */
	struct cell *painted;
	uint32_t n_painted, painted_cols;
	mbstate_t typed; /* of a character whose bytes have not all come */
};

/* KEY_RESIZE is no key of ours: resizeterm() itself puts it into the queue. */
static const struct {
	int code;
	enum key key;
} keys[] = {
	{ KEY_UP, K_UP },
	{ KEY_DOWN, K_DOWN },
	{ KEY_LEFT, K_LEFT },
	{ KEY_RIGHT, K_RIGHT },
	{ KEY_PPAGE, K_PAGE_UP },
	{ KEY_NPAGE, K_PAGE_DOWN },
	{ KEY_HOME, K_HOME },
	{ KEY_END, K_END },
	{ KEY_ENTER, K_ENTER },
	{ KEY_BTAB, K_BACK_TAB },
	{ KEY_BACKSPACE, K_BACKSPACE },
	{ KEY_F(1), K_F1 },
};

static const struct {
	wint_t ch;
	enum key key;
} controls[] = {
	{ '\r', K_ENTER },    { '\n', K_ENTER },     { '\t', K_TAB },          { 27, K_ESCAPE },
	{ 127, K_BACKSPACE }, { '\b', K_BACKSPACE }, { 'L' & 0x1f, K_REDRAW },
};

/* What carries meaning without colour too. */
static const attr_t plain[ATTR_COUNT] = {
	[ATTR_TITLE] = A_BOLD, [ATTR_HEAD] = A_UNDERLINE, [ATTR_DIM] = A_DIM,
	[ATTR_WARN] = A_BOLD,  [ATTR_BAD] = A_BOLD,
};

/*
 * Colours on the terminal's own background: of 256 where there are so many, else of the first eight; -1:
 * none. `safe` takes the hues of Okabe and Ito's palette, which most eyes tell apart; it and `dark` are for
 * dark backgrounds, `light` for light ones.
 */
static const struct {
	short many, few;
} colours[THEMES][ATTR_COUNT] = {
	[THEME_SAFE] = { [ATTR_OK] = { 36, COLOR_CYAN },
			 [ATTR_WARN] = { 214, COLOR_YELLOW },
			 [ATTR_BAD] = { 202, COLOR_RED },
			 [ATTR_WEIGHTS] = { 75, COLOR_CYAN },
			 [ATTR_KV] = { 214, COLOR_YELLOW },
			 [ATTR_COMPUTE] = { 175, COLOR_MAGENTA },
			 [ATTR_OTHER] = { 36, COLOR_BLUE } },
	[THEME_DARK] = { [ATTR_OK] = { 2, COLOR_GREEN },
			 [ATTR_WARN] = { 3, COLOR_YELLOW },
			 [ATTR_BAD] = { 1, COLOR_RED },
			 [ATTR_WEIGHTS] = { 6, COLOR_CYAN },
			 [ATTR_KV] = { 5, COLOR_MAGENTA },
			 [ATTR_COMPUTE] = { 3, COLOR_YELLOW },
			 [ATTR_OTHER] = { 4, COLOR_BLUE } },
	[THEME_LIGHT] = { [ATTR_OK] = { 22, COLOR_GREEN },
			  [ATTR_WARN] = { 130, COLOR_MAGENTA },
			  [ATTR_BAD] = { 124, COLOR_RED },
			  [ATTR_WEIGHTS] = { 25, COLOR_BLUE },
			  [ATTR_KV] = { 130, COLOR_MAGENTA },
			  [ATTR_COMPUTE] = { 90, COLOR_RED },
			  [ATTR_OTHER] = { 23, COLOR_GREEN } },
};

/* The next picture is painted whole. */
static void forget(struct screen *s)
{
	free(s->painted);
	s->painted = NULL;
	s->n_painted = 0;
}

void screen_theme(struct screen *s, enum theme theme)
{
	forget(s);
	for (int i = 0; i < ATTR_COUNT; i++) {
		short c = COLORS >= 256 ? colours[theme][i].many : colours[theme][i].few;

		s->attrs[i] = plain[i];
		if (!s->colour || theme == THEME_MONO || !c)
			continue;
		init_pair((short)(i + 1), c, -1);
		s->attrs[i] |= COLOR_PAIR(i + 1);
	}
}

/* A click is a press and a release in one report: waiting for a second one would cost a sixth of a second. */
void screen_mouse(struct screen *s, bool ours)
{
	const mmask_t wanted = BUTTON1_PRESSED | BUTTON1_CLICKED | BUTTON4_PRESSED |
			       BUTTON5_PRESSED;

	(void)s;
	mousemask(ours ? wanted : 0, NULL);
	mouseinterval(0);
}

struct screen *screen_open(bool colour, enum theme theme)
{
	struct screen *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->term = newterm(NULL, stdout, stdin);
	if (!s->term) {
		free(s);
		return NULL;
	}
	set_term(s->term);
	/* start_color() alone makes ncurses send colour codes: not called without colour. */
	s->colour = colour && has_colors() && start_color() == OK && use_default_colors() == OK;
	screen_theme(s, theme);
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	return s;
}

void screen_close(struct screen *s)
{
	if (!s)
		return;
	endwin();
	delscreen(s->term);
	free(s->painted);
	free(s);
}

uint32_t screen_cols(const struct screen *s)
{
	(void)s;
	return COLS > 0 ? (uint32_t)COLS : 1;
}

uint32_t screen_rows(const struct screen *s)
{
	(void)s;
	return LINES > 0 ? (uint32_t)LINES : 1;
}

void screen_resize(struct screen *s)
{
	struct winsize size;

	forget(s);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

/*
 * One that the C library takes for wider or narrower than we do would push the rest of its row aside, or
 * fall into the cell before it.
 */
static wchar_t shown(uint32_t ch, int cells)
{
	return ch < 0x7f || wcwidth((wchar_t)ch) == cells ? (wchar_t)ch : L'?';
}

static void paint_cell(const struct screen *s, int y, int x, const struct cell *c, int cells)
{
	wchar_t text[2] = { shown(c->ch, cells), 0 };
	attr_t a = s->attrs[c->attr];
	cchar_t out;

	if (c->reversed)
		a = (a & ~(attr_t)A_DIM) | A_REVERSE;
	setcchar(&out, text, a & ~A_COLOR, (short)PAIR_NUMBER(a), NULL);
	mvadd_wch(y, x, &out);
}

/* The cells of a row from x to before end, which are whole characters. */
static void paint_cells(const struct screen *s, int y, const struct cell *cells, uint32_t x,
			uint32_t end)
{
	for (; x < end && (int)x < COLS; x++)
		if (cells[x].ch)
			paint_cell(s, y, (int)x, &cells[x],
				   x + 1 < end && !cells[x + 1].ch ? 2 : 1);
}

static void paint_row(const struct screen *s, int y, const struct cell *cells, uint32_t n)
{
	move(y, 0);
	clrtoeol();
	paint_cells(s, y, cells, 0, n);
}

static bool same_cell(const struct cell *a, const struct cell *b)
{
	return a->ch == b->ch && a->attr == b->attr && a->reversed == b->reversed;
}

/* A cell that nothing is the right half of, before or now: what is written from it on touches no other. */
static bool is_border(const struct cell *old, const struct cell *row, uint32_t x, uint32_t n)
{
	return x == n || (old[x].ch && row[x].ch);
}

/* Where one picture differs from the one before: each stretch of cells, of whole characters. */
static void paint_changes(const struct screen *s, int y, const struct cell *old,
			  const struct cell *row, uint32_t n)
{
	for (uint32_t x = 0; x < n;) {
		uint32_t end = x + 1;

		while (!is_border(old, row, end, n))
			end++;
		for (uint32_t i = x; i < end; i++)
			if (!same_cell(&old[i], &row[i])) {
				paint_cells(s, y, row, x, end);
				break;
			}
		x = end;
	}
}

/* Without memory each picture is painted whole. */
static void remember(struct screen *s, const struct view *v)
{
	size_t size = (size_t)v->n_rows * v->cols * sizeof(*v->cells);
	void *more = size ? realloc(s->painted, size) : NULL;

	if (!more) {
		forget(s);
		return;
	}
	s->painted = more;
	s->n_painted = v->n_rows;
	s->painted_cols = v->cols;
	memcpy(s->painted, v->cells, size);
}

void screen_paint(struct screen *s, const struct view *v)
{
	const size_t n = v->cols;

	if (s->painted_cols != v->cols)
		forget(s);
	if (!s->painted)
		erase();
	for (uint32_t y = 0; y < v->n_rows && (int)y < LINES; y++) {
		if (y < s->n_painted)
			paint_changes(s, (int)y, &s->painted[y * n], view_row(v, y), v->cols);
		else
			paint_row(s, (int)y, view_row(v, y), v->cols);
	}
	for (uint32_t y = v->n_rows; y < s->n_painted && (int)y < LINES; y++)
		paint_row(s, (int)y, NULL, 0);
	remember(s, v);
	/* Who reads a screen by its cursor finds it on the line that counts. */
	move((int)v->cursor_row < LINES ? (int)v->cursor_row : LINES - 1,
	     (int)v->cursor_col < COLS ? (int)v->cursor_col : COLS - 1);
	refresh();
}

static uint32_t mouse_key(struct stroke *k)
{
	MEVENT e;

	if (getmouse(&e) != OK)
		return KEY_NONE_;
	k->row = (uint32_t)e.y;
	k->col = (uint32_t)e.x;
	if (e.bstate & BUTTON4_PRESSED)
		return K_WHEEL_UP;
	if (e.bstate & BUTTON5_PRESSED)
		return K_WHEEL_DOWN;
	return e.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED) ? K_CLICK : KEY_NONE_;
}

static uint32_t code_key(int code, struct stroke *k)
{
	if (code == KEY_MOUSE)
		return mouse_key(k);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].key;
	return KEY_NONE_;
}

/* A character's bytes may come in pieces, of which get_wch() without a delay loses the first. */
bool screen_stroke(struct screen *s, struct stroke *k)
{
	wchar_t ch;
	size_t n;
	int code;

	*k = (struct stroke) { .key = KEY_NONE_ };
	do {
		code = getch();
		if (code == ERR)
			return false;
		if (code > UCHAR_MAX) {
			k->key = code_key(code, k);
			return true;
		}
		n = mbrtowc(&ch, &(char) { (char)code }, 1, &s->typed);
	} while (n == (size_t)-2);
	if (n == (size_t)-1) {
		memset(&s->typed, 0, sizeof(s->typed));
		if (code > 0x7f)
			return true; /* no character at all */
		ch = code;           /* the one before never came whole */
	}
	k->key = (uint32_t)ch;
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (controls[i].ch == (wint_t)ch)
			k->key = controls[i].key;
	return true;
}

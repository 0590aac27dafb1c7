/* SPDX-License-Identifier: MIT */
#include "tui/draw.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ncurses.h>

struct screen {
	SCREEN *term;
	bool colour;
	attr_t attrs[ATTR_COUNT];
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

void screen_theme(struct screen *s, enum theme theme)
{
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

	(void)s;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

static void paint_cell(const struct screen *s, const struct cell *c)
{
	cchar_t out;
	wchar_t text[2] = { (wchar_t)c->ch, 0 };
	attr_t a = s->attrs[c->attr];

	if (c->reversed)
		a = (a & ~(attr_t)A_DIM) | A_REVERSE;
	setcchar(&out, text, a & ~A_COLOR, (short)PAIR_NUMBER(a), NULL);
	add_wch(&out);
}

void screen_paint(struct screen *s, const struct view *v)
{
	erase();
	for (uint32_t y = 0; y < v->n_rows && (int)y < LINES; y++) {
		const struct cell *cells = view_row(v, y);

		move((int)y, 0);
		for (uint32_t x = 0; x < v->cols && (int)x < COLS; x++)
			if (cells[x].ch)
				paint_cell(s, &cells[x]);
	}
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

bool screen_stroke(struct screen *s, struct stroke *k)
{
	wint_t ch;
	int rc = get_wch(&ch);

	(void)s;
	*k = (struct stroke) { .key = KEY_NONE_ };
	if (rc == ERR)
		return false;
	if (rc == KEY_CODE_YES) {
		k->key = code_key((int)ch, k);
		return true;
	}
	k->key = ch;
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		if (controls[i].ch == ch)
			k->key = controls[i].key;
	return true;
}

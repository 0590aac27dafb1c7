/* SPDX-License-Identifier: MIT */
#include "tui/draw.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <ncurses.h>

struct screen {
	SCREEN *term;
	attr_t attrs[ATTR_COUNT];
};

/* clang-format off */
static const struct key_help helps[] = {
	{ "q",          "quit",   "Leave." },
	{ "?",          "help",   "Show or hide this page." },
	{ "p",          "pause",  "Freeze the picture, or go on." },
	{ "+ -",        "faster slower", "Halve or double the interval (0.1 s to 60 s)." },
	{ "Up Down",    NULL,     "Scroll by a row." },
	{ "PgUp PgDn",  NULL,     "Scroll by a screen." },
	{ "Home End",   NULL,     "To the first or the last row." },
	{ "Ctrl-L",     NULL,     "Draw everything again." },
};

/* KEY_RESIZE is no key of ours: resizeterm() itself puts it into the queue. */
static const struct {
	int code;
	enum act act;
} keys[] = {
	{ 'q', ACT_QUIT },       { 'Q', ACT_QUIT },            { 27, ACT_NONE },
	{ '?', ACT_HELP },       { 'h', ACT_HELP },            { KEY_F(1), ACT_HELP },
	{ 'p', ACT_PAUSE },      { ' ', ACT_PAUSE },
	{ '+', ACT_FASTER },     { '=', ACT_FASTER },          { '-', ACT_SLOWER },
	{ KEY_UP, ACT_UP },      { 'k', ACT_UP },
	{ KEY_DOWN, ACT_DOWN },  { 'j', ACT_DOWN },
	{ KEY_PPAGE, ACT_PAGE_UP }, { KEY_NPAGE, ACT_PAGE_DOWN },
	{ KEY_HOME, ACT_TOP },   { KEY_END, ACT_END },
	{ 'L' & 0x1f, ACT_REDRAW },
};

/* Colours on the terminal's own background. Every letter and word carries its meaning without them. */
static const struct {
	attr_t plain; /* with or without colour */
	short colour; /* -1: none */
} looks[ATTR_COUNT] = {
	[ATTR_PLAIN]   = { A_NORMAL, -1 },
	[ATTR_TITLE]   = { A_BOLD,   -1 },
	[ATTR_HEAD]    = { A_UNDERLINE, -1 },
	[ATTR_DIM]     = { A_DIM,    -1 },
	[ATTR_OK]      = { A_NORMAL, COLOR_GREEN },
	[ATTR_WARN]    = { A_BOLD,   COLOR_YELLOW },
	[ATTR_BAD]     = { A_BOLD,   COLOR_RED },
	[ATTR_WEIGHTS] = { A_NORMAL, COLOR_CYAN },
	[ATTR_KV]      = { A_NORMAL, COLOR_MAGENTA },
	[ATTR_COMPUTE] = { A_NORMAL, COLOR_YELLOW },
	[ATTR_OTHER]   = { A_NORMAL, COLOR_BLUE },
};
/* clang-format on */

static void choose_looks(struct screen *s, bool colour)
{
	/* start_color() alone makes ncurses send colour codes: not called without colour. */
	bool on = colour && has_colors() && start_color() == OK && use_default_colors() == OK;

	for (int i = 0; i < ATTR_COUNT; i++) {
		s->attrs[i] = looks[i].plain;
		if (!on || looks[i].colour < 0)
			continue;
		init_pair((short)(i + 1), looks[i].colour, -1);
		s->attrs[i] |= COLOR_PAIR(i + 1);
	}
}

struct screen *screen_open(bool colour)
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
	choose_looks(s, colour);
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

	setcchar(&out, text, a & ~A_COLOR, (short)PAIR_NUMBER(a), NULL);
	add_wch(&out);
}

static void paint_row(const struct screen *s, int y, const struct view *v, uint32_t row)
{
	const struct cell *cells = view_row(v, row);

	move(y, 0);
	for (uint32_t i = 0; i < v->cols && (int)i < COLS; i++)
		if (cells[i].ch)
			paint_cell(s, &cells[i]);
}

void screen_paint(struct screen *s, const struct view *body, uint32_t scroll,
		  const struct view *footer)
{
	erase();
	paint_row(s, 0, body, 0);
	for (int y = 1; y < LINES - 1 && scroll + (uint32_t)y < body->n_rows; y++)
		paint_row(s, y, body, scroll + (uint32_t)y);
	if (LINES > 1)
		paint_row(s, LINES - 1, footer, 0);
	/* Where the cursor cannot be hidden it rests in the corner, not behind the last cell. */
	move(LINES - 1, 0);
	refresh();
}

enum act screen_key(struct screen *s, bool *pressed)
{
	int code = getch();

	(void)s;
	*pressed = code != ERR;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (code == keys[i].code)
			return keys[i].act;
	return ACT_NONE;
}

const struct key_help *screen_keys(uint32_t *n)
{
	*n = sizeof(helps) / sizeof(helps[0]);
	return helps;
}

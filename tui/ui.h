/* SPDX-License-Identifier: MIT */
/*
 * What the person at the keyboard has made of the picture: which page, which row, which filter. Pure:
 * a key and a frame in, a changed state out, and what the monitor shall do.
 */
#ifndef BERTH_TUI_UI_H
#define BERTH_TUI_UI_H

#include "tui/prefs.h"
#include "tui/layout.h"

enum page { PAGE_MAIN, PAGE_DEVICE, PAGE_RUN, PAGE_BRIDGE, PAGE_EVENTS, PAGE_FITS, PAGE_HELP };

/* Keys that are no character, above all code points. */
enum key {
	KEY_NONE_ = 0x110000,
	K_UP,
	K_DOWN,
	K_LEFT,
	K_RIGHT,
	K_PAGE_UP,
	K_PAGE_DOWN,
	K_HOME,
	K_END,
	K_ENTER,
	K_ESCAPE,
	K_TAB,
	K_BACK_TAB,
	K_BACKSPACE,
	K_F1,
	K_REDRAW,
	K_CLICK,    /* at row and col */
	K_WHEEL_UP, /* over row and col */
	K_WHEEL_DOWN,
};

struct stroke {
	uint32_t key; /* a code point, or enum key */
	uint32_t row, col;
};

/* What the monitor shall do besides painting again. */
enum wish_kind {
	DO_NOTHING,
	DO_QUIT,
	DO_PAUSE,
	DO_INTERVAL, /* prefs.interval_ms changed */
	DO_REDRAW,
	DO_LOOKS, /* theme or glyphs changed */
	DO_SAVE,  /* the settings */
	DO_HOLD,  /* the process `pid`, so that nobody else is ended in its place while we ask */
	DO_END,   /* what is held */
	DO_STOP,  /* the run `name`, through its supervisor */
	DO_LET_GO,
	DO_WIND,   /* by `seconds` */
	DO_FITS,   /* ask the planner */
	DO_RECORD, /* save the flight recorder */
};

struct action {
	enum wish_kind kind;
	int32_t pid;
	int64_t seconds;
	char name[64];
};

struct ui {
	enum page page;
	enum pane focus;
	char at[PANES][96];     /* key of the row where the cursor is, by pane; empty: the first */
	uint32_t scroll[PANES]; /* rows above the part that shows */
	uint32_t page_scroll;   /* of help, events and details */
	char subject[96];       /* of a details page */
	char filter[64];
	bool typing;         /* keys go to the filter */
	bool asking;         /* ask_text, and 'y' does it */
	struct action asked; /* what 'y' does */
	char ask_text[160];
	char notice[160]; /* one sentence in the last line, until the next key */
};

struct frame;
struct picture;

void ui_init(struct ui *ui);

/*
 * One key, answered by what is on the screen: `shown` is the last picture of `f`, whose ui this is. The
 * settings may change. Returns what is left to do.
 */
struct action ui_key(struct ui *ui, struct prefs *prefs, const struct frame *f,
		     const struct picture *shown, struct stroke k);

#endif

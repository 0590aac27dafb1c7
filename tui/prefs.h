/* SPDX-License-Identifier: MIT */
/*
 * How a person wants the monitor: the command line goes before $XDG_CONFIG_HOME/berth/top.conf (else
 * ~/.config/berth/top.conf), which holds lines `option = value` and is written by the key 'S'.
 */
#ifndef BERTH_TUI_PREFS_H
#define BERTH_TUI_PREFS_H

#include "base/err.h"
#include "tui/events.h"
#include "tui/layout.h"

enum theme { THEME_SAFE, THEME_DARK, THEME_LIGHT, THEME_MONO, THEMES };
enum units { UNITS_IEC, UNITS_SI, UNITSES };      /* GiB or GB */
enum degrees { DEGREES_C, DEGREES_F, DEGREESES }; /* of temperature */
enum glyph_choice { GLYPHS_AUTO, GLYPHS_OPT_ASCII, GLYPHS_OPT_BLOCKS, GLYPHS_OPT_BRAILLE };
enum sort { SORT_NONE, SORT_NAME, SORT_MEMORY, SORT_POWER, SORT_SPEED, SORTS };

struct prefs {
	int theme, units, degrees, glyphs, sort; /* of the enums above */
	uint32_t interval_ms;
	double price_kwh; /* of a kilowatt hour; 0: not known */
	char currency[8]; /* as it is shown: "EUR" */
	struct thresholds alarm;
	bool hidden[PANES];
	uint32_t rows[PANES]; /* of each list at most, its title included; 0: as many as fit */
	bool no_mouse;
};

void prefs_default(struct prefs *c);

/* Names of the enums, as the file and the command line spell them; each ends with NULL. */
extern const char *const theme_names[], *const units_names[], *const degrees_names[];
extern const char *const glyphs_names[], *const sort_names[];

/* One setting by name. 0, -ENOENT: no such setting, -EINVAL; *e says what would do. */
int prefs_set(struct prefs *c, const char *name, const char *value, struct err *e);

/* The text of a file: as far as it makes sense is taken; -EBADMSG with the first line that does not. */
int prefs_parse(struct prefs *c, const char *text, struct err *e);

/* The file's text; only what differs from the default is said, and comments explain the rest. */
struct text;
void prefs_text(const struct prefs *c, struct text *t);

/* Read the file into c; one that is not there is no error. */
int prefs_load(struct prefs *c, struct err *e);

/* Write it, complete or not at all; its folder is made. */
int prefs_save(const struct prefs *c, struct err *e);

#endif

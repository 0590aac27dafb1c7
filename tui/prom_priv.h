/* SPDX-License-Identifier: MIT */
/* What the parts of the metrics share. */
#ifndef BERTH_TUI_PROM_PRIV_H
#define BERTH_TUI_PROM_PRIV_H

#include "tui/prom.h"

void prom_label(FILE *to, const char *key, const char *value); /* a label, quoted */
void prom_head(FILE *to, const char *name, const char *type, const char *help);
void prom_value(FILE *to, uint64_t v, double per); /* ends the labels; v divided by `per` */

void prom_bridges(const struct snapshot *s, FILE *to);

#endif

/* SPDX-License-Identifier: MIT */
/* Labelled lines of text for people: "    memory     24.0 GiB on the card, ...", wrapped and aligned. */
#ifndef BERTH_PROBE_LINES_PRIV_H
#define BERTH_PROBE_LINES_PRIV_H

#include <stdio.h>

#include "base/text.h"

#define LINE_COLUMNS 100

/* One line under construction. */
struct line {
	char buf[2048];
	struct text t;
};

void line_init(struct line *l);

/* Add a part, after a comma when there is one before it. */
void line_part(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print s under a label (empty: none), on as many lines as it takes. */
void line_print(FILE *to, const char *label, const char *s);

/* How much of s goes on a line of `room` columns: whole parts, else words, else numbers, else what fits. */
size_t line_fitting(const char *s, size_t room);

#endif

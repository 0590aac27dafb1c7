/* SPDX-License-Identifier: MIT */
/*
 * A snapshot in Prometheus' text format, version 0.0.4, as node_exporter's textfile collector takes it: names
 * in base units, counters end in _total, and what is unknown is not there. Pure.
 */
#ifndef BERTH_TUI_PROM_H
#define BERTH_TUI_PROM_H

#include <stdio.h>

#include "tui/snapshot.h"

/* 0, or -EIO when the stream failed. */
int prom_print(const struct snapshot *s, FILE *to);

#endif

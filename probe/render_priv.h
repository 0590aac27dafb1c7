/* SPDX-License-Identifier: MIT */
/* The text of `berth probe`. */
#ifndef BERTH_PROBE_RENDER_PRIV_H
#define BERTH_PROBE_RENDER_PRIV_H

#include <stdbool.h>
#include <stdio.h>

#include "probe/probe.h"

/*
 * whole: with the CPU, and a sentence when there is no GPU; else only the GPUs of r. verbose: with the
 * details that most people do not ask for, and their sources.
 */
void render_report(FILE *to, const struct report *r, bool whole, bool verbose);

#endif

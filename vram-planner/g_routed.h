/* SPDX-License-Identifier: MIT */
/* Graphs of families with experts that are no variant of the common decoder. */
#ifndef BERTH_G_ROUTED_H
#define BERTH_G_ROUTED_H

#include "vram-planner/build.h"

void build_llama4(struct build *b);
void build_grok(struct build *b);
void build_deepseek4(struct build *b);

#endif

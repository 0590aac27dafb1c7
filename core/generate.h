/* SPDX-License-Identifier: MIT */
/* From a prompt to tokens on a stream. */
#ifndef BERTH_CORE_GENERATE_H
#define BERTH_CORE_GENERATE_H

#include <stdio.h>

#include "core/control.h"
#include "core/engine.h"
#include "core/page.h"

struct generate {
	struct engine *engine;
	struct control *control; /* looked at before every batch */
	struct page *page;
	FILE *out;
	const char *prompt;
	uint32_t max_tokens; /* 0: until the context is full */
	uint32_t batch;      /* prompt tokens in one go: a stop has to wait for that long */
};

/* Runs until the model ends, max_tokens, a full context, a stop, or a closed stream; *o says which. */
enum failure generate_run(const struct generate *g, struct outcome *o, struct err *e);

#endif

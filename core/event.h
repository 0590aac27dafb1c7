/* SPDX-License-Identifier: MIT */
/*
 * What the core tells its supervisor: one "berth.core/1" object a line (docs/formats.md). Making the
 * objects is pure; sending them is control.h's.
 */
#ifndef BERTH_CORE_EVENT_H
#define BERTH_CORE_EVENT_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "core/account.h"

/* Why the core failed; the names are in the protocol and do not change. */
enum failure {
	FAILURE_NONE = 0,
	FAILURE_PLAN,    /* the plan cannot be read or carried out */
	FAILURE_VERSION, /* the engine is not the one this program was built for */
	FAILURE_DEVICE,  /* a device of the plan is not there */
	FAILURE_LOAD,    /* the engine refused the model */
	FAILURE_OOM,     /* memory could not be had */
	FAILURE_CONTEXT, /* no context of that size, or the prompt does not fit into it */
	FAILURE_DECODE,  /* an error while computing */
	FAILURE_OUTPUT,  /* tokens cannot be written; a reader that left is no failure */
	FAILURE_COUNT
};

const char *failure_name(enum failure f); /* "oom" */
enum exit_code failure_exit(enum failure f);

struct outcome {
	uint64_t prompt_tokens, prompt_ns;
	uint64_t generated_tokens, generated_ns;
	const char *stop; /* "eog", "length", "context", "stopped", "closed" */
};

json_t *event_loading(const char *engine);
json_t *event_progress(uint32_t percent);
json_t *event_ready(const struct account *a, const struct enginelog *l, uint32_t n_ctx,
		    uint32_t threads);
/* Of a `ready`: where the layers of the draft are, too. */
void event_add_draft(json_t *ready, const struct enginelog *draft);
json_t *event_done(const struct outcome *o);
json_t *event_failed(enum failure f, const char *sentence);

#endif

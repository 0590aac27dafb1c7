/* SPDX-License-Identifier: MIT */
/*
 * What a core says on its control line: one "berth.core/1" object a line (docs/formats.md). The core is
 * our child, but an engine runs in it: what it says is checked like any other input.
 */
#ifndef BERTH_LAUNCH_WIRE_H
#define BERTH_LAUNCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "base/telem.h"

#define WIRE_LAYERS_MAX 1024
#define WIRE_LINE_MAX   (1 << 20)

struct wire_device {
	char name[48]; /* the engine's: "CUDA0", "CPU" for the host */
	char pci[24];  /* empty: the engine knows none */
	char backend[16];
	uint32_t layers;
	struct telem_bytes bytes; /* measured; other may be TELEM_UNKNOWN */
	uint64_t rounding_bytes;  /* the largest error of a sum */
};

/* The placement as the engine logged it. */
struct wire_ready {
	uint32_t n_ctx, threads;
	uint32_t n_layers;
	char layers[WIRE_LAYERS_MAX][48]; /* the device of each, "" when the engine did not say */
	uint32_t n_draft_layers;          /* of a draft model; 0: there is none */
	char draft_layers[WIRE_LAYERS_MAX][48];
	uint32_t n_devices;
	struct wire_device devices[PLAN_DEVICES_MAX + 1]; /* in the plan's order, the host last */
	uint64_t unplaced_bytes;
};

struct wire_done {
	uint64_t prompt_tokens, prompt_ns, generated_tokens, generated_ns;
	char stop[24];
};

/* All that was said so far. */
struct wire {
	bool loading, is_ready, is_done, has_failed;
	int percent; /* of the load */
	char engine[48];
	struct wire_ready ready;
	struct wire_done done;
	char failure[16]; /* "oom" */
	char sentence[768];
};

/* Take one line. 0, or -EBADMSG with *e: not an event, or one that makes no sense. */
int wire_line(struct wire *w, const char *line, size_t n, struct err *e);

#endif

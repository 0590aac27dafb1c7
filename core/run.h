/* SPDX-License-Identifier: MIT */
/* One process of the core: what it was told, and what it found. */
#ifndef BERTH_CORE_RUN_H
#define BERTH_CORE_RUN_H

#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "core/control.h"
#include "core/engine.h"
#include "core/options.h"
#include "core/page.h"

struct run {
	struct options o;
	struct log log;
	struct plan plan;
	char lib_dir[PATH_MAX];
	struct adapters loras, vectors;
	FILE *out;
	struct control control;
	struct page page;
	struct engine *engine;
	struct engine *draft; /* NULL: the plan has none */
	struct engine_device devices[CORE_DEVICES_MAX];
	uint32_t n_devices;
	uint32_t index[PLAN_DEVICES_MAX];
	uint64_t free_before[PLAN_DEVICES_MAX];
	struct account account;
	bool loaded;      /* once; later loads must be the same */
	uint64_t load_ns; /* the last one took */
	uint32_t percent; /* of the model, loaded */
	struct outcome outcome;
	struct serve http;
};

/* Open the engine with the backends that the plan needs; with all there are when there is no plan. */
enum failure run_open_engine(struct run *r, struct err *e);

bool run_is_for_cpu(const struct plan *p); /* and for nothing else */

/* Load, have it proven, then serve or generate; r->outcome says what came of it. */
enum failure run_carry_out(struct run *r, struct err *e);

/* --- questions: the answer goes to r->out (ask.c) --- */

/* What the engine would allocate for the plan. An exit code. */
int ask_measure(struct run *r, struct err *e);
enum failure ask_calibrate(struct run *r, struct err *e);
enum failure ask_devices(struct run *r, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What an installed llama-server writes: the engine's own log, each line behind a time and a letter for its
 * level ("0.00.012.352 D load_tensors: ..."), or without. Pure; fed with bytes as they come.
 */
#ifndef BERTH_CORE_SERVERLOG_H
#define BERTH_CORE_SERVERLOG_H

#include "core/device.h"
#include "core/enginelog.h"

struct serverlog {
	struct enginelog engine;
	uint32_t n_devices; /* that it said it uses */
	struct engine_device devices[PLAN_DEVICES_MAX + 1];
	/* private */
	bool model_seen; /* from here on it quotes what the model says: devices may be forged */
	char line[1024];
	size_t len;
};

void serverlog_init(struct serverlog *l);
void serverlog_feed(struct serverlog *l, const char *bytes, size_t n);

#endif

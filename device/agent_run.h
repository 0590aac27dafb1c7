/* SPDX-License-Identifier: MIT */
/*
 * The agent "run": runs of ours, by their names. It asks one to stop ("stop") as `berth stop` does, which waits until the
 * run has ended, and says "running" or "ended".
 */
#ifndef BERTH_DEVICE_AGENT_RUN_H
#define BERTH_DEVICE_AGENT_RUN_H

#include "device/agent.h"

int run_ask(const struct machine *m, const char *object, const char *value, struct err *e);
int run_look(const struct machine *m, const char *object, char *said, size_t size, struct err *e);

#endif

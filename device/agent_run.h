/* SPDX-License-Identifier: MIT */
/*
 * The agent "run": runs of ours, by their names. It asks one to stop ("stop") as `berth stop` does, which waits until the
 * run has ended, and says "running" or "ended". An object is a name, or "1000:NAME" for a run in the folder of that user,
 * which is stopped as that user.
 */
#ifndef BERTH_DEVICE_AGENT_RUN_H
#define BERTH_DEVICE_AGENT_RUN_H

#include "device/agent.h"
#include "device/scene.h"

int run_ask(const struct machine *m, const char *object, const char *value, struct err *e);
int run_look(const struct machine *m, const char *object, char *said, size_t size, struct err *e);

/* Pure. *uid: RUN_OURS, or whose. False: no run can be called so. */
bool run_object_parse(const char *object, uint32_t *uid, const char **name);

#endif

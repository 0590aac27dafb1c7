/* SPDX-License-Identifier: MIT */
/*
 * Which drivers the kernel has: those that are registered, and those that a module would bring. And the agent
 * "module", by which a step loads one: modprobe(8) knows dependencies, blacklists and options, no file does.
 */
#ifndef BERTH_DEVICE_MODULES_H
#define BERTH_DEVICE_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/machine.h"

enum driver_state {
	DRIVER_UNKNOWN, /* neither: nothing here could take a device by that name */
	DRIVER_LOADED,  /* registered with the PCI bus */
	DRIVER_MODULE,  /* its module is installed and not loaded */
	DRIVER_UNTOLD,  /* not registered, and the list of modules cannot be read */
};

/*
 * A driver by the name that a person gives: '-' and '_' are the same. `real` is how the bus calls it when it is
 * registered, else the name as given; `module` is what to load. Both have MODULE_NAME_MAX bytes.
 */
#define MODULE_NAME_MAX 56
enum driver_state driver_look(const struct machine *m, const char *name, char *real, char *module);

/* Letters, digits, '-' and '_', not too long: what a driver's name may be. */
bool driver_name_ok(const char *name);

/* The registered driver that is spelt most like a name; "" when none is near. */
void driver_nearest(const struct machine *m, const char *name, char *nearest);

/* The agent: object: a module; value: "loaded". As agent.h says. */
int modprobe_call(const struct machine *m, const char *module, const char *value, struct err *e);
int modprobe_look(const struct machine *m, const char *module, char *said, size_t size,
		  struct err *e);

#endif

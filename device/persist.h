/* SPDX-License-Identifier: MIT */
/*
 * Which driver a function gets at every start: files in /etc, as driverctl(8) has them, so that each understands the
 * other's: /etc/driverctl.d/pci-ADDRESS holds the driver's name. driverctl's own rule of udev acts on it; where
 * driverctl is not installed, a rule of ours does the same for that function, and only while the same card is there:
 * addresses move when a card is added.
 */
#ifndef BERTH_DEVICE_PERSIST_H
#define BERTH_DEVICE_PERSIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "device/scene.h"
#include "device/step.h"

/* The driver that the files in /etc give a function: "none" keeps all away; false: nothing is set. */
bool persist_read(const struct machine *m, const char *pci, char *driver, size_t size);

/* Steps that set it; driver "none", or "" to take the files away (nothing when there are none). */
int persist_steps(const struct scene *s, const struct func *f, const char *driver, struct txn *t,
		  struct err *e);

/* The text of our rule. It may not fit: then it is cut, and t says so. */
void persist_rule(struct text *t, const struct func *f, const char *driver);

#endif

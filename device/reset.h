/* SPDX-License-Identifier: MIT */
/*
 * berth device reset: a function, or its whole bus, starts over. Drivers let go before and take back after, and what
 * comes back must be what went: its ids, its class, its BARs.
 */
#ifndef BERTH_DEVICE_RESET_H
#define BERTH_DEVICE_RESET_H

#include "device/scene.h"
#include "device/verb.h"

int reset_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);

/* What list says of it: the methods, or why it cannot be reset. */
void reset_words(struct text *t, const struct scene *s, const struct func *f);

/* How far a method reaches, by its name; -1: no kernel has such a method. For tests. */
enum reach {
	REACH_FUNCTION,
	REACH_CARD, /* all functions of its slot */
	REACH_BUS,  /* all functions of its bus, and below */
};
int reset_reach(const char *method);

#endif

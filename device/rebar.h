/* SPDX-License-Identifier: MIT */
/*
 * berth device rebar: give a BAR another of the sizes that the card lists. Refused with the cause where the windows
 * above cannot hold it; with --force empty ports beside it are taken away first and found again after.
 */
#ifndef BERTH_DEVICE_REBAR_H
#define BERTH_DEVICE_REBAR_H

#include "device/scene.h"
#include "device/verb.h"

int rebar_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);

/* What list says of it: BARs and the sizes they can have; or that none can. */
void rebar_words(struct text *t, const struct scene *s, const struct func *f);

#endif

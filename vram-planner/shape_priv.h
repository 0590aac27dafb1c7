/* SPDX-License-Identifier: MIT */
/* The steps of reading a shape, in their order. Each takes what the ones before have filled in. */
#ifndef BERTH_SHAPE_PRIV_H
#define BERTH_SHAPE_PRIV_H

#include "base/err.h"
#include "vram-planner/family_priv.h"
#include "vram-planner/shape.h"

int shape_keys(struct shape *s, struct err *e);    /* the numbers that hold for the whole model */
int shape_tensors(struct shape *s, struct err *e); /* the tensors to their slots */
int shape_layers(struct shape *s, struct err *e);  /* what each layer is */
int shape_check(const struct shape *s, struct err *e); /* that tensors are as the keys say */

#endif

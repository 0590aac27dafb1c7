/* SPDX-License-Identifier: MIT */
/* The proof of a placement, as a table for people and as JSON. */
#ifndef BERTH_LAUNCH_PROOF_H
#define BERTH_LAUNCH_PROOF_H

#include "base/json.h"
#include "base/text.h"
#include "launch/verify.h"

/* A line of names, then one a device: measured bytes, each with its difference from the plan. */
void proof_text(struct text *t, const struct proof *p);

/* One object a device. The caller owns it. */
json_t *proof_to_json(const struct proof *p);

#endif

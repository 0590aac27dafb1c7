/* SPDX-License-Identifier: MIT */
#ifndef BERTH_TERMS_PRIV_H
#define BERTH_TERMS_PRIV_H

#include "vram-planner/bill.h"
#include "vram-planner/terms.h"

#define HOST UINT32_MAX /* in place of the index of a device */

/* One plan that is explained. */
struct view {
	const struct plan *plan;
	struct biller *biller;
	struct ask ask;
	struct target targets[PLAN_DEVICES_MAX];
	struct bill bill;
};

/* Which settings would take less of a device, or of the host, and by how much. */
void savings_explain(struct text *t, const struct view *v, uint32_t device);

#endif

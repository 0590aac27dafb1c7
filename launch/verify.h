/* SPDX-License-Identifier: MIT */
/*
 * Is the model where the plan put it? Compares what the engine said with the plan, layer by layer and
 * byte by byte. Pure.
 */
#ifndef BERTH_LAUNCH_VERIFY_H
#define BERTH_LAUNCH_VERIFY_H

#include "base/err.h"
#include "base/planfile.h"
#include "launch/wire.h"

/*
 * 0, or -EXDEV with one sentence that names the first layer that is elsewhere, the device it was
 * planned for and the one that has it; or the device that is another than planned.
 */
int verify_placement(const struct plan *p, const struct wire_ready *r, struct err *e);

enum proof_kind { PROOF_WEIGHTS, PROOF_KV, PROOF_COMPUTE, PROOF_KINDS };

/* One device, planned and measured side by side. */
struct proof_row {
	char name[48], pci[24], backend[16];
	uint32_t layers_planned, layers_found;
	uint64_t planned[PROOF_KINDS], measured[PROOF_KINDS];
	uint64_t overhead_planned, other_measured; /* other may be TELEM_UNKNOWN */
	uint64_t rounding_bytes;
	bool exact; /* weights and KV are as planned, within the engine's rounding */
};

struct proof {
	uint32_t n; /* the plan's devices in order, the host last */
	struct proof_row rows[PLAN_DEVICES_MAX + 1];
	uint64_t unplaced_bytes;
};

/* Lay plan and report side by side. Call after verify_placement said yes. */
void proof_make(struct proof *proof, const struct plan *p, const struct wire_ready *r);

#endif

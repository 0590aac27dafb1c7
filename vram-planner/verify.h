/* SPDX-License-Identifier: MIT */
/*
 * The planner against the engine itself: libexec/berth/core --measure is asked for the same plan, and
 * where the two differ by much the larger number counts.
 */
#ifndef BERTH_VERIFY_H
#define BERTH_VERIFY_H

#include "base/json.h"
#include "base/planfile.h"
#include "base/text.h"
#include "vram-planner/model.h"

#define VERIFY_TOLERANCE (UINT64_C(16) << 20) /* less than this is no difference */
#define VERIFY_TIMEOUT_S 120                  /* drivers may compile for a while when first asked */

/* What "berth.measure/1" says. */
struct measured {
	char end[16]; /* "measured", or why not; "" when nobody could be asked */
	char why[320];
	char engine[48];
	uint64_t kv_bytes, kv_rounding_bytes; /* of all devices together */
	uint32_t n;                           /* devices in the plan's order, then the host */
	uint64_t compute_bytes[PLAN_DEVICES_MAX + 1];
};

enum verify_end {
	VERIFY_NONE,     /* not measured */
	VERIFY_AGREES,   /* within VERIFY_TOLERANCE everywhere */
	VERIFY_DIFFERS,  /* the larger numbers were taken over */
	VERIFY_MEASURED, /* there was only an upper bound; the engine's numbers were taken over */
	VERIFY_REFUSED,  /* the engine cannot do what the plan says */
};

struct verification {
	enum verify_end end;
	struct measured measured;
	uint32_t n; /* as measured.n, 0 when not measured */
	uint64_t planned_kv_bytes, planned_compute_bytes[PLAN_DEVICES_MAX + 1]; /* before */
};

/* Read what the core printed. -EBADMSG with *e when it is no berth.measure/1 of n_devices devices. */
int measured_from_json(struct measured *m, const json_t *o, uint32_t n_devices, struct err *e);

/*
 * Compare, and correct the plan: larger sizes, what is left, and the verdict when it does not fit any
 * more; an abort of the engine is VERDICT_REFUSED. A plan that was only an upper bound (p->unverified)
 * becomes what the engine measured, and is judged. What was corrected is said in p->assumed. Pure.
 */
void verify_use(struct plan *p, const struct measured *m, struct verification *v);

/*
 * Ask the engine that is installed beside this program. Never fails: who cannot be asked leaves
 * m->end empty and m->why saying it.
 */
void verify_measure(const struct plan *p, const struct model *model, struct measured *m);

json_t *verification_to_json(const struct verification *v, const struct plan *p);
void verification_explain(struct text *t, const struct verification *v);

#endif

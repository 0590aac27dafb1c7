/* SPDX-License-Identifier: MIT */
/*
 * How fast it will be: tokens a second, the time to load, energy and cost, each a range with its basis.
 * Pure. What a range needs and nobody knows makes it unknown, with the reason.
 */
#ifndef BERTH_SPEED_H
#define BERTH_SPEED_H

#include "base/json.h"
#include "base/text.h"
#include "vram-planner/plan.h"
#include "vram-planner/traffic.h"

struct range {
	double low, high;
	bool known;
	char why[120]; /* while it is not */
};

/* What a price list says; 0: not given. */
struct prices {
	double kwh;       /* of one kilowatt-hour, in whatever money */
	double api_token; /* of a million tokens elsewhere, in the same money */
};

/* Rates of the memories and links; 0: unknown. Devices as in the placement. */
struct rates {
	uint32_t n;
	struct {
		double bandwidth, link; /* bytes a second */
		double flops;           /* a second, 16-bit matrices */
		double watts;
		bool by_cuda;
		enum src src; /* of the bandwidth */
		char name[64];
	} device[PLAN_DEVICES_MAX];
	double host_bandwidth;
	enum src host_src;
};

struct speed {
	uint32_t depth;                  /* tokens in the context */
	double token_bytes;              /* read for one token, everywhere */
	struct range generation, prompt; /* tokens a second */
	struct range load_s;             /* high is unknown: 0 */
	struct range wh_1000;            /* watt-hours for 1,000 generated tokens, GPUs alone */
	struct range cost_million;       /* electricity for a million generated tokens */
	double api_million;              /* 0: not given */
	double kwh;
	char basis
		[64]; /* where the bandwidths come from: "table", "measured here", "given", "unknown" */
};

/* `ubatch`: tokens of a prompt computed at once. */
void speed_of(struct speed *s, const struct traffic *t, const struct rates *r, uint32_t ubatch,
	      const struct prices *prices);

/*
 * The same of a finished plan: places are those it was made from. false: it places nothing, or its
 * architecture has no rules.
 */
bool speed_of_plan(struct speed *s, const struct plan *p, const struct model *m,
		   const struct place *places, uint32_t n_places, const struct host_place *host,
		   uint32_t depth, const struct prices *prices);

/* "25 to 45"; "" when unknown. */
void speed_brief(struct text *t, const struct range *r);
void speed_explain(struct text *t, const struct speed *s);
json_t *speed_to_json(const struct speed *s); /* the caller owns it */

#endif

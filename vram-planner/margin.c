/* SPDX-License-Identifier: MIT */
#include "vram-planner/margin.h"

#define MIB (UINT64_C(1) << 20)

#define MARGIN_LEAST   (256 * MIB)
#define MARGIN_PERCENT 2

/*
 * Weights and caches are exact; compute buffers are a model of the engine's allocator. These are what it
 * is allowed to be short by (tests/truth.py counts it): little with everything on one device, more when
 * weights travel or several devices share, as their scheduling differs most between versions.
 */
#define DOUBT_ONE     (8 * MIB)
#define DOUBT_SEVERAL (32 * MIB)
#define DOUBT_PERCENT 5
#define DOUBT_MOST    (128 * MIB)

uint64_t margin_bytes(const struct fact *wanted, uint64_t memory_bytes)
{
	uint64_t share = memory_bytes / 100 * MARGIN_PERCENT;

	if (fact_known(wanted))
		return wanted->v > 0 ? (uint64_t)wanted->v : 0;
	return share > MARGIN_LEAST ? share : MARGIN_LEAST;
}

static void add(uint64_t *sum, uint64_t bytes)
{
	if (__builtin_add_overflow(*sum, bytes, sum))
		*sum = UINT64_MAX;
}

uint64_t bill_device_bytes(const struct bill *b, uint32_t i)
{
	const struct bill_part *p = bill_part(b, BILL_DEVICE, i);
	uint64_t sum = 0;

	if (!p)
		return 0;
	add(&sum, p->weights_bytes);
	add(&sum, p->kv_bytes);
	add(&sum, p->compute_bytes);
	add(&sum, p->output_bytes);
	return sum;
}

uint64_t bill_host_bytes(const struct bill *b, bool hard)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct bill_part *p = &b->parts[i];

		if (p->kind == BILL_DEVICE)
			continue;
		if (!hard || p->kind != BILL_CPU)
			add(&sum, p->weights_bytes);
		add(&sum, p->kv_bytes);
		add(&sum, p->compute_bytes);
		add(&sum, p->output_bytes);
	}
	return sum;
}

bool bill_spills(const struct bill *b)
{
	const struct bill_part *host = bill_part(b, BILL_CPU, 0);

	return b->host_weights || (host && host->kv_bytes);
}

uint64_t bill_doubt_bytes(const struct bill *b, uint32_t i)
{
	const struct bill_part *p = bill_part(b, BILL_DEVICE, i);
	uint64_t percent = p ? p->compute_bytes / 100 * DOUBT_PERCENT : 0;

	if (!p || b->unverified)
		return 0; /* an upper bound needs no doubt */
	if (!b->host_weights && !bill_part(b, BILL_DEVICE, 1))
		return DOUBT_ONE;
	if (percent > DOUBT_MOST)
		return DOUBT_MOST;
	return percent > DOUBT_SEVERAL ? percent : DOUBT_SEVERAL;
}

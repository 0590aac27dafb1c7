/* SPDX-License-Identifier: MIT */
/* What a plan means. Its form on disk is planfile_json.c. */
#include "base/planfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

const char *const verdict_names[] = {
	[VERDICT_UNKNOWN] = "unknown", [VERDICT_FITS] = "fits",       [VERDICT_SPILLS] = "spills",
	[VERDICT_NO] = "no",           [VERDICT_REFUSED] = "refused", NULL,
};

const char *const accept_choices[] = { "gpu", "spill", "cpu", NULL };

const char *verdict_name(enum verdict v)
{
	return verdict_names[v];
}

const char *accept_name(enum accept a)
{
	return accept_choices[a];
}

enum exit_code plan_exit(const struct plan *p)
{
	bool on_gpu = p->n_devices > 0 && p->flags.n_gpu_layers > 0;

	switch (p->verdict) {
	case VERDICT_FITS:
		return EXIT_YES;
	case VERDICT_SPILLS:
		return p->accept == ACCEPT_CPU || (p->accept == ACCEPT_SPILL && on_gpu) ? EXIT_YES
											: EXIT_NO;
	case VERDICT_NO:
	case VERDICT_REFUSED:
		return EXIT_NO;
	case VERDICT_UNKNOWN:
		break;
	}
	return EXIT_UNKNOWN;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t plan_buffers_sum(const struct plan_buffers *b)
{
	return add(add(b->weights_bytes, b->kv_bytes), add(b->compute_bytes, b->overhead_bytes));
}

void plan_assume(struct plan *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n_assumed == PLAN_ASSUMED_MAX) {
		text_copy(p->assumed[PLAN_ASSUMED_MAX - 1], sizeof(p->assumed[0]), "more");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(p->assumed[p->n_assumed], sizeof(p->assumed[0]), fmt, ap);
	va_end(ap);
	p->n_assumed++;
}

void plan_override(struct plan *p, const char *text)
{
	if (p->n_overrides < PLAN_ASSUMED_MAX)
		text_copy(p->overrides[p->n_overrides++], sizeof(p->overrides[0]), text);
}

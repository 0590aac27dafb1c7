/* SPDX-License-Identifier: MIT */
#include "core/slots.h"

static uint32_t common(const struct slot_view *v, const int32_t *prompt, uint32_t n)
{
	uint32_t most = v->n < n ? v->n : n, i = 0;

	while (i < most && v->tokens[i] == prompt[i])
		i++;
	return i;
}

bool slots_choose(const struct slot_view *v, uint32_t n_slots, const int32_t *prompt, uint32_t n,
		  struct slot_choice *c)
{
	uint32_t oldest = n_slots, best = n_slots, best_n = 0, any = n_slots, any_n = 0;
	uint32_t most = n ? n - 1 : 0;

	for (uint32_t i = 0; i < n_slots; i++) {
		uint32_t k = common(&v[i], prompt, most);

		if (k > any_n) {
			any = i;
			any_n = k;
		}
		if (v[i].busy)
			continue;
		if (oldest == n_slots || v[i].used_ns < v[oldest].used_ns)
			oldest = i;
		if (k > best_n) {
			best = i;
			best_n = k;
		}
	}
	if (oldest == n_slots)
		return false;
	/* In place: nothing is copied. But a long text is not thrown away for a short beginning. */
	if (best_n && best_n + SLOT_SHARE_MIN > any_n &&
	    (best == oldest || v[best].n - best_n <= best_n)) {
		*c = (struct slot_choice) { best, best, best_n };
		return true;
	}
	*c = (struct slot_choice) { oldest, oldest, 0 };
	if (any_n >= SLOT_SHARE_MIN) {
		c->from = any;
		c->n = any_n;
	}
	return true;
}

void slots_divide(const uint32_t *want, uint32_t n, uint32_t budget, uint32_t *got)
{
	uint32_t hungry = 0;

	for (uint32_t i = 0; i < n; i++) {
		got[i] = want[i] == 1 && budget ? 1 : 0;
		budget -= got[i];
		hungry += want[i] > got[i];
	}
	while (budget && hungry) {
		uint32_t each = budget / hungry ? budget / hungry : 1;

		hungry = 0;
		for (uint32_t i = 0; i < n && budget; i++) {
			uint32_t more = want[i] - got[i];

			more = more > each ? each : more;
			more = more > budget ? budget : more;
			got[i] += more;
			budget -= more;
			hungry += want[i] > got[i];
		}
	}
}

uint32_t slots_patience(uint64_t token_ns, uint64_t wait_ns, uint32_t most)
{
	const uint32_t few = 32;
	uint64_t n = token_ns ? wait_ns / token_ns : most;

	n = n < few ? few : n;
	return n < most ? (uint32_t)n : most;
}

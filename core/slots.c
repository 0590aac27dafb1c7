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

static uint32_t give(const struct slot_need *need, uint32_t i, uint32_t most, uint32_t *got)
{
	uint32_t more = need[i].n - got[i];

	more = more < most ? more : most;
	got[i] += more;
	return more;
}

/* Of those who need more: the one who came first, or else who needs least. n: nobody. */
static uint32_t next(const struct slot_need *need, uint32_t n, const uint32_t *got, bool oldest)
{
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t left = need[i].n - got[i];

		if (!left)
			continue;
		if (best == n) {
			best = i;
			continue;
		}
		uint32_t least = need[best].n - got[best];
		bool older = need[i].since_ns < need[best].since_ns;

		if (oldest || left == least ? older : left < least)
			best = i;
	}
	return best;
}

void slots_divide(const struct slot_need *need, uint32_t n, uint32_t budget, uint32_t *got)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		got[i] = need[i].n == 1 && budget ? 1 : 0;
		budget -= got[i];
	}
	i = next(need, n, got, true);
	if (i < n)
		budget -= give(need, i, (budget + 3) / 4, got);
	while (budget && (i = next(need, n, got, false)) < n)
		budget -= give(need, i, budget, got);
}

void slots_divide_whole(const struct slot_need *need, uint32_t n, uint32_t budget, uint32_t *got)
{
	uint32_t oldest = n;

	for (uint32_t i = 0; i < n; i++) {
		got[i] = 0;
		if (need[i].n && (oldest == n || need[i].since_ns < need[oldest].since_ns))
			oldest = i;
	}
	if (oldest < n && need[oldest].n <= budget)
		budget -= got[oldest] = need[oldest].n;
	for (uint32_t i = 0; i < n; i++) {
		if (i != oldest && need[i].n <= budget)
			budget -= got[i] = need[i].n;
	}
}

uint32_t slots_patience(uint64_t token_ns, uint64_t wait_ns, uint32_t whole, uint32_t most)
{
	const uint32_t few = 32;
	uint64_t n = token_ns ? wait_ns / token_ns : most;

	n = n < few ? few : n < most ? n : most;
	if (n > whole)
		n -= n % whole;
	return n < most ? (uint32_t)n : most;
}

/* SPDX-License-Identifier: MIT */
/*
 * The search. Units are the repeating layers and the output; the engine puts the last ones on devices,
 * each device a contiguous run. For a fixed order of devices, giving each as many units as it holds is
 * the best that order can do (a run's need grows with its length), so an order either works that way
 * or not at all; few devices are tried in every order.
 */
#include "vram-planner/search_priv.h"

#include <string.h>

#define ORDERS_MAX 4 /* devices up to which every order is tried */

static uint32_t n_units(const struct search *s)
{
	return s->costs.shape->n_layer + 1;
}

static bool holds(uint64_t free_bytes, const struct plan_buffers *b)
{
	return plan_buffers_sum(b) <= free_bytes;
}

/* Fill in what a placement costs and whether it holds. */
static void judge(const struct search *s, struct placing *p)
{
	struct berthing b[PLAN_DEVICES_MAX] = { 0 };
	uint32_t first = p->n_host;

	p->devices_hold = true;
	for (uint32_t i = 0; i < p->n; i++) {
		b[i] = (struct berthing) { s->slots[p->slot[i]].backend, first, p->units[i] };
		first += p->units[i];
	}
	bool pipeline = costs_pipeline(&s->costs, b, p->n, p->n_host);

	for (uint32_t i = 0; i < p->n; i++) {
		const struct seat *slot = &s->slots[p->slot[i]];

		costs_device(&s->costs, &b[i], i == 0, pipeline, p->n_host, &p->buffers[i]);
		p->buffers[i].overhead_bytes += slot->margin_bytes;
		p->devices_hold &= holds(slot->free_bytes, &p->buffers[i]);
	}
	costs_host(&s->costs, b, p->n, p->n_host, &p->host);
	p->host.overhead_bytes += s->host_margin_bytes;
	p->host_holds = !fact_known(&s->host_free) || holds((uint64_t)s->host_free.v, &p->host);
}

static bool all_hold(const struct placing *p)
{
	return p->devices_hold && p->host_holds;
}

/* The most units from `first` that this device holds. */
static uint32_t most_units(const struct search *s, uint32_t slot, uint32_t first, bool is_first,
			   bool pipeline, uint32_t n_host)
{
	uint32_t low = 0, high = n_units(s) - first;

	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;
		struct berthing b = { s->slots[slot].backend, first, mid };
		struct plan_buffers need;

		costs_device(&s->costs, &b, is_first, pipeline, n_host, &need);
		need.overhead_bytes += s->slots[slot].margin_bytes;
		if (holds(s->slots[slot].free_bytes, &need))
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* Give each device of the order as much as it holds. True when that places every unit from n_host on. */
static bool fill(const struct search *s, const uint32_t *order, uint32_t n, uint32_t n_host,
		 struct placing *p)
{
	struct berthing b[PLAN_DEVICES_MAX] = { 0 };
	uint32_t first = n_host;

	for (uint32_t i = 0; i < n; i++)
		b[i] = (struct berthing) { s->slots[order[i]].backend, 0, 0 };
	bool pipeline = costs_pipeline(&s->costs, b, n, n_host);

	*p = (struct placing) { .n_host = n_host };
	for (uint32_t i = 0; i < n && first < n_units(s); i++) {
		uint32_t units = most_units(s, order[i], first, p->n == 0, pipeline, n_host);

		if (units == 0)
			continue;
		p->slot[p->n] = order[i];
		p->units[p->n++] = units;
		first += units;
	}
	if (first < n_units(s))
		return false;
	judge(s, p);
	return p->devices_hold;
}

/* The next order in dictionary sense; false after the last. */
static bool next_order(uint32_t *o, uint32_t n)
{
	uint32_t i = n, j = n, t;

	while (i > 1 && o[i - 2] >= o[i - 1])
		i--;
	if (i <= 1)
		return false;
	while (o[j - 1] <= o[i - 2])
		j--;
	t = o[i - 2];
	o[i - 2] = o[j - 1];
	o[j - 1] = t;
	for (j = n; i < j; i++, j--) {
		t = o[i - 1];
		o[i - 1] = o[j - 1];
		o[j - 1] = t;
	}
	return true;
}

/* Any order of the first n slots that places the units from n_host on. */
static bool fill_any(const struct search *s, uint32_t n, uint32_t n_host, struct placing *p)
{
	uint32_t order[PLAN_DEVICES_MAX];

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	do {
		if (fill(s, order, n, n_host, p))
			return true;
	} while (n <= ORDERS_MAX && next_order(order, n));
	return false;
}

/*
 * Units in proportion to what each device could hold, by largest remainder: every device keeps a like
 * share free for what grows later. Only an improvement on a placement that exists.
 */
static bool spread(const struct search *s, uint32_t n, struct placing *p)
{
	uint64_t room[PLAN_DEVICES_MAX], all = 0, given = 0, rest[PLAN_DEVICES_MAX];
	uint32_t total = n_units(s);

	*p = (struct placing) { .n = n };
	for (uint32_t i = 0; i < n; i++) {
		const struct seat *slot = &s->slots[i];
		uint64_t taken = slot->margin_bytes + slot->backend->overhead_bytes;

		room[i] = slot->free_bytes > taken ? (slot->free_bytes - taken) >> 20 : 0;
		all += room[i];
	}
	for (uint32_t i = 0; all && i < n; i++) {
		p->slot[i] = i;
		p->units[i] = (uint32_t)(room[i] * total / all);
		rest[i] = room[i] * total % all;
		given += p->units[i];
	}
	for (; all && given < total; given++) {
		uint32_t most = 0;

		for (uint32_t i = 1; i < n; i++) {
			if (rest[i] > rest[most])
				most = i;
		}
		p->units[most]++;
		rest[most] = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (p->units[i] == 0)
			return false;
	}
	judge(s, p);
	return p->devices_hold;
}

bool search_fits(const struct search *s, struct placing *p)
{
	struct placing even;

	for (uint32_t i = 0; i < s->n_slots; i++) {
		if (fill(s, &i, 1, 0, p))
			return true;
	}
	for (uint32_t n = 2; n <= s->n_slots; n++) {
		if (!fill_any(s, n, 0, p))
			continue;
		if (spread(s, n, &even))
			*p = even;
		return true;
	}
	return false;
}

void search_best(const struct search *s, struct placing *p)
{
	if (search_fits(s, p))
		return;
	for (uint32_t n_host = 1; s->n_slots && n_host < n_units(s); n_host++) {
		if (fill_any(s, s->n_slots, n_host, p) && all_hold(p))
			return;
	}
	*p = (struct placing) { .n_host = n_units(s) };
	judge(s, p);
}

void search_by_hand(const struct search *s, const uint32_t *units, uint32_t n, struct placing *p)
{
	*p = (struct placing) { .n_host = n_units(s) };
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; units[i] && k < s->n_slots; k++) {
			if (s->slots[k].place != i)
				continue;
			p->slot[p->n] = k;
			p->units[p->n++] = units[i];
			p->n_host -= units[i];
		}
	}
	judge(s, p);
}

uint64_t search_full_need(const struct search *s)
{
	struct plan_buffers need;
	struct berthing b = { .first = 0, .units = n_units(s) };

	if (s->n_slots == 0)
		return 0;
	b.backend = s->slots[0].backend;
	costs_device(&s->costs, &b, true, false, 0, &need);
	need.overhead_bytes += s->slots[0].margin_bytes;
	return plan_buffers_sum(&need);
}

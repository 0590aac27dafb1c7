/* SPDX-License-Identifier: MIT */
/*
 * Placements of one configuration. Units are the repeating layers and the output; the engine puts the
 * last ones on devices, each device a contiguous run. For a fixed order of devices, giving each as many
 * units as it holds is the best that order can do (a run's need grows with its length), so an order
 * works that way or not at all. Running sums find such a split; a bill, which knows the compute buffers
 * too, confirms it or says how much more room they want.
 */
#include "vram-planner/search_priv.h"

#include <string.h>

#include "vram-planner/margin.h"

#define ORDERS_MAX 3 /* devices up to which every order is tried */
#define ROUNDS_MAX 4 /* bills until a split's compute buffers are known well enough */

/* One configuration that is being placed. */
struct fill {
	struct search *search;
	struct ask ask; /* settled */
	const struct pinned *pin;
	const char *refused;
	struct bill_units units[PLAN_DEVICES_MAX]; /* by seat */
	uint64_t compute[PLAN_DEVICES_MAX];        /* by seat, of the last bill */
};

uint64_t placing_taken(const struct search *s, const struct placing *p, uint32_t i)
{
	return s->seats[p->seat[i]].taken_bytes + bill_doubt_bytes(&p->bill, i);
}

bool placing_fits(const struct placing *p)
{
	return !p->bill.refused && p->devices_hold && p->host_holds && !bill_spills(&p->bill);
}

bool placing_runs(const struct placing *p)
{
	return !p->bill.refused && p->devices_hold && p->host_holds;
}

static bool within(uint64_t need, uint64_t taken, uint64_t memory)
{
	return taken <= memory && need <= memory - taken;
}

/* Write the bill of p->ask and judge it. */
static int judge(struct fill *f, struct placing *p, struct err *e)
{
	struct search *s = f->search;
	struct target targets[PLAN_DEVICES_MAX];

	for (uint32_t i = 0; i < p->n; i++)
		targets[i] = s->seats[p->seat[i]].target;
	int rc = biller_bill(s->biller, &p->ask, targets, p->n, &p->bill, e);

	p->devices_hold = !rc && !p->bill.refused;
	p->host_holds = p->devices_hold;
	if (!p->devices_hold)
		return rc;
	for (uint32_t i = 0; i < p->n; i++) {
		const struct bill_part *part = bill_part(&p->bill, BILL_DEVICE, i);

		f->compute[p->seat[i]] = part ? part->compute_bytes : 0;
		p->devices_hold &= within(bill_device_bytes(&p->bill, i), placing_taken(s, p, i),
					  s->seats[p->seat[i]].free_bytes);
	}
	if (fact_known(&s->host_free))
		p->host_holds = within(bill_host_bytes(&p->bill, false), s->host_taken,
				       (uint64_t)s->host_free.v);
	return 0;
}

/* The most units from `first` that this seat holds, by the sums and its last compute buffer. */
static uint32_t most_units(const struct fill *f, uint32_t seat, uint32_t first)
{
	const struct seat *s = &f->search->seats[seat];
	const uint64_t *before = f->units[seat].before;
	uint64_t taken = s->taken_bytes + f->units[seat].once + f->compute[seat];
	uint32_t low = first, high = f->search->n_units;

	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (within(before[mid] - before[first], taken, s->free_bytes))
			low = mid;
		else
			high = mid - 1;
	}
	return low - first;
}

/* Units for each device of the order, from n_host on. False when the sums already say no. */
static bool spread_greedily(struct fill *f, const uint32_t *order, uint32_t n, uint32_t n_host,
			    struct placing *p)
{
	uint32_t first = n_host, all = f->search->n_units;

	*p = (struct placing) { .ask = f->ask };
	for (uint32_t i = 0; i < n; i++) {
		uint32_t units = most_units(f, order[i], first);

		if (units == 0 && !f->pin->all_devices)
			continue;
		p->seat[p->n] = order[i];
		p->ask.split[p->n++] = (float)units;
		first += units;
		if (first == all && !f->pin->all_devices)
			break;
	}
	p->ask.n_gpu_layers = all - n_host;
	return first == all && all > n_host;
}

/* Tensors sent by name go to places; here those are devices of this order. */
static bool map_overrides(const struct fill *f, struct placing *p)
{
	for (uint32_t k = 0; k < p->ask.n_overrides; k++) {
		int32_t place = f->ask.overrides[k].device, found = -1;

		for (uint32_t i = 0; i < p->n; i++) {
			if ((int32_t)f->search->seats[p->seat[i]].place == place)
				found = (int32_t)i;
		}
		if (place >= 0 && found < 0)
			return false;
		p->ask.overrides[k].device = found;
	}
	return true;
}

static bool fill_order(struct fill *f, const uint32_t *order, uint32_t n, uint32_t n_host,
		       struct placing *p)
{
	memset(f->compute, 0, sizeof(f->compute));
	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (!spread_greedily(f, order, n, n_host, p) || !map_overrides(f, p) ||
		    judge(f, p, NULL))
			return false;
		if (p->bill.refused)
			f->refused = p->bill.refused;
		if (p->devices_hold || p->bill.refused)
			return p->devices_hold;
		/* Doubt counts like compute in the next round. */
		for (uint32_t i = 0; i < p->n; i++)
			f->compute[p->seat[i]] += bill_doubt_bytes(&p->bill, i);
	}
	return false;
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

/* Any order of the first n seats that places the units from n_host on. */
static bool fill_any(struct fill *f, uint32_t n, uint32_t n_host, struct placing *p)
{
	uint32_t order[PLAN_DEVICES_MAX];

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	do {
		if (fill_order(f, order, n, n_host, p))
			return true;
	} while (n <= ORDERS_MAX && next_order(order, n));
	return false;
}

/*
 * Units in proportion to what each device could hold, by largest remainder: every device keeps a like
 * share free for what grows later. Only an improvement on a placement that exists.
 */
static bool spread_evenly(struct fill *f, uint32_t n, struct placing *p)
{
	uint64_t room[PLAN_DEVICES_MAX], rest[PLAN_DEVICES_MAX], all = 0, given = 0;
	uint32_t total = f->search->n_units;

	*p = (struct placing) { .ask = f->ask, .n = n };
	for (uint32_t i = 0; i < n; i++) {
		const struct seat *s = &f->search->seats[i];

		room[i] = s->free_bytes > s->taken_bytes ? (s->free_bytes - s->taken_bytes) >> 20
							 : 0;
		all += room[i];
	}
	for (uint32_t i = 0; all && i < n; i++) {
		uint64_t units = room[i] * total / all;

		p->seat[i] = i;
		p->ask.split[i] = (float)units;
		rest[i] = room[i] * total % all;
		given += units;
	}
	for (; all && given < total; given++) {
		uint32_t most = 0;

		for (uint32_t i = 1; i < n; i++) {
			if (rest[i] > rest[most])
				most = i;
		}
		p->ask.split[most]++;
		rest[most] = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!(p->ask.split[i] > 0))
			return false;
	}
	p->ask.n_gpu_layers = total;
	return map_overrides(f, p) && !judge(f, p, NULL) && p->devices_hold;
}

/* One device for everything: of those that hold it the fastest, else the one with most free memory. */
static bool on_one(struct fill *f, struct placing *p)
{
	const struct search *s = f->search;
	double best = -1;
	struct placing try;

	for (uint32_t i = 0; i < s->n_seats; i++) {
		if (s->seats[i].bandwidth <= best || !fill_order(f, &i, 1, 0, &try))
			continue;
		best = s->seats[i].bandwidth;
		*p = try;
	}
	return best >= 0;
}

static bool on_devices(struct fill *f, uint32_t n_host, struct placing *p)
{
	const struct search *s = f->search;
	struct placing even;

	if (n_host || f->pin->all_devices)
		return s->n_seats && fill_any(f, s->n_seats, n_host, p);
	if (on_one(f, p))
		return true;
	for (uint32_t n = 2; n <= s->n_seats && !f->refused; n++) {
		if (!fill_any(f, n, 0, p))
			continue;
		if (spread_evenly(f, n, &even))
			*p = even;
		return true;
	}
	return false;
}

static int sum_units(struct fill *f, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < f->search->n_seats; i++) {
		const struct seat *s = &f->search->seats[i];

		/* Like devices have like sums. */
		if (i && s[-1].target.backend == s->target.backend &&
		    s[-1].target.max_buffer_bytes == s->target.max_buffer_bytes)
			f->units[i] = f->units[i - 1];
		else
			rc = biller_units(f->search->biller, &f->ask, &s->target, &f->units[i], e);
	}
	return rc;
}

static int start(struct fill *f, struct search *s, const struct ask *a, const struct pinned *pin,
		 struct err *e)
{
	const struct shape *shape = biller_shape(s->biller);

	f->search = s;
	f->ask = *a;
	f->pin = pin;
	f->refused = NULL;
	int rc = ask_settle(&f->ask, shape->n_ctx_train, shape->causal, e);

	return rc ? rc : sum_units(f, e);
}

bool fill_devices(struct search *s, const struct ask *a, const struct pinned *pin,
		  struct placing *p)
{
	struct fill f;

	if (start(&f, s, a, pin, NULL) || (pin->gpu_layers && a->n_gpu_layers < s->n_units))
		return false;
	return on_devices(&f, 0, p) && placing_fits(p);
}

/* --- with the host's help --- */

static bool with_experts(struct fill *f, uint32_t n_cpu_moe, struct placing *p)
{
	f->ask.n_cpu_moe = n_cpu_moe;
	return !sum_units(f, NULL) && on_devices(f, 0, p);
}

/* The fewest layers with their experts on the host that the devices allow; false: not even all. */
static bool with_host_experts(struct fill *f, struct placing *p)
{
	uint32_t low = 1, high = f->search->n_units - 1;
	struct placing try;

	if (!with_experts(f, high, p))
		return false;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (with_experts(f, mid, &try)) {
			*p = try;
			high = mid;
		} else {
			low = mid + 1;
		}
	}
	return true;
}

bool fill_with_host_experts(struct search *s, const struct ask *a, const struct pinned *pin,
			    struct placing *p)
{
	struct fill f;

	if (start(&f, s, a, pin, NULL) || (pin->gpu_layers && a->n_gpu_layers < s->n_units))
		return false;
	return with_experts(&f, pin->experts ? a->n_cpu_moe : s->n_units - 1, p) && placing_runs(p);
}

/* The fewest layers on the host that the devices allow; false: none on devices at all. */
static bool with_host_layers(struct fill *f, struct placing *p)
{
	uint32_t low = 1, high = f->search->n_units - 1;
	bool found = false;
	struct placing try;

	while (low <= high) {
		uint32_t mid = low + (high - low) / 2;

		if (on_devices(f, mid, &try)) {
			*p = try;
			found = true;
			high = mid - 1;
		} else {
			low = mid + 1;
		}
	}
	return found;
}

static int on_host(struct fill *f, struct placing *p, struct err *e)
{
	*p = (struct placing) { .ask = f->ask };
	p->ask.n_gpu_layers = 0;
	for (uint32_t k = 0; k < p->ask.n_overrides; k++)
		p->ask.overrides[k].device = -1;
	return judge(f, p, e);
}

/* The share by hand of a seat's device; shares are in the order of the places. */
static float share_of(const struct fill *f, uint32_t seat)
{
	uint32_t place = f->search->seats[seat].place;

	return place < PLAN_DEVICES_MAX ? f->ask.split[place] : 0;
}

/* By shares or as the engine would by itself, with the devices in the order of the places. */
static int by_hand(struct fill *f, struct placing *p, struct err *e)
{
	const struct search *s = f->search;

	*p = (struct placing) { .ask = f->ask };
	for (uint32_t i = 0; i < s->n_seats; i++) {
		uint32_t at = p->n;

		/* A device that gets no share is not used. */
		if (f->pin->by_shares && !(share_of(f, i) > 0))
			continue;
		for (; at && s->seats[p->seat[at - 1]].place > s->seats[i].place; at--)
			p->seat[at] = p->seat[at - 1];
		p->seat[at] = i;
		p->n++;
	}
	memset(p->ask.split, 0, sizeof(p->ask.split));
	for (uint32_t i = 0; i < p->n; i++)
		p->ask.split[i] = share_of(f, p->seat[i]);
	if (!map_overrides(f, p))
		return err_set(e, -EINVAL, "--override-tensor names a GPU that is not used");
	return judge(f, p, e);
}

/* Layers on devices are given, their split is not. */
static int with_layers(struct fill *f, struct placing *p, struct err *e)
{
	uint32_t all = f->search->n_units,
		 n = f->ask.n_gpu_layers < all ? f->ask.n_gpu_layers : all;

	if (n == 0 || !f->search->n_seats)
		return on_host(f, p, e);
	if (on_devices(f, all - n, p))
		return 0;
	return by_hand(f, p, e);
}

/*
 * With as little on the host as the devices allow: nothing, experts, or layers. True when the host holds
 * that; else *p is the nearest to it, if there is any (p->n).
 */
static bool with_host(struct fill *f, struct placing *p)
{
	uint32_t n_cpu_moe = f->ask.n_cpu_moe;
	struct placing try;

	*p = (struct placing) { 0 };
	if (on_devices(f, 0, &try)) {
		*p = try;
		return p->host_holds;
	}
	if (!f->search->n_seats || f->refused)
		return false;
	if (!f->pin->experts && biller_shape(f->search->biller)->n_expert &&
	    with_host_experts(f, &try)) {
		*p = try;
		if (p->host_holds)
			return true;
	}
	f->ask.n_cpu_moe = n_cpu_moe;
	if (sum_units(f, NULL) || !with_host_layers(f, &try) || (p->n && !try.host_holds))
		return false;
	*p = try;
	return p->host_holds;
}

int fill_best(struct search *s, const struct ask *a, const struct pinned *pin, struct placing *p,
	      struct err *e)
{
	struct placing nearly;
	struct fill f;
	int rc = start(&f, s, a, pin, e);

	if (rc)
		return rc;
	if (pin->by_shares)
		return by_hand(&f, p, e);
	if (pin->gpu_layers)
		return with_layers(&f, p, e);
	if (with_host(&f, &nearly)) {
		*p = nearly;
		return 0;
	}
	rc = on_host(&f, p, e);
	/* A no shows how far the devices go. */
	if (!rc && !p->bill.refused && !p->host_holds && nearly.n)
		*p = nearly;
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/grants.h"

#include <inttypes.h>
#include <string.h>

#define PAGE UINT64_C(4096)

enum { STATUS = 0x06, HAS_CAPS = 0x10, BAR0 = 0x10, CAPS = 0x34, MSIX = 0x11 };

/* A BAR being worked on: the pages that are left, in their order. */
struct work {
	const struct grant_ground *on;
	uint32_t bar;
	struct grant g;
};

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* --- areas --- */

static int add(struct grant *g, uint64_t offset, uint64_t size)
{
	if (!size)
		return 0;
	if (g->n == VU_AREAS_MAX)
		return -E2BIG;
	g->areas[g->n++] = (struct vu_area) { offset, size };
	return 0;
}

/* What lies from `from` on and before `to`, of the areas. */
static int keep(const struct grant *of, uint64_t from, uint64_t to, struct grant *g)
{
	for (uint32_t i = 0; i < of->n; i++) {
		uint64_t a = of->areas[i].offset, b = a + of->areas[i].size;

		a = a > from ? a : from;
		b = b < to ? b : to;
		if (a < b && add(g, a, b - a))
			return -E2BIG;
	}
	return 0;
}

/* The pages that any byte of first..last lies in are taken out. */
static int cut(struct work *w, uint64_t first, uint64_t last)
{
	uint64_t from = first & ~(PAGE - 1);
	uint64_t to = last >= UINT64_MAX - PAGE ? UINT64_MAX : (last & ~(PAGE - 1)) + PAGE;
	struct grant left = { 0 };

	if (keep(&w->g, 0, from, &left) || keep(&w->g, to, UINT64_MAX, &left))
		return -E2BIG;
	w->g = left;
	return 0;
}

/* --- what the device lets be mapped --- */

static bool can_map(const struct grant_ground *on, uint32_t bar)
{
	const struct dev_region *r = &on->facts->region[bar];

	return r->map && !r->io && on->size[bar] >= PAGE;
}

/* Memory without side effects: there writes come in masses, and nobody wants to hear of each. */
static bool is_aperture(const struct grant_ground *on, uint32_t bar)
{
	return can_map(on, bar) && (get32(on->config + BAR0 + 4 * bar) & 0x9) == 0x8;
}

static int start(struct work *w)
{
	const struct dev_region *r = &w->on->facts->region[w->bar];
	struct grant all = { 0 };

	if (!r->n_areas)
		return add(&w->g, 0, w->on->size[w->bar] & ~(PAGE - 1));
	for (uint32_t i = 0; i < r->n_areas && i < VU_AREAS_MAX; i++) {
		uint64_t a = (r->areas[i].offset + PAGE - 1) & ~(PAGE - 1);
		uint64_t b = (r->areas[i].offset + r->areas[i].size) & ~(PAGE - 1);

		if (a < b && add(&all, a, b - a))
			return -E2BIG;
	}
	return keep(&all, 0, w->on->size[w->bar] & ~(PAGE - 1), &w->g);
}

/* The table of MSI-X is an interrupt's address that the host chose; it and what waits are never a guest's to write. */
static int cut_msix(struct work *w)
{
	const uint8_t *c = w->on->config;
	uint32_t at = c[STATUS] & HAS_CAPS ? c[CAPS] & ~3u : 0;

	for (int i = 0; at >= 0x40 && i < 64; i++, at = c[at + 1] & ~3u) {
		uint32_t vectors = ((c[at + 2] | (uint32_t)c[at + 3] << 8) & 0x7ff) + 1;
		uint32_t table = get32(c + at + 4), pba = get32(c + at + 8);
		int rc = 0;

		if (c[at] != MSIX)
			continue;
		if ((table & 7) == w->bar)
			rc = cut(w, table & ~7u, (uint64_t)(table & ~7u) + 16 * vectors - 1);
		if (!rc && (pba & 7) == w->bar)
			rc = cut(w, pba & ~7u, (uint64_t)(pba & ~7u) + (vectors + 63) / 64 * 8 - 1);
		return rc;
	}
	return 0;
}

static int cut_quirks(struct work *w)
{
	for (uint32_t i = 0; i < w->on->quirks->n; i++) {
		const struct quirk *q = w->on->quirks->row[i];
		int rc = 0;

		if (q->bar != w->bar)
			continue;
		if (q->kind == QUIRK_MIRROR)
			rc = cut(w, q->at, (uint64_t)q->at + q->bytes - 1);
		if (q->kind == QUIRK_WINDOW)
			rc = cut(w, q->at, (uint64_t)q->at + 3);
		if (rc)
			return rc;
	}
	return 0;
}

/* --- what the rules say --- */

static bool maps_any(const struct policy *p, uint32_t bar)
{
	for (uint32_t i = p->begin[bar]; i < p->begin[bar + 1]; i++)
		if (p->rules[i].act == POLICY_MAP)
			return true;
	return false;
}

static int cut_rules(struct work *w, const struct policy *p)
{
	for (uint32_t i = p->begin[w->bar]; i < p->begin[w->bar + 1]; i++) {
		const struct rule *r = &p->rules[i];

		if (r->act != POLICY_MAP && cut(w, r->first, r->last))
			return -E2BIG;
	}
	return 0;
}

/* Only what rules map; each must map something. */
static int keep_mapped(struct work *w, const struct policy *p, struct err *e)
{
	struct grant only = { 0 };

	for (uint32_t i = p->begin[w->bar]; i < p->begin[w->bar + 1]; i++) {
		const struct rule *r = &p->rules[i];
		uint32_t had = only.n;

		if (r->act != POLICY_MAP)
			continue;
		if (keep(&w->g, r->first, r->last == UINT64_MAX ? UINT64_MAX : r->last + 1, &only))
			return -E2BIG;
		if (only.n == had)
			return err_set(
				e, -EINVAL,
				"line %" PRIu32
				": none of these pages can be mapped; the device does not let them, or they hold its "
				"table of interrupts or a mirror of its configuration space",
				r->line);
	}
	w->g = only;
	return 0;
}

/* --- one BAR, and all --- */

static int make_bar(struct work *w, enum grant_mode mode, bool ruled, const struct policy *p,
		    struct err *e)
{
	bool rules = maps_any(p, w->bar);
	int rc;

	if (rules && !can_map(w->on, w->bar))
		return err_set(e, -EINVAL,
			       "bar%" PRIu32 " cannot be mapped, and a rule maps it: %s", w->bar,
			       w->on->facts->region[w->bar].io ? "it is I/O ports"
							       : "its device lets nobody");
	if (!can_map(w->on, w->bar) ||
	    (mode == GRANT_HYBRID && (ruled ? !rules : !is_aperture(w->on, w->bar))))
		return 0;
	rc = start(w);
	rc = rc ? rc : cut_msix(w);
	rc = rc ? rc : cut_quirks(w);
	rc = rc ? rc : cut_rules(w, p);
	if (rc)
		return err_set(e, rc,
			       "what may be mapped of bar%" PRIu32 " lies in more than %d pieces",
			       w->bar, VU_AREAS_MAX);
	if (mode == GRANT_HYBRID && rules)
		rc = keep_mapped(w, p, e);
	return rc == -E2BIG ? err_set(e, rc, "the rules map more than %d pieces of bar%" PRIu32,
				      VU_AREAS_MAX, w->bar)
			    : rc;
}

/* Automatic: as much as gives away no more than pages. */
static enum grant_mode settle(enum grant_mode mode, const struct grant_ground *on, bool ruled)
{
	if (mode != GRANT_AUTO)
		return mode;
	return ruled || !on->facts->hands_over ? GRANT_HYBRID : GRANT_TRAP;
}

static int check_whole(const struct grants *g, const struct grant_ground *on,
		       const struct policy *p, struct err *e)
{
	if (!on->facts->hands_over || !grants_any(g))
		return 0;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->rules[i].act == POLICY_DENY || p->rules[i].act == POLICY_MASK)
			return err_set(
				e, -EACCES,
				"line %" PRIu32
				" has a rule '%s', and whoever maps a page of %s gets the whole device "
				"from its driver, so the rule would not hold; use --mode trap, or the driver berth_vfio",
				p->rules[i].line, policy_act_name(p->rules[i].act),
				on->facts->name);
	return 0;
}

int grants_make(struct grants *g, enum grant_mode mode, const struct grant_ground *on,
		const struct policy *p, struct err *e)
{
	bool ruled = policy_has(p, POLICY_MAP);

	*g = (struct grants) { 0 };
	mode = settle(mode, on, ruled);
	if (mode == GRANT_TRAP && ruled)
		return err_set(e, -EINVAL, "a rule says map, and --mode trap maps nothing");
	for (uint32_t bar = 0; mode != GRANT_TRAP && bar < CFG_BARS; bar++) {
		struct work w = { .on = on, .bar = bar };
		int rc = make_bar(&w, mode, ruled, p, e);

		if (rc)
			return rc;
		g->bar[bar] = w.g;
	}
	return check_whole(g, on, p, e);
}

bool grants_any(const struct grants *g)
{
	for (uint32_t i = 0; i < CFG_BARS; i++)
		if (g->bar[i].n)
			return true;
	return false;
}

uint64_t grants_bytes(const struct grants *g, uint32_t bar)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < g->bar[bar].n; i++)
		bytes += g->bar[bar].areas[i].size;
	return bytes;
}

int grants_differ(const struct grants *a, const struct grants *b)
{
	for (int bar = 0; bar < CFG_BARS; bar++) {
		const struct grant *x = &a->bar[bar], *y = &b->bar[bar];

		if (x->n != y->n || memcmp(x->areas, y->areas, x->n * sizeof(x->areas[0])))
			return bar;
	}
	return -1;
}

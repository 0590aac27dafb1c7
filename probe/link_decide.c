/* SPDX-License-Identifier: MIT */
/* What the hops add up to: rates, the narrowest, and why it is as it is. Pure. */
#include <string.h>

#include "probe/link_priv.h"
#include "probe/probe_priv.h"
#include "probe/usb4_ids.h"

/*
 * Drivers lower the link's speed while a card has little to do. A card at work for half of the time has
 * no reason to: what is slow then is slow.
 */
#define WORKS_PERCENT 50

static bool known_pair(const struct fact *speed, const struct fact *width)
{
	return fact_known(speed) && fact_known(width);
}

static struct fact rate(const struct fact *speed, const struct fact *width)
{
	if (!known_pair(speed, width))
		return fact_unknown(fact_known(speed) ? width->why : speed->why);
	int64_t v = link_rate(speed->v, width->v);

	return v ? fact_of(v, speed->src) : fact_unknown(WHY_GARBLED);
}

/* Whose link starts at the function itself or at the upstream port of the card's own switch. */
static bool is_card(const struct link *l, int i)
{
	return i == 0 || l->hops[i - 1].kind == HOP_ON_CARD;
}

/* amdgpu reads the link behind the on-card switch out of the chip: what the files say is older. */
static void take_drivers_word(struct link *l, int card)
{
	struct hop *h = &l->hops[card];

	if (!is_card(l, card) || !known_pair(&l->driver_speed_mts, &l->driver_width))
		return;
	h->speed_mts = l->driver_speed_mts;
	h->width = l->driver_width;
}

static void rate_hops(struct link *l)
{
	for (uint32_t i = 0; i < l->n_hops; i++) {
		struct hop *h = &l->hops[i];

		if (h->kind != HOP_PCIE)
			continue;
		h->bytes_per_s = rate(&h->speed_mts, &h->width);
		h->max_bytes_per_s = rate(&h->max_speed_mts, &h->max_width);
	}
}

/* What a PCIe hop will do when it is asked to. Lanes do not come back; the card's speed does. */
static struct fact under_load(const struct gpu *g, int i)
{
	const struct link *l = &g->link;
	const struct hop *h = &l->hops[i];
	struct fact speed = h->speed_mts, width = h->width, best;
	bool works = fact_known(&g->busy_percent) && g->busy_percent.v >= WORKS_PERCENT;

	if (!is_card(l, i) || works || !fact_known(&h->bytes_per_s))
		return h->bytes_per_s;
	/* amdgpu also gives lanes up while idle, and says how many it will have. */
	if (fact_known(&l->driver_best_width) && l->driver_best_width.v > width.v &&
	    (!fact_known(&h->max_width) || l->driver_best_width.v <= h->max_width.v))
		width = l->driver_best_width;
	if (fact_known(&h->max_speed_mts) && h->max_speed_mts.v > speed.v)
		speed = h->max_speed_mts;
	best = rate(&speed, &width);
	return fact_known(&best) ? best : h->bytes_per_s;
}

/* By Thunderbolt's own data, else by the older of the two controllers at the tunnel's ends. */
static struct fact tunnel_rate(const struct gpu *g, const struct hop *h)
{
	const struct tb_id *ends[] = { tb_id_find(h->vendor, h->device),
				       tb_id_find(h->above_vendor, h->above_device) };
	uint32_t generation = 0;

	if (fact_known(&g->tunnel.pcie_bytes_per_s))
		return g->tunnel.pcie_bytes_per_s;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (ends[i] && (!generation || ends[i]->generation < generation))
			generation = ends[i]->generation;
	const struct tb_rate *r = tb_rate_of_generation(generation);

	if (!r)
		return fact_unknown(WHY_NOT_EXPORTED);
	return fact_of(r->expected_bytes_per_s, r->measured ? SRC_TABLE : SRC_GUESS);
}

/*
 * The narrowest hop, or -1 when one that counts is unknown. Next to a tunnel that is known, an unknown
 * slot does not matter: no box has one that is narrower. A tunnel that is unknown always does.
 */
static int narrowest(const struct gpu *g, struct fact *least)
{
	const struct link *l = &g->link;
	bool tunnelled = link_hop_of(l, HOP_TUNNEL) >= 0;
	int at = -1;

	*least = fact_unknown(WHY_NOT_EXPORTED);
	for (uint32_t i = 0; i < l->n_hops; i++) {
		const struct hop *h = &l->hops[i];
		struct fact f;

		if (h->kind == HOP_PCIE)
			f = under_load(g, (int)i);
		else if (h->kind == HOP_TUNNEL)
			f = tunnel_rate(g, h);
		else if (h->kind == HOP_UNKNOWN || h->kind == HOP_CONVENTIONAL)
			f = fact_unknown(WHY_NOT_EXPORTED);
		else
			continue;
		if (!fact_known(&f) && tunnelled && h->kind != HOP_TUNNEL)
			continue;
		if (!fact_known(&f)) {
			*least = f;
			return -1;
		}
		if (!fact_known(least) || f.v < least->v) {
			*least = f;
			at = (int)i;
		}
	}
	return at;
}

/* A real limit comes before an idle one: it is what remains under load. */
static enum link_cause cause_of(const struct gpu *g, int at)
{
	const struct link *l = &g->link;
	const struct hop *h = &l->hops[at];

	if (h->kind == HOP_TUNNEL)
		return LINK_CAUSE_TUNNEL;
	const struct hop *card = &l->hops[link_card_hop(l)]; /* at least h itself */
	struct fact load = under_load(g, at), now = h->bytes_per_s;
	struct fact own = rate(&card->own_max_speed_mts, &card->own_max_width);

	if (fact_known(&h->max_bytes_per_s) && load.v < h->max_bytes_per_s.v)
		return LINK_CAUSE_DOWN;
	bool whole = fact_known(&own) ? load.v >= own.v : fact_known(&h->max_bytes_per_s);

	if (whole)
		return now.v < load.v ? LINK_CAUSE_IDLE : LINK_CAUSE_NONE;
	/* Less than the card can, and no less than both ends can; or who limits it is unknown. */
	return fact_known(&own) && fact_known(&h->max_bytes_per_s) ? LINK_CAUSE_SLOT
								   : LINK_CAUSE_UNKNOWN;
}

static void decide_rate(struct gpu *g)
{
	struct link *l = &g->link;
	/* An emulated link is as fast as memory, whatever it claims. */
	bool off_pcie = g->kind == GPU_VIRTUAL ||
			(l->n_hops &&
			 (l->hops[0].kind == HOP_ON_DIE || l->hops[0].kind == HOP_ON_PACKAGE));

	l->bottleneck = -1;
	l->cause = off_pcie ? LINK_CAUSE_NONE : LINK_CAUSE_UNKNOWN;
	l->bytes_per_s = fact_unknown(off_pcie ? WHY_NOT_APPLICABLE : l->why);
	if (!off_pcie && l->n_hops)
		l->bottleneck = narrowest(g, &l->bytes_per_s);
	if (l->bottleneck >= 0)
		l->cause = cause_of(g, l->bottleneck);
	l->load_10gb_ms = fact_unknown(l->bytes_per_s.why);
	if (fact_known(&l->bytes_per_s) && l->bytes_per_s.v > 0)
		l->load_10gb_ms = fact_of(INT64_C(10000000000000) / l->bytes_per_s.v,
					  l->bytes_per_s.src);
}

/*
 * Bridges without a row in the table of ids look like any others, and the made-up 2.5 GT/s between them
 * like a link: but the firmware may have said from which port on the way is a tunnel.
 */
static void mark_tunnel(struct gpu *g)
{
	struct link *l = &g->link;

	if (!g->tunnel.tunnelled || !g->tunnel.port[0] || link_hop_of(l, HOP_TUNNEL) >= 0)
		return;
	for (uint32_t i = 0; i < l->n_hops; i++)
		if (strcmp(l->hops[i].above, g->tunnel.port) == 0)
			l->hops[i].kind = HOP_TUNNEL;
}

void link_decide(struct gpu *g)
{
	struct link *l = &g->link;

	mark_tunnel(g);

	/* A processor's internal bridge without a row: the function says so itself. */
	if (g->kind == GPU_INTEGRATED && l->n_hops &&
	    (l->hops[0].kind == HOP_PCIE || l->hops[0].kind == HOP_UNKNOWN))
		l->hops[0].kind = HOP_ON_DIE;
	int card = link_card_hop(l);

	if (card >= 0)
		take_drivers_word(l, card);
	rate_hops(l);
	decide_rate(g);
}

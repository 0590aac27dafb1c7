/* SPDX-License-Identifier: MIT */
/*
 * Which Thunderbolt or USB4 domain and router a GPU hangs off. No kernel interface says so; four signs
 * do, the surest first:
 *
 *   1. The kernel links a port to the host controller that the firmware names for it
 *      (supplier:pci:ADDR; tb_acpi_add_links in drivers/thunderbolt/acpi.c). Certain for the domain.
 *   2. The host controller is a function of the very switch that the way passes: a discrete controller.
 *      Certain for the domain.
 *   3. A bridge on the way has a controller's ids. Likely, and the domain is only known if it is alone.
 *   4. The kernel calls the function or a bridge removable: external, by whatever transport.
 *
 * Within the domain, a lone router is the one. Else the order of the host's ports is that of its USB4
 * ports (usb4_switch_map_pcie_down in the kernel's usb4.c), and the number of bridges on the way is that
 * of routers on the route; where both leave more than one, they are candidates.
 */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "probe/lines_priv.h"
#include "probe/section.h"
#include "probe/usb4_ids.h"
#include "probe/usb4_priv.h"

static const char *const certainties[] = {
	[CERTAINTY_UNKNOWN] = "unknown",
	[CERTAINTY_LIKELY] = "likely",
	[CERTAINTY_CERTAIN] = "certain",
};

const char *certainty_name(enum certainty c)
{
	return certainties[c];
}

/* --- which domain ---------------------------------------------------------------------------------- */

static int domain_of_nhi(const struct usb4 *u, const char *nhi)
{
	for (uint32_t i = 0; i < u->n_domains; i++)
		if (strcmp(u->domains[i].nhi, nhi) == 0)
			return (int)i;
	return -1;
}

static void set_domain(struct tunnel *t, int domain, enum certainty c, const struct way_hop *port)
{
	t->tunnelled = t->external = true;
	t->domain = domain;
	t->domain_certainty = domain < 0 ? CERTAINTY_UNKNOWN : c;
	memcpy(t->port, port->pci, sizeof(t->port));
}

/* Sign 1; from the root downwards, as the first tunnelled hop is asked for. */
static bool by_firmware(const struct usb4 *u, const struct way *w, struct tunnel *t)
{
	for (uint32_t i = w->n; i-- > 1;) {
		const struct way_hop *h = &w->hops[i];

		if (!h->nhi[0])
			continue;
		set_domain(t, domain_of_nhi(u, h->nhi), CERTAINTY_CERTAIN, h);
		snprintf(t->how, sizeof(t->how), "the firmware links port %s to host controller %s",
			 h->pci, h->nhi);
		return true;
	}
	return false;
}

/* Sign 2. The port is the one of the switch that the way leaves by. */
static bool by_switch(const struct usb4 *u, const struct way *w, struct tunnel *t)
{
	for (uint32_t i = w->n; i-- > 2;) {
		for (uint32_t d = 0; d < u->n_domains; d++) {
			const struct tb_domain *dom = &u->domains[d];

			if (!dom->above[0] || strcmp(dom->above, w->hops[i].pci) != 0)
				continue;
			set_domain(t, (int)d, CERTAINTY_CERTAIN, &w->hops[i - 1]);
			snprintf(t->how, sizeof(t->how),
				 "host controller %s is part of switch %s on the way", dom->nhi,
				 dom->above);
			return true;
		}
	}
	return false;
}

static const struct tb_id *port_id(const struct way *w, uint32_t i)
{
	const struct tb_id *id = tb_id_find(w->hops[i].vendor, w->hops[i].device);

	return tb_id_is_port(id) ? id : NULL;
}

/*
 * Sign 3. A host port of a processor is where the tunnel begins. A bridge that may be in a host as well
 * as in a box is the host's when a box's two bridges follow below it: then the tunnel begins at its
 * lower port, else above it.
 */
static bool by_ids(const struct usb4 *u, const struct way *w, struct tunnel *t)
{
	uint32_t top = 0, n = 0;

	for (uint32_t i = w->n; i-- > 1;)
		if (port_id(w, i)) {
			top = top ? top : i;
			n++;
		}
	if (!top)
		return false;
	const struct tb_id *id = port_id(w, top);
	uint32_t at = top;

	if (id->role == TB_BRIDGE && n >= 3)
		at = top - 1;
	else if (id->role != TB_HOST_PORT && top + 1 < w->n)
		at = top + 1;
	set_domain(t, u->n_domains == 1 ? 0 : -1, CERTAINTY_LIKELY, &w->hops[at]);
	snprintf(t->how, sizeof(t->how), "bridge %s is %s by its ids", w->hops[top].pci, id->name);
	return true;
}

static void by_word(const struct way *w, struct tunnel *t)
{
	for (uint32_t i = 0; i < w->n; i++) {
		if (!w->hops[i].removable)
			continue;
		t->external = true;
		snprintf(t->how, sizeof(t->how),
			 "the kernel calls %s removable; by which transport is not known",
			 w->hops[i].pci);
		return;
	}
}

/* --- which router ---------------------------------------------------------------------------------- */

struct choice {
	uint32_t n;
	uint32_t routers[TB_ROUTERS_MAX];
};

static uint64_t route_of(const struct tb_router *r)
{
	unsigned number = 0;
	uint64_t route = 0;

	tb_route_parse(r->name, &number, &route);
	return route;
}

/* No PCIe reaches a router that is not authorised. Where that is not exported, it may be any. */
static void all_that_may(const struct usb4 *u, int domain, struct choice *c)
{
	c->n = 0;
	for (uint32_t i = 0; i < u->n_routers; i++) {
		const struct tb_router *r = &u->routers[i];

		if (!r->host && (domain < 0 || r->domain == domain) &&
		    (!fact_known(&r->authorized) || r->authorized.v))
			c->routers[c->n++] = i;
	}
}

/* Keep those for which fits() says yes, unless it says so of none. */
static void narrow(const struct usb4 *u, struct choice *c, bool (*fits)(uint64_t route, unsigned k),
		   unsigned k)
{
	struct choice kept = { 0 };

	for (uint32_t i = 0; i < c->n; i++)
		if (fits(route_of(&u->routers[c->routers[i]]), k))
			kept.routers[kept.n++] = c->routers[i];
	if (kept.n)
		*c = kept;
}

/* Lanes 1 and 2 of a host are its first USB4 port, 3 and 4 its second. */
static bool route_begins_at(uint64_t route, unsigned port)
{
	return route & 0xff && ((route & 0xff) - 1) / 2 == port;
}

static bool route_is_deep(uint64_t route, unsigned depth)
{
	return tb_route_depth(route) == depth;
}

/* Which of its domain's ports the way begins at; -1: that is not known. */
static int port_order(const struct usb4 *u, const struct tunnel *t)
{
	const struct tb_domain *d = t->domain < 0 ? NULL : &u->domains[t->domain];

	for (uint32_t i = 0; d && i < d->n_ports; i++)
		if (strcmp(d->ports[i], t->port) == 0)
			return (int)i;
	return -1;
}

/* Routers on the way, from the bridges below the port: each has one towards the host and one away. */
static unsigned routers_on(const struct way *w, const char *port)
{
	unsigned bridges = 0;

	for (uint32_t i = 1; i < w->n && strcmp(w->hops[i].pci, port) != 0; i++)
		bridges += port_id(w, i) != NULL;
	return (bridges + 1) / 2;
}

static void name_candidates(const struct usb4 *u, const struct choice *c, struct tunnel *t)
{
	struct text to;

	text_init(&to, t->candidates, sizeof(t->candidates));
	for (uint32_t i = 0; i < c->n; i++)
		text_add(&to, "%s%s", i ? ", " : "", u->routers[c->routers[i]].name);
}

/* Fewer of several, by the signs there are. How, when one is left. */
static const char *choose(const struct usb4 *u, const struct way *w, const struct tunnel *t,
			  struct choice *c)
{
	int port = port_order(u, t);
	unsigned depth = routers_on(w, t->port);

	if (port >= 0)
		narrow(u, c, route_begins_at, (unsigned)port);
	if (depth)
		narrow(u, c, route_is_deep, depth);
	return port >= 0 ? "the router by the order of ports" : "the router by its depth";
}

static void find_router(const struct usb4 *u, const struct way *w, struct tunnel *t,
			struct choice *c)
{
	char how[sizeof(t->how)];
	const char *by = "its only router";

	all_that_may(u, t->domain, c);
	/* Alone for certain: nothing was left out, and the kernel says that it may carry PCIe. */
	bool alone = c->n == 1 && t->domain_certainty == CERTAINTY_CERTAIN && !u->n_left_out &&
		     fact_known(&u->routers[c->routers[0]].authorized);

	if (c->n > 1)
		by = choose(u, w, t, c);
	if (c->n > 1)
		name_candidates(u, c, t);
	if (c->n != 1)
		return;
	t->router = (int)c->routers[0];
	t->router_certainty = alone ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	memcpy(how, t->how, sizeof(how));
	snprintf(t->how, sizeof(t->how), "%.85s; %s", how, by);
}

/* --- what it carries -------------------------------------------------------------------------------- */

static int parent_of(const struct usb4 *u, const struct tb_router *r)
{
	for (uint32_t i = 0; i < u->n_routers; i++)
		if (strcmp(u->routers[i].name, r->parent) == 0)
			return (int)i;
	return -1;
}

/* One link, the slower way, Mb/s. */
static struct fact link_mbps(const struct tb_router *r)
{
	const struct fact *const facts[] = { &r->rx_lane_mbps, &r->rx_lanes, &r->tx_lane_mbps,
					     &r->tx_lanes };

	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (!fact_known(facts[i]))
			return fact_unknown(facts[i]->why);
	int64_t rx = r->rx_lane_mbps.v * r->rx_lanes.v, tx = r->tx_lane_mbps.v * r->tx_lanes.v;

	return fact_of(rx < tx ? rx : tx, SRC_SYSFS);
}

/* The slowest link of the chain of routers up to the host. A folder's parents may go in circles. */
static struct fact chain_mbps(const struct usb4 *u, uint32_t router)
{
	struct fact least = link_mbps(&u->routers[router]);
	int i = parent_of(u, &u->routers[router]);

	for (int steps = 0; steps < TB_ROUTERS_MAX && fact_known(&least) && i >= 0; steps++) {
		struct fact f;

		if (u->routers[i].host)
			break;
		f = link_mbps(&u->routers[i]);
		if (!fact_known(&f) || f.v < least.v)
			least = f;
		i = parent_of(u, &u->routers[i]);
	}
	return least;
}

static void set_pcie(struct tunnel *t, struct fact mbps)
{
	const struct tb_rate *rate = NULL;

	if (fact_known(&mbps)) {
		rate = tb_rate_of_gbps((uint32_t)(mbps.v / 1000));
		mbps = fact_unknown(WHY_NOT_EXPORTED);
	}
	t->pcie_bytes_per_s = rate ? fact_of(rate->expected_bytes_per_s,
					     rate->measured ? SRC_TABLE : SRC_GUESS)
				   : mbps;
	t->pcie_max_bytes_per_s = rate ? fact_of(rate->budget_bytes_per_s, SRC_TABLE) : mbps;
}

/* Candidates with equal links need no choice. */
static void find_pcie(const struct usb4 *u, const struct choice *c, struct tunnel *t)
{
	struct fact mbps = fact_unknown(WHY_NOT_EXPORTED);

	for (uint32_t i = 0; i < c->n; i++) {
		struct fact f = chain_mbps(u, c->routers[i]);

		if (i && (!fact_known(&f) || f.v != mbps.v)) {
			mbps = fact_unknown(WHY_NOT_EXPORTED);
			break;
		}
		mbps = f;
		if (!fact_known(&mbps))
			break;
	}
	set_pcie(t, mbps);
}

void tunnel_decide(const struct usb4 *u, const struct way *w, struct tunnel *t)
{
	struct choice c = { 0 };

	*t = (struct tunnel) { .domain = -1, .router = -1 };
	for (uint32_t i = w->n; i-- > 1;)
		if (w->hops[i].hotplug)
			memcpy(t->hotplug_port, w->hops[i].pci, sizeof(t->hotplug_port));
	if (by_firmware(u, w, t) || by_switch(u, w, t) || by_ids(u, w, t)) {
		find_router(u, w, t, &c);
		find_pcie(u, &c, t);
		return;
	}
	by_word(w, t);
	set_pcie(t, fact_unknown(t->external ? WHY_NOT_EXPORTED : WHY_NOT_APPLICABLE));
}

/*
 * OCuLink is PCIe on a cable: x4 at 8 or 16 GT/s, as are many soldered chips and M.2 slots. A port that
 * can hot-plug makes the cable possible, and nothing makes it certain.
 */
bool oculink_may_be(const struct tunnel *t, const struct link *l)
{
	if (t->tunnelled || !t->hotplug_port[0])
		return false;
	for (uint32_t i = 0; i < l->n_hops; i++) {
		const struct hop *h = &l->hops[i];

		if (strcmp(h->above, t->hotplug_port) == 0)
			return h->kind == HOP_PCIE && fact_known(&h->width) && h->width.v == 4 &&
			       (!fact_known(&h->max_width) || h->max_width.v == 4) &&
			       fact_known(&h->max_speed_mts) &&
			       (h->max_speed_mts.v == 8000 || h->max_speed_mts.v == 16000);
	}
	return false;
}

/* --- files ------------------------------------------------------------------------------------------ */

/* The host controller of a port: a link in its folder, which is there while thunderbolt is loaded. */
static void read_supplier(const struct source *s, const char *dir, struct way_hop *h)
{
	static const char prefix[] = "supplier:pci:";
	char link[PATH_SIZE], target[PATH_SIZE];
	own_free char **names = NULL;
	int n = machine_list(s->m, dir, &names);

	for (int i = 0; i < n && !h->nhi[0]; i++)
		if (strncmp(names[i], prefix, strlen(prefix)) == 0 &&
		    addr_ok(names[i] + strlen(prefix)) &&
		    (size_t)snprintf(link, sizeof(link), "%s/%s", dir, names[i]) < sizeof(link) &&
		    src_link(s, link, target, sizeof(target)) == 0)
			text_copy(h->nhi, sizeof(h->nhi), names[i] + strlen(prefix));
}

/*
 * The port's hot-plug service is a device of its own below it, named by what kind of port it is (root,
 * then downstream) and by the service: drivers/pci/pcie/portdrv.h.
 */
static bool read_hotplug(const struct source *s, const char *dir, const char *pci)
{
	static const char *const services[] = { "pcie004", "pcie204" };
	char path[PATH_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s:%s", dir, pci, services[i]) <
			    sizeof(path) &&
		    src_exists(s, path))
			return true;
	return false;
}

static void read_hop(const struct look *l, const char *dir, struct way_hop *h, bool bridge)
{
	char word[64];

	h->removable = src_read_in(l->s, dir, "removable", word, sizeof(word)) > 0 &&
		       strcmp(word, "removable") == 0;
	if (!bridge)
		return;
	h->vendor = src_id(l->s, dir, "vendor");
	h->device = src_id(l->s, dir, "device");
	h->hotplug = read_hotplug(l->s, dir, h->pci);
	if (l->r->usb4.n_domains)
		read_supplier(l->s, dir, h);
}

/* The parts of the real folder that are addresses, from the function up to the root port. */
static void read_way(const struct look *l, struct way *w)
{
	char dir[PATH_SIZE];

	w->n = 0;
	text_copy(dir, sizeof(dir), l->dir);
	for (char *slash; (slash = strrchr(dir, '/')); *slash = '\0') {
		struct way_hop *h = &w->hops[w->n];

		if (w->n == WAY_HOPS_MAX || !addr_ok(slash + 1))
			return;
		*h = (struct way_hop) { 0 };
		text_copy(h->pci, sizeof(h->pci), slash + 1);
		read_hop(l, dir, h, w->n > 0);
		w->n++;
	}
}

static void read_tunnel(const struct look *l)
{
	struct way w;

	read_way(l, &w);
	tunnel_decide(&l->r->usb4, &w, &l->g->tunnel);
}

static void decide(struct report *r, struct gpu *g)
{
	(void)r;
	g->tunnel.oculink_hint = oculink_may_be(&g->tunnel, &g->link);
}

/* --- JSON and text ---------------------------------------------------------------------------------- */

static const char *domain_name(const struct report *r, const struct tunnel *t)
{
	return t->domain < 0 ? "" : r->usb4.domains[t->domain].name;
}

static void put_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	const struct tunnel *t = &g->tunnel;
	json_t *o = json_object();

	json_put_bool(o, "external", t->external);
	json_put_bool(o, "tunnelled", t->tunnelled);
	json_put_text_or_null(o, "port", t->port);
	json_put_text_or_null(o, "domain", domain_name(r, t));
	json_put_text(o, "domain_certainty", certainty_name(t->domain_certainty));
	json_put_text_or_null(o, "router", t->router < 0 ? "" : r->usb4.routers[t->router].name);
	json_put_text(o, "router_certainty", certainty_name(t->router_certainty));
	json_put_text_or_null(o, "candidates", t->candidates);
	json_put_text_or_null(o, "how", t->how);
	json_put_fact(o, "pcie_bytes_per_s", &t->pcie_bytes_per_s);
	json_put_fact(o, "pcie_max_bytes_per_s", &t->pcie_max_bytes_per_s);
	json_put_text_or_null(o, "hotplug_port", t->hotplug_port);
	json_put_bool(o, "oculink_hint", t->oculink_hint);
	json_object_set_new(gpu, "tunnel", o);
}

static void add_router(struct line *l, const struct report *r, const struct tunnel *t)
{
	const struct tb_router *router = t->router < 0 ? NULL : &r->usb4.routers[t->router];

	if (router && fact_text_known(&router->device_name))
		line_part(l, "router %s (%s, %s)", router->name, router->device_name.v,
			  certainty_name(t->router_certainty));
	else if (router)
		line_part(l, "router %s (%s)", router->name, certainty_name(t->router_certainty));
	else if (t->candidates[0])
		line_part(l, "one of the routers %s", t->candidates);
	else
		line_part(l, "router unknown");
}

static void print(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	const struct tunnel *t = &g->tunnel;
	struct line l;

	line_init(&l);
	if (t->tunnelled) {
		line_part(&l, "Thunderbolt/USB4 below %s", t->port);
		add_router(&l, r, t);
		/* What the link makes of it is told there. */
		if (verbose && fact_known(&t->pcie_bytes_per_s))
			line_part(&l, "%.1f GB/s to expect of %.1f at most",
				  (double)t->pcie_bytes_per_s.v / 1e9,
				  (double)t->pcie_max_bytes_per_s.v / 1e9);
		if (verbose && t->how[0])
			text_add(&l.t, "; %s", t->how);
	} else if (t->external) {
		line_part(&l, "external: %s", t->how);
	} else if (t->oculink_hint) {
		line_part(&l, "perhaps OCuLink: a narrow link into port %s, which can hot-plug",
			  t->hotplug_port);
	}
	if (l.t.len)
		line_print(to, "cable", l.buf);
}

const struct section section_tunnel = {
	.name = "tunnel",
	.read = read_tunnel,
	.decide = decide,
	.json = put_json,
	.text = print,
};

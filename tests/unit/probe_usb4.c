/* SPDX-License-Identifier: MIT */
/* Thunderbolt and USB4: names and speeds, and which router a way of bridges hangs off. */
#include <string.h>

#include "probe/usb4_priv.h"
#include "tests/unit/harness.h"

static void routes_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"",      "0",       "0-",   "-1",        "domain0",
		"0-1.1", "0-0:1.1", "0-G1", "1234567-1", "0-11112222333344445",
		"0-1 ",  "x0-1",    "0--1", "usb4_port1"
	};
	unsigned domain;
	uint64_t route;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (tb_route_parse(bad[i], &domain, &route))
			fail_msg("'%s' is no router", bad[i]);
	assert_true(tb_route_parse("12-301", &domain, &route));
	assert_int_equal(domain, 12);
	assert_int_equal(route, 0x301);
	assert_int_equal(tb_route_depth(0), 0);
	assert_int_equal(tb_route_depth(3), 1);
	assert_int_equal(tb_route_depth(0x301), 2);
	assert_true(tb_route_parse("0-ffffffffffffffff", &domain, &route));
	assert_int_equal(tb_route_depth(route), 8);
}

static void speeds_are_read_strictly(void **state)
{
	static const char *const bad[] = { "",           "20.0",     "20.0 GB/s",
					   "Gb/s",       " Gb/s",    "0.0 Gb/s",
					   "-20.0 Gb/s", "1e9 Gb/s", "99999999999999999999999 Gb/s",
					   "20.0 Gb/s\n" };
	struct fact f;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		f = tb_speed_parse(bad[i]);
		if (fact_known(&f) || f.why != WHY_GARBLED)
			fail_msg("'%s' is no speed", bad[i]);
	}
	f = tb_speed_parse("20.0 Gb/s");
	assert_true(fact_known(&f));
	assert_int_equal(f.v, 20000);
	assert_int_equal(tb_speed_parse("40 Gb/s").v, 40000);
	assert_int_equal(tb_speed_parse("10.3125 Gb/s").v, 10312);
}

/* --- machines ------------------------------------------------------------------------------------- */

static void add_domain(struct usb4 *u, const char *nhi, const char *above)
{
	struct tb_domain *d = &u->domains[u->n_domains++];

	strcpy(d->nhi, nhi);
	strcpy(d->above, above);
}

static struct tb_router *add_router(struct usb4 *u, const char *name, const char *parent, int mbps,
				    int lanes, int authorized)
{
	struct tb_router *r = &u->routers[u->n_routers++];

	strcpy(r->name, name);
	strcpy(r->parent, parent);
	r->host = !*parent;
	r->rx_lane_mbps = r->tx_lane_mbps = fact_of(mbps, SRC_SYSFS);
	r->rx_lanes = r->tx_lanes = fact_of(lanes, SRC_SYSFS);
	r->authorized = authorized < 0 ? fact_unknown(WHY_NOT_EXPORTED)
				       : fact_of(authorized, SRC_SYSFS);
	return r;
}

/* A bridge, upwards of the last. */
static struct way_hop *hop(struct way *w, const char *pci, uint32_t vendor, uint32_t device)
{
	struct way_hop *h = &w->hops[w->n++];

	strcpy(h->pci, pci);
	h->vendor = vendor;
	h->device = device;
	return h;
}

#define ROOT   "0000:00:07.0"
#define ROOT_2 "0000:00:07.2"
#define NHI    "0000:00:0d.2"

/* A GPU, the two bridges of one box, and a root port that the firmware links to the host controller. */
static struct way box_way(void)
{
	struct way w = { 0 };

	hop(&w, "0000:03:00.0", 0x1002, 0x744c);
	hop(&w, "0000:02:01.0", 0x8086, 0x15ef);
	hop(&w, "0000:01:00.0", 0x8086, 0x15ef);
	strcpy(hop(&w, ROOT, 0x8086, 0x9a23)->nhi, NHI);
	return w;
}

static struct usb4 one_domain(void)
{
	struct usb4 u = { 0 };

	add_domain(&u, NHI, "");
	strcpy(u.domains[0].ports[u.domains[0].n_ports++], ROOT);
	strcpy(u.domains[0].ports[u.domains[0].n_ports++], ROOT_2);
	add_router(&u, "0-0", "", 0, 0, 1);
	return u;
}

static void a_lone_router_is_certain(void **state)
{
	struct usb4 u = one_domain();
	const struct way w = box_way();
	struct tunnel t;

	(void)state;
	add_router(&u, "0-1", "0-0", 20000, 2, 1);
	add_router(&u, "0-3", "0-0", 20000, 2, 0); /* plugged, but nobody let it in */
	tunnel_decide(&u, &w, &t);
	assert_true(t.external && t.tunnelled);
	assert_string_equal(t.port, ROOT);
	assert_int_equal(t.domain, 0);
	assert_int_equal(t.domain_certainty, CERTAINTY_CERTAIN);
	assert_int_equal(t.router, 1);
	assert_int_equal(t.router_certainty, CERTAINTY_CERTAIN);
	assert_string_equal(t.candidates, "");
	assert_int_equal(t.pcie_bytes_per_s.src, SRC_TABLE);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 4000000000); /* 32 Gb/s */
	assert_true(t.pcie_bytes_per_s.v < t.pcie_max_bytes_per_s.v);
	u.n_left_out = 1; /* another may be among those left out */
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 1);
	assert_int_equal(t.router_certainty, CERTAINTY_LIKELY);
	u.n_left_out = 0;
	/* Where the kernel hides who is authorised, the lone one is only likely. */
	u.routers[1].authorized = fact_unknown(WHY_NOT_EXPORTED);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 1);
	assert_int_equal(t.router_certainty, CERTAINTY_LIKELY);
}

static void nobody_authorised_is_no_router(void **state)
{
	struct usb4 u = one_domain();
	const struct way w = box_way();
	struct tunnel t;

	(void)state;
	add_router(&u, "0-1", "0-0", 20000, 2, 0);
	tunnel_decide(&u, &w, &t);
	assert_true(t.tunnelled);
	assert_int_equal(t.router, -1);
	assert_int_equal(t.router_certainty, CERTAINTY_UNKNOWN);
	assert_false(fact_known(&t.pcie_bytes_per_s));
}

static void ports_are_in_order(void **state)
{
	struct usb4 u = one_domain();
	struct way w = box_way();
	struct tunnel t;

	(void)state;
	add_router(&u, "0-1", "0-0", 20000, 2, 1);
	add_router(&u, "0-3", "0-0", 10000, 2, 1);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 1);
	assert_int_equal(t.router_certainty, CERTAINTY_LIKELY);
	strcpy(w.hops[3].pci, ROOT_2);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 2);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 2000000000);
	/* Without the order, neither: and their links differ, so what they carry is unknown too. */
	u.domains[0].n_ports = 0;
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, -1);
	assert_string_equal(t.candidates, "0-1, 0-3");
	assert_false(fact_known(&t.pcie_bytes_per_s));
	assert_int_equal(t.domain_certainty, CERTAINTY_CERTAIN);
	/* With equal links it is known whichever it is. */
	u.routers[2].rx_lane_mbps = u.routers[2].tx_lane_mbps = u.routers[1].rx_lane_mbps;
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, -1);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 4000000000);
}

static void a_chain_is_as_slow_as_its_slowest_link(void **state)
{
	struct usb4 u = one_domain();
	struct way w = { 0 };
	struct tunnel t;

	(void)state;
	hop(&w, "0000:05:00.0", 0x1002, 0x744c);
	hop(&w, "0000:04:01.0", 0x8086, 0x15ef);
	hop(&w, "0000:03:00.0", 0x8086, 0x15ef);
	hop(&w, "0000:02:01.0", 0x8086, 0x0b26);
	hop(&w, "0000:01:00.0", 0x8086, 0x0b26);
	strcpy(hop(&w, ROOT, 0x8086, 0x9a23)->nhi, NHI);
	add_router(&u, "0-1", "0-0", 10000, 2, 1);
	add_router(&u, "0-301", "0-1", 20000, 2, 1);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 2);
	assert_int_equal(t.router_certainty, CERTAINTY_LIKELY);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 2000000000);
	/* A link of unknown speed on the way makes the whole unknown, whatever the others are. */
	u.routers[1].rx_lanes = fact_unknown(WHY_GARBLED);
	tunnel_decide(&u, &w, &t);
	assert_false(fact_known(&t.pcie_bytes_per_s));
	assert_int_equal(t.pcie_bytes_per_s.why, WHY_GARBLED);
	/* A hostile folder's parents go in circles. */
	u.routers[1].rx_lanes = fact_of(2, SRC_SYSFS);
	strcpy(u.routers[1].parent, "0-301");
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.router, 2);
}

static void the_narrower_way_counts(void **state)
{
	struct usb4 u = one_domain();
	const struct way w = box_way();
	struct tunnel t;

	(void)state;
	struct tb_router *r = add_router(&u, "0-1", "0-0", 40000, 2, 1);

	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 8000000000); /* 64 Gb/s */
	r->rx_lanes = fact_of(3, SRC_SYSFS);
	r->tx_lanes = fact_of(1, SRC_SYSFS);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.pcie_max_bytes_per_s.v, 4000000000);
}

static void a_discrete_controller_is_known_by_its_switch(void **state)
{
	struct usb4 u = { 0 };
	struct way w = { 0 };
	struct tunnel t;

	(void)state;
	add_domain(&u, "0000:97:00.0", "0000:95:00.0");
	add_domain(&u, "0000:07:00.0", "0000:05:00.0");
	hop(&w, "0000:0a:00.0", 0x10de, 0x1b80);
	hop(&w, "0000:09:01.0", 0x8086, 0x15ef);
	hop(&w, "0000:08:00.0", 0x8086, 0x15ef);
	hop(&w, "0000:06:01.0", 0x8086, 0x15ea);
	hop(&w, "0000:05:00.0", 0x8086, 0x15ea);
	hop(&w, "0000:00:1c.4", 0x8086, 0xa294);
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.domain, 1);
	assert_int_equal(t.domain_certainty, CERTAINTY_CERTAIN);
	assert_string_equal(t.port, "0000:06:01.0");
	/* Without the kernel's driver only the ids are left: the host's pair comes first. */
	u.n_domains = 0;
	tunnel_decide(&u, &w, &t);
	assert_true(t.tunnelled);
	assert_int_equal(t.domain, -1);
	assert_int_equal(t.domain_certainty, CERTAINTY_UNKNOWN);
	assert_string_equal(t.port, "0000:06:01.0");
}

static void ids_alone_are_likely(void **state)
{
	struct usb4 u = { 0 };
	struct way w = { 0 };
	struct tunnel t;

	(void)state;
	hop(&w, "0000:0a:00.0", 0x10de, 0x1b80);
	hop(&w, "0000:09:04.0", 0x8086, 0x1578);
	hop(&w, "0000:08:00.0", 0x8086, 0x1578);
	hop(&w, "0000:00:1d.0", 0x8086, 0x1234);
	tunnel_decide(&u, &w, &t);
	assert_true(t.tunnelled);
	assert_string_equal(t.port, "0000:00:1d.0"); /* one pair of bridges: it is the box's */
	add_domain(&u, "0000:00:0d.3", "");
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.domain, 0); /* there is no other */
	assert_int_equal(t.domain_certainty, CERTAINTY_LIKELY);
	add_domain(&u, "0000:00:0d.2", "");
	tunnel_decide(&u, &w, &t);
	assert_int_equal(t.domain, -1);
	/* A processor's own port is the upper end itself. */
	w.n = 3;
	hop(&w, "0000:00:03.1", 0x1022, 0x14ef);
	tunnel_decide(&u, &w, &t);
	assert_string_equal(t.port, "0000:00:03.1");
}

static void the_kernels_word_is_external_only(void **state)
{
	const struct usb4 u = { .why = WHY_NOT_EXPORTED };
	struct way w = { 0 };
	struct tunnel t;

	(void)state;
	hop(&w, "0000:03:00.0", 0x1002, 0x744c);
	hop(&w, "0000:00:01.0", 0x8086, 0x1234);
	tunnel_decide(&u, &w, &t);
	assert_false(t.external || t.tunnelled);
	assert_int_equal(t.pcie_bytes_per_s.why, WHY_NOT_APPLICABLE);
	w.hops[0].removable = true;
	tunnel_decide(&u, &w, &t);
	assert_true(t.external);
	assert_false(t.tunnelled);
	assert_int_equal(t.pcie_bytes_per_s.why, WHY_NOT_EXPORTED);
	assert_int_equal(t.domain, -1);
}

static void the_nearest_hotplug_port_is_kept(void **state)
{
	const struct usb4 u = { 0 };
	struct way w = { 0 };
	struct tunnel t;

	(void)state;
	hop(&w, "0000:03:00.0", 0x1002, 0x744c);
	hop(&w, "0000:02:00.0", 0x1002, 0x1479);
	hop(&w, "0000:01:00.0", 0x1022, 0x43f5)->hotplug = true;
	hop(&w, "0000:00:01.0", 0x8086, 0x1234)->hotplug = true;
	tunnel_decide(&u, &w, &t);
	assert_string_equal(t.hotplug_port, "0000:01:00.0");
}

static void oculink_is_a_hint(void **state)
{
	struct tunnel t = { .hotplug_port = "0000:00:01.0" };
	struct link l = { .n_hops = 2 };

	(void)state;
	strcpy(l.hops[0].above, "0000:01:00.0");
	strcpy(l.hops[1].above, "0000:00:01.0");
	l.hops[1].kind = HOP_PCIE;
	l.hops[1].width = fact_of(4, SRC_SYSFS);
	l.hops[1].max_speed_mts = fact_of(16000, SRC_SYSFS);
	assert_true(oculink_may_be(&t, &l));
	l.hops[1].max_speed_mts.v = 8000;
	assert_true(oculink_may_be(&t, &l));
	l.hops[1].max_speed_mts.v = 32000;
	assert_false(oculink_may_be(&t, &l));
	l.hops[1].max_speed_mts.v = 16000;
	l.hops[1].width.v = 16;
	assert_false(oculink_may_be(&t, &l));
	l.hops[1].width.v = 4;
	l.hops[1].max_width = fact_of(16, SRC_SYSFS); /* a wide slot, badly seated */
	assert_false(oculink_may_be(&t, &l));
	l.hops[1].max_width.v = 4;
	assert_true(oculink_may_be(&t, &l));
	l.hops[1].width = fact_unknown(WHY_ASLEEP);
	assert_false(oculink_may_be(&t, &l));
	l.hops[1].width = fact_of(4, SRC_SYSFS);
	t.tunnelled = true;
	assert_false(oculink_may_be(&t, &l));
	t.tunnelled = false;
	t.hotplug_port[0] = '\0';
	assert_false(oculink_may_be(&t, &l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_read_strictly),
		cmocka_unit_test(speeds_are_read_strictly),
		cmocka_unit_test(a_lone_router_is_certain),
		cmocka_unit_test(nobody_authorised_is_no_router),
		cmocka_unit_test(ports_are_in_order),
		cmocka_unit_test(a_chain_is_as_slow_as_its_slowest_link),
		cmocka_unit_test(the_narrower_way_counts),
		cmocka_unit_test(a_discrete_controller_is_known_by_its_switch),
		cmocka_unit_test(ids_alone_are_likely),
		cmocka_unit_test(the_kernels_word_is_external_only),
		cmocka_unit_test(the_nearest_hotplug_port_is_kept),
		cmocka_unit_test(oculink_is_a_hint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

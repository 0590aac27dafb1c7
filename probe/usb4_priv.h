/* SPDX-License-Identifier: MIT */
/* Inside probe/: the pure parts of Thunderbolt and USB4, which tests call. */
#ifndef BERTH_PROBE_USB4_PRIV_H
#define BERTH_PROBE_USB4_PRIV_H

#include "probe/probe_priv.h"

/* "1-301": the domain's number and the route, one byte a hop, the host's own port lowest. */
bool tb_route_parse(const char *name, unsigned *domain, uint64_t *route);

/* How many routers lie between the host and the end of a route, the last one counted; 0: the host. */
unsigned tb_route_depth(uint64_t route);

/* "20.0 Gb/s" in Mb/s; garbled for what is none. */
struct fact tb_speed_parse(const char *text);

/* The way of a function to the root: hops[0] is the function itself, then every bridge above it. */
struct way_hop {
	char pci[24];
	uint32_t vendor, device;
	char nhi[24];   /* the host controller that the firmware names for this port; else empty */
	bool removable; /* the kernel's word */
	bool hotplug;   /* a slot or a port where devices come and go */
};

#define WAY_HOPS_MAX 24 /* six routers in a chain have two bridges each */

struct way {
	uint32_t n;
	struct way_hop hops[WAY_HOPS_MAX];
};

/* Which domain and router carry this way. *t is filled but for oculink_hint, which needs the links. */
void tunnel_decide(const struct usb4 *u, const struct way *w, struct tunnel *t);

/* Whether a narrow link into a hot-plug port, without a tunnel, may be an OCuLink cable. */
bool oculink_may_be(const struct tunnel *t, const struct link *l);

#endif

/* SPDX-License-Identifier: MIT */
/* Thunderbolt and USB4: domains, routers, and which of them a GPU hangs off. */
#ifndef BERTH_PROBE_USB4_H
#define BERTH_PROBE_USB4_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define TB_DOMAINS_MAX 8
#define TB_ROUTERS_MAX 32
#define TB_PORTS_MAX   8

struct tb_domain {
	char name[24]; /* "domain0" */
	char nhi[24];  /* PCI address of its host controller; may be empty */
	/* The switch that the host controller sits below, where it is a chip of its own; else empty. */
	char above[24];
	/* Ports that the firmware says it tunnels through, in the order of its USB4 ports. */
	uint32_t n_ports;
	char ports[TB_PORTS_MAX][24];
	struct fact_text security;        /* none, user, secure, dponly, usbonly, nopcie */
	struct fact iommu_dma_protection; /* 1: the IOMMU guards DMA of what is plugged in */
	struct fact deauthorization;      /* 1: authorised devices can be revoked */
};

struct tb_router {
	char name[24]; /* "0-1": domain 0, route 1; "0-0" is the host */
	int domain;    /* index in domains[]; -1: none */
	char parent[24];
	bool host;
	/* 0 no, 1 yes, 2 yes by key; not exported where the domain forbids PCIe (dponly, nopcie). */
	struct fact authorized;
	struct fact_text vendor_name, device_name;
	struct fact generation; /* 3 Thunderbolt 3, 4 USB4 */
	/* Each way, seen from the router: the speed of one lane in Mb/s, and lanes. */
	struct fact rx_lane_mbps, tx_lane_mbps, rx_lanes, tx_lanes;
	bool asymmetric; /* lanes differ: a display took some */
	struct fact_text nvm_version;
	struct fact nvm_authenticate; /* status of the last firmware update; 0 is good */
	bool safe_mode;               /* its firmware does not start: it can only be flashed */
};

struct usb4 {
	enum why why; /* why there is nothing: WHY_NOT_EXPORTED = no Thunderbolt bus here */
	uint32_t n_domains, n_routers;
	struct tb_domain domains[TB_DOMAINS_MAX];
	struct tb_router routers[TB_ROUTERS_MAX];
	uint32_t n_left_out; /* domains and routers beyond what is kept */
};

enum certainty { CERTAINTY_UNKNOWN = 0, CERTAINTY_LIKELY, CERTAINTY_CERTAIN };

/* Of one GPU. */
struct tunnel {
	bool external;  /* it hangs below an external port, as far as can be told */
	bool tunnelled; /* a hop of its way is carried by Thunderbolt or USB4 */
	char port[24];  /* PCI address of the upper end of the first tunnelled hop; may be empty */
	int domain, router; /* indices in struct usb4; -1 unknown */
	enum certainty domain_certainty, router_certainty;
	char how[120];        /* by which rule, for people */
	char candidates[120]; /* names of the routers it may be, while more than one */
	/* By a table, from the slowest link between the host and the router. */
	struct fact pcie_bytes_per_s;     /* to expect, as measured on such links */
	struct fact pcie_max_bytes_per_s; /* what the link leaves for PCIe at most */
	char hotplug_port[24]; /* the nearest port above that can hot-plug; may be empty */
	bool oculink_hint; /* a hot-plug slot with a narrow link below no tunnel: perhaps a cable */
};

const char *certainty_name(enum certainty c); /* "unknown", "likely", "certain" */

#endif

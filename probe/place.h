/* SPDX-License-Identifier: MIT */
/* Where a function stands for passthrough: group, isolation, resets, readiness. */
#ifndef BERTH_PROBE_PLACE_H
#define BERTH_PROBE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"

#define PEERS_MAX   24
#define REASONS_MAX 8

struct peer {
	char pci[24];   /* of a device that is not on PCI: its name, cut to fit */
	uint32_t class; /* 0: not PCI, or unreadable */
	struct fact_text driver;
	bool same_slot; /* another function of the same card */
	bool in_group;  /* it shares the IOMMU group */
};

enum isolation {
	ISOLATION_UNKNOWN = 0,
	ISOLATION_NO_IOMMU, /* there is no IOMMU, so DMA reaches everything */
	ISOLATION_ALONE,    /* only itself and bridges */
	ISOLATION_SLOT,     /* shared with the functions of its own card */
	ISOLATION_SHARED,   /* shared with other devices */
	ISOLATION_COUNT
};

enum reset_quality {
	RESET_UNKNOWN = 0,
	RESET_NONE, /* no method: after a guest it stays as the guest left it */
	RESET_WEAK, /* only pm, or a bus reset that others share */
	RESET_GOOD, /* flr, device specific, or a bus reset it has for itself */
	RESET_COUNT
};

struct passthrough {
	bool no_iommu; /* the kernel keeps no group for it, or only vfio's mode without an IOMMU */
	bool peers_known; /* the group's members could be listed */
	/* The others of its IOMMU group, and the other functions of its card wherever they are. */
	uint32_t n_peers;
	struct peer peers[PEERS_MAX];
	uint32_t n_peers_left_out;
	struct fact_text group_type; /* "DMA-FQ", "identity" */
	enum isolation isolation;
	struct fact_text
		reset_methods; /* as the kernel orders them: "flr bus"; empty: switched off */
	enum reset_quality reset_quality;
	struct fact d3cold_allowed;
	/* Could it be given to a VM now? Every reason against it, for people. */
	bool ready;
	uint32_t n_reasons;
	char reasons[REASONS_MAX][120];
};

const char *isolation_name(enum isolation i); /* "alone", "slot", "shared", "no iommu", "unknown" */
const char *reset_quality_name(enum reset_quality q);

#endif

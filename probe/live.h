/* SPDX-License-Identifier: MIT */
/*
 * What a GPU does right now, beyond power_mw, power_cap_mw, temp_mc and busy_percent of struct gpu.
 * All of it is unknown (asleep) of a sleeping device.
 *
 * Intel's drivers count energy and tell no power: power is the difference of two energy_uj by the time
 * between them, and one look has only one. Whoever looks again can divide.
 */
#ifndef BERTH_PROBE_LIVE_H
#define BERTH_PROBE_LIVE_H

#include "base/fact.h"

struct live {
	struct fact power_cap_min_mw, power_cap_max_mw, power_cap_default_mw;
	struct fact energy_uj; /* a counter since the driver was loaded, microjoules */
	struct fact core_mhz, core_max_mhz, mem_mhz, mem_max_mhz;
	struct fact temp_hotspot_mc, temp_memory_mc; /* thousandths of a degree */
	struct fact temp_limit_mc;                   /* where temp_mc becomes critical */
	struct fact fan_rpm, fan_percent;            /* the first fan */
	struct fact mem_busy_percent;                /* of the memory controller's time */
	struct fact voltage_mv;
	struct fact_text perf_state; /* "P8"; amdgpu's performance level */
	/*
	 * Why the clocks are held down, commas between; "none". Each reason begins with its kind: "power",
	 * "current", "thermal" or "other".
	 */
	struct fact_text throttle;
	struct fact_text metrics; /* version of gpu_metrics, "1.3" */
	struct fact pcie_rx_bytes_per_s, pcie_tx_bytes_per_s;
};

#endif

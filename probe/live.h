/* SPDX-License-Identifier: MIT */
/*
 * What a GPU does right now, beyond power_mw, power_cap_mw, temp_mc and busy_percent of struct gpu.
 * All of it is unknown (asleep) of a sleeping device.
 */
#ifndef BERTH_PROBE_LIVE_H
#define BERTH_PROBE_LIVE_H

#include "base/fact.h"

struct live {
	struct fact power_cap_min_mw, power_cap_max_mw, power_cap_default_mw;
	struct fact energy_uj; /* a counter since the driver was loaded, microjoules */
	struct fact core_mhz, core_max_mhz, mem_mhz, mem_max_mhz;
	struct fact temp_hotspot_mc, temp_memory_mc, temp_limit_mc; /* thousandths of a degree */
	struct fact fan_rpm, fan_percent;
	struct fact mem_busy_percent; /* of the memory controller's time */
	struct fact voltage_mv;
	struct fact_text perf_state; /* "P8"; amdgpu's performance level */
	struct fact_text throttle;   /* reasons, commas between; "none" */
	struct fact_text metrics;    /* version of gpu_metrics, "1.3" */
	struct fact pcie_rx_bytes_per_s, pcie_tx_bytes_per_s;
};

#endif

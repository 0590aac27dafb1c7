/* SPDX-License-Identifier: MIT */
/* gpu_metrics: whatever the bytes are, known facts are sensible and texts are clean. */
#include <stdlib.h>
#include <string.h>

#include "probe/gpu_metrics.h"
#include "probe/probe_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct fact *f, int64_t max)
{
	if (fact_known(f) && (f->v < 0 || f->v > max))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fact now, max;
	struct gpu_metrics m;
	char text[4096];

	int rc = gpu_metrics_parse(bytes, size, &m);

	if (rc && (fact_known(&m.temp_mc) || fact_known(&m.core_mhz) || fact_known(&m.energy_uj)))
		abort();
	check(&m.temp_mc, 250000);
	check(&m.busy_percent, 100);
	check(&m.energy_uj, INT64_MAX);
	if (fact_text_known(&m.throttle) && !m.throttle.v[0])
		abort();
	/* The same bytes as the text of pp_dpm_sclk. */
	size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

	memcpy(text, bytes, n);
	text[n] = '\0';
	parse_clock_levels(text, &now, &max);
	check(&now, 20000);
	check(&max, 20000);
	return 0;
}

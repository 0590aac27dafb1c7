/* SPDX-License-Identifier: MIT */
/* Slurm's numbers of a grant on the first line, gres.conf up to a NUL, slurm.conf behind it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "launch/gres.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct report report;

static void machine(void)
{
	report.n_gpus = 2;
	for (uint32_t i = 0; i < 2; i++) {
		struct gpu *one = &report.gpus[i];

		text_copy(one->pci, sizeof(one->pci), i ? "0000:02:00.0" : "0000:01:00.0");
		one->driver = fact_text_of(i ? "amdgpu" : "nvidia", SRC_SYSFS);
		one->index.nvml = fact_of(0, SRC_NVML);
		one->index.drm_render = fact_of(128 + i, SRC_SYSFS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	static struct gres g;
	static struct grant to;
	char numbers[64];
	size_t n;

	if (!end || size > SLURM_CONF_MAX)
		return 0;
	n = (size_t)(end - text) < sizeof(numbers) ? (size_t)(end - text) : sizeof(numbers) - 1;
	memcpy(numbers, text, n);
	numbers[n] = 0;
	machine();
	size -= (size_t)(end + 1 - text);
	text = end + 1;
	end = size ? memchr(text, 0, size) : NULL;
	n = end ? (size_t)(end - text) : size;
	if (gres_parse(&g, text, n, "node7", NULL) == 0 &&
	    (!end || gres_order(&g, end + 1, size - n - 1, "node7", NULL) >= 0)) {
		gres_detect(&g, &report);
		if (g.n > PROBE_GPUS_MAX)
			abort();
		grant_find(&to, &g, &report, numbers, NULL);
		if (to.n > 2)
			abort();
	}
	return 0;
}

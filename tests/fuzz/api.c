/* SPDX-License-Identifier: MIT */
/* The compute interfaces' answer of a captured machine: any bytes in, indices within their bounds out. */
#include <stdlib.h>

#include "probe/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct report r;

static void check(const struct fact *f)
{
	/* A table of a hostile file holds no more devices than we keep. */
	if (fact_known(f) && (f->v < 0 || f->v >= PROBE_GPUS_MAX))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const drivers[] = { "nvidia", "amdgpu", "xe" };
	struct err e = { 0 };
	json_t *answer = json_parse((const char *)bytes, size, "api.json", &e);

	if (!answer)
		return 0;
	r.n_gpus = ARRAY_LEN(drivers);
	for (uint32_t i = 0; i < r.n_gpus; i++) {
		struct gpu *g = &r.gpus[i];

		g->index = (struct index_map) { 0 };
		snprintf(g->pci, sizeof(g->pci), "0000:%02x:00.0", i + 1);
		g->driver = fact_text_of(drivers[i], SRC_SYSFS);
	}
	section_index.take(&r, answer);
	for (uint32_t i = 0; i < r.n_gpus; i++) {
		section_index.decide(&r, &r.gpus[i]);
		check(&r.gpus[i].index.cuda);
		check(&r.gpus[i].index.cuda_fastest);
		check(&r.gpus[i].index.hip);
		check(&r.gpus[i].index.level_zero);
		check(&r.gpus[i].index.vulkan);
		check(&r.gpus[i].index.vulkan_loader);
	}
	json_decref(answer);
	return 0;
}

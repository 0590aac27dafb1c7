/* SPDX-License-Identifier: MIT */
/* The file of last known values: any bytes in, facts within their bounds out, and what is written back reads. */
#include <stdlib.h>
#include <string.h>

#include "probe/seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define NOW 1800000000

static struct report r;

static void start(void)
{
	struct gpu *g = &r.gpus[0];

	memset(g, 0, sizeof(*g));
	r.n_gpus = 1;
	*g = (struct gpu) {
		.pci = "0000:01:00.0", .vendor = 0x10de, .device = 0x28e0, .awake = AWAKE_NO
	};
	g->vram_total = fact_unknown(WHY_ASLEEP);
}

static void look(const json_t *file)
{
	struct gpu *g = &r.gpus[0];
	json_t *answer = seen_answer(file, &r, NOW, false);

	if (answer)
		seen_take(&r, answer);
	json_decref(answer);
	if (fact_known(&g->vram_total) &&
	    (g->vram_total.v < 0 || g->vram_total.src != SRC_CACHE || g->seen_s_ago.v < 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct err e = { 0 };
	json_t *file = json_parse((const char *)bytes, size, "seen.json", &e);

	if (!file)
		return 0;
	start();
	look(file);
	/* As an answer of a captured machine, too. */
	start();
	seen_take(&r, file);
	start();
	r.gpus[0].awake = AWAKE_YES;
	r.gpus[0].vram_total = fact_of(1 << 30, SRC_NVML);
	json_t *next = seen_update(file, &r, NOW, false);

	if (next) {
		start();
		look(next);
		if (r.gpus[0].vram_total.v != 1 << 30)
			abort();
	}
	json_decref(next);
	json_decref(file);
	return 0;
}

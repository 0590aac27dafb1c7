/* SPDX-License-Identifier: MIT */
/* The GGUF reader, and the whole planner behind it: a header that parses is planned, too. */
#include <stddef.h>
#include <stdint.h>

#include "vram-planner/clip.h"
#include "vram-planner/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void plan_it(const struct model *m)
{
	const struct host_place host = { .free_bytes = fact_of(INT64_C(1) << 34, SRC_USER) };
	struct place places[2] = {
		{ .pci = "0000:01:00.0",
		  .backend = "cuda",
		  .free_bytes = fact_of(INT64_C(1) << 30, SRC_USER) },
		{ .pci = "0000:02:00.0",
		  .backend = "vulkan",
		  .free_bytes = fact_of(INT64_C(1) << 31, SRC_USER) },
	};
	struct wish w = { .type_k = "q8_0", .type_v = "q8_0" };
	struct plan p;
	struct err e;

	/* An answer or a refusal; only the sanitizers judge. */
	(void)plan_make(&p, m, places, 2, &host, &w, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct model *m;
	struct err e;

	if (model_from_bytes(&m, bytes, size, &e) == 0) {
		uint64_t v;

		model_u64_at(m, "feed_forward_length", 3, &v);
		model_find_tensor(m, "blk.0.attn_q.weight");
		plan_it(m);
		if (clip_is(m)) {
			struct clip_bytes c;

			(void)clip_bytes(&c, m, backend_find("cuda"), true, &e);
			(void)clip_bytes(&c, m, backend_find("vulkan"), false, &e);
		}
	}
	model_close(m);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Wishes as people type them. */
#include <string.h>

#include "vram-planner/plan.h"

/* llama.cpp v0.5.0, common/arg.cpp, kv_cache_types */
const char *const cache_types[] = { "f16",  "q8_0",   "q4_0", "q4_1", "q5_0",
				    "q5_1", "iq4_nl", "bf16", "f32",  NULL };

bool wish_split(struct wish *w, const char *s)
{
	char part[16];

	w->n_split = 0;
	while (w->n_split < PLAN_DEVICES_MAX) {
		size_t n = strcspn(s, ",");
		uint64_t v;

		if (n == 0 || n >= sizeof(part))
			return false;
		memcpy(part, s, n);
		part[n] = '\0';
		if (text_parse_u64(part, &v) || v > UINT16_MAX)
			return false;
		w->split[w->n_split++] = (uint32_t)v;
		if (!s[n])
			return true;
		s += n + 1;
	}
	return false;
}

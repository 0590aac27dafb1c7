/* SPDX-License-Identifier: MIT */
/* A plan from anywhere: what is accepted is written again, and must read back as the same plan. */
#include <stdint.h>
#include <stdlib.h>

#include "base/planfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct err e = { 0 };
	struct plan p, q;
	json_t *in = json_parse((const char *)bytes, size, "plan", &e);

	if (!in)
		return 0;
	if (plan_from_json(&p, in, &e) == 0) {
		json_t *once = plan_to_json(&p), *twice;
		char id[65];

		if (plan_from_json(&q, once, &e) != 0)
			abort();
		twice = plan_to_json(&q);
		if (!json_equal(once, twice))
			abort();
		plan_id(&q, id);
		plan_exit(&q);
		json_decref(once);
		json_decref(twice);
	}
	json_decref(in);
	return 0;
}

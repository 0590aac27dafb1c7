/* SPDX-License-Identifier: MIT */
/* What the core says it measured, for a plan of three devices: whatever is accepted can be used. */
#include <stdint.h>
#include <stdlib.h>

#include "vram-planner/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct plan three = {
		.verdict = VERDICT_FITS,
		.n_devices = 3,
		.devices = { { .free_bytes = { .v = 1 << 30, .src = SRC_NVML } } },
	};
	struct verification v;
	struct err e = { 0 };
	struct measured m;
	char buf[1024];
	struct text t;
	json_t *in = json_parse((const char *)bytes, size, "measure", &e);

	if (!in)
		return 0;
	if (measured_from_json(&m, in, 3, &e) == 0) {
		struct plan p = three;

		verify_use(&p, &m, &v);
		if (v.end == VERIFY_AGREES && p.verdict != VERDICT_FITS)
			abort();
		p = three;
		p.unverified = true;
		verify_use(&p, &m, &v);
		json_decref(verification_to_json(&v, &p));
		text_init(&t, buf, sizeof(buf));
		verification_explain(&t, &v);
	}
	json_decref(in);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* A file of calibrations: what is accepted is written again, and reads back as the same rows. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vram-planner/calibration.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct calibrations c, again;
	struct err e = { 0 };
	json_t *in = json_parse((const char *)bytes, size, "calibration", &e);

	if (!in)
		return 0;
	if (calibrations_from_json(&c, in, &e) == 0) {
		json_t *out = calibrations_to_json(&c);
		struct place p = { .pci = "0000:01:00.0" };
		struct host_place host = { 0 };

		if (calibrations_from_json(&again, out, &e) != 0 || again.n != c.n)
			abort();
		for (uint32_t i = 0; i < c.n; i++) {
			if (!calibrations_find(&again, c.rows[i].key))
				abort();
		}
		calibrations_apply(&c, &p, 1, &host);
		json_decref(out);
	}
	json_decref(in);
	return 0;
}

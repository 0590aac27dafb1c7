/* SPDX-License-Identifier: MIT */
/* What boltd answered, as a captured machine has it: ids are ids, texts end, counts are bounded. */
#include <stdlib.h>
#include <string.h>

#include "device/boxes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct bolt_state s;
	json_t *o = json_parse((const char *)bytes, size, "answer", NULL);

	if (!o)
		return 0;
	bolt_from_json(o, &s);
	if (s.n_devices > TB_ROUTERS_MAX || s.here >= BOLT_HERE_COUNT)
		abort();
	for (uint32_t i = 0; i < s.n_devices; i++)
		if (!box_uid_ok(s.devices[i].uid) ||
		    strnlen(s.devices[i].status, sizeof(s.devices[i].status)) ==
			    sizeof(s.devices[i].status))
			abort();
	json_decref(o);
	return 0;
}

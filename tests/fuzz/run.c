/* SPDX-License-Identifier: MIT */
/* A run's record, as any process of the user may have written it: any bytes end in one that can be shown. */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "launch/runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean(const char *s, size_t room)
{
	assert(memchr(s, 0, room));
	for (; *s; s++)
		assert((unsigned char)*s >= ' ' && *s != 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct run_record r, again;
	json_t *o = json_parse((const char *)data, size, "the record", &e);

	if (!o)
		return 0;
	if (run_from_json(&r, o, &e) == 0) {
		assert(run_name_is_good(r.name) && r.supervisor == 0);
		assert(r.state <= RUN_FAILED && run_state_name(r.state));
		assert(r.n_addresses <= SOCKETS_MAX && r.core_pid >= 0 && r.started_s >= 0);
		for (uint32_t i = 0; i < r.n_addresses; i++)
			clean(r.addresses[i], sizeof(r.addresses[i]));
		clean(r.model, sizeof(r.model));
		clean(r.page, sizeof(r.page));
		clean(r.last_sentence, sizeof(r.last_sentence));
		clean(r.notice, sizeof(r.notice));
		/* what is written of it is read the same */
		json_t *written = run_to_json(&r);

		assert(run_from_json(&again, written, &e) == 0 && again.state == r.state &&
		       strcmp(again.model, r.model) == 0 && again.starts == r.starts);
		json_decref(written);
	}
	json_decref(o);
	return 0;
}

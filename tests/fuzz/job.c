/* SPDX-License-Identifier: MIT */
/* A line of plan --jobs: any bytes end in a job within its bounds, or in one sentence. */
#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "vram-planner/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct job j;
	json_t *o = json_parse((const char *)data, size, "the line", &e);

	if (!o)
		return 0;
	if (job_from_json(&j, o, &e)) {
		assert(e.text[0] && !strchr(e.text, '\n'));
	} else {
		assert(j.n_gpus <= PLAN_DEVICES_MAX && j.model[0]);
		if (ask_settle(&j.ask, 4096, true, &e) == 0)
			assert(j.ask.n_ctx_seq <= j.ask.n_ctx && j.ask.n_ubatch <= j.ask.n_batch);
	}
	json_decref(o);
	return 0;
}

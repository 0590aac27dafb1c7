/* SPDX-License-Identifier: MIT */
/*
 * What NVML's child sends, and what a captured machine keeps of it: lines of records, the first about
 * the library. What gets through must survive its own JSON, and merge into a report.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void as_answer(const char *bytes, size_t size, struct nvml_view *v)
{
	struct err e = { 0 };
	json_t *o = json_parse(bytes, size, "fuzz", &e);

	if (o)
		nvml_view_from_json(v, o);
	json_decref(o);
}

static void as_records(const char *bytes, size_t size, struct nvml_view *v)
{
	bool first = true;

	while (size > 0) {
		const char *end = memchr(bytes, '\n', size);
		size_t n = end ? (size_t)(end - bytes) : size;

		if (first ? !nvml_first_record(v, bytes, n) : !nvml_record(v, bytes, n))
			return;
		first = false;
		bytes += n + (end != NULL);
		size -= n + (end != NULL);
	}
}

/* Told anew to somebody who knows nothing, it is the same. */
static void follow(const struct nvml_view *v, struct nvml_view *other)
{
	static const struct nvml_fn nothing;

	nvml_view_reset(other, true, WHY_NONE);
	for (uint32_t i = 0; i < v->n; i++) {
		json_t *o = nvml_fn_change(&v->fns[i], &nothing);
		char *text = json_dumps(o, JSON_COMPACT);
		const struct nvml_fn *f = nvml_record(other, text, strlen(text));
		json_t *left = f ? nvml_fn_change(f, &v->fns[i]) : NULL;

		if (json_object_size(left) != 1)
			abort();
		json_decref(left);
		json_decref(o);
		free(text);
	}
}

static void use(struct nvml_view *v, struct nvml_view *back)
{
	struct gpu g = { .driver = { .v = "nvidia", .src = SRC_SYSFS } };
	json_t *o = nvml_view_to_json(v);

	nvml_view_from_json(back, o);
	json_t *again = nvml_view_to_json(back);

	if (back->n != v->n || !json_equal(o, again))
		abort();
	json_decref(o);
	json_decref(again);
	for (uint32_t i = 0; i < v->n; i++) {
		memcpy(g.pci, v->fns[i].pci, sizeof(g.pci));
		nvml_merge(&g, v);
		if (fact_known(&g.vram_total) && g.vram_total.v < 0)
			abort();
	}
	follow(v, back);
	nvml_view_scrub(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct nvml_view v, back; /* half a megabyte each: too large for every run anew */

	nvml_view_reset(&v, true, WHY_NONE);
	as_records((const char *)bytes, size, &v);
	use(&v, &back);
	nvml_view_reset(&v, true, WHY_NONE);
	as_answer((const char *)bytes, size, &v);
	use(&v, &back);
	return 0;
}

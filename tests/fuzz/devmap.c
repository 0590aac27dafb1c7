/* SPDX-License-Identifier: MIT */
/* The engine's list of devices, and the choice from it: any bytes end in places within bounds, or a sentence. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "launch/devmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void choose(const struct devmap *m, const struct report *r, const char *selector)
{
	struct devmap_choice *c = malloc(sizeof(*c));
	struct err e = { 0 };

	if (c && devmap_choose(c, m, r, selector, &e) == 0)
		assert(c->n <= PLAN_DEVICES_MAX && c->n_notes <= DEVMAP_NOTES_MAX);
	else if (c)
		assert(e.text[0]);
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct report r;
	struct devmap *m = calloc(1, sizeof(*m));
	struct err e = { 0 };
	json_t *o = m ? json_parse((const char *)data, size, "the list", &e) : NULL;

	/* two cards that may be in the list */
	r.n_gpus = 2;
	strcpy(r.gpus[0].pci, "0000:03:00.0");
	strcpy(r.gpus[1].pci, "0000:06:00.0");
	r.gpus[0].driver = fact_text_of("amdgpu", SRC_SYSFS);
	r.gpus[1].driver = fact_text_of("nvidia", SRC_SYSFS);
	if (o && devmap_from_json(m, o, &e) == 0) {
		assert(m->n <= DEVMAP_MAX);
		choose(m, &r, NULL);
		choose(m, &r, "Vulkan0,0000:06:00.0");
		choose(m, &r, "Vulkan1,Vulkan1");
	}
	json_decref(o);
	free(m);
	return 0;
}

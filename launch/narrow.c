/* SPDX-License-Identifier: MIT */
#include "launch/narrow.h"

#include <string.h>

#include "base/text.h"

/*
 * By kernel driver: the engine's backends that can use its GPUs, and how the files are called that tell the
 * Vulkan loader of its driver (VK_LOADER_DRIVERS_SELECT, in the loader's LoaderDriverInterface.md; the
 * names are those of Mesa's, AMD's and NVIDIA's packages).
 */
static const struct {
	const char *driver, *backends[4], *vulkan;
} drivers[] = {
	{ "nvidia", { "cuda", "vulkan", "opencl" }, "*nvidia*" },
	{ "nouveau", { "vulkan", "opencl" }, "*nouveau*" },
	{ "amdgpu", { "rocm", "vulkan", "opencl" }, "*radeon*,*amd*" },
	{ "i915", { "sycl", "vulkan", "opencl" }, "*intel*" },
	{ "xe", { "sycl", "vulkan", "opencl" }, "*intel*" },
};

static void add_backend(struct narrow *n, const char *name)
{
	for (uint32_t i = 0; i < n->n_backends; i++)
		if (strcmp(n->backends[i], name) == 0)
			return;
	if (n->n_backends < NARROW_BACKENDS_MAX)
		n->backends[n->n_backends++] = name;
}

static void add_word(char *list, size_t size, const char *word)
{
	struct text t;
	size_t used = strlen(list);

	if (strstr(list, word))
		return;
	text_init(&t, list + used, size - used);
	text_add(&t, "%s%s", used ? "," : "", word);
}

static bool add_gpu(struct narrow *n, const struct gpu *g)
{
	size_t i = 0;

	while (i < sizeof(drivers) / sizeof(drivers[0]) &&
	       !(fact_text_known(&g->driver) && strcmp(drivers[i].driver, g->driver.v) == 0))
		i++;
	if (i == sizeof(drivers) / sizeof(drivers[0]))
		return false;
	for (const char *const *b = drivers[i].backends; *b; b++)
		add_backend(n, *b);
	add_word(n->vulkan, sizeof(n->vulkan), drivers[i].vulkan);
	return true;
}

/* The UUIDs of the chosen GPUs of one driver; none when one of them has not told its own. */
static void list_uuids(char *list, size_t size, const struct report *r, const uint32_t *index,
		       uint32_t count, const char *driver)
{
	list[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct gpu *g = &r->gpus[index[i]];

		if (strcmp(g->driver.v, driver) != 0)
			continue;
		if (!fact_text_known(&g->uuid)) {
			list[0] = 0;
			return;
		}
		add_word(list, size, g->uuid.v);
	}
}

bool narrow_make(struct narrow *n, const struct report *r, const uint32_t *index, uint32_t count)
{
	memset(n, 0, sizeof(*n));
	for (uint32_t i = 0; i < count; i++)
		if (!add_gpu(n, &r->gpus[index[i]])) {
			memset(n, 0, sizeof(*n));
			return false;
		}
	list_uuids(n->cuda, sizeof(n->cuda), r, index, count, "nvidia");
	list_uuids(n->rocm, sizeof(n->rocm), r, index, count, "amdgpu");
	return count > 0;
}

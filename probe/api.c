/* SPDX-License-Identifier: MIT */
/* Lists of the compute interfaces as JSON, and the engine's choice among Vulkan's devices. Pure. */
#include "probe/api_priv.h"

#include <string.h>

#include "probe/probe_priv.h"

static const char *const names[API_COUNT] = {
	[API_CUDA] = "cuda",     [API_CUDA_FASTEST] = "cuda_fastest",
	[API_HIP] = "hip",       [API_LEVEL_ZERO] = "level_zero",
	[API_VULKAN] = "vulkan",
};

/* clang-format off */
static const struct field device_rows[] = {
	FIELD(struct api_device, pci, FIELD_TEXT, UNIT_NONE, NULL),
	FIELD(struct api_device, type, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct api_device, vendor, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct api_device, driver_id, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct api_device, same, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct api_device, driver, FIELD_U32, UNIT_NONE, NULL),
	FIELD(struct api_device, lacking, FIELD_BOOL, UNIT_NONE, NULL),
};
/* clang-format on */

const char *api_name(enum api a)
{
	return names[a];
}

json_t *api_list_to_json(const struct api_list *l)
{
	json_t *o = json_object(), *devices = json_array();

	json_object_set_new(o, "why", l->why ? json_string(why_name(l->why)) : json_null());
	for (uint32_t i = 0; i < l->n; i++) {
		json_t *d = json_object();

		fields_to_json(d, device_rows, ARRAY_LEN(device_rows), &l->devices[i]);
		json_array_append_new(devices, d);
	}
	json_object_set_new(o, "devices", devices);
	return o;
}

static uint32_t number(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v >= 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

void api_list_from_json(struct api_list *l, const json_t *o)
{
	const json_t *why = json_object_get(o, "why"), *d;
	size_t i;

	*l = (struct api_list) { .why = json_is_string(why) ? why_from_name(json_string_value(why))
							    : WHY_NONE };
	if (!json_is_object(o) || (json_is_string(why) && !l->why))
		l->why = WHY_GARBLED;
	json_array_foreach(json_object_get(o, "devices"), i, d)
	{
		const char *pci = json_string_value(json_object_get(d, "pci"));

		if (l->n == API_DEVICES_MAX)
			break;
		struct api_device *to = &l->devices[l->n++];

		if (pci && addr_ok(pci))
			text_copy(to->pci, sizeof(to->pci), pci);
		to->type = number(d, "type");
		to->vendor = number(d, "vendor");
		to->driver_id = number(d, "driver_id");
		to->same = number(d, "same");
		to->driver = number(d, "driver");
		to->lacking = json_is_true(json_object_get(d, "lacking"));
	}
}

/*
 * Where two drivers show the same GPU, the engine prefers one: ggml-vulkan.cpp, ggml_vk_instance_init();
 * the numbers are VkDriverId's. A smaller rank wins; who has none loses.
 */
static uint32_t driver_rank(const struct api_device *d)
{
	static const struct {
		uint32_t vendor, driver_id, rank;
	} rows[] = {
		{ 0x1002, 3, 1 },  /* MESA_RADV */
		{ 0x1002, 2, 2 },  /* AMD_OPEN_SOURCE */
		{ 0x1002, 1, 3 },  /* AMD_PROPRIETARY */
		{ 0x8086, 6, 1 },  /* INTEL_OPEN_SOURCE_MESA */
		{ 0x8086, 5, 2 },  /* INTEL_PROPRIETARY_WINDOWS */
		{ 0x10de, 4, 1 },  /* NVIDIA_PROPRIETARY */
		{ 0x10de, 24, 2 }, /* MESA_NVK */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].vendor == d->vendor && rows[i].driver_id == d->driver_id)
			return rows[i].rank;
	return d->driver_id == 23 ? 100 : UINT32_MAX; /* MESA_DOZEN */
}

static bool is_gpu(const struct api_device *d)
{
	return (d->type == 1 || d->type == 2) && !d->lacking;
}

/* The place in chosen[] of a device with the same UUID; n when there is none. */
static uint32_t twin(const struct api_list *l, const uint32_t *chosen, uint32_t n, uint32_t i)
{
	uint32_t k = 0;

	while (k < n && l->devices[chosen[k]].same != l->devices[i].same)
		k++;
	return k;
}

uint32_t api_vulkan_choice(const struct api_list *l, uint32_t chosen[API_DEVICES_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		uint32_t k = is_gpu(&l->devices[i]) ? twin(l, chosen, n, i) : UINT32_MAX;

		if (k == UINT32_MAX)
			continue;
		if (k < n && driver_rank(&l->devices[i]) >= driver_rank(&l->devices[chosen[k]]))
			continue;
		/* The better driver's device goes to the end, as the engine does it. */
		if (k < n) {
			memmove(&chosen[k], &chosen[k + 1], (n - k - 1) * sizeof(*chosen));
			n--;
		}
		chosen[n++] = i;
	}
	/* Without a GPU the engine takes the first device that is no CPU. */
	for (uint32_t i = 0; !n && i < l->n; i++)
		if (l->devices[i].type != 4)
			chosen[n++] = i;
	return n;
}

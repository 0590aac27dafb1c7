/* SPDX-License-Identifier: MIT */
#include "base/fact.h"

#include <string.h>

#include "base/text.h"

static const char *const src_names[SRC_COUNT] = {
	[SRC_NONE] = "none",     [SRC_SYSFS] = "sysfs", [SRC_PROC] = "proc",   [SRC_PCI] = "pci",
	[SRC_DRM] = "drm",       [SRC_HWLOC] = "hwloc", [SRC_HWMON] = "hwmon", [SRC_NVML] = "nvml",
	[SRC_ENGINE] = "engine", [SRC_TABLE] = "table", [SRC_CACHE] = "cache", [SRC_USER] = "user",
	[SRC_API] = "api",       [SRC_GUESS] = "guess",
};

static const char *const why_names[WHY_COUNT] = {
	[WHY_NONE] = "not asked",
	[WHY_NOT_EXPORTED] = "not exported",
	[WHY_NO_DRIVER] = "no driver",
	[WHY_NEEDS_ROOT] = "needs root",
	[WHY_ASLEEP] = "asleep",
	[WHY_NO_LIBRARY] = "no library",
	[WHY_TIMEOUT] = "timed out",
	[WHY_GARBLED] = "garbled",
	[WHY_NOT_APPLICABLE] = "not applicable",
	[WHY_LOST] = "lost",
};

struct fact_text fact_text_of(const char *v, enum src src)
{
	struct fact_text f = { .src = src };

	text_copy(f.v, sizeof(f.v), v);
	text_clean(f.v);
	return f;
}

struct fact_text fact_text_unknown(enum why why)
{
	return (struct fact_text) { .why = why };
}

const char *src_name(enum src src)
{
	return src_names[src];
}

const char *why_name(enum why why)
{
	return why_names[why];
}

enum src src_from_name(const char *name)
{
	for (int i = 0; i < SRC_COUNT; i++)
		if (strcmp(src_names[i], name) == 0)
			return (enum src)i;
	return SRC_NONE;
}

enum why why_from_name(const char *name)
{
	for (int i = 0; i < WHY_COUNT; i++)
		if (strcmp(why_names[i], name) == 0)
			return (enum why)i;
	return WHY_NONE;
}

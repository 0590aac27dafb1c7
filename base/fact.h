/* SPDX-License-Identifier: MIT */
/*
 * A fact is a number (or a text) with the one who told us, or the reason why nobody could. Unknown is
 * a value: a zeroed fact is unknown, and zero VRAM is not unknown VRAM. Never read `.v` without
 * fact_known().
 */
#ifndef BERTH_FACT_H
#define BERTH_FACT_H

#include <stdbool.h>
#include <stdint.h>

/* Who told us. The names are in JSON and do not change. */
enum src {
	SRC_NONE = 0, /* unknown; `why` says why */
	SRC_SYSFS,    /* a file under /sys */
	SRC_PROC,     /* a file under /proc */
	SRC_PCI,      /* libpciaccess */
	SRC_DRM,      /* libdrm: nodes and driver ioctls */
	SRC_HWLOC,    /* hwloc */
	SRC_HWMON,    /* /sys/class/hwmon of the device */
	SRC_NVML,     /* NVIDIA's management library */
	SRC_ENGINE,   /* the inference engine itself */
	SRC_TABLE,    /* a table in berth; the row names its source */
	SRC_CACHE,    /* seen earlier on this machine */
	SRC_USER,     /* an option on the command line */
	SRC_API,      /* a compute interface itself: CUDA, HIP, Vulkan, Level Zero */
	SRC_GUESS,    /* derived, with an assumption that the output names */
	SRC_COUNT
};

/* Why nobody could tell. The names are in JSON and do not change. */
enum why {
	WHY_NONE = 0,     /* nobody asked yet */
	WHY_NOT_EXPORTED, /* the driver or kernel offers no such number */
	WHY_NO_DRIVER,    /* no driver is bound */
	WHY_NEEDS_ROOT,
	WHY_ASLEEP,     /* asking would wake the device; --wake allows it */
	WHY_NO_LIBRARY, /* the library that knows is not installed */
	WHY_TIMEOUT,    /* the library did not answer in time */
	WHY_GARBLED,    /* what was read is not a sensible value */
	WHY_NOT_APPLICABLE,
	WHY_LOST, /* the device fell off its bus, or wants a reset before it answers again */
	WHY_COUNT
};

struct fact {
	int64_t v;
	enum src src; /* SRC_NONE: unknown */
	enum why why; /* meaningful while unknown */
};

struct fact_text {
	char v[120];
	enum src src;
	enum why why;
};

static inline bool fact_known(const struct fact *f)
{
	return f->src != SRC_NONE;
}

static inline bool fact_text_known(const struct fact_text *f)
{
	return f->src != SRC_NONE;
}

static inline struct fact fact_of(int64_t v, enum src src)
{
	return (struct fact) { .v = v, .src = src };
}

static inline struct fact fact_unknown(enum why why)
{
	return (struct fact) { .why = why };
}

/* Copies v, cut to fit and cleaned of control characters and broken UTF-8. */
struct fact_text fact_text_of(const char *v, enum src src);
struct fact_text fact_text_unknown(enum why why);

const char *src_name(enum src src); /* "sysfs"; "none" for SRC_NONE */
const char *why_name(enum why why); /* "needs root"; "not asked" for WHY_NONE */

/* The reverse, for reading captured answers; SRC_NONE / WHY_NONE for an unknown name. */
enum src src_from_name(const char *name);
enum why why_from_name(const char *name);

#endif

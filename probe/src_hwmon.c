/* SPDX-License-Identifier: MIT */
/*
 * Memory and sensors that drivers export as files. amdgpu's mem_info_* are counters in the driver and
 * wake nothing; everything else is read only from a device that is awake.
 */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "probe/probe_priv.h"

/* What no card reaches is what a register of ones looks like. */
#define POWER_MAX 10000000 /* mW */
#define TEMP_MAX  250000   /* thousandths of a degree */

struct fact sensor_read(const struct sensor_dir *d, const char *name, int64_t mul, int64_t div,
			enum src src)
{
	char path[PATH_SIZE];
	uint64_t v, scaled;
	int rc = -EFBIG;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", d->dir, name) < sizeof(path))
		rc = src_read_u64(d->s, path, &v);
	/* Newer amdgpu refuses so, instead of waking, when the device fell asleep since we looked. */
	if (rc == -EPERM && d->amdgpu)
		return fact_unknown(WHY_ASLEEP);
	if (rc)
		return fact_unknown(why_of(rc));
	if (__builtin_mul_overflow(v, (uint64_t)mul, &scaled) || scaled > INT64_MAX)
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)scaled / div, src);
}

static void read_memory(const struct source *s, struct gpu *g, const char *dir)
{
	const struct sensor_dir a = { .s = s, .dir = dir };

	g->vram_total = sensor_read(&a, "mem_info_vram_total", 1, 1, SRC_SYSFS);
	g->vram_used = sensor_read(&a, "mem_info_vram_used", 1, 1, SRC_SYSFS);
	g->gtt_total = sensor_read(&a, "mem_info_gtt_total", 1, 1, SRC_SYSFS);
	g->gtt_used = sensor_read(&a, "mem_info_gtt_used", 1, 1, SRC_SYSFS);
	pair_check(&g->vram_total, &g->vram_used);
	pair_check(&g->gtt_total, &g->gtt_used);
	if (fact_known(&g->vram_total) && fact_known(&g->vram_used))
		g->vram_free = fact_of(g->vram_total.v - g->vram_used.v, SRC_SYSFS);
	else
		g->vram_free = fact_unknown(fact_known(&g->vram_total) ? g->vram_used.why
								       : g->vram_total.why);
}

static void all_unknown(struct gpu *g, enum why why)
{
	g->vram_total = g->vram_used = g->vram_free = fact_unknown(why);
	g->gtt_total = g->gtt_used = fact_unknown(why);
	g->power_mw = g->power_cap_mw = g->temp_mc = g->busy_percent = fact_unknown(why);
}

bool hwmon_dir(const struct source *s, const char *dir, char *out, size_t size)
{
	own_free char **names = NULL;
	char parent[PATH_SIZE];

	if ((size_t)snprintf(parent, sizeof(parent), "%s/hwmon", dir) >= sizeof(parent))
		return false;
	if (machine_list(s->m, parent, &names) < 1)
		return false;
	/* Recorded as a folder: a capture in which every file of it failed must find it again. */
	return (size_t)snprintf(out, size, "%s/%s", parent, names[0]) < size && src_exists(s, out);
}

static struct fact at_most(struct fact f, int64_t max)
{
	return fact_known(&f) && f.v > max ? fact_unknown(WHY_GARBLED) : f;
}

static void read_sensors(const struct source *s, struct gpu *g, const struct driver *d,
			 const char *dir)
{
	const struct sensor_dir device = { .s = s, .dir = dir, .amdgpu = d->vram_sysfs };
	char hwmon[PATH_SIZE];

	if (d->busy)
		g->busy_percent = at_most(sensor_read(&device, d->busy, 1, 1, SRC_SYSFS), 100);
	if (!hwmon_dir(s, dir, hwmon, sizeof(hwmon)))
		return;
	const struct sensor_dir a = { .s = s, .dir = hwmon, .amdgpu = d->vram_sysfs };

	/* hwmon counts power in microwatts. APUs and newer cards have only one of the two files. */
	for (size_t i = 0; i < ARRAY_LEN(d->power) && d->power[i] && !fact_known(&g->power_mw); i++)
		g->power_mw = at_most(sensor_read(&a, d->power[i], 1, 1000, SRC_HWMON), POWER_MAX);
	for (size_t i = 0;
	     i < ARRAY_LEN(d->power_cap) && d->power_cap[i] && !fact_known(&g->power_cap_mw); i++)
		g->power_cap_mw = at_most(sensor_read(&a, d->power_cap[i], 1, 1000, SRC_HWMON),
					  POWER_MAX);
	if (d->temp)
		g->temp_mc = at_most(sensor_read(&a, d->temp, 1, 1, SRC_HWMON), TEMP_MAX);
}

static void sensors_unknown(struct gpu *g, const struct driver *d)
{
	struct fact asleep = fact_unknown(WHY_ASLEEP);

	if (d->busy)
		g->busy_percent = asleep;
	if (d->power[0])
		g->power_mw = asleep;
	if (d->power_cap[0])
		g->power_cap_mw = asleep;
	if (d->temp)
		g->temp_mc = asleep;
}

void hwmon_read(const struct source *s, struct gpu *g, bool wake)
{
	const struct driver *d = fact_text_known(&g->driver) ? driver_find(g->driver.v) : NULL;
	char dir[PATH_SIZE];

	all_unknown(g, fact_text_known(&g->driver) ? WHY_NOT_EXPORTED : g->driver.why);
	if (!d)
		return;
	sysfs_dir(s, g->pci, dir, sizeof(dir));
	if (d->vram_sysfs)
		read_memory(s, g, dir);
	if (g->awake == AWAKE_YES || wake)
		read_sensors(s, g, d, dir);
	else
		sensors_unknown(g, d);
}

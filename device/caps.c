/* SPDX-License-Identifier: MIT */
#include "device/caps.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "probe/probe.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#define WATTS_MAX 10000 /* no card's: a number beyond is a slip of the keyboard, or of a driver */

/*
 * Sources: amdgpu: Linux, Documentation/gpu/amdgpu (hwmon interfaces) and amd/pm/amdgpu_pm.c: the second one
 * only where power1_label is "slowPPT" (Van Gogh), and what is written is cut to whole watts. xe:
 * Documentation/ABI/testing/sysfs-driver-intel-xe-hwmon: PL1 is sustained, PL2 a burst; 0 disables;
 * rated_max is the default as well as the most. i915: sysfs-driver-intel-i915-hwmon, the same of PL1. nvidia:
 * NVML API Reference, nvmlDeviceSetPowerManagementLimit. Nouveau's power1_max is told, and cannot be set.
 */
/* clang-format off */
static const struct cap_row rows[] = {
	{ "amdgpu", "board", "the sustained power", NULL,
	  "power1_cap", "power1_cap_min", "power1_cap_max", "power1_cap_default", false },
	{ "amdgpu", "fast", "short peaks", NULL,
	  "power2_cap", "power2_cap_min", "power2_cap_max", "power2_cap_default", false },
	{ "xe", "card", "the card's sustained power", NULL,
	  "power1_max", NULL, "power1_rated_max", "power1_rated_max", true },
	{ "xe", "package", "the package's sustained power", NULL,
	  "power2_max", NULL, "power2_rated_max", "power2_rated_max", true },
	{ "xe", "card-burst", "the card's short peaks", NULL, "power1_cap", NULL, NULL, NULL, true },
	{ "xe", "package-burst", "the package's short peaks", NULL, "power2_cap", NULL, NULL, NULL, true },
	{ "i915", "card", "the card's sustained power", NULL,
	  "power1_max", NULL, "power1_rated_max", "power1_rated_max", true },
	{ "nvidia", "board", "the whole board", "nvml", NULL, NULL, NULL, NULL, false },
};
/* clang-format on */

bool caps_known(const char *driver)
{
	for (size_t i = 0; i < N_OF(rows); i++)
		if (strcmp(rows[i].driver, driver) == 0)
			return true;
	return false;
}

/* --- reading --- */

/* The hwmon folder of the device that its driver made: others make some, too. */
static bool find_hwmon(const struct machine *m, const struct func *f, char *dir, size_t size)
{
	own_free char **names = NULL;
	char path[300], name[64];
	int n;

	snprintf(path, sizeof(path), "%s/hwmon", f->dir);
	n = machine_list(m, path, &names);
	for (int i = 0; i < n; i++) {
		if ((size_t)snprintf(dir, size, "%s/%s", path, names[i]) >= size)
			continue;
		char file[400];

		snprintf(file, sizeof(file), "%s/name", dir);
		if (machine_read(m, file, name, sizeof(name)) > 0 && strcmp(name, f->driver) == 0)
			return true;
	}
	return false;
}

static struct fact read_mw(const struct machine *m, const char *dir, const char *file)
{
	char path[400];
	uint64_t uw;
	int rc;

	if (!file)
		return fact_unknown(WHY_NOT_EXPORTED);
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	rc = machine_read_u64(m, path, &uw);
	if (rc == -EPERM) /* amdgpu says so, instead of waking */
		return fact_unknown(WHY_ASLEEP);
	if (rc)
		return fact_unknown(rc == -ENOENT    ? WHY_NOT_EXPORTED
				    : rc == -EACCES  ? WHY_NEEDS_ROOT
				    : rc == -EBADMSG ? WHY_GARBLED
						     : WHY_LOST);
	if (uw > WATTS_MAX * UINT64_C(1000000))
		return fact_unknown(WHY_GARBLED);
	return fact_of((int64_t)(uw / 1000), SRC_HWMON);
}

/* A most or a default of 0 W is none; a range upside down is none either. */
static void check(struct cap *c)
{
	if (fact_known(&c->max_mw) && c->max_mw.v == 0)
		c->max_mw = fact_unknown(WHY_GARBLED);
	if (fact_known(&c->default_mw) && c->default_mw.v == 0)
		c->default_mw = fact_unknown(WHY_GARBLED);
	if (fact_known(&c->min_mw) && fact_known(&c->max_mw) && c->min_mw.v > c->max_mw.v)
		c->min_mw = c->max_mw = fact_unknown(WHY_GARBLED);
}

static void read_files(const struct machine *m, const struct func *f, struct caps *c)
{
	char dir[340];

	if (!find_hwmon(m, f, dir, sizeof(dir)))
		return;
	for (size_t i = 0; i < N_OF(rows) && c->n < CAPS_MAX; i++) {
		struct cap *cap = &c->list[c->n];

		if (strcmp(rows[i].driver, f->driver) != 0)
			continue;
		if ((size_t)snprintf(cap->path, sizeof(cap->path), "%s/%s", dir, rows[i].file) >=
			    sizeof(cap->path) ||
		    !machine_exists(m, cap->path))
			continue;
		cap->row = &rows[i];
		cap->now_mw = read_mw(m, dir, rows[i].file);
		cap->min_mw = read_mw(m, dir, rows[i].min);
		cap->max_mw = read_mw(m, dir, rows[i].max);
		cap->default_mw = read_mw(m, dir, rows[i].usual);
		check(cap);
		c->n++;
	}
}

/* Of a captured machine the probe's answer is all there is; what is enforced stands for what was set. */
static int ask_agent(const struct scene *s, const struct func *f, int timeout_ms,
		     struct power_limit *l, struct err *e)
{
	const struct gpu *g = scene_gpu(s, f);

	if (s->m && s->m->live)
		return power_limit_read(f->pci, timeout_ms, l, e);
	if (!g)
		return err_set(e, -ENODATA, "%s: nobody can be asked for its limit", f->pci);
	*l = (struct power_limit) { .now_mw = g->power_cap_mw,
				    .min_mw = g->live.power_cap_min_mw,
				    .max_mw = g->live.power_cap_max_mw,
				    .default_mw = g->live.power_cap_default_mw };
	return 0;
}

static void read_agent(const struct scene *s, const struct func *f, const struct cap_row *row,
		       int timeout_ms, struct caps *c)
{
	struct cap *cap = &c->list[0];
	struct power_limit l;
	struct err e = { 0 };

	c->rc = ask_agent(s, f, timeout_ms, &l, &e);
	if (c->rc) {
		text_copy(c->said, sizeof(c->said), e.text);
		return;
	}
	*cap = (struct cap) { .row = row,
			      .now_mw = l.now_mw,
			      .min_mw = l.min_mw,
			      .max_mw = l.max_mw,
			      .default_mw = l.default_mw };
	text_copy(cap->path, sizeof(cap->path), f->pci);
	check(cap);
	c->n = 1;
}

void caps_read(const struct scene *s, const struct func *f, bool wake, int timeout_ms,
	       struct caps *c)
{
	*c = (struct caps) { .why = WHY_NOT_EXPORTED };
	if (!f->driver[0])
		c->why = WHY_NO_DRIVER;
	if (!caps_known(f->driver) || !s->m)
		return;
	if (f->awake != AWAKE_YES && !wake) {
		c->why = WHY_ASLEEP;
		return;
	}
	for (size_t i = 0; i < N_OF(rows); i++)
		if (strcmp(rows[i].driver, f->driver) == 0 && rows[i].agent)
			read_agent(s, f, &rows[i], timeout_ms, c);
	if (c->n == 0 && !c->said[0])
		read_files(s->m, f, c);
}

/* --- words --- */

void watts(struct text *t, int64_t mw)
{
	int64_t rest = mw % 1000;

	text_add(t, "%" PRId64, mw / 1000);
	if (rest)
		text_add(t, rest % 100 ? ".%03d" : ".%d",
			 rest % 100 ? (int)rest : (int)(rest / 100));
	text_add(t, " W");
}

void cap_range(struct text *t, const struct cap *c)
{
	if (fact_known(&c->min_mw) && c->min_mw.v > 0 && fact_known(&c->max_mw)) {
		char low[32];
		struct text l;

		text_init(&l, low, sizeof(low));
		watts(&l, c->min_mw.v);
		low[strlen(low) - 2] = '\0';
		text_add(t, "%s to ", low);
		watts(t, c->max_mw.v);
	} else if (fact_known(&c->max_mw)) {
		text_add(t, "at most ");
		watts(t, c->max_mw.v);
	}
}

/* --- what was asked --- */

static const struct cap *named(const struct caps *c, const char *name, size_t n)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (strlen(c->list[i].row->name) == n &&
		    strncasecmp(c->list[i].row->name, name, n) == 0)
			return &c->list[i];
	return NULL;
}

static int no_such(const struct caps *c, const char *device, const char *name, size_t n,
		   struct err *e)
{
	char have[160];
	struct text t;

	text_init(&t, have, sizeof(have));
	for (uint32_t i = 0; i < c->n; i++)
		text_add(&t, "%s%s", i ? ", " : "", c->list[i].row->name);
	return err_set(e, -EINVAL, "%s has no limit named '%.*s'; it has %s", device,
		       n > 40 ? 40 : (int)n, name, have);
}

/* Watts with at most three digits after the point, as milliwatts. */
static bool parse_mw(const char *s, int64_t *mw)
{
	int64_t v = 0, unit = 1000;

	if (!isdigit((unsigned char)*s))
		return false;
	for (; isdigit((unsigned char)*s) && v <= WATTS_MAX; s++)
		v = v * 10 + (*s - '0');
	v *= 1000;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s) && unit > 1; s++)
			v += (*s - '0') * (unit /= 10);
	*mw = v;
	if (*s == 'W' || *s == 'w')
		s++;
	return *s == '\0' && v <= WATTS_MAX * INT64_C(1000);
}

static int in_range(const struct cap *c, const char *device, int64_t mw, struct err *e)
{
	char words[64], range[96] = "";
	struct text t;

	if (mw > 0 && (!fact_known(&c->min_mw) || mw >= c->min_mw.v) &&
	    (!fact_known(&c->max_mw) || mw <= c->max_mw.v))
		return 0;
	text_init(&t, words, sizeof(words));
	watts(&t, mw);
	text_init(&t, range, sizeof(range));
	cap_range(&t, c);
	if (mw == 0 && !(fact_known(&c->min_mw) && c->min_mw.v > 0))
		return err_set(e, -EINVAL, "0 W is no limit for %s", device);
	return err_set(e, -EINVAL, "%s is outside of what %s can be set to: %s", words, device,
		       range);
}

int cap_parse(const struct caps *c, const char *device, const char *asked, const struct cap **cap,
	      int64_t *mw, struct err *e)
{
	const char *equals = strchr(asked, '='), *value = equals ? equals + 1 : asked;

	*cap = equals ? named(c, asked, (size_t)(equals - asked)) : &c->list[0];
	if (!*cap)
		return no_such(c, device, asked, (size_t)(equals - asked), e);
	if (strcasecmp(value, "default") == 0) {
		if (!fact_known(&(*cap)->default_mw))
			return err_set(e, -ENODATA,
				       "the driver of %s does not tell the default of its limit; "
				       "give watts",
				       device);
		*mw = (*cap)->default_mw.v;
		return 0;
	}
	if (!parse_mw(value, mw))
		return err_set(e, -EINVAL, "'%.40s' is no number of watts, nor 'default'", value);
	return in_range(*cap, device, *mw, e);
}

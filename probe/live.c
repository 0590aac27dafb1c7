/* SPDX-License-Identifier: MIT */
/*
 * What a GPU does right now: clocks, limits, temperatures, fans, what holds it back. Every file here may
 * wake the device, so all are read only when look->ask says so.
 *
 * Not read: amdgpu's pcie_bw, which counts for a whole second before it answers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/gpu_metrics.h"
#include "probe/lines_priv.h"
#include "probe/section.h"

#define CLOCK_MAX 20000  /* MHz */
#define TEMP_MAX  250000 /* thousandths of a degree */

enum where {
	IN_DEVICE, /* the function's folder */
	IN_CARD,   /* its drm/cardN */
	IN_HWMON,
};

/* A file of one number: value * mul / div, at least min and at most max, else it is garbled. */
struct reading {
	const char *driver;
	size_t member; /* of struct live; several rows of one: the first that is there counts */
	enum where where;
	const char *file;
	int32_t mul, div;
	int32_t min, max; /* of the result; max 0: any. Below min: the driver means "none" */
};

#define L(member_) offsetof(struct live, member_)

/*
 * Sources, Linux 7.2: amd/pm/amdgpu_pm.c (hwmon: microwatts, hertz, temp2 is the junction and temp3 the
 * memory of every chip); xe/xe_hwmon.c (channel 1 card, 2 package; temp2 package, temp3 VRAM) and
 * xe/xe_gt_freq.c; i915/i915_hwmon.c and gt/intel_gt_sysfs_pm.c; accel/ivpu/ivpu_sysfs.c;
 * nouveau/nouveau_hwmon.c (pwm1 is in percent there, and of 255 in amdgpu). The first tile and its first GT
 * are the one that computes.
 */
/* clang-format off */
static const struct reading readings[] = {
	{ "amdgpu", L(power_cap_min_mw), IN_HWMON, "power1_cap_min", 1, 1000, 0, 0 },
	{ "amdgpu", L(power_cap_max_mw), IN_HWMON, "power1_cap_max", 1, 1000, 1, 0 },
	{ "amdgpu", L(power_cap_default_mw), IN_HWMON, "power1_cap_default", 1, 1000, 1, 0 },
	{ "amdgpu", L(core_mhz), IN_HWMON, "freq1_input", 1, 1000000, 0, CLOCK_MAX },
	{ "amdgpu", L(mem_mhz), IN_HWMON, "freq2_input", 1, 1000000, 0, CLOCK_MAX },
	{ "amdgpu", L(temp_hotspot_mc), IN_HWMON, "temp2_input", 1, 1, 0, TEMP_MAX },
	{ "amdgpu", L(temp_memory_mc), IN_HWMON, "temp3_input", 1, 1, 0, TEMP_MAX },
	{ "amdgpu", L(temp_limit_mc), IN_HWMON, "temp1_crit", 1, 1, 1, TEMP_MAX },
	{ "amdgpu", L(fan_rpm), IN_HWMON, "fan1_input", 1, 1, 0, 100000 },
	{ "amdgpu", L(fan_percent), IN_HWMON, "pwm1", 100, 255, 0, 100 },
	{ "amdgpu", L(voltage_mv), IN_HWMON, "in0_input", 1, 1, 0, 10000 },
	{ "amdgpu", L(mem_busy_percent), IN_DEVICE, "mem_busy_percent", 1, 1, 0, 100 },

	{ "radeon", L(temp_limit_mc), IN_HWMON, "temp1_crit", 1, 1, 1, TEMP_MAX },
	{ "radeon", L(fan_percent), IN_HWMON, "pwm1", 100, 255, 0, 100 },

	{ "xe", L(energy_uj), IN_HWMON, "energy1_input", 1, 1, 0, 0 },
	{ "xe", L(energy_uj), IN_HWMON, "energy2_input", 1, 1, 0, 0 },
	{ "xe", L(power_cap_max_mw), IN_HWMON, "power1_rated_max", 1, 1000, 1, 0 },
	{ "xe", L(power_cap_max_mw), IN_HWMON, "power2_rated_max", 1, 1000, 1, 0 },
	{ "xe", L(temp_memory_mc), IN_HWMON, "temp3_input", 1, 1, 0, TEMP_MAX },
	{ "xe", L(temp_limit_mc), IN_HWMON, "temp2_crit", 1, 1, 1, TEMP_MAX },
	{ "xe", L(fan_rpm), IN_HWMON, "fan1_input", 1, 1, 0, 100000 },
	{ "xe", L(voltage_mv), IN_HWMON, "in1_input", 1, 1, 0, 10000 },
	{ "xe", L(core_mhz), IN_DEVICE, "tile0/gt0/freq0/act_freq", 1, 1, 0, CLOCK_MAX },
	{ "xe", L(core_max_mhz), IN_DEVICE, "tile0/gt0/freq0/rp0_freq", 1, 1, 1, CLOCK_MAX },

	{ "i915", L(energy_uj), IN_HWMON, "energy1_input", 1, 1, 0, 0 },
	{ "i915", L(power_cap_max_mw), IN_HWMON, "power1_rated_max", 1, 1000, 1, 0 },
	{ "i915", L(fan_rpm), IN_HWMON, "fan1_input", 1, 1, 0, 100000 },
	{ "i915", L(voltage_mv), IN_HWMON, "in0_input", 1, 1, 0, 10000 },
	{ "i915", L(core_mhz), IN_CARD, "gt_act_freq_mhz", 1, 1, 0, CLOCK_MAX },
	{ "i915", L(core_max_mhz), IN_CARD, "gt_RP0_freq_mhz", 1, 1, 1, CLOCK_MAX },

	{ "intel_vpu", L(core_mhz), IN_DEVICE, "npu_current_frequency_mhz", 1, 1, 0, CLOCK_MAX },
	{ "intel_vpu", L(core_max_mhz), IN_DEVICE, "npu_max_frequency_mhz", 1, 1, 1, CLOCK_MAX },

	{ "nouveau", L(power_cap_max_mw), IN_HWMON, "power1_crit", 1, 1000, 1, 0 },
	{ "nouveau", L(temp_limit_mc), IN_HWMON, "temp1_crit", 1, 1, 1, TEMP_MAX },
	{ "nouveau", L(fan_rpm), IN_HWMON, "fan1_input", 1, 1, 0, 100000 },
	{ "nouveau", L(fan_percent), IN_HWMON, "pwm1", 1, 1, 0, 100 },
	{ "nouveau", L(voltage_mv), IN_HWMON, "in0_input", 1, 1, 0, 10000 },
};

/* What holds the clocks down: a file that says whether anything does, and one for each reason; 0 or 1. */
static const struct throttle {
	const char *driver;
	enum where where;
	const char *status, *prefix;
} throttles[] = {
	{ "xe", IN_DEVICE, "tile0/gt0/freq0/throttle/status", "tile0/gt0/freq0/throttle/reason_" },
	{ "i915", IN_CARD, "gt/gt0/throttle_reason_status", "gt/gt0/throttle_reason_" },
};

/* xe/xe_gt_throttle.c has all of them, i915/gt/intel_gt_sysfs_pm.c the first eight. */
static const struct {
	const char *file, *name;
} intel_reasons[] = {
	{ "pl1", "power pl1" }, { "pl2", "power pl2" }, { "pl4", "current pl4" },
	{ "thermal", "thermal" }, { "prochot", "thermal prochot" }, { "ratl", "thermal ratl" },
	{ "vr_thermalert", "thermal vr" }, { "vr_tdc", "current vr-tdc" },
	{ "soc_thermal", "thermal soc" }, { "mem_thermal", "thermal memory" },
	{ "vr_thermal", "thermal vr" }, { "soc_avg_thermal", "thermal soc-average" },
	{ "iccmax", "current iccmax" }, { "pwrbrk", "power brake" },
	{ "fastvmode", "current fastvmode" }, { "psys_pl1", "power psys-pl1" },
	{ "psys_pl2", "power psys-pl2" }, { "psys_crit", "power psys-crit" },
	{ "p0_freq", "other p0-frequency" },
};

static const struct field live_fields[] = {
	FIELD(struct live, power_cap_min_mw, FIELD_FACT, UNIT_MW, "lowest power limit"),
	FIELD(struct live, power_cap_max_mw, FIELD_FACT, UNIT_MW, "highest power limit"),
	FIELD(struct live, power_cap_default_mw, FIELD_FACT, UNIT_MW, "default power limit"),
	FIELD(struct live, energy_uj, FIELD_FACT, UNIT_NONE, "energy"),
	FIELD(struct live, core_mhz, FIELD_FACT, UNIT_MHZ, "clock"),
	FIELD(struct live, core_max_mhz, FIELD_FACT, UNIT_MHZ, "highest clock"),
	FIELD(struct live, mem_mhz, FIELD_FACT, UNIT_MHZ, "memory clock"),
	FIELD(struct live, mem_max_mhz, FIELD_FACT, UNIT_MHZ, "highest memory clock"),
	FIELD(struct live, temp_hotspot_mc, FIELD_FACT, UNIT_MC, "hotspot"),
	FIELD(struct live, temp_memory_mc, FIELD_FACT, UNIT_MC, "memory temperature"),
	FIELD(struct live, temp_limit_mc, FIELD_FACT, UNIT_MC, "critical temperature"),
	FIELD(struct live, fan_rpm, FIELD_FACT, UNIT_NONE, "fan"),
	FIELD(struct live, fan_percent, FIELD_FACT, UNIT_NONE, "fan"),
	FIELD(struct live, mem_busy_percent, FIELD_FACT, UNIT_NONE, "memory busy"),
	FIELD(struct live, voltage_mv, FIELD_FACT, UNIT_NONE, "voltage"),
	FIELD(struct live, perf_state, FIELD_FACT_TEXT, UNIT_NONE, "performance state"),
	FIELD(struct live, throttle, FIELD_FACT_TEXT, UNIT_NONE, "held back by"),
	FIELD(struct live, metrics, FIELD_FACT_TEXT, UNIT_NONE, "gpu_metrics"),
	FIELD(struct live, pcie_rx_bytes_per_s, FIELD_FACT, UNIT_BYTES, "received"),
	FIELD(struct live, pcie_tx_bytes_per_s, FIELD_FACT, UNIT_BYTES, "sent"),
};
/* clang-format on */

static void set_all(struct live *v, enum why why)
{
	for (size_t i = 0; i < ARRAY_LEN(live_fields); i++) {
		const struct field *f = &live_fields[i];
		void *at = (char *)v + f->offset;

		if (f->kind == FIELD_FACT)
			*(struct fact *)at = fact_unknown(why);
		else
			*(struct fact_text *)at = fact_text_unknown(why);
	}
}

static struct fact *fact_at(struct live *v, size_t member)
{
	return (struct fact *)(void *)((char *)v + member);
}

/* The three folders that the rows name; "" where there is none. */
struct places {
	char dir[3][PATH_SIZE];
};

static void find_places(const struct look *l, struct places *p)
{
	const char *card = fact_text_known(&l->g->drm_card) ? strrchr(l->g->drm_card.v, '/') : NULL;

	*p = (struct places) { 0 };
	text_copy(p->dir[IN_DEVICE], PATH_SIZE, l->dir);
	if (card &&
	    (size_t)snprintf(p->dir[IN_CARD], PATH_SIZE, "%s/drm%s", l->dir, card) >= PATH_SIZE)
		p->dir[IN_CARD][0] = '\0';
	if (!hwmon_dir(l->s, l->dir, p->dir[IN_HWMON], PATH_SIZE))
		p->dir[IN_HWMON][0] = '\0';
}

static struct fact read_one(const struct look *l, const struct reading *r, const char *dir)
{
	const struct sensor_dir d = { .s = l->s,
				      .dir = dir,
				      .amdgpu = !strcmp(r->driver, "amdgpu") };
	struct fact f = sensor_read(&d, r->file, r->mul, r->div,
				    r->where == IN_HWMON ? SRC_HWMON : SRC_SYSFS);

	if (fact_known(&f) && f.v < r->min)
		return fact_unknown(WHY_NOT_EXPORTED);
	if (fact_known(&f) && r->max && f.v > r->max)
		return fact_unknown(WHY_GARBLED);
	return f;
}

static void read_table(const struct look *l, const struct places *p)
{
	for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
		const struct reading *r = &readings[i];
		struct fact *to = fact_at(&l->g->live, r->member);

		if (strcmp(r->driver, l->g->driver.v) != 0 || fact_known(to))
			continue;
		if (p->dir[r->where][0])
			*to = read_one(l, r, p->dir[r->where]);
	}
}

/* --- amdgpu ---------------------------------------------------------------------------------------- */

/* "1: 1100Mhz *"; the star is the level in force. "S" instead of a number: the clock in deep sleep. */
void parse_clock_levels(const char *text, struct fact *now, struct fact *max)
{
	*now = *max = fact_unknown(WHY_NOT_EXPORTED);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);
		char *end = NULL;
		unsigned long mhz = colon && colon[1] == ' ' ? strtoul(colon + 2, &end, 10) : 0;

		if (end && end <= line + len && strncasecmp(end, "MHz", 3) == 0 &&
		    mhz <= CLOCK_MAX) {
			if (mhz && (!fact_known(max) || (int64_t)mhz > max->v))
				*max = fact_of((int64_t)mhz, SRC_SYSFS);
			if (strncmp(end + 3, " *", 2) == 0)
				*now = fact_of((int64_t)mhz, SRC_SYSFS);
		}
		line += len + (line[len] == '\n');
	}
}

static enum why amdgpu_why(long rc)
{
	return rc == -EPERM ? WHY_ASLEEP : why_of((int)rc);
}

static void read_levels(const struct look *l, const char *file, struct fact *now, struct fact *max)
{
	struct fact now_here, max_here;
	char buf[4096];
	long n = src_read_in(l->s, l->dir, file, buf, sizeof(buf));

	if (n < 0) {
		*max = fact_unknown(amdgpu_why(n));
		return;
	}
	parse_clock_levels(buf, &now_here, &max_here);
	*max = max_here;
	if (!fact_known(now) && fact_known(&now_here))
		*now = now_here;
}

static void fill(struct fact *to, const struct fact *from)
{
	if (!fact_known(to) && fact_known(from))
		*to = *from;
}

/* hwmon's files come first: their units do not depend on the chip. */
static void merge_metrics(struct gpu *g, const struct gpu_metrics *m)
{
	struct live *v = &g->live;

	fill(&g->temp_mc, &m->temp_mc);
	fill(&g->power_mw, &m->power_mw);
	fill(&g->busy_percent, &m->busy_percent);
	fill(&v->temp_hotspot_mc, &m->temp_hotspot_mc);
	fill(&v->temp_memory_mc, &m->temp_memory_mc);
	fill(&v->mem_busy_percent, &m->mem_busy_percent);
	fill(&v->energy_uj, &m->energy_uj);
	fill(&v->core_mhz, &m->core_mhz);
	fill(&v->mem_mhz, &m->mem_mhz);
	fill(&v->voltage_mv, &m->voltage_mv);
	v->throttle = m->throttle;
	v->metrics = m->version;
}

static void read_metrics(const struct look *l)
{
	uint8_t bytes[GPU_METRICS_MAX];
	struct gpu_metrics m;
	char path[PATH_SIZE];
	long n = -EFBIG;

	if ((size_t)snprintf(path, sizeof(path), "%s/gpu_metrics", l->dir) < sizeof(path))
		n = src_read_bytes(l->s, path, bytes, sizeof(bytes));
	if (n < 0) {
		l->g->live.metrics = l->g->live.throttle = fact_text_unknown(amdgpu_why(n));
		return;
	}
	gpu_metrics_parse(bytes, (size_t)n, &m);
	merge_metrics(l->g, &m);
}

static void read_amdgpu(const struct look *l)
{
	struct live *v = &l->g->live;

	read_levels(l, "pp_dpm_sclk", &v->core_mhz, &v->core_max_mhz);
	read_levels(l, "pp_dpm_mclk", &v->mem_mhz, &v->mem_max_mhz);
	v->perf_state = src_fact_text(l->s, l->dir, "power_dpm_force_performance_level", SRC_SYSFS);
	if (v->perf_state.why == WHY_NEEDS_ROOT) /* the file is anybody's to read: it fell asleep */
		v->perf_state = fact_text_unknown(WHY_ASLEEP);
	read_metrics(l);
}

/* --- Intel ----------------------------------------------------------------------------------------- */

static struct fact read_flag(const struct look *l, const char *dir, const char *prefix,
			     const char *name)
{
	char file[128];

	if ((size_t)snprintf(file, sizeof(file), "%s%s", prefix, name) >= sizeof(file))
		return fact_unknown(WHY_GARBLED);
	return src_fact(l->s, dir, file, 0, 1, SRC_SYSFS);
}

static struct fact_text read_reasons(const struct look *l, const char *dir,
				     const struct throttle *th)
{
	struct fact any = read_flag(l, dir, th->status, "");
	char buf[512];
	struct text t;

	if (!fact_known(&any))
		return fact_text_unknown(any.why);
	if (!any.v)
		return fact_text_of("none", SRC_SYSFS);
	text_init(&t, buf, sizeof(buf));
	for (size_t i = 0; i < ARRAY_LEN(intel_reasons); i++) {
		struct fact f = read_flag(l, dir, th->prefix, intel_reasons[i].file);

		if (fact_known(&f) && f.v)
			text_add(&t, "%s%s", t.len ? ", " : "", intel_reasons[i].name);
	}
	return fact_text_of(t.len ? buf : "other", SRC_SYSFS);
}

static void read_throttle(const struct look *l, const struct places *p)
{
	for (size_t i = 0; i < ARRAY_LEN(throttles); i++) {
		const struct throttle *th = &throttles[i];

		if (strcmp(th->driver, l->g->driver.v) == 0 && p->dir[th->where][0])
			l->g->live.throttle = read_reasons(l, p->dir[th->where], th);
	}
}

/* --- the section ----------------------------------------------------------------------------------- */

/* What would be read of it if it were awake. */
static void set_asleep(struct gpu *g)
{
	bool amdgpu = strcmp(g->driver.v, "amdgpu") == 0;
	struct live *v = &g->live;

	for (size_t i = 0; i < ARRAY_LEN(readings); i++)
		if (strcmp(readings[i].driver, g->driver.v) == 0)
			*fact_at(v, readings[i].member) = fact_unknown(WHY_ASLEEP);
	for (size_t i = 0; i < ARRAY_LEN(throttles); i++)
		if (strcmp(throttles[i].driver, g->driver.v) == 0)
			v->throttle = fact_text_unknown(WHY_ASLEEP);
	if (amdgpu) {
		v->core_max_mhz = v->mem_max_mhz = v->energy_uj = fact_unknown(WHY_ASLEEP);
		v->perf_state = v->throttle = v->metrics = fact_text_unknown(WHY_ASLEEP);
	}
}

static void live_read(const struct look *l)
{
	const struct driver *d = fact_text_known(&l->g->driver) ? driver_find(l->g->driver.v)
								: NULL;
	struct places p;

	/* What NVIDIA's library tells comes later. */
	if (d && d->nvml)
		return;
	set_all(&l->g->live, fact_text_known(&l->g->driver) ? WHY_NOT_EXPORTED : l->g->driver.why);
	if (!d)
		return;
	if (!l->ask) {
		set_asleep(l->g);
		return;
	}
	find_places(l, &p);
	read_table(l, &p);
	read_throttle(l, &p);
	if (strcmp(d->name, "amdgpu") == 0)
		read_amdgpu(l);
}

static void live_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	json_t *o = json_object();

	(void)r;
	fields_to_json(o, live_fields, ARRAY_LEN(live_fields), &g->live);
	json_object_set_new(gpu, "live", o);
}

/* --- text ------------------------------------------------------------------------------------------ */

static void add_power(struct line *l, const struct gpu *g)
{
	const struct fact *now = &g->power_mw, *cap = &g->power_cap_mw;

	if (fact_known(now) && fact_known(cap))
		line_part(l, "%.1f W of %.1f W", (double)now->v / 1000, (double)cap->v / 1000);
	else if (fact_known(now))
		line_part(l, "%.1f W", (double)now->v / 1000);
	else if (fact_known(cap))
		line_part(l, "power limit %.1f W", (double)cap->v / 1000);
}

static void add_number(struct line *l, const struct fact *f, int64_t divide, const char *before,
		       const char *after)
{
	if (fact_known(f))
		line_part(l, "%s%" PRId64 "%s", before, f->v / divide, after);
}

static void add_throttle(struct line *l, const struct live *v)
{
	if (fact_text_known(&v->throttle) && strcmp(v->throttle.v, "none") != 0)
		text_add(&l->t, "%sheld back by %s", l->t.len ? "; " : "", v->throttle.v);
}

static void print_now(FILE *to, const struct gpu *g)
{
	const struct live *v = &g->live;
	struct line l;

	line_init(&l);
	add_power(&l, g);
	add_number(&l, &g->temp_mc, 1000, "", " C");
	add_number(&l, &v->temp_hotspot_mc, 1000, "hotspot ", " C");
	add_number(&l, &v->temp_memory_mc, 1000, "memory ", " C");
	add_number(&l, &g->busy_percent, 1, "", " % busy");
	add_number(&l, &v->core_mhz, 1, "", " MHz");
	add_number(&l, &v->mem_mhz, 1, "memory ", " MHz");
	if (fact_known(&v->fan_rpm))
		add_number(&l, &v->fan_rpm, 1, "fan ", " rpm");
	else
		add_number(&l, &v->fan_percent, 1, "fan ", " %");
	add_throttle(&l, v);
	if (l.t.len)
		line_print(to, "now", l.buf);
}

static void print_limits(FILE *to, const struct live *v)
{
	struct line l;

	line_init(&l);
	if (fact_known(&v->power_cap_min_mw) && fact_known(&v->power_cap_max_mw))
		line_part(&l, "power limit %" PRId64 " to %" PRId64 " W",
			  v->power_cap_min_mw.v / 1000, v->power_cap_max_mw.v / 1000);
	else
		add_number(&l, &v->power_cap_max_mw, 1000, "power limit up to ", " W");
	add_number(&l, &v->power_cap_default_mw, 1000, "default ", " W");
	add_number(&l, &v->temp_limit_mc, 1000, "critical at ", " C");
	add_number(&l, &v->core_max_mhz, 1, "clock up to ", " MHz");
	add_number(&l, &v->mem_max_mhz, 1, "memory up to ", " MHz");
	if (l.t.len)
		line_print(to, "limits", l.buf);
	line_init(&l);
	add_number(&l, &v->mem_busy_percent, 1, "memory ", " % busy");
	add_number(&l, &v->fan_percent, 1, "fan ", " %");
	add_number(&l, &v->voltage_mv, 1, "", " mV");
	add_number(&l, &v->energy_uj, 1000000, "", " J since the driver was loaded");
	if (fact_text_known(&v->perf_state))
		line_part(&l, "performance level %s", v->perf_state.v);
	if (fact_text_known(&v->metrics))
		line_part(&l, "gpu_metrics %s", v->metrics.v);
	if (l.t.len)
		line_print(to, "details", l.buf);
}

static void live_text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	(void)r;
	print_now(to, g);
	if (verbose)
		print_limits(to, &g->live);
}

const struct section section_live = {
	.name = "live",
	.read = live_read,
	.json = live_json,
	.text = live_text,
};

/* SPDX-License-Identifier: MIT */
/*
 * The layouts of amdgpu's gpu_metrics. Sources: offsets and sizes are those of Linux 7.2,
 * drivers/gpu/drm/amd/include/kgd_pp_interface.h, with the alignment of x86-64; units where that file does
 * not say them are what the drivers in amd/pm/swsmu do with the same numbers for hwmon.
 *
 * Left out, because the unit depends on the chip or its firmware: the power of v2.0 to v2.3 (watts on
 * Renoir, milliwatts on Van Gogh), the activity of v3.0, the energy of v1.0 to v1.3, and throttle_status where
 * no chip-independent word stands beside it. The residencies of v1.6 and later and v3.0 are counters:
 * one look does not tell what holds a clock down now.
 */
#include "probe/gpu_metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HEADER_SIZE  4

enum unit {
	CELSIUS,
	CENTICELSIUS,
	PERCENT,
	CENTIPERCENT,
	WATT,
	MILLIWATT,
	MHZ,
	MILLIVOLT,
	ENERGY, /* 2^-16 J */
	UNIT_COUNT
};

/* To the unit of our facts: v * mul / div, and the largest that is no nonsense. */
static const struct scale {
	uint32_t mul, div;
	int64_t max;
} scales[UNIT_COUNT] = {
	[CELSIUS] = { 1000, 1, 250000 },
	[CENTICELSIUS] = { 10, 1, 250000 },
	[PERCENT] = { 1, 1, 100 },
	[CENTIPERCENT] = { 1, 100, 100 },
	[WATT] = { 1000, 1, 10000000 },
	[MILLIWATT] = { 1, 1, 10000000 },
	[MHZ] = { 1, 1, 20000 },
	[MILLIVOLT] = { 1, 1, 10000 },
	[ENERGY] = { 15625, 1024, INT64_MAX },
};

/* One number of a layout. Several rows of one member: the first that the device fills in counts. */
struct row {
	uint16_t offset;
	uint8_t size;
	uint8_t unit;
	uint16_t member; /* of struct gpu_metrics */
};

#define M(member_) offsetof(struct gpu_metrics, member_)

struct layout {
	uint8_t format, content;
	uint16_t size;
	uint16_t throttle;       /* throttle_status, 4 bytes, bits by chip; 0: none */
	uint16_t indep_throttle; /* indep_throttle_status, 8 bytes, bits of reasons[]; 0: none */
	const struct row *rows;  /* ends with size 0 */
};

/* clang-format off */
static const struct row rows_1_0[] = {
	{ 16, 2, CELSIUS, M(temp_mc) }, { 18, 2, CELSIUS, M(temp_hotspot_mc) },
	{ 20, 2, CELSIUS, M(temp_memory_mc) }, { 28, 2, PERCENT, M(busy_percent) },
	{ 30, 2, PERCENT, M(mem_busy_percent) }, { 34, 2, WATT, M(power_mw) },
	{ 54, 2, MHZ, M(core_mhz) }, { 40, 2, MHZ, M(core_mhz) },
	{ 58, 2, MHZ, M(mem_mhz) }, { 44, 2, MHZ, M(mem_mhz) }, { 0 },
};

/* 1.2 and 1.3 only add at the end. */
static const struct row rows_1_1[] = {
	{ 4, 2, CELSIUS, M(temp_mc) }, { 6, 2, CELSIUS, M(temp_hotspot_mc) },
	{ 8, 2, CELSIUS, M(temp_memory_mc) }, { 16, 2, PERCENT, M(busy_percent) },
	{ 18, 2, PERCENT, M(mem_busy_percent) }, { 22, 2, WATT, M(power_mw) },
	{ 54, 2, MHZ, M(core_mhz) }, { 40, 2, MHZ, M(core_mhz) },
	{ 58, 2, MHZ, M(mem_mhz) }, { 44, 2, MHZ, M(mem_mhz) }, { 106, 2, MILLIVOLT, M(voltage_mv) }, { 0 },
};

/* The Instinct line from 1.4 on begins alike; energy and clocks moved with every version. */
#define HEAD_1_4                                                                               \
	{ 4, 2, CELSIUS, M(temp_hotspot_mc) }, { 6, 2, CELSIUS, M(temp_memory_mc) },           \
	{ 10, 2, WATT, M(power_mw) }, { 12, 2, PERCENT, M(busy_percent) },                     \
	{ 14, 2, PERCENT, M(mem_busy_percent) }
static const struct row rows_1_4[] = {
	HEAD_1_4, { 24, 8, ENERGY, M(energy_uj) }, { 240, 2, MHZ, M(core_mhz) },
	{ 280, 2, MHZ, M(mem_mhz) }, { 0 },
};
static const struct row rows_1_5[] = {
	HEAD_1_4, { 88, 8, ENERGY, M(energy_uj) }, { 312, 2, MHZ, M(core_mhz) },
	{ 352, 2, MHZ, M(mem_mhz) }, { 0 },
};
static const struct row rows_1_6[] = {
	HEAD_1_4, { 16, 8, ENERGY, M(energy_uj) }, { 264, 2, MHZ, M(core_mhz) },
	{ 304, 2, MHZ, M(mem_mhz) }, { 0 },
};
static const struct row rows_1_7[] = {
	HEAD_1_4, { 24, 8, ENERGY, M(energy_uj) }, { 296, 2, MHZ, M(core_mhz) },
	{ 336, 2, MHZ, M(mem_mhz) }, { 0 },
};

static const struct row rows_2_0[] = {
	{ 16, 2, CENTICELSIUS, M(temp_mc) }, { 40, 2, CENTIPERCENT, M(busy_percent) },
	{ 80, 2, MHZ, M(core_mhz) }, { 68, 2, MHZ, M(core_mhz) },
	{ 84, 2, MHZ, M(mem_mhz) }, { 72, 2, MHZ, M(mem_mhz) }, { 0 },
};

/* 2.2 to 2.4 only add at the end; 2.4 says its units. */
static const struct row rows_2_1[] = {
	{ 4, 2, CENTICELSIUS, M(temp_mc) }, { 28, 2, CENTIPERCENT, M(busy_percent) },
	{ 76, 2, MHZ, M(core_mhz) }, { 64, 2, MHZ, M(core_mhz) },
	{ 80, 2, MHZ, M(mem_mhz) }, { 68, 2, MHZ, M(mem_mhz) }, { 0 },
};
static const struct row rows_2_4[] = {
	{ 4, 2, CENTICELSIUS, M(temp_mc) }, { 28, 2, CENTIPERCENT, M(busy_percent) },
	{ 40, 2, MILLIWATT, M(power_mw) }, { 76, 2, MHZ, M(core_mhz) }, { 64, 2, MHZ, M(core_mhz) },
	{ 80, 2, MHZ, M(mem_mhz) }, { 68, 2, MHZ, M(mem_mhz) }, { 156, 2, MILLIVOLT, M(voltage_mv) }, { 0 },
};

static const struct row rows_3_0[] = {
	{ 4, 2, CENTICELSIUS, M(temp_mc) }, { 112, 4, MILLIWATT, M(power_mw) },
	{ 174, 2, MHZ, M(core_mhz) }, { 186, 2, MHZ, M(mem_mhz) }, { 0 },
};

/* A table of another size than its version has here is another layout under the same number. */
static const struct layout layouts[] = {
	{ 1, 0, 80, 68, 0, rows_1_0 },
	{ 1, 1, 96, 68, 0, rows_1_1 },
	{ 1, 2, 104, 68, 0, rows_1_1 },
	{ 1, 3, 120, 68, 112, rows_1_1 },
	{ 1, 4, 288, 40, 0, rows_1_4 },
	{ 1, 5, 360, 104, 0, rows_1_5 },
	{ 1, 6, 1664, 0, 0, rows_1_6 },
	{ 1, 7, 2208, 0, 0, rows_1_7 },
	{ 1, 8, 3872, 0, 0, rows_1_7 },
	{ 2, 0, 120, 112, 0, rows_2_0 },
	{ 2, 1, 120, 108, 0, rows_2_1 },
	{ 2, 2, 128, 108, 120, rows_2_1 },
	{ 2, 3, 152, 108, 120, rows_2_1 },
	{ 2, 4, 168, 108, 120, rows_2_4 },
	{ 3, 0, 264, 0, 0, rows_3_0 },
};

/*
 * v1.9 is a list: 4 bytes of count, then for each entry 8 bytes that say unit (bits 24-31), type (20-23), id
 * (10-19) and number of values (0-9), and the values, packed. An entry counts when it has the unit that
 * the drivers give it today.
 */
static const struct {
	uint16_t id;
	uint8_t unit_code;
	uint8_t unit;
	uint16_t member;
} attrs[] = {
	{ 0, 2, CELSIUS, M(temp_hotspot_mc) }, { 1, 2, CELSIUS, M(temp_memory_mc) },
	{ 3, 3, WATT, M(power_mw) }, { 4, 10, PERCENT, M(busy_percent) },
	{ 5, 10, PERCENT, M(mem_busy_percent) }, { 7, 0, ENERGY, M(energy_uj) },
	{ 33, 1, MHZ, M(core_mhz) }, { 37, 1, MHZ, M(mem_mhz) },
};

/* u8, s8, u16, ... s64 */
static const uint8_t attr_sizes[] = { 1, 1, 2, 2, 4, 4, 8, 8 };

/* SMU_THROTTLER_*_BIT of amd/pm/swsmu/inc/amdgpu_smu.h. */
static const struct {
	uint8_t bit;
	const char *name;
} reasons[] = {
	{ 0, "power ppt0" }, { 1, "power ppt1" }, { 2, "power ppt2" }, { 3, "power ppt3" },
	{ 4, "power spl" }, { 5, "power fppt" }, { 6, "power sppt" }, { 7, "power sppt-apu" },
	{ 16, "current tdc-gfx" }, { 17, "current tdc-soc" }, { 18, "current tdc-mem" },
	{ 19, "current tdc-vdd" }, { 20, "current tdc-cvip" }, { 21, "current edc-cpu" },
	{ 22, "current edc-gfx" }, { 23, "current apcc" },
	{ 32, "thermal gpu" }, { 33, "thermal core" }, { 34, "thermal memory" }, { 35, "thermal edge" },
	{ 36, "thermal hotspot" }, { 37, "thermal soc" }, { 38, "thermal vr-gfx" },
	{ 39, "thermal vr-soc" }, { 40, "thermal vr-mem0" }, { 41, "thermal vr-mem1" },
	{ 42, "thermal liquid0" }, { 43, "thermal liquid1" }, { 44, "thermal vrhot0" },
	{ 45, "thermal vrhot1" }, { 46, "thermal prochot-cpu" }, { 47, "thermal prochot-gfx" },
	{ 56, "other ppm" }, { 57, "other fit" },
};
/* clang-format on */

static uint64_t little_endian(const uint8_t *at, unsigned size)
{
	uint64_t v = 0;

	for (unsigned i = size; i-- > 0;)
		v = v << 8 | at[i];
	return v;
}

static bool is_all_ones(uint64_t v, unsigned size)
{
	return v == UINT64_MAX >> (64 - 8 * size);
}

static void set_fact(struct gpu_metrics *m, uint16_t member, enum unit unit, const uint8_t *at,
		     unsigned size)
{
	struct fact *f = (struct fact *)(void *)((char *)m + member);
	const struct scale *s = &scales[unit];
	uint64_t v = little_endian(at, size), scaled;

	if (fact_known(f) || is_all_ones(v, size))
		return;
	/* No silicon that has a sensor is at freezing point; chips without the sensor say 0. */
	if ((unit == CELSIUS || unit == CENTICELSIUS) && v == 0)
		return;
	if (__builtin_mul_overflow(v, (uint64_t)s->mul, &scaled) ||
	    scaled / s->div > (uint64_t)s->max)
		*f = fact_unknown(WHY_GARBLED);
	else
		*f = fact_of((int64_t)(scaled / s->div), SRC_SYSFS);
}

static void read_rows(struct gpu_metrics *m, const struct layout *l, const uint8_t *bytes)
{
	for (const struct row *r = l->rows; r->size; r++)
		/* What a later version added is not there. */
		if (r->offset + r->size <= l->size)
			set_fact(m, r->member, r->unit, bytes + r->offset, r->size);
}

static struct fact_text reasons_text(uint64_t bits)
{
	char buf[1024];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (!(bits >> reasons[i].bit & 1))
			continue;
		text_add(&t, "%s%s", t.len ? ", " : "", reasons[i].name);
		bits &= ~(UINT64_C(1) << reasons[i].bit);
	}
	if (bits)
		text_add(&t, "%sother bits 0x%" PRIx64, t.len ? ", " : "", bits);
	return fact_text_of(t.len ? buf : "none", SRC_SYSFS);
}

static void read_throttle(struct gpu_metrics *m, const struct layout *l, const uint8_t *bytes)
{
	uint64_t by_chip = l->throttle ? little_endian(bytes + l->throttle, 4) : UINT32_MAX;
	uint64_t bits = l->indep_throttle ? little_endian(bytes + l->indep_throttle, 8)
					  : UINT64_MAX;

	if (!is_all_ones(bits, 8))
		m->throttle = reasons_text(bits);
	else if (by_chip == 0)
		m->throttle = reasons_text(0);
	else if (!is_all_ones(by_chip, 4))
		m->throttle = fact_text_of("other (the driver does not name it)", SRC_SYSFS);
}

static void set_all(struct gpu_metrics *m, enum why why)
{
	const struct fact no = fact_unknown(why);
	const struct fact_text no_text = fact_text_unknown(why);

	*m = (struct gpu_metrics) { no_text, no, no, no, no, no, no, no, no, no, no, no_text };
}

/* Entry after entry; 0, or -EBADMSG when one leads out of the table. */
static int read_attrs(struct gpu_metrics *m, const uint8_t *bytes, size_t n)
{
	size_t at = HEADER_SIZE + 4;
	uint64_t count = n >= at ? little_endian(bytes + HEADER_SIZE, 4) : 0;

	if (n < at)
		return -EBADMSG;
	for (uint64_t i = 0; i < count; i++) {
		if (n - at < 8)
			return -EBADMSG;
		uint64_t code = little_endian(bytes + at, 8);
		unsigned type = code >> 20 & 0xf, id = code >> 10 & 0x3ff, values = code & 0x3ff;

		at += 8;
		if (type >= ARRAY_LEN(attr_sizes) || n - at < (size_t)values * attr_sizes[type])
			return -EBADMSG;
		for (size_t a = 0; values && a < ARRAY_LEN(attrs); a++)
			if (attrs[a].id == id && attrs[a].unit_code == (code >> 24 & 0xff))
				set_fact(m, attrs[a].member, attrs[a].unit, bytes + at,
					 attr_sizes[type]);
		at += (size_t)values * attr_sizes[type];
	}
	return 0;
}

static const struct layout *layout_find(unsigned format, unsigned content, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
		if (layouts[i].format == format && layouts[i].content == content &&
		    layouts[i].size == size)
			return &layouts[i];
	return NULL;
}

int gpu_metrics_parse(const uint8_t *bytes, size_t n, struct gpu_metrics *m)
{
	char version[16];

	set_all(m, WHY_GARBLED);
	if (n < HEADER_SIZE)
		return -EBADMSG;
	size_t size = little_endian(bytes, 2);
	unsigned format = bytes[2], content = bytes[3];

	/* A longer file is fine: some captures are padded to a page. */
	if (size < HEADER_SIZE || size > n)
		return -EBADMSG;
	const struct layout *l = layout_find(format, content, size);
	bool is_list = format == 1 && content == 9;

	set_all(m, WHY_NOT_EXPORTED);
	if (l) {
		read_rows(m, l, bytes);
		read_throttle(m, l, bytes);
	} else if (is_list && read_attrs(m, bytes, size)) {
		set_all(m, WHY_GARBLED);
		return -EBADMSG;
	}
	snprintf(version, sizeof(version), "%u.%u", format, content);
	m->version = fact_text_of(version, SRC_SYSFS);
	return l || is_list ? 0 : -ENOTSUP;
}

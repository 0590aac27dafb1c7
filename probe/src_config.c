/* SPDX-License-Identifier: MIT */
/*
 * The configuration space, and the sizes that BARs can have. Reading either wakes a device, so both are
 * read only of one that is awake; which BARs have a file for their sizes is known without.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/config.h"
#include "probe/section.h"

#define BARS 6

/* clang-format off */
static const struct field config_fields[] = {
	FIELD(struct config_facts, bytes, FIELD_FACT, UNIT_NONE, "bytes readable"),
	FIELD(struct config_facts, memory_decode, FIELD_FACT, UNIT_NONE, "memory decode"),
	FIELD(struct config_facts, bus_master, FIELD_FACT, UNIT_NONE, "bus master"),
	FIELD(struct config_facts, speed_mts, FIELD_FACT, UNIT_NONE, "link speed"),
	FIELD(struct config_facts, width, FIELD_FACT, UNIT_NONE, "link width"),
	FIELD(struct config_facts, max_speed_mts, FIELD_FACT, UNIT_NONE, "highest link speed"),
	FIELD(struct config_facts, max_width, FIELD_FACT, UNIT_NONE, "highest link width"),
	FIELD(struct config_facts, aspm, FIELD_FACT_TEXT, UNIT_NONE, "ASPM"),
	FIELD(struct config_facts, aer_uncorrectable, FIELD_FACT, UNIT_NONE, "uncorrectable errors"),
	FIELD(struct config_facts, capabilities, FIELD_FACT_TEXT, UNIT_NONE, "capabilities"),
};
/* clang-format on */

static void set_all(struct config_facts *c, enum why why)
{
	for (size_t i = 0; i < ARRAY_LEN(config_fields); i++) {
		void *at = (char *)c + config_fields[i].offset;

		if (config_fields[i].kind == FIELD_FACT)
			*(struct fact *)at = fact_unknown(why);
		else
			*(struct fact_text *)at = fact_text_unknown(why);
	}
}

/* --- the configuration space ----------------------------------------------------------------------- */

/* Not through the recorder: the space holds a serial number, and perhaps vital product data. */
static long read_config(const struct look *l, uint8_t *bytes)
{
	const struct source quiet = { .m = l->s->m, .errors = l->s->errors };
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof(path), "%s/config", l->dir) >= sizeof(path))
		return -EFBIG;
	long n = src_read_bytes(&quiet, path, bytes, CONFIG_MAX);

	if (!l->s->rec)
		return n;
	if (n >= 0) {
		config_scrub(bytes, (size_t)n);
		record_bytes(l->s->rec, path, bytes, (size_t)n);
	} else if (n != -ENOENT && n != -ENOTDIR) {
		record_error(l->s->rec, path, (int)n);
	}
	return n;
}

static struct fact_text caps_text(const struct config *c)
{
	char buf[512];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	for (uint32_t i = 0; i < c->n_caps; i++) {
		bool extended = c->caps[i].at >= 0x100;
		bool first = extended && (i == 0 || c->caps[i - 1].at < 0x100);

		text_add(&t, extended ? "%s%04x" : "%s%02x",
			 !i      ? ""
			 : first ? ", "
				 : " ",
			 c->caps[i].id);
	}
	return fact_text_of(t.len ? buf : "none", SRC_SYSFS);
}

/* A number that a capability holds; 0: the function has none. */
static struct fact cap_fact(uint32_t v, enum why otherwise)
{
	return v ? fact_of(v, SRC_SYSFS) : fact_unknown(otherwise);
}

static void take_config(struct config_facts *f, const struct config *c)
{
	static const char *const aspm[] = { "off", "L0s", "L1", "L0s L1" };
	bool has_caps = c->n > 64;
	enum why none = has_caps ? WHY_NOT_APPLICABLE : WHY_NEEDS_ROOT;

	set_all(f, none);
	f->bytes = fact_of(c->n, SRC_SYSFS);
	f->memory_decode = fact_of(c->command >> 1 & 1, SRC_SYSFS);
	f->bus_master = fact_of(c->command >> 2 & 1, SRC_SYSFS);
	f->speed_mts = cap_fact(c->speed_mts, none);
	f->width = cap_fact(c->width, none);
	f->max_speed_mts = cap_fact(c->max_speed_mts, none);
	f->max_width = cap_fact(c->max_width, none);
	if (c->max_width)
		f->aspm = fact_text_of(aspm[c->aspm], SRC_SYSFS);
	if (c->aer)
		f->aer_uncorrectable = fact_of(c->aer_uncorrectable, SRC_SYSFS);
	if (has_caps)
		f->capabilities = caps_text(c);
}

/* Ids that are not the kernel's: another device, or none, answers in its place. */
static bool is_another(const struct gpu *g, const struct config *c)
{
	if (g->physfn[0] || !g->vendor)
		return false;
	return c->vendor != g->vendor || c->device != g->device;
}

/* c->n stays 0 when nothing could be read. */
static void look_at_config(const struct look *l, struct config *c)
{
	struct config_facts *f = &l->g->config;
	uint8_t bytes[CONFIG_MAX];

	*c = (struct config) { 0 };
	if (!l->ask) {
		set_all(f, WHY_ASLEEP);
		return;
	}
	long n = read_config(l, bytes);

	if (n < 0) {
		set_all(f, why_of((int)n));
		return;
	}
	/* All ones: it went away, or fell asleep, while we looked. */
	if (config_parse(bytes, (size_t)n, c) || is_another(l->g, c)) {
		set_all(f, WHY_GARBLED);
		*c = (struct config) { 0 };
		return;
	}
	take_config(f, c);
	/* Of a virtual function the bit is always 0: its physical function decides. */
	if (l->g->physfn[0])
		f->memory_decode = fact_unknown(WHY_NOT_APPLICABLE);
}

/* --- the sizes of BARs ----------------------------------------------------------------------------- */

uint64_t bar_largest(const struct bar *b)
{
	uint64_t sizes = fact_known(&b->resizable) && b->resizable.v ? b->sizes : 0;
	int top = sizes ? 63 - __builtin_clzll(sizes) : 0;

	return sizes && top + 20 < 63 ? UINT64_C(1) << (top + 20) : 0;
}

/* Since 6.1 the kernel makes the file of every BAR that can be resized (pci-sysfs.c). */
static bool kernel_tells(const struct report *r)
{
	unsigned major = 0, minor = 0;

	return fact_text_known(&r->kernel) && sscanf(r->kernel.v, "%3u.%3u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 1));
}

/* "00000000000001c0": bits of sizes. */
static void take_sizes(struct bar *b, const char *text)
{
	char *end = NULL;

	b->sizes = strtoull(text, &end, 16);
	b->resizable = fact_of(1, SRC_SYSFS);
	if (!*end && b->sizes)
		return;
	b->sizes = 0;
	b->resizable = fact_unknown(WHY_GARBLED);
}

/* The file of a BAR's sizes: false when there is none. */
static bool read_sizes(const struct look *l, int i)
{
	struct bar *b = &l->g->bars[i];
	char path[PATH_SIZE], buf[64];

	if ((size_t)snprintf(path, sizeof(path), "%s/resource%d_resize", l->dir, i) >= sizeof(path))
		return false;
	long n = l->ask                          ? src_read(l->s, path, buf, sizeof(buf))
		 : machine_exists(l->s->m, path) ? 0
						 : -ENOENT;

	if (n == -ENOENT || n == -ENOTDIR)
		return false;
	if (!l->ask && l->s->rec)
		record_file(l->s->rec, path, "");
	/* That it is there says as much; a capture of a sleeping device has it empty. */
	if (n == 0 || n == -EACCES || n == -EPERM)
		b->resizable = fact_of(1, SRC_SYSFS);
	else if (n < 0)
		b->resizable = fact_unknown(why_of((int)n));
	else
		take_sizes(b, buf);
	return true;
}

/* What is known of a BAR without a file of its sizes. told: the kernel makes those files where they belong. */
static void read_bar(const struct look *l, const struct config *c, int i, bool told)
{
	struct bar *b = &l->g->bars[i];

	if (config_is_whole(c)) {
		b->sizes = c->sizes[i];
		b->resizable = fact_of(c->sizes[i] != 0, SRC_SYSFS);
	} else if (told) {
		b->resizable = fact_of(0, SRC_SYSFS);
	} else if (!l->ask) {
		b->resizable = fact_unknown(WHY_ASLEEP);
	} else {
		b->resizable = fact_unknown(c->n ? WHY_NEEDS_ROOT : WHY_NOT_EXPORTED);
	}
}

static void read_bars(const struct look *l, const struct config *c)
{
	bool told = kernel_tells(l->r), has_file[BARS] = { false };

	for (int i = 0; i < BARS; i++) {
		has_file[i] = l->g->bars[i].size_bytes && read_sizes(l, i);
		told |= has_file[i];
	}
	for (int i = 0; i < BARS; i++)
		if (l->g->bars[i].size_bytes && !has_file[i])
			read_bar(l, c, i, told);
	/* The ROM has one size. */
	l->g->bars[BARS].resizable = fact_unknown(WHY_NOT_APPLICABLE);
}

static void config_read(const struct look *l)
{
	struct config c;

	look_at_config(l, &c);
	read_bars(l, &c);
}

/* --- the section ----------------------------------------------------------------------------------- */

static json_t *sizes_to_json(uint64_t sizes)
{
	json_t *a = json_array();

	for (int i = 0; i + 20 < 63; i++)
		if (sizes >> i & 1)
			json_array_append_new(a, json_integer(INT64_C(1) << (i + 20)));
	return a;
}

static void config_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	json_t *o = json_object(), *bar;
	size_t i;

	(void)r;
	json_array_foreach(json_object_get(gpu, "bars"), i, bar)
	{
		json_int_t index = json_integer_value(json_object_get(bar, "index"));
		const struct bar *b = &g->bars[index];

		json_put_fact(bar, "resizable", &b->resizable);
		json_object_set_new(bar, "sizes_bytes",
				    sizes_to_json(fact_known(&b->resizable) ? b->sizes : 0));
	}
	fields_to_json(o, config_fields, ARRAY_LEN(config_fields), &g->config);
	json_object_set_new(gpu, "config", o);
}

const struct section section_config = {
	.name = "config",
	.read = config_read,
	.json = config_json,
};

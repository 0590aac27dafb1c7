/* SPDX-License-Identifier: MIT */
/* The subject "seen": last known values of sleeping GPUs, with their age. */
#include "probe/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probe/lines_priv.h"
#include "probe/section.h"

#define SCHEMA    "berth.seen/1"
#define DAY_S     86400
#define GPUS_KEPT 64

/* What a GPU does not change by itself, and what only asking it awake tells. */
/* clang-format off */
static const struct field rows[] = {
	FIELD_KEY(struct gpu, vram_total, "vram_total_bytes", FIELD_FACT, UNIT_BYTES, "VRAM"),
	FIELD(struct gpu, uuid, FIELD_FACT_TEXT, UNIT_NONE, "UUID"),
	FIELD(struct gpu, name, FIELD_FACT_TEXT, UNIT_NONE, "name"),
	FIELD(struct gpu, arch, FIELD_FACT_TEXT, UNIT_NONE, "architecture"),
	FIELD(struct gpu, vbios, FIELD_FACT_TEXT, UNIT_NONE, "VBIOS"),
	FIELD_KEY(struct gpu, index.nvml, "nvml_index", FIELD_FACT, UNIT_NONE, "NVML index"),
};
/* clang-format on */

/* The same thing at the same place: another card in the slot is another entry. */
static void key_of(char *key, size_t size, const struct gpu *g)
{
	snprintf(key, size, "%s %04x:%04x %04x:%04x", g->pci, g->vendor, g->device, g->subvendor,
		 g->subdevice);
}

static const void *member(const struct gpu *g, const struct field *row)
{
	return (const char *)g + row->offset;
}

static bool known(const struct gpu *g, const struct field *row)
{
	return row->kind == FIELD_FACT ? fact_known(member(g, row))
				       : fact_text_known(member(g, row));
}

static enum src src_of(const struct gpu *g, const struct field *row)
{
	const struct fact *f = member(g, row);
	const struct fact_text *t = member(g, row);

	return row->kind == FIELD_FACT ? f->src : t->src;
}

/* Some of it could not be read for the sake of its sleep, or of another's whose library opens both. */
static bool sleeps(const struct gpu *g)
{
	return g->awake == AWAKE_NO || g->vram_total.why == WHY_ASLEEP;
}

/* --- out of the file --- */

/* -1: the entry is from the future, or says nothing of its time. */
static int64_t age_of(const json_t *entry, int64_t now)
{
	json_int_t then = json_integer_value(json_object_get(entry, "time_s"));

	return then > 0 && then <= now ? now - then : -1;
}

static json_t *entry_of(const json_t *file, const struct gpu *g)
{
	char key[80];

	key_of(key, sizeof(key), g);
	return json_object_get(json_object_get(file, "gpus"), key);
}

static bool is_file(const json_t *file)
{
	const char *schema = json_string_value(json_object_get(file, "schema"));

	return schema && strcmp(schema, SCHEMA) == 0;
}

static void copy_facts(json_t *to, const json_t *entry)
{
	struct gpu g = { 0 };

	fields_from_json(entry, rows, ARRAY_LEN(rows), &g);
	fields_to_json(to, rows, ARRAY_LEN(rows), &g);
}

static void scrub_uuid(json_t *facts, uint32_t n)
{
	char uuid[48];

	if (!json_is_string(json_object_get(facts, "uuid")))
		return;
	snprintf(uuid, sizeof(uuid), "GPU-00000000-0000-0000-0000-%012u", n);
	json_put_text(facts, "uuid", uuid);
}

json_t *seen_answer(const json_t *file, const struct report *r, int64_t now, bool scrub)
{
	json_t *o = json_answer("berth.answer.cache/1"), *devices = json_object();

	json_object_set_new(o, "devices", devices);
	for (uint32_t i = 0; is_file(file) && i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		const json_t *entry = sleeps(g) ? entry_of(file, g) : NULL;
		int64_t age = age_of(entry, now);

		if (age < 0)
			continue;
		json_t *facts = json_object();

		json_put_int(facts, "seen_s_ago", age);
		copy_facts(facts, entry);
		if (scrub)
			scrub_uuid(facts, i);
		json_object_set_new(devices, g->pci, facts);
	}
	if (json_object_size(devices))
		return o;
	json_decref(o);
	return NULL;
}

/* A fact that nothing newer is known of; whatever its source was, now it is the cache. */
static void fill(struct gpu *g, const struct gpu *then, const struct field *row)
{
	struct fact f;
	struct fact_text t;
	char *to = (char *)g + row->offset;

	if (known(g, row) || !known(then, row))
		return;
	if (row->kind == FIELD_FACT) {
		memcpy(&f, member(then, row), sizeof(f));
		f.src = SRC_CACHE;
		if (f.v >= 0)
			memcpy(to, &f, sizeof(f));
		return;
	}
	memcpy(&t, member(then, row), sizeof(t));
	t.src = SRC_CACHE;
	memcpy(to, &t, sizeof(t));
}

void seen_take(struct report *r, const json_t *answer)
{
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct gpu *g = &r->gpus[i], then = { 0 };
		const json_t *facts = json_object_get(json_object_get(answer, "devices"), g->pci);
		const json_t *age = json_object_get(facts, "seen_s_ago");

		if (!facts || !sleeps(g) || !json_is_integer(age) || json_integer_value(age) < 0)
			continue;
		g->seen_s_ago = fact_of(json_integer_value(age), SRC_CACHE);
		fields_from_json(facts, rows, ARRAY_LEN(rows), &then);
		for (size_t k = 0; k < ARRAY_LEN(rows); k++)
			fill(g, &then, &rows[k]);
	}
}

/* --- into the file --- */

/*
 * Facts that a source told now, and older ones for what it did not tell this time. NULL: there are none
 * now. A name of pci.ids is known asleep too, so it is not worth a place.
 */
static json_t *facts_now(const struct gpu *g, const json_t *entry)
{
	json_t *o = json_object();
	bool any = false;

	copy_facts(o, entry);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!known(g, &rows[i]) || src_of(g, &rows[i]) == SRC_PCI)
			continue;
		char why[64];

		snprintf(why, sizeof(why), "%s_why", rows[i].key);
		json_object_del(o, why);
		fields_to_json(o, &rows[i], 1, g);
		any = true;
	}
	if (any)
		return o;
	json_decref(o);
	return NULL;
}

/* The facts of an entry, without its time. */
static bool same_facts(const json_t *entry, const json_t *facts)
{
	json_t *copy = json_deep_copy(entry);

	json_object_del(copy, "time_s");
	bool same = copy && json_equal(copy, facts);

	json_decref(copy);
	return same;
}

/* Cards come and go for years: the oldest entries make room. */
static void drop_oldest(json_t *gpus)
{
	while (json_object_size(gpus) > GPUS_KEPT) {
		json_int_t least = INT64_MAX;
		const char *key, *oldest = NULL;
		json_t *entry;

		json_object_foreach(gpus, key, entry)
		{
			json_int_t t = json_integer_value(json_object_get(entry, "time_s"));

			if (!oldest || t < least) {
				least = t;
				oldest = key;
			}
		}
		json_object_del(gpus, oldest);
	}
}

json_t *seen_update(const json_t *file, const struct report *r, int64_t now, bool woken)
{
	json_t *o = is_file(file) ? json_deep_copy(file) : json_answer(SCHEMA);
	json_t *gpus = json_object_get(o, "gpus");
	bool any = false;

	if (!json_is_object(gpus)) {
		json_object_set_new(o, "gpus", json_object());
		gpus = json_object_get(o, "gpus");
	}
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		const json_t *entry = entry_of(o, g);
		bool asked = woken || !(sleeps(g) || fact_known(&g->seen_s_ago));
		json_t *facts = asked ? facts_now(g, entry) : NULL;
		int64_t age = age_of(entry, now);
		char key[80];

		if (facts && !(age >= 0 && age < DAY_S && same_facts(entry, facts))) {
			json_put_int(facts, "time_s", now);
			key_of(key, sizeof(key), g);
			json_object_set(gpus, key, facts);
			any = true;
		}
		json_decref(facts);
	}
	drop_oldest(gpus);
	if (any)
		return o;
	json_decref(o);
	return NULL;
}

/* --- the section --- */

static json_t *seen_ask(const struct run *run, const struct want *w)
{
	bool any = false;

	for (uint32_t i = 0; i < run->merged.n_gpus; i++)
		any |= sleeps(&run->merged.gpus[i]);
	if (!any || w->wake)
		return NULL;
	json_t *file = seen_read();
	json_t *o = file ? seen_answer(file, &run->merged, time(NULL), w->rec) : NULL;

	json_decref(file);
	return o;
}

static void seen_decide(struct report *r, struct gpu *g)
{
	(void)r;
	if (!fact_known(&g->seen_s_ago))
		g->seen_s_ago = fact_unknown(sleeps(g) ? WHY_NONE : WHY_NOT_APPLICABLE);
}

static void seen_json(json_t *gpu, const struct gpu *g, const struct report *r)
{
	(void)r;
	json_put_fact(gpu, "seen_s_ago", &g->seen_s_ago);
}

static void age_text(struct text *t, int64_t s)
{
	static const struct {
		int64_t s;
		const char *name;
	} units[] = { { DAY_S, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	size_t i = 0;

	while (i < ARRAY_LEN(units) - 1 && s < units[i].s)
		i++;
	int64_t n = s / units[i].s;

	text_add(t, "%lld %s%s ago", (long long)n, units[i].name, n == 1 ? "" : "s");
}

static void seen_text(FILE *to, const struct gpu *g, const struct report *r, bool verbose)
{
	struct line l;
	bool first = true;

	(void)r;
	(void)verbose;
	if (!fact_known(&g->seen_s_ago))
		return;
	line_init(&l);
	text_add(&l.t, "awake ");
	age_text(&l.t, g->seen_s_ago.v);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!known(g, &rows[i]) || src_of(g, &rows[i]) != SRC_CACHE)
			continue;
		text_add(&l.t, "%s%s", first ? "; from then: " : ", ", rows[i].label);
		first = false;
	}
	line_print(to, "last seen", l.buf);
}

const struct section section_seen = {
	.name = "seen",
	.answer = "cache",
	.ask = seen_ask,
	.take = seen_take,
	.decide = seen_decide,
	.json = seen_json,
	.text = seen_text,
};

/* SPDX-License-Identifier: MIT */
#include "vram-planner/calibration.h"

#include <stdio.h>
#include <string.h>

#include "base/cache.h"
#include "base/text.h"

#define SCHEMA       "berth.calibration/1"
#define FILE_NAME    "calibration.json"
#define OVERHEAD_MAX (INT64_C(16) << 30) /* more is no overhead, but somebody's model */
#define RATE_MAX     INT64_C(1000000000000000)

void calibration_key(char *key, size_t size, const struct place *p)
{
	if (!p)
		snprintf(key, size, "%s, %s", CALIBRATION_HOST, plan_engine);
	else
		snprintf(key, size, "%s, %s, %s, %s, %s", p->uuid[0] ? p->uuid : p->pci, p->name,
			 p->backend, p->driver, plan_engine);
}

struct fact calibration_overhead(const struct fact *free_before, const struct fact *free_during,
				 uint64_t account_bytes)
{
	if (!fact_known(free_before) || !fact_known(free_during) || account_bytes > INT64_MAX)
		return fact_unknown(WHY_NOT_EXPORTED);
	int64_t gone = free_before->v - free_during->v, more = gone - (int64_t)account_bytes;

	if (free_before->v < 0 || free_during->v < 0 || more < 0 || more > OVERHEAD_MAX)
		return fact_unknown(WHY_GARBLED);
	return fact_of(more, SRC_ENGINE);
}

const struct calibration *calibrations_find(const struct calibrations *c, const char *key)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (strcmp(c->rows[i].key, key) == 0)
			return &c->rows[i];
	}
	return NULL;
}

void calibrations_put(struct calibrations *c, const struct calibration *row)
{
	struct calibration *to = (struct calibration *)calibrations_find(c, row->key);

	if (!to && c->n < CALIBRATIONS_MAX)
		to = &c->rows[c->n++];
	for (uint32_t i = 0; !to && i < c->n; i++) {
		bool oldest = true;

		for (uint32_t k = 0; k < c->n; k++)
			oldest = oldest && c->rows[i].time_s <= c->rows[k].time_s;
		if (oldest)
			to = &c->rows[i];
	}
	*to = *row;
}

/* --- the file --- */

static const struct {
	const char *key;
	size_t offset;
	int64_t max;
} numbers[] = {
	{ "overhead_bytes", offsetof(struct calibration, overhead_bytes), OVERHEAD_MAX },
	{ "read_bytes_s", offsetof(struct calibration, read_bytes_s), RATE_MAX },
	{ "link_bytes_s", offsetof(struct calibration, link_bytes_s), RATE_MAX },
};

json_t *calibrations_to_json(const struct calibrations *c)
{
	json_t *o = json_answer(SCHEMA), *devices = json_object();

	for (uint32_t i = 0; i < c->n; i++) {
		const struct calibration *row = &c->rows[i];
		json_t *d = json_object();

		json_put_int(d, "time_s", row->time_s);
		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
			const void *f = (const char *)row + numbers[k].offset;

			if (fact_known(f))
				json_put_int(d, numbers[k].key, ((const struct fact *)f)->v);
		}
		json_object_set_new(devices, row->key, d);
	}
	json_object_set_new(o, "devices", devices);
	return o;
}

static void read_row(struct calibration *row, const char *key, const json_t *d)
{
	*row = (struct calibration) { .time_s = json_integer_value(json_object_get(d, "time_s")) };
	text_copy(row->key, sizeof(row->key), key);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const json_t *v = json_object_get(d, numbers[i].key);
		struct fact f = fact_unknown(WHY_NOT_EXPORTED);

		if (json_is_integer(v) && json_integer_value(v) >= 0 &&
		    json_integer_value(v) <= numbers[i].max)
			f = fact_of(json_integer_value(v), SRC_CACHE);
		memcpy((char *)row + numbers[i].offset, &f, sizeof(f));
	}
}

int calibrations_from_json(struct calibrations *c, const json_t *o, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema")), *key;
	json_t *d;

	c->n = 0;
	if (!schema || strcmp(schema, SCHEMA) != 0)
		return err_set(e, -EBADMSG, "it is no " SCHEMA);
	json_object_foreach(json_object_get(o, "devices"), key, d)
	{
		struct calibration row;

		if (strlen(key) >= sizeof(row.key))
			continue;
		read_row(&row, key, d);
		if (row.time_s > 0)
			calibrations_put(c, &row);
	}
	return 0;
}

void calibrations_apply(const struct calibrations *c, struct place *places, uint32_t n,
			struct host_place *host)
{
	char key[sizeof(c->rows[0].key)];
	const struct calibration *row;

	for (uint32_t i = 0; i < n; i++) {
		struct place *p = &places[i];

		calibration_key(key, sizeof(key), p);
		row = p->hypothetical ? NULL : calibrations_find(c, key);
		if (!row)
			continue;
		p->overhead_bytes = row->overhead_bytes;
		if (!fact_known(&p->bandwidth_bytes_s))
			p->bandwidth_bytes_s = row->read_bytes_s;
		if (!fact_known(&p->link_bytes_s))
			p->link_bytes_s = row->link_bytes_s;
	}
	calibration_key(key, sizeof(key), NULL);
	row = calibrations_find(c, key);
	if (row && !fact_known(&host->bandwidth_bytes_s))
		host->bandwidth_bytes_s = row->read_bytes_s;
}

void calibrations_load(struct calibrations *c)
{
	struct err e = { 0 };
	json_t *o = cache_read(FILE_NAME);

	c->n = 0;
	if (o)
		calibrations_from_json(c, o, &e);
	json_decref(o);
}

int calibrations_save(const struct calibrations *c, struct err *e)
{
	json_t *o = calibrations_to_json(c);
	int rc = cache_write(FILE_NAME, o, e);

	json_decref(o);
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/tracediff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/tracealign.h"
#include "bar-forward/tracing.h"
#include "base/json.h"
#include "base/own.h"
#include "base/telem_bridge.h"

#define CONTEXT 3 /* steps that are the same, before a difference */
#define PLACES  4096
#define WORST   5

/* A register and how often it differs. */
struct place {
	uint64_t offset, n;
	uint8_t region;
};

struct diffing {
	const struct options *o;
	const char *name[2];
	struct trace_reader *reader[2];
	struct steps steps[2];
	struct align_counts counts;
	uint64_t told; /* differences that were shown */
	struct step before[CONTEXT];
	uint32_t n_before;
	bool begun, differ;
	struct step first[2]; /* of the first difference; times 0: none on that side */
	uint64_t same_before; /* steps */
	json_t *list;
	struct place place[PLACES]; /* the first so many that differ */
	uint32_t n_places;
};

static const char *const kind_names[ALIGN_KINDS] = { "same", "value", "only-a", "only-b" };

static double seconds(const struct diffing *d, int side, const struct step *s)
{
	uint64_t began = d->reader[side]->head.started_ns;

	return s->ns > began ? (double)(s->ns - began) / 1e9 : 0;
}

static uint64_t differences(const struct diffing *d)
{
	return d->counts.n[ALIGN_VALUE] + d->counts.n[ALIGN_ONLY_A] + d->counts.n[ALIGN_ONLY_B];
}

/* --- which registers --- */

static void count_place(struct diffing *d, const struct step *s)
{
	uint32_t i = 0;

	while (i < d->n_places &&
	       (d->place[i].offset != s->offset || d->place[i].region != s->region))
		i++;
	if (i == PLACES)
		return;
	if (i == d->n_places)
		d->place[d->n_places++] = (struct place) { .offset = s->offset,
							   .region = s->region };
	d->place[i].n++;
}

static int by_count(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	return a->n < b->n ? 1 : a->n > b->n ? -1 : 0;
}

static const char *region_name(uint32_t region)
{
	return region < TELEM_REGIONS ? telem_region_name(region) : "VGA";
}

/* --- for people --- */

static void show_line(const struct diffing *d, char sign, int side, const struct step *s)
{
	char words[256];

	printf("%c %12.6f  %s\n", sign, seconds(d, side, s), step_words(words, s));
}

static void show_begin(struct diffing *d)
{
	if (!d->begun)
		printf("--- %s\n+++ %s\n", d->name[0], d->name[1]);
	d->begun = true;
	if (d->n_before)
		puts("@@");
	for (uint32_t i = 0; i < d->n_before; i++)
		show_line(d, ' ', 0, &d->before[i]);
	d->n_before = 0;
}

static void show(struct diffing *d, const struct step *a, const struct step *b)
{
	show_begin(d);
	if (a)
		show_line(d, '-', 0, a);
	if (b)
		show_line(d, '+', 1, b);
}

/* --- for programs --- */

static json_t *step_json(const struct diffing *d, int side, const struct step *s)
{
	json_t *o = json_object(), *values = json_array();
	uint32_t held = s->n < STEP_TAIL ? s->n : STEP_TAIL;
	char text[24];

	json_put_text(o, "event", trace_kind_name(s->kind));
	json_put_text(o, "region", region_name(s->region));
	snprintf(text, sizeof(text), "0x%" PRIx64, s->offset);
	json_put_text(o, "offset", text);
	json_put_int(o, "count", s->bytes);
	json_put_int(o, "times", s->times);
	json_object_set_new(o, "t_s", json_real(seconds(d, side, s)));
	for (uint32_t i = 0; i < held && s->bytes <= 8; i++) {
		snprintf(text, sizeof(text), "0x%" PRIx64, s->tail[i]);
		json_array_append_new(values, json_string(text));
	}
	json_object_set_new(o, "last_values", values);
	return o;
}

static json_t *pair_json(const struct diffing *d, enum align_kind kind, const struct step *a,
			 const struct step *b)
{
	json_t *o = json_object();

	json_put_text(o, "difference", kind_names[kind]);
	json_object_set_new(o, "a", a ? step_json(d, 0, a) : json_null());
	json_object_set_new(o, "b", b ? step_json(d, 1, b) : json_null());
	return o;
}

/* --- what is found --- */

static void keep_before(struct diffing *d, const struct step *s)
{
	if (d->n_before == CONTEXT)
		memmove(d->before, d->before + 1, --d->n_before * sizeof(*d->before));
	d->before[d->n_before++] = *s;
}

static void note_first(struct diffing *d, const struct step *a, const struct step *b)
{
	if (d->differ)
		return;
	d->differ = true;
	d->same_before = d->counts.n[ALIGN_SAME];
	if (a)
		d->first[0] = *a;
	if (b)
		d->first[1] = *b;
}

static int told(void *arg, enum align_kind kind, const struct step *a, const struct step *b)
{
	struct diffing *d = arg;

	if (kind == ALIGN_SAME) {
		keep_before(d, a);
		return 0;
	}
	note_first(d, a, b);
	count_place(d, a ? a : b);
	if (d->o->limit && d->told >= d->o->limit)
		return 0;
	d->told++;
	if (d->o->json)
		json_array_append_new(d->list, pair_json(d, kind, a, b));
	else
		show(d, a, b);
	return 0;
}

static void show_sum(struct diffing *d)
{
	const uint64_t *n = d->counts.n;

	if (d->told < differences(d))
		printf("... and %" PRIu64 " more; --limit shows more of them\n",
		       differences(d) - d->told);
	printf("%" PRIu64 " steps are the same, %" PRIu64 " have another value, %" PRIu64
	       " are only in %s, %" PRIu64 " only in %s\n",
	       n[ALIGN_SAME], n[ALIGN_VALUE], n[ALIGN_ONLY_A], d->name[0], n[ALIGN_ONLY_B],
	       d->name[1]);
	if (!d->differ)
		return;
	printf("the first difference is after %" PRIu64 " steps", d->same_before);
	if (d->first[0].times)
		printf(", at %.6f s of %s", seconds(d, 0, &d->first[0]), d->name[0]);
	if (d->first[1].times)
		printf(", at %.6f s of %s", seconds(d, 1, &d->first[1]), d->name[1]);
	putchar('\n');
	for (uint32_t i = 0; i < d->n_places && i < WORST; i++)
		printf("  %s+0x%" PRIx64 " differs %" PRIu64 " times\n",
		       region_name(d->place[i].region), d->place[i].offset, d->place[i].n);
}

static json_t *places_json(const struct diffing *d)
{
	json_t *list = json_array();
	char at[24];

	for (uint32_t i = 0; i < d->n_places; i++) {
		json_t *o = json_object();

		json_put_text(o, "region", region_name(d->place[i].region));
		snprintf(at, sizeof(at), "0x%" PRIx64, d->place[i].offset);
		json_put_text(o, "offset", at);
		json_put_int(o, "differences", (int64_t)d->place[i].n);
		json_array_append_new(list, o);
	}
	return list;
}

static int print_json(struct diffing *d)
{
	json_t *o = json_answer("berth.bridge.diff/1");
	int rc;

	json_put_text(o, "a", d->name[0]);
	json_put_text(o, "b", d->name[1]);
	json_put_bool(o, "differ", d->differ);
	json_put_int(o, "same", (int64_t)d->counts.n[ALIGN_SAME]);
	json_put_int(o, "other_value", (int64_t)d->counts.n[ALIGN_VALUE]);
	json_put_int(o, "only_a", (int64_t)d->counts.n[ALIGN_ONLY_A]);
	json_put_int(o, "only_b", (int64_t)d->counts.n[ALIGN_ONLY_B]);
	if (d->differ)
		json_put_int(o, "same_before_first", (int64_t)d->same_before);
	else
		json_put_null(o, "same_before_first");
	json_object_set(o, "differences", d->list);
	json_put_bool(o, "cut", d->told < differences(d));
	json_object_set_new(o, "registers", places_json(d));
	rc = json_print(o, stdout);
	json_decref(o);
	return rc;
}

static int compare(struct diffing *d, struct err *e)
{
	int rc = align(&d->steps[0], &d->steps[1], told, d, &d->counts, e);

	if (rc)
		return rc;
	qsort(d->place, d->n_places, sizeof(*d->place), by_count);
	if (d->o->json)
		rc = print_json(d);
	else
		show_sum(d);
	if (rc || fflush(stdout))
		return err_set(e, -EIO, "cannot write what differs");
	return d->differ; /* as diff(1): 1 when they do */
}

int trace_diff_verb(const struct ask *a, struct err *e)
{
	own_free struct diffing *d = calloc(1, sizeof(*d));
	int rc = 0;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->o = a->o;
	d->list = json_array();
	for (int i = 0; !rc && i < 2; i++) {
		d->name[i] = a->words[i];
		rc = tracing_open(a, a->words[i], &d->reader[i], &d->steps[i].filter, e);
		d->steps[i].reader = d->reader[i];
	}
	if (!rc)
		rc = compare(d, e);
	json_decref(d->list);
	for (int i = 0; i < 2; i++)
		trace_reader_close(d->reader[i]);
	return rc;
}

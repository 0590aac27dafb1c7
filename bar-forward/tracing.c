/* SPDX-License-Identifier: MIT */
#include "bar-forward/tracing.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bar-forward/heat.h"
#include "bar-forward/tracefilter.h"
#include "bar-forward/traceshow.h"
#include "bar-forward/whichbridge.h"

#define FOLLOW_NS    20000000 /* between two looks at a recording that goes on */
#define HEAT_COLUMNS 64

struct tracing {
	const struct options *o;
	const struct log *log;
	struct trace_reader *r;
	struct trace_filter filter;
	struct heat heat;
	uint64_t shown;
};

static int read_times(const struct options *o, struct trace_reader *r, struct trace_filter *f,
		      struct err *e)
{
	uint64_t end = trace_reader_end(r);
	int rc = 0;

	if (o->since)
		rc = trace_time_parse(o->since, r->head.started_ns, end, &f->since, e);
	if (!rc && o->until)
		rc = trace_time_parse(o->until, r->head.started_ns, end, &f->until, e);
	if (!rc && f->since)
		rc = trace_reader_seek(r, f->since, e);
	return rc;
}

int tracing_open(const struct ask *a, const char *word, struct trace_reader **r,
		 struct trace_filter *f, struct err *e)
{
	char path[4096];
	int rc = trace_filter_parse(f, &a->o->only, &a->o->except, &a->o->kinds, e);

	if (!rc)
		rc = whichbridge_recording(word, path, e);
	if (!rc)
		rc = trace_reader_open(r, path, e);
	if (rc)
		return rc;
	rc = read_times(a->o, *r, f, e);
	if (rc) {
		trace_reader_close(*r);
		*r = NULL;
	}
	return rc;
}

static int show(struct tracing *t, const struct trace_record *rec)
{
	uint64_t began = t->r->head.started_ns;
	const struct trace_slot *s = &rec->s;

	if (!trace_filter_wants(&t->filter, s))
		return 0;
	t->shown++;
	if (t->o->heat) {
		bool access = s->kind == TRACE_READ || s->kind == TRACE_WRITE;

		return access ? heat_add(&t->heat, s->region, s->offset, rec->count,
					 s->kind == TRACE_WRITE)
			      : 0;
	}
	if (t->o->json) {
		json_t *o = trace_json(rec, began);
		int rc = json_print_line(o, stdout);

		json_decref(o);
		return rc;
	}
	char line[TRACE_LINE_MAX];

	trace_line(line, rec, began);
	return puts(line) < 0 ? -EIO : 0;
}

static int show_all(struct tracing *t, struct err *e)
{
	static struct trace_record rec;
	int rc;

	while ((rc = trace_reader_next(t->r, &rec, e)) > 0) {
		rc = show(t, &rec);
		if (rc)
			return err_set(e, rc, "cannot write what is recorded: %s", strerror(-rc));
	}
	if (!rc && fflush(stdout))
		rc = err_set(e, -EIO, "cannot write what is recorded");
	return rc;
}

/* Until who writes it is gone, and what it had written is told. */
static int follow(struct tracing *t, struct err *e)
{
	const struct timespec pause = { 0, FOLLOW_NS };
	bool live = true;
	int rc = 0;

	while (!rc && live) {
		live = trace_reader_live(t->r);
		rc = trace_reader_look(t->r, e);
		if (!rc)
			rc = show_all(t, e);
		if (!rc && live)
			nanosleep(&pause, NULL);
	}
	return rc;
}

static enum heat_glyphs glyphs_of(const struct options *o)
{
	setlocale(LC_CTYPE, "");
	if (o->glyphs)
		return (enum heat_glyphs)(o->glyphs - 1);
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? HEAT_BLOCKS : HEAT_ASCII;
}

static int show_heat(struct tracing *t, struct err *e)
{
	int rc = 0;

	if (t->o->json) {
		json_t *o = heat_json(&t->heat);

		rc = json_print(o, stdout);
		json_decref(o);
	} else {
		heat_draw(&t->heat, glyphs_of(t->o), HEAT_COLUMNS, stdout);
	}
	return rc ? err_set(e, rc, "cannot write the map") : 0;
}

static int show_head(struct tracing *t, struct err *e)
{
	json_t *o;
	int rc;

	if (!t->o->json || t->o->heat)
		return 0;
	o = trace_head_json(&t->r->head);
	rc = json_print_line(o, stdout);
	json_decref(o);
	return rc ? err_set(e, rc, "cannot write what is recorded") : 0;
}

static void say_what_is_missing(const struct tracing *t)
{
	const struct trace_reader *r = t->r;

	if (r->next > r->slots)
		log_detail(t->log,
			   "the oldest %" PRIu64 " of %" PRIu64 " records were written over",
			   r->next - r->slots, r->next);
	if (r->skipped)
		log_note(t->log, "%" PRIu64 " records are not whole, and were left out",
			 r->skipped);
}

int trace_verb(const struct ask *a, struct err *e)
{
	struct tracing t = { .o = a->o, .log = a->log };
	int rc;

	if (a->o->heat && a->o->follow)
		return err_set(e, VERB_USAGE, "--heat and --follow exclude each other");
	rc = tracing_open(a, a->words[0], &t.r, &t.filter, e);
	if (rc)
		return rc;
	rc = show_head(&t, e);
	if (!rc)
		rc = a->o->follow ? follow(&t, e) : show_all(&t, e);
	if (!rc && a->o->heat)
		rc = show_heat(&t, e);
	if (!rc)
		say_what_is_missing(&t);
	heat_free(&t.heat);
	trace_reader_close(t.r);
	return rc;
}

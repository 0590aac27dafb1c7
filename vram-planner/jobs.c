/* SPDX-License-Identifier: MIT */
/* plan --jobs: a line in, a line out. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "vram-planner/job.h"

#define LINE_MAX_BYTES (1 << 20)
#define KEPT           8 /* models that stay open; a list usually goes model by model */

struct kept {
	char path[1024];
	const struct engine *engine;
	struct model *model;
	struct biller *biller;
	uint64_t used; /* number of the last line that named it */
};

struct run {
	struct kept kept[KEPT];
	uint64_t line;
	bool failed; /* a line was answered with an error */
	const struct fact *margin;
};

static void forget(struct kept *k)
{
	biller_close(k->biller);
	model_close(k->model);
	*k = (struct kept) { 0 };
}

/* The model of a path, opened once while it stays among the last few. */
static int find(struct run *r, const struct job *j, struct biller **out, struct err *e)
{
	struct kept *oldest = &r->kept[0];

	for (size_t i = 0; i < KEPT; i++) {
		struct kept *k = &r->kept[i];

		if (k->biller && k->engine == j->engine && strcmp(k->path, j->model) == 0) {
			k->used = r->line;
			*out = k->biller;
			return 0;
		}
		if (k->used < oldest->used)
			oldest = k;
	}
	forget(oldest);
	int rc = model_open(&oldest->model, j->model, e);

	if (!rc)
		rc = biller_open(&oldest->biller, oldest->model, j->engine, e);
	if (rc) {
		forget(oldest);
		return rc;
	}
	text_copy(oldest->path, sizeof(oldest->path), j->model);
	oldest->engine = j->engine;
	oldest->used = r->line;
	*out = oldest->biller;
	return 0;
}

static int answer(struct run *r, struct job *j, const char *line, size_t n, json_t **out,
		  struct err *e)
{
	struct target targets[PLAN_DEVICES_MAX];
	struct biller *b = NULL;
	struct bill bill;
	json_t *o = json_parse(line, n, "the line", e);
	int rc = o ? job_from_json(j, o, e) : -EBADMSG;

	json_decref(o);
	if (!rc && !fact_known(&j->margin_bytes))
		j->margin_bytes = *r->margin;
	if (!rc)
		rc = find(r, j, &b, e);
	for (uint32_t i = 0; i < j->n_gpus; i++)
		targets[i] = j->gpus[i].target;
	/* a list is held against what the engine measures */
	j->ask.measuring = true;
	if (!rc)
		rc = biller_bill(b, &j->ask, targets, j->n_gpus, &bill, e);
	if (!rc) {
		struct range speed = { 0 };

		if (!bill.refused)
			speed = job_speed(j, b);
		*out = job_to_json(j, &bill, &speed);
	}
	return rc;
}

static int one(struct run *r, const char *line, size_t n, FILE *out, struct err *e)
{
	struct job j = { 0 };
	struct err why = { 0 };
	json_t *o = NULL;

	r->line++;
	int failed = answer(r, &j, line, n, &o, &why);

	/* Beyond the known rules is an answer: nobody can tell. */
	if (failed == -ENOTSUP) {
		o = job_unknown(&j, &why);
	} else if (failed) {
		char place[TEXT_SIZE_MAX + 16];

		snprintf(place, sizeof(place), "line %" PRIu64, r->line);
		err_at(&why, why.rc, "%s", place);
		r->failed = true;
		o = job_error(j.model[0] ? j.model : NULL, &why);
	}
	failed = json_print_line(o, out);
	json_decref(o);
	return failed ? err_set(e, -EIO, "the answers cannot be written") : 0;
}

/* One line without its newline; 1: there is one, 0: the end, or -EIO. Longer ones are cut, and read on. */
static int next_line(FILE *in, char *line, size_t *n, struct err *e)
{
	int c;

	for (*n = 0; (c = getc_unlocked(in)) != EOF && c != '\n';) {
		if (*n < LINE_MAX_BYTES)
			line[(*n)++] = (char)c;
	}
	if (ferror(in))
		return err_set(e, -EIO, "reading the jobs: %s", strerror(errno));
	return c != EOF || *n > 0;
}

static bool blank(const char *line, size_t n)
{
	while (n > 0 && strchr(" \t\r", line[n - 1]))
		n--;
	return n == 0;
}

int jobs_run(FILE *in, FILE *out, const struct fact *margin, struct err *e)
{
	struct run r = { .margin = margin };
	own_free char *line = malloc(LINE_MAX_BYTES);
	size_t n;
	int rc;

	if (!line)
		return err_set(e, -ENOMEM, "no memory for a line");
	while ((rc = next_line(in, line, &n, e)) > 0) {
		rc = blank(line, n) ? 0 : one(&r, line, n, out, e);
		if (rc)
			break;
	}
	for (size_t i = 0; i < KEPT; i++)
		forget(&r.kept[i]);
	if (!rc && r.failed)
		rc = err_set(e, -EBADMSG, "not every line could be answered; the others were");
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "vram-planner/answer.h"
#include "vram-planner/calibrate.h"
#include "vram-planner/compare.h"
#include "vram-planner/elsewhere.h"
#include "vram-planner/job.h"
#include "vram-planner/options.h"
#include "vram-planner/plan.h"

static int show(const struct answer *a, const struct question *q, const struct options *o,
		struct err *e)
{
	json_t *j = o->json || o->output ? answer_to_json(a, q) : NULL;
	char buf[16384];
	struct text t;
	int rc = 0;

	if (o->output)
		rc = plan_write_json(j, o->output, e);
	if (rc) {
		json_decref(j);
		return rc;
	}
	if (o->json) {
		rc = json_print(j, stdout);
	} else {
		text_init(&t, buf, sizeof(buf));
		answer_explain(&t, a, q);
		fputs(buf, stdout);
		fputs(q->terms ? q->terms->buf : "", stdout);
		rc = fflush(stdout) || ferror(stdout) ? -EIO : 0;
	}
	json_decref(j);
	return rc ? err_set(e, rc, "the answer cannot be written to standard output") : 0;
}

static int read_question(struct question *q, const struct devices *d, const struct options *o)
{
	*q = (struct question) {
		.devices = d,
		.beside = o->beside,
		.depth = o->depth,
		.verify = o->verify,
		.hashed = o->json || o->output,
	};
	source_env(&q->env, o->timeout_s);
	q->env.quant = mix_find(o->quant ? o->quant : MIX_DEFAULT);
	if (!q->env.quant)
		return cmd_usage_error(&plan_command, "--quant takes one of %s, not '%s'",
				       mix_names, o->quant);
	if (o->price_kwh && !answer_price(o->price_kwh, &q->prices.kwh))
		return cmd_usage_error(&plan_command, "--price-kwh '%s' is no price such as 0.30",
				       o->price_kwh);
	if (o->price_api && !answer_price(o->price_api, &q->prices.api_token))
		return cmd_usage_error(&plan_command, "--price-api '%s' is no price such as 0.60",
				       o->price_api);
	return options_wish(&q->wish, o);
}

/* --- several models --- */

/* One model that is no folder of many and no repository gets the whole answer, not a row. */
static bool is_one(const struct options *o, int n, char *const *what)
{
	return !o->list && !o->quants && n == 1 && !compare_is_several(what[0]);
}

static int collect(struct comparison *c, const struct options *o, const struct question *q, int n,
		   char *const *what, struct err *e)
{
	int rc = o->list ? compare_add_stores(c, e) : 0;

	for (int i = 0; i < n && !rc; i++)
		rc = compare_add(c, what[i], o->quants, &q->env, e);
	return rc;
}

static int show_several(const struct comparison *c, const struct question *q,
			const struct options *o, struct err *e)
{
	int rc;

	if (o->json) {
		json_t *j = compare_to_json(c, q, o->top);

		rc = json_print(j, stdout);
		json_decref(j);
	} else {
		compare_explain(stdout, c, o->top);
		rc = fflush(stdout) || ferror(stdout) ? -EIO : 0;
	}
	return rc ? err_set(e, rc, "the answer cannot be written to standard output") : 0;
}

static int answer_several(const struct options *o, const struct question *q, int n,
			  char *const *what)
{
	struct comparison c = { 0 };
	struct err e = { 0 };
	int rc = collect(&c, o, q, n, what, &e);
	int code = rc ? (int)err_report("plan", rc, &e) : EXIT_YES;

	if (rc == 0) {
		compare_rank(&c, q);
		rc = show_several(&c, q, o, &e);
		if (rc) {
			err_report("plan", rc, &e);
			code = EXIT_ENV;
		} else if (n > 0) { /* a list was only to be shown */
			code = (int)compare_exit(&c, o->all);
		}
	}
	compare_free(&c);
	return code;
}

static int answer_jobs(const struct options *o)
{
	bool from_stdin = strcmp(o->jobs, "-") == 0;
	own_file FILE *opened = from_stdin ? NULL : fopen(o->jobs, "re");
	struct fact margin = { 0 };
	struct err e = { 0 };
	int rc = 0;

	if (!from_stdin && !opened)
		rc = err_set(&e, -errno, "cannot read %s: %s", o->jobs, strerror(errno));
	if (o->margin != UINT64_MAX)
		margin = fact_of((int64_t)o->margin, SRC_USER);
	if (!rc)
		rc = jobs_run(from_stdin ? stdin : opened, stdout, &margin, &e);
	return rc ? (int)err_report("plan", rc, &e) : EXIT_YES;
}

static int answer_calibration(const struct options *o)
{
	struct err e = { 0 };
	struct log log;

	log_init(&log, "berth plan", o->quiet, o->verbose);
	int rc = calibrate(&o->devices, &log, stdout, &e);

	if (!rc && (fflush(stdout) || ferror(stdout)))
		rc = err_set(&e, -EIO, "the answer cannot be written to standard output");
	return rc ? (int)err_report("plan", rc, &e) : EXIT_YES;
}

/* Something that --quant can be about: a checkpoint, or what may hold one. */
static bool any_unquantized(int n, char *const *what)
{
	for (int i = 0; i < n; i++)
		if (source_is_checkpoint(what[i]) || source_is_repository(what[i]) ||
		    compare_is_several(what[i]))
			return true;
	return false;
}

/* What is wrong with the options and operands together, in words; NULL: nothing. */
static const char *contradiction(const struct options *o, int n, char *const *what)
{
	if (o->jobs && n > 0)
		return "--jobs names its models by itself; leave the MODEL out";
	if (o->jobs && options_ask(o))
		return "each line of --jobs has its own flags and devices; leave the options out";
	if (o->calibrate && n > 0)
		return "--calibrate runs a model of its own; leave the MODEL out";
	if (o->jobs || o->calibrate)
		return NULL;
	if (n == 0 && !o->list)
		return "give a MODEL, or --list";
	for (int i = 0; i < n; i++) {
		if (!what[i][0])
			return "the name of the model is empty";
	}
	if (o->output && !is_one(o, n, what))
		return "--output takes the plan of one model";
	if ((o->explain || o->bar) && (o->json || !is_one(o, n, what)))
		return "--explain and --bar are words about one model, without --json";
	if (o->quant && n > 0 && !any_unquantized(n, what))
		return "--quant is for a checkpoint (a folder with config.json, or hf:ORG/REPO); a GGUF "
		       "file has its quant already";
	if (o->output && o->beside.mmproj)
		return "--output is for berth launch, which runs no image encoder";
	if (o->n_draft && !o->beside.draft)
		return "--draft-max is for --draft";
	return NULL;
}

static int answer_one(const struct options *o, struct question *q, const char *what,
		      const struct log *log)
{
	struct answer answer = { 0 };
	struct err e = { 0 };
	char arithmetic[32768];
	struct text terms;
	int code;

	text_init(&terms, arithmetic, sizeof(arithmetic));
	if (o->explain || o->bar)
		q->terms = &terms;
	q->bar = o->bar;
	int rc = answer_make(&answer, what, q, &e);

	if (rc == 0)
		elsewhere_find(&answer.plan, what, q, &o->devices, log);
	if (rc == -ERANGE || rc == -EINVAL)
		code = cmd_usage_error(&plan_command, "%s", e.text);
	else if (rc)
		code = (int)err_report("plan", rc, &e);
	else if ((rc = show(&answer, q, o, &e)) != 0) {
		err_report("plan", rc, &e);
		code = EXIT_ENV; /* whatever the errno: the answer is known, its place is not */
	} else {
		code = (int)plan_exit(&answer.plan);
	}
	answer_fini(&answer);
	return code;
}

int main(int argc, char **argv)
{
	struct options o = options_none();
	struct devices devices = { 0 };
	struct question question;
	struct log log;
	struct err e = { 0 };
	int first;

	enum cmd_go go = cmd_parse(&plan_command, argc, argv, &o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	int n = argc - first;
	const char *wrong = contradiction(&o, n, argv + first);

	if (wrong)
		return cmd_usage_error(&plan_command, "%s", wrong);
	if (o.jobs)
		return answer_jobs(&o);
	if (o.calibrate)
		return answer_calibration(&o);
	log_init(&log, "berth plan", o.quiet, o.verbose);
	int rc = read_question(&question, &devices, &o);

	if (rc)
		return rc;
	rc = devices_find(&devices, &o.devices, &log, &e);
	if (rc == -EINVAL)
		return cmd_usage_error(&plan_command, "%s", e.text);
	if (rc)
		return (int)err_report("plan", rc, &e);
	if (!is_one(&o, n, argv + first))
		return answer_several(&o, &question, n, argv + first);
	return answer_one(&o, &question, argv[first], &log);
}

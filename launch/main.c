/* SPDX-License-Identifier: MIT */
/* berth launch: plan, start, prove, watch. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/own.h"
#include "launch/job.h"
#include "launch/power.h"
#include "launch/serve.h"
#include "launch/submit.h"
#include "launch/verbs.h"
#include "vram-planner/plan.h"

static int unwritten(void)
{
	struct err e = { 0 };

	err_set(&e, -ENOSPC, "cannot write to standard output");
	return (int)err_report("launch", e.rc, &e);
}

static int answer_json(const struct job *j, enum exit_code code)
{
	json_t *o = job_to_json(j, code);
	int rc = json_print(o, stdout) ? unwritten() : 0;

	json_decref(o);
	return rc && code == EXIT_YES ? rc : (int)code;
}

/* What the offered wish says by itself, or replaces. */
static const char *const offered[] = {
	"ctx",
	"batch",
	"ubatch",
	"parallel",
	"kv-unified",
	"no-kv-unified",
	"cache-type-k",
	"cache-type-v",
	"flash-attn",
	"gpu-layers",
	"split",
	"tensor-split",
	"cpu-moe",
	"n-cpu-moe",
	"override-tensor",
	"no-kv-offload",
	"swa-full",
	"embeddings",
	"accept",
	"accept-unverified",
	"margin",
	"want",
	"min-context",
	"min-speed",
	"dry-run",
	NULL,
};

static void explain(struct text *t, const struct job *j)
{
	char command[8192];
	struct text c;

	text_init(&c, command, sizeof(command));
	text_add(&c, "berth launch");
	cmd_words(&c, &launch_command, &j->o, &launch_defaults, offered);
	plan_explain(t, &j->plan, command);
}

/* The plan says no, or not enough is known: say why, start nothing. */
static int declined(struct job *j, enum exit_code code)
{
	char words[32768];
	struct text t;

	text_copy(j->ending.class, sizeof(j->ending.class), "plan");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), j->plan.decided_by);
	if (j->o.json)
		return answer_json(j, code);
	text_init(&t, words, sizeof(words));
	explain(&t, j);
	fprintf(stderr, "%s", words);
	log_note(&j->log, "not started%s",
		 j->plan.verdict != VERDICT_SPILLS ? ""
		 : j->plan.flags.n_gpu_layers      ? "; --accept spill would start it so"
						   : "; --accept cpu would start it so");
	return code;
}

static int dry_run(struct job *j)
{
	char words[16384];
	struct text t;

	if (j->o.json)
		return answer_json(j, EXIT_YES);
	text_init(&t, words, sizeof(words));
	job_dry_run(&t, j);
	fputs(words, stdout);
	return fflush(stdout) || ferror(stdout) ? unwritten() : EXIT_YES;
}

static void say_speed(const struct job *j)
{
	const struct wire_done *d = &j->wire.done;

	double rate = telem_mean_rate(d->generated_tokens, d->generated_ns);

	if (!j->wire.is_done)
		return;
	if (rate >= 0)
		log_note(&j->log, "%llu prompt tokens, %llu tokens generated at %.1f tokens/s (%s)",
			 (unsigned long long)d->prompt_tokens,
			 (unsigned long long)d->generated_tokens, rate, d->stop);
	/* Stopped before there was a token to time; a server tells of its end otherwise. */
	else if (!j->serve && strcmp(d->stop, "stopped") == 0)
		log_note(&j->log, "%llu prompt tokens, %llu tokens generated (stopped)",
			 (unsigned long long)d->prompt_tokens,
			 (unsigned long long)d->generated_tokens);
}

static int carry_out(struct job *j, struct err *e)
{
	bool stays = j->serve && !j->o.dry_run;
	int rc = j->o.slurm ? job_submit(j, e) : stays ? 0 : job_prepare(j, e);

	if (j->o.slurm)
		return rc < 0 ? (int)err_report("launch", rc, e) : rc;
	if (rc == 0)
		rc = power_check(j, e);
	if (rc == 0 && !j->o.dry_run)
		rc = job_signals(j, e);
	if (rc == 0 && !j->o.dry_run)
		rc = power_apply(j, e);
	if (rc)
		return err_report("launch", rc, e);
	if (j->o.dry_run)
		return dry_run(j);
	rc = stays ? serve_run(j, e) : job_run(j, e);
	if (rc)
		return err_report("launch", rc, e);
	/* Tokens end where they end; the next line of the terminal is ours */
	if (!j->o.json && j->wire.done.generated_tokens &&
	    strcmp(j->wire.done.stop, "closed") != 0) {
		putchar('\n');
		fflush(stdout); /* before what follows on stderr */
	}
	if (j->o.json)
		return answer_json(j, j->ending.exit);
	if (j->ending.sentence[0]) {
		struct err why = { 0 };

		err_set(&why, -ECHILD, "%s%s", j->ending.exit == EXIT_PLACEMENT ? "refused: " : "",
			j->ending.sentence);
		err_report("launch", why.rc, &why);
		return j->ending.exit;
	}
	say_speed(j);
	return j->ending.exit;
}

static int plan_and_run(struct job *j, struct err *e)
{
	int rc = job_plan(j, e);
	enum exit_code code;

	/* A plan from a file is input; a wish that cannot be is wrong usage */
	if (!j->o.plan && (rc == -EINVAL || rc == -ERANGE))
		return cmd_usage_error(&launch_command, "%s", e->text);
	if (rc)
		return err_report("launch", rc, e);
	code = plan_exit(&j->plan);
	return code == EXIT_YES ? carry_out(j, e) : declined(j, code);
}

static int launch(struct job *j, struct err *e)
{
	bool waited = false;
	int rc;

	if (!j->o.dry_run)
		power_recover(&j->log);
	rc = j->o.serve && !j->o.slurm ? serve_begin(j, &waited, e) : 0;
	if (rc && !waited)
		rc = (int)err_report("launch", rc, e);
	else if (!waited)
		rc = plan_and_run(j, e);
	power_restore(j);
	serve_end(j, rc);
	return rc;
}

/* A model, or a plan that names one; and options that make sense. */
static int check_options(struct job *j, int argc, char **argv, int first)
{
	int rc;

	if (argc - first > 1)
		return cmd_usage_error(&launch_command, "one MODEL at a time; \"%s\" is too many",
				       argv[first + 1]);
	if (!j->profile.path[0])
		j->model = first < argc ? argv[first] : NULL;
	if (!j->model && !j->o.plan)
		return cmd_usage_error(&launch_command,
				       j->profile.path[0]
					       ? "the profile names no model"
					       : "give a MODEL or a PROFILE, or --plan FILE");
	if (j->model && !j->model[0])
		return cmd_usage_error(&launch_command, "the name of the model is empty");
	rc = launch_options_check(&j->o);
	return rc ? rc : launch_options_wish(&j->wish, &j->o);
}

/*
 * The operand may be a profile's name; a file of that name comes first. Its options are read before those
 * of the command line, which overrule them. 0, or an exit code after one sentence.
 */
static int read_profile(struct job *j, const char *operand, int argc, char **argv, int *first)
{
	struct err e = { 0 };
	int rc;

	if (!profile_is_name(operand) || access(operand, F_OK) == 0)
		return 0;
	struct options given = j->o;

	j->o = launch_defaults;
	rc = profile_read(&j->profile, operand, &launch_command, launch_never_in_profiles, &j->o,
			  &e);
	if (rc == -ENOENT) {
		/* a model in a store, then */
		profile_free(&j->profile);
		j->o = given;
		return 0;
	}
	if (rc)
		return err_report("launch", rc, &e);
	j->model = j->profile.model;
	return cmd_parse(&launch_command, argc, argv, &j->o, first) == CMD_RUN ? 0 : EXIT_USAGE;
}

static int read_options(struct job *j, int argc, char **argv, int *first, enum cmd_go *go)
{
	own_free char **again = calloc((size_t)argc + 1, sizeof(*again));

	if (!again)
		return EXIT_ENV;
	memcpy(again, argv, (size_t)argc * sizeof(*again)); /* parsing reorders */
	j->o = launch_defaults;
	*go = cmd_parse(&launch_command, argc, argv, &j->o, first);
	if (*go != CMD_RUN)
		return cmd_exit(*go);
	return *first == argc - 1 ? read_profile(j, argv[*first], argc, again, first) : 0;
}

static int verb_launch(int argc, char **argv)
{
	struct job *j = calloc(1, sizeof(*j));
	struct err e = { 0 };
	enum cmd_go go = CMD_DONE;
	int first, rc;

	if (!j)
		return EXIT_ENV;
	j->signal_fd = -1;
	rc = read_options(j, argc, argv, &first, &go);
	if (go == CMD_RUN && rc == 0) {
		log_init(&j->log, "berth launch", j->o.quiet, j->o.verbose);
		rc = check_options(j, argc, argv, first);
		if (rc == 0)
			rc = launch(j, &e);
	}
	job_free(j);
	return rc;
}

/* The commands of this program, by the name it is called. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "launch", verb_launch },   { "ps", verb_ps },     { "stop", verb_stop },
	{ "restart", verb_restart }, { "logs", verb_logs }, { "unit", verb_unit },
};

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	/* A file at its limit is a write that fails: no reason to end what others use. The core inherits it. */
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].run(argc, argv);
	return verb_launch(argc, argv);
}

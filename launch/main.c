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
#include "launch/runs.h"
#include "launch/serve.h"
#include "launch/verbs.h"
#include "vram-planner/plan.h"

#define ROW(member) offsetof(struct options, member)
#define N_OF(rows)  (sizeof(rows) / sizeof((rows)[0]))

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "plan", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(plan),
	  .help = "Carry out this plan, written by `berth plan --json`, instead of making one." },
	{ .name = "device", .kind = OPT_TEXT, .arg = "SEL", .offset = ROW(device),
	  .help = "Use only these devices, in this order: PCI addresses, UUIDs or names, separated by commas; "
		  "the engine's own name (Vulkan0) for a software device; cpu for none." },
	{ .name = "ctx", .letter = 'c', .kind = OPT_U32, .arg = "N", .offset = ROW(n_ctx), .min = 1, .max = 1 << 30,
	  .help = "Context in tokens." },
	{ .name = "parallel", .kind = OPT_U32, .arg = "N", .offset = ROW(parallel), .min = 1, .max = 256,
	  .help = "Plan for N sequences that share the context, so that a server answers N requests at once (1)." },
	{ .name = "embeddings", .kind = OPT_FLAG, .offset = ROW(embeddings), .help = "Plan for embeddings instead of text." },
	{ .name = "prompt", .letter = 'p', .kind = OPT_TEXT, .arg = "TEXT", .offset = ROW(prompt),
	  .help = "Generate from this text; without it, prove the placement and stop." },
	{ .name = "tokens", .letter = 'n', .kind = OPT_U32, .arg = "N", .offset = ROW(max_tokens),
	  .help = "Generate at most N tokens (256); 0 goes on until the context is full." },
	{ .name = "seed", .kind = OPT_U32, .arg = "N", .offset = ROW(seed), .help = "Seed of the draw (42)." },
	{ .name = "temp", .kind = OPT_TEXT, .arg = "X", .offset = ROW(temperature),
	  .help = "Temperature of the draw, 0 to 100 (0.8); 0 always takes the likeliest token." },
	{ .name = "accept", .kind = OPT_ENUM, .arg = "WHAT", .offset = ROW(accept), .choices = accept_choices,
	  .help = "What may be started: gpu (everything on GPUs), spill (layers in host memory too), cpu." },
	{ .name = "split", .kind = OPT_TEXT, .arg = "N,N,...", .offset = ROW(split),
	  .help = "Layers per device by hand, the output counted as one." },
	{ .name = "margin", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(margin),
	  .help = "Memory to leave free on each device." },
	{ .name = "cache-type-k", .kind = OPT_ENUM, .arg = "TYPE", .offset = ROW(type_k), .choices = cache_types,
	  .help = "Type of the K cache (f16)." },
	{ .name = "cache-type-v", .kind = OPT_ENUM, .arg = "TYPE", .offset = ROW(type_v), .choices = cache_types,
	  .help = "Type of the V cache (f16)." },
	{ .name = "engine", .kind = OPT_ENUM, .arg = "WHICH", .offset = ROW(engine), .choices = core_names,
	  .help = "What computes: berth (its own core), or llama-server: the one in PATH, or that BERTH_LLAMA_SERVER names; it "
		  "gets the same plan, has to prove it just so, and answers requests only." },
	{ .name = "dry-run", .kind = OPT_FLAG, .offset = ROW(dry_run),
	  .help = "Show the plan, the CPUs, the environment and the command, and start nothing." },
	{ .name = "serve", .kind = OPT_FLAG, .offset = ROW(serve),
	  .help = "Serve requests instead of one prompt, and start the core again when it fails, until stopped." },
	{ .name = "detach", .letter = 'd', .kind = OPT_FLAG, .offset = ROW(detach),
	  .help = "Serve in the background: come back once it is ready. `berth ps`, `stop`, `restart` and `logs` know it by name." },
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(name),
	  .help = "Serve under this name, the model's for its clients (from the file's name)." },
	{ .name = "listen", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(listen),
	  .help = "Serve at ADDRESS:PORT or unix:PATH (127.0.0.1:8470, or what a service manager hands over)." },
	{ .name = "ollama", .kind = OPT_FLAG, .offset = ROW(ollama),
	  .help = "Serve Ollama's clients, too, at 127.0.0.1:11434 and without a key." },
	{ .name = "key-file", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(key_file),
	  .help = "The key that clients must show, in a file that nobody else can read; made when absent." },
	{ .name = "no-key", .kind = OPT_FLAG, .offset = ROW(no_key), .help = "Ask clients for no key." },
	{ .name = "allow-host", .kind = OPT_LIST, .arg = "HOST", .offset = ROW(allow_host),
	  .help = "A name that clients may call this server by, besides loopback's." },
	{ .name = "watchdog", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(watchdog_s), .max = 86400,
	  .help = "Replace a core that gives no sign of life for so long (60); 0: never." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json),
	  .help = "Answer with one berth.launch/1 object on stdout, at the end, the text in it." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose),
	  .help = "Show the engine's log on stderr; twice: all of it." },
};

static const struct example examples[] = {
	{ "berth launch model.gguf --prompt 'Once upon a time'", "run it on the GPUs it fits on, or say why not" },
	{ "berth launch model.gguf --device 0000:c1:00.0 -c 32768 --dry-run", "show what would be started" },
	{ "berth plan model.gguf --json >p.json; berth launch --plan p.json", "carry out a plan made before" },
	{ "berth launch model.gguf --accept cpu --prompt Hello -n 32", "the processor will do" },
	{ "berth launch model.gguf -d --name chat", "serve it on 127.0.0.1:8470 and keep it running; berth stop chat" },
	{ "berth launch chat", "what ~/.config/berth/profiles.d/chat.conf says" },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "launch",
	.summary = "run a model exactly as planned, and prove the placement",
	.operands = "MODEL|PROFILE",
	.description =
		"Plans the model on the devices of this machine, starts the inference core pinned to exactly those, "
		"compares where the engine says it put every layer with the plan, and only then lets it generate. "
		"A layer that is elsewhere stops the run with exit code 7.\n\n"
		"MODEL is a file, or the name that a local store has for it (Ollama, LM Studio, llama.cpp, Hugging "
		"Face's cache). PROFILE is a file of these options under a name, profiles.d/PROFILE.conf below "
		"~/.config/berth or /etc/berth: lines such as 'model = llama3.2:3b' and 'ctx = 32768', with 'yes' for "
		"what takes no argument; options given besides overrule it.\n\n"
		"Tokens go to stdout as they come; the proof and all notes go to stderr. Measured sizes come from "
		"the engine's log, which rounds each buffer to 0.01 MiB; '=' in the proof means equal within that.\n\n"
		"With --serve, or what implies it, it stays: a core that fails is started again after 1, 2, 4 ... 60 s, at most "
		"5 times in 10 minutes; when a device left, planned again on those that remain; when memory was "
		"refused, with the next smaller plan, at most 3 times. Meanwhile clients get 503 and a Retry-After.\n\n"
		"Ctrl-C stops after the current token and exits 0 (1 if the model was not ready yet); pressed "
		"again, it kills the core at once. A core that crashes never leaves a process behind: the exit code is 8 and the class of "
		"the crash is in the JSON. The core dies with berth launch, however that dies.",
	.opts = opts,
	.n_opts = N_OF(opts),
	.exits = "0  done, or stopped as asked\n1  it does not fit, or a named device is absent\n"
		 "2  wrong usage\n3  facts are missing to plan with\n4  the model or plan is not sound\n"
		 "5  the environment refuses\n6  a device of the plan was lost or changed\n"
		 "7  the engine put a layer elsewhere than planned\n8  the engine failed",
	.examples = examples,
	.see_also = "berth-plan(1), berth-probe(1), berth-top(1)",
};
/* clang-format on */

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

/* The plan says no, or not enough is known: say why, start nothing. */
static int declined(struct job *j, enum exit_code code)
{
	char words[8192];
	struct text t;

	text_copy(j->ending.class, sizeof(j->ending.class), "plan");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), j->plan.decided_by);
	if (j->o.json)
		return answer_json(j, code);
	text_init(&t, words, sizeof(words));
	plan_explain(&t, &j->plan);
	fprintf(stderr, "%s", words);
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

	if (!j->wire.is_done || rate < 0)
		return;
	log_note(&j->log, "%llu prompt tokens, %llu tokens generated at %.1f tokens/s (%s)",
		 (unsigned long long)d->prompt_tokens, (unsigned long long)d->generated_tokens,
		 rate, d->stop);
}

static int carry_out(struct job *j, struct err *e)
{
	bool stays = j->serve && !j->o.dry_run;
	int rc = stays ? 0 : job_prepare(j, e);

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
		return cmd_usage_error(&command, "%s", e->text);
	if (rc)
		return err_report("launch", rc, e);
	code = plan_exit(&j->plan);
	return code == EXIT_YES ? carry_out(j, e) : declined(j, code);
}

static int launch(struct job *j, struct err *e)
{
	bool waited = false;
	int rc = j->o.serve ? serve_begin(j, &waited, e) : 0;

	if (rc && !waited)
		rc = (int)err_report("launch", rc, e);
	else if (!waited)
		rc = plan_and_run(j, e);
	serve_end(j, rc);
	return rc;
}

/* With a plan given, nothing is left to plan. */
static const char *superfluous(const struct options *o)
{
	const struct {
		bool given;
		const char *name;
	} rows[] = {
		{ o->device, "--device" },
		{ o->split, "--split" },
		{ o->n_ctx, "-c" },
		{ o->parallel, "--parallel" },
		{ o->embeddings, "--embeddings" },
		{ o->margin != MARGIN_DEFAULT, "--margin" },
		{ o->type_k >= 0, "--cache-type-k" },
		{ o->type_v >= 0, "--cache-type-v" },
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		if (rows[i].given)
			return rows[i].name;
	return NULL;
}

static bool temperature_is_good(const char *s)
{
	char *end;
	double v = s ? strtod(s, &end) : 0;

	return !s || (end != s && *end == 0 && v >= 0 && v <= 100);
}

static int read_wish(struct wish *w, const struct options *o)
{
	w->n_ctx = o->n_ctx;
	w->n_seq_max = o->parallel;
	w->embeddings = o->embeddings;
	w->accept = o->accept < 0 ? ACCEPT_GPU : (enum accept)o->accept;
	if (o->margin != MARGIN_DEFAULT)
		w->margin_bytes = fact_of((int64_t)o->margin, SRC_USER);
	if (o->type_k >= 0)
		text_copy(w->type_k, sizeof(w->type_k), cache_types[o->type_k]);
	if (o->type_v >= 0)
		text_copy(w->type_v, sizeof(w->type_v), cache_types[o->type_v]);
	if (o->split && !wish_split(w, o->split))
		return cmd_usage_error(
			&command,
			"--split '%s' is no list of numbers such as 4,2,3, at most %d of them",
			o->split, PLAN_DEVICES_MAX);
	return 0;
}

/* What only makes sense of a run that serves implies that it does. */
static int check_service(struct options *o)
{
	struct socket_place place;
	struct err e = { 0 };

	o->serve = o->serve || o->detach || o->name || o->listen.n || o->ollama;
	if (!o->serve && (o->key_file || o->no_key || o->allow_host.n))
		return cmd_usage_error(&command, "%s needs --serve",
				       o->key_file ? "--key-file"
				       : o->no_key ? "--no-key"
						   : "--allow-host");
	if (!o->serve)
		return 0;
	if (o->prompt)
		return cmd_usage_error(&command, "--prompt has no place in a run that serves");
	if (o->json && !o->dry_run)
		return cmd_usage_error(
			&command, "--json has no place in a run that serves; `berth ps --json`");
	if (o->key_file && o->no_key)
		return cmd_usage_error(&command, "--key-file and --no-key contradict each other");
	if (o->name && !run_name_is_good(o->name))
		return cmd_usage_error(&command,
				       "--name '%s' is no name: letters, digits, '.', '_' and '-', "
				       "at most %d",
				       o->name, RUN_NAME_MAX - 1);
	for (uint32_t i = 0; i < o->listen.n; i++)
		if (socket_place_parse(&place, o->listen.v[i], &e))
			return cmd_usage_error(&command, "--listen: %s", e.text);
	if (o->listen.n + o->ollama > SOCKETS_MAX)
		return cmd_usage_error(&command, "at most %d places to listen at", SOCKETS_MAX);
	return 0;
}

static int check_options(struct job *j, int argc, char **argv, int first)
{
	if (argc - first > 1)
		return cmd_usage_error(&command, "one MODEL at a time; \"%s\" is too many",
				       argv[first + 1]);
	if (!j->profile.path[0])
		j->model = first < argc ? argv[first] : NULL;
	if (!j->model && !j->o.plan)
		return cmd_usage_error(&command, j->profile.path[0]
							 ? "the profile names no model"
							 : "give a MODEL.gguf, or --plan FILE");
	if (j->model && !j->model[0])
		return cmd_usage_error(&command, "the name of the model is empty");
	if (j->o.plan && superfluous(&j->o))
		return cmd_usage_error(&command,
				       "%s has no place beside --plan: the plan has decided it",
				       superfluous(&j->o));
	if (!temperature_is_good(j->o.temperature))
		return cmd_usage_error(&command, "--temp %s is not a number from 0 to 100",
				       j->o.temperature);
	return check_service(&j->o) ? EXIT_USAGE : read_wish(&j->wish, &j->o);
}

static const struct options defaults = {
	.max_tokens = 256,
	.seed = 42,
	.margin = MARGIN_DEFAULT,
	.accept = -1,
	.type_k = -1,
	.type_v = -1,
	.watchdog_s = 60,
};

/* What only a person at a terminal, or a script, can want. */
static const char *const never_in_profiles[] = { "dry-run", "json", NULL };

/* "~/x.gguf" in a file is read as a shell would. */
static int profile_model(struct job *j, struct err *e)
{
	const char *home = getenv("HOME");

	j->model = j->profile.model;
	if (!j->model || strncmp(j->model, "~/", 2) != 0)
		return 0;
	if (!home || !*home)
		return err_set(e, -EBADMSG, "%s: model: HOME is not set", j->profile.path);
	if (snprintf(j->home_model, sizeof(j->home_model), "%s%s", home, j->model + 1) >=
	    (int)sizeof(j->home_model))
		return err_set(e, -ENAMETOOLONG, "%s: model: too long", j->profile.path);
	j->model = j->home_model;
	return 0;
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

	j->o = defaults;
	rc = profile_read(&j->profile, operand, &command, never_in_profiles, &j->o, &e);
	if (rc == -ENOENT) {
		/* a model in a store, then */
		profile_free(&j->profile);
		j->o = given;
		return 0;
	}
	if (rc == 0)
		rc = profile_model(j, &e);
	if (rc)
		return err_report("launch", rc, &e);
	return cmd_parse(&command, argc, argv, &j->o, first) == CMD_RUN ? 0 : EXIT_USAGE;
}

static int read_options(struct job *j, int argc, char **argv, int *first, enum cmd_go *go)
{
	own_free char **again = calloc((size_t)argc + 1, sizeof(*again));

	if (!again)
		return EXIT_ENV;
	memcpy(again, argv, (size_t)argc * sizeof(*again)); /* parsing reorders */
	j->o = defaults;
	*go = cmd_parse(&command, argc, argv, &j->o, first);
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
	{ "restart", verb_restart }, { "logs", verb_logs },
};

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	for (size_t i = 0; i < N_OF(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].run(argc, argv);
	return verb_launch(argc, argv);
}

/* SPDX-License-Identifier: MIT */
/* What of the options makes no sense, alone or together, and what they wish for. */
#include <stdlib.h>
#include <string.h>

#include "base/sockets.h"
#include "launch/cores.h"
#include "launch/options.h"
#include "launch/powerwish.h"
#include "launch/runs.h"
#include "launch/slurm.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* By its long name. */
static bool is_given(const struct options *o, const char *name)
{
	const struct cmd *c = &launch_command;

	for (size_t i = 0; i < c->n_opts; i++)
		if (strcmp(c->opts[i].name, name) == 0)
			return cmd_given(&c->opts[i], o, &launch_defaults);
	return false;
}

/* With a plan given, nothing is left to plan. */
static const char *superfluous(const struct options *o)
{
	for (const char *const *name = launch_planned; *name; name++)
		if (is_given(o, *name))
			return *name;
	return NULL;
}

enum scope {
	FOR_SERVICE = 1,  /* only a run that serves can heed it */
	FOR_OUR_CORE = 2, /* others do it their own way, or not at all */
};

static const struct {
	const char *name;
	unsigned scope;
} scopes[] = {
	{ "key-file", FOR_SERVICE },
	{ "no-key", FOR_SERVICE },
	{ "allow-host", FOR_SERVICE },
	{ "no-flight", FOR_SERVICE },
	{ "lora", FOR_OUR_CORE },
	{ "control-vector", FOR_OUR_CORE },
	{ "draft", FOR_SERVICE | FOR_OUR_CORE },
	{ "draft-min", FOR_SERVICE | FOR_OUR_CORE },
	{ "chat-template", FOR_SERVICE | FOR_OUR_CORE },
	{ "sleep-idle", FOR_SERVICE | FOR_OUR_CORE },
	{ "max-queue", FOR_SERVICE | FOR_OUR_CORE },
	{ "max-connections", FOR_SERVICE | FOR_OUR_CORE },
	{ "max-body", FOR_SERVICE | FOR_OUR_CORE },
};

/* The first option that was given of those that only this kind of run heeds. */
static const char *first_for(enum scope scope, const struct options *o)
{
	for (size_t i = 0; i < N_OF(scopes); i++)
		if (scopes[i].scope & scope && is_given(o, scopes[i].name))
			return scopes[i].name;
	return NULL;
}

/* Two options that cannot both be meant. */
static const char *contradiction(const struct options *o)
{
	if (o->unified && o->not_unified)
		return "--kv-unified and --no-kv-unified contradict each other";
	if (o->split && (o->shares || o->gpu_layers))
		return "--split says by itself what --tensor-split and --gpu-layers would";
	if (o->n_batch && o->n_ubatch > o->n_batch)
		return "--ubatch is a part of --batch and cannot be larger";
	if (o->cpu_moe && o->n_cpu_moe)
		return "--cpu-moe keeps all experts on the host, --n-cpu-moe some: give one";
	if (o->want < 0 && (o->min_ctx || o->min_speed))
		return "--min-context and --min-speed bound a search: say for what with --want";
	if (o->want >= 0 && (o->split || o->shares || o->gpu_layers))
		return "--want chooses the placement; --split, --tensor-split and --gpu-layers "
		       "give it";
	if (o->slurm && o->granted)
		return "--granted is for the job that --slurm makes, not for making it";
	if (o->slurm && o->detach)
		return "--detach has no place beside --slurm: a job is in the background by itself";
	if (o->slurm && o->json)
		return "--json has no place beside --slurm, which prints the number of the job";
	if (o->sbatch.n && !o->slurm)
		return "--sbatch is for the job that --slurm makes";
	if (o->n_draft && !o->draft)
		return "--draft-max is for --draft";
	if (o->draft && o->embeddings)
		return "--draft guesses text; a run for embeddings makes none";
	if (o->key_file && o->no_key)
		return "--key-file and --no-key contradict each other";
	return NULL;
}

static int check_sbatch(const struct options *o)
{
	struct err e = { 0 };

	for (uint32_t i = 0; i < o->sbatch.n; i++)
		if (slurm_option_check(o->sbatch.v[i], &e))
			return cmd_usage_error(&launch_command, "--sbatch: %s", e.text);
	return 0;
}

static int check_power(const struct options *o)
{
	struct power_wish w;
	struct err e = { 0 };

	if (power_wish_parse(&w, o->power_cap, &e))
		return cmd_usage_error(&launch_command, "--power-cap: %s", e.text);
	return 0;
}

static bool temperature_is_good(const char *s)
{
	char *end;
	double v = s ? strtod(s, &end) : 0;

	return !s || (end != s && *end == 0 && v >= 0 && v <= 100);
}

static int check_service(const struct options *o)
{
	struct socket_place place;
	struct err e = { 0 };

	if (o->prompt)
		return cmd_usage_error(&launch_command,
				       "--prompt has no place in a run that serves");
	if (o->json && !o->dry_run)
		return cmd_usage_error(
			&launch_command,
			"--json has no place in a run that serves; `berth ps --json`");
	if (o->name && !run_name_is_good(o->name))
		return cmd_usage_error(&launch_command,
				       "--name '%s' is no name: letters, digits, '.', '_' and '-', "
				       "at most %d",
				       o->name, RUN_NAME_MAX - 1);
	for (uint32_t i = 0; i < o->listen.n; i++)
		if (socket_place_parse(&place, o->listen.v[i], &e))
			return cmd_usage_error(&launch_command, "--listen: %s", e.text);
	if (o->listen.n + o->ollama > SOCKETS_MAX)
		return cmd_usage_error(&launch_command, "at most %d places to listen at",
				       SOCKETS_MAX);
	return 0;
}

int launch_options_check(struct options *o)
{
	const char *wrong = contradiction(o), *vain;

	if (wrong)
		return cmd_usage_error(&launch_command, "%s", wrong);
	vain = o->plan ? superfluous(o) : NULL;
	if (vain)
		return cmd_usage_error(&launch_command,
				       "--%s has no place beside --plan: the plan has decided it",
				       vain);
	if (!temperature_is_good(o->temperature))
		return cmd_usage_error(&launch_command, "--temp %s is not a number from 0 to 100",
				       o->temperature);
	vain = o->engine ? first_for(FOR_OUR_CORE, o) : NULL;
	if (vain)
		return cmd_usage_error(&launch_command, "--%s is not for --engine %s", vain,
				       core_names[o->engine]);
	if (check_sbatch(o) || check_power(o))
		return EXIT_USAGE;
	o->serve = o->serve || o->detach || o->name || o->listen.n || o->ollama;
	if (o->serve)
		return check_service(o);
	vain = first_for(FOR_SERVICE, o);
	return vain ? cmd_usage_error(&launch_command, "--%s needs --serve", vain) : 0;
}

/* --- the wish --- */

static int read_placement(struct wish *w, const struct options *o)
{
	if (o->split && !wish_split(w, o->split))
		return cmd_usage_error(
			&launch_command,
			"--split '%s' is no list of numbers such as 4,2,3, at most %d of them",
			o->split, PLAN_DEVICES_MAX);
	if (o->shares && !wish_shares(w, o->shares))
		return cmd_usage_error(
			&launch_command,
			"--tensor-split '%s' is no list of shares such as 3,1, at most %d of them",
			o->shares, PLAN_DEVICES_MAX);
	if (o->gpu_layers && !wish_gpu_layers(w, o->gpu_layers))
		return cmd_usage_error(&launch_command,
				       "--gpu-layers takes a number of layers or all, not '%s'",
				       o->gpu_layers);
	for (uint32_t i = 0; i < o->tensors.n; i++)
		if (!wish_tensors(w, o->tensors.v[i]))
			return cmd_usage_error(
				&launch_command,
				"--override-tensor takes REGEX=WHERE such as 'ffn_.*_exps=CPU', at "
				"most %d of them, not '%s'",
				PLAN_TENSORS_MAX, o->tensors.v[i]);
	return 0;
}

int launch_options_wish(struct wish *w, const struct options *o)
{
	*w = (struct wish) {
		.n_ctx = o->n_ctx == CTX_DEFAULT ? 0
			 : o->n_ctx              ? o->n_ctx
						 : WISH_CTX_OWN,
		.n_batch = o->n_batch,
		.n_ubatch = o->n_ubatch,
		.n_seq_max = o->parallel,
		.n_draft = !o->draft    ? 0
			   : o->n_draft ? o->n_draft
					: WISH_DRAFT_DEFAULT,
		.n_cpu_moe = o->cpu_moe ? UINT32_MAX : o->n_cpu_moe,
		.flash_attn = (enum choice)((o->flash_attn + 1) % 3), /* "auto" is free, too */
		.unified = o->unified       ? CHOICE_ON
			   : o->not_unified ? CHOICE_OFF
					    : CHOICE_FREE,
		.cache_on_host = o->cache_on_host,
		.swa_full = o->swa_full,
		.embeddings = o->embeddings,
		.want = o->want < 0 ? WANT_NONE : (enum want)(o->want + 1),
		.min_ctx = o->min_ctx,
		.accept = o->accept < 0 ? ACCEPT_GPU : (enum accept)o->accept,
		.accept_unverified = o->accept_unverified,
	};
	if (o->margin != MARGIN_DEFAULT)
		w->margin_bytes = fact_of((int64_t)o->margin, SRC_USER);
	if (o->type_k >= 0)
		text_copy(w->type_k, sizeof(w->type_k), cache_types[o->type_k]);
	if (o->type_v >= 0)
		text_copy(w->type_v, sizeof(w->type_v), cache_types[o->type_v]);
	if (o->min_speed && !wish_speed(w, o->min_speed))
		return cmd_usage_error(&launch_command,
				       "--min-speed takes tokens a second, such as 12.5, not '%s'",
				       o->min_speed);
	return read_placement(w, o);
}

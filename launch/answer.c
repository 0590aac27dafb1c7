/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "launch/cpus.h"
#include "launch/job.h"
#include "launch/power.h"
#include "launch/proof.h"
#include "vram-planner/plan.h"

/* A negative rate is unknown. */
static void put_rate(json_t *o, const char *key, double rate)
{
	if (rate < 0)
		json_put_null(o, key);
	else
		json_object_set_new(o, key, json_real(rate));
}

static void put_counts(json_t *o, const struct wire *w)
{
	const struct wire_done *d = &w->done;

	if (!w->is_done) {
		json_put_null(o, "stop");
		return;
	}
	json_put_text(o, "stop", d->stop);
	json_put_int(o, "prompt_tokens", (int64_t)d->prompt_tokens);
	json_put_int(o, "prompt_ns", (int64_t)d->prompt_ns);
	json_put_int(o, "generated_tokens", (int64_t)d->generated_tokens);
	json_put_int(o, "generated_ns", (int64_t)d->generated_ns);
	put_rate(o, "prompt_tokens_per_s",
		 d->prompt_ns ? (double)d->prompt_tokens * 1e9 / (double)d->prompt_ns : -1);
	put_rate(o, "generated_tokens_per_s",
		 telem_mean_rate(d->generated_tokens, d->generated_ns));
}

/* The model's text keeps its line ends; only bytes that are no UTF-8 are replaced. */
static void put_generated(json_t *o, const struct job *j)
{
	json_t *s = json_stringn(j->text ? j->text : "", j->n_text);

	if (s) {
		json_object_set_new(o, "text", s);
		return;
	}
	char *copy = strndup(j->text, j->n_text);

	json_put_text(o, "text", copy ? copy : "");
	free(copy);
}

static void put_memory(json_t *o, const struct memory_policy *p)
{
	json_t *memory = json_object();
	char nodes[256];
	struct text t;

	text_init(&t, nodes, sizeof(nodes));
	memory_nodes_text(&t, p);
	json_put_text(memory, "policy", memory_kind_name(p->kind));
	json_put_text_or_null(memory, "nodes", nodes);
	json_object_set_new(o, "memory", memory);
}

static void put_start(json_t *o, const struct job *j)
{
	json_t *argv = json_array(), *env = json_object();
	char cpus[1024];
	struct text t;

	text_init(&t, cpus, sizeof(cpus));
	cpus_text(&t, &j->cpus);
	json_put_text(o, "cpus", cpus);
	put_memory(o, &j->memory);
	json_object_set_new(o, "power_caps", power_json(j));
	for (uint32_t i = 0; i < j->start.argc; i++) {
		json_t *a = json_string(j->start.argv[i]);

		json_array_append_new(argv, a ? a : json_string("?"));
	}
	json_object_set_new(o, "argv", argv);
	for (uint32_t i = 0; i < j->start.n_env; i++) {
		if (j->start.env[i].unset)
			json_put_null(env, j->start.env[i].name);
		else
			json_put_text(env, j->start.env[i].name, j->start.env[i].value);
	}
	json_object_set_new(o, "env", env);
}

static const char *placement(const struct job *j)
{
	if (j->proven)
		return "proven";
	return strcmp(j->ending.class, "placement") == 0 ? "refused" : "not compared";
}

/* What a server would be, for a dry run. */
static void put_service(json_t *o, const struct job *j)
{
	json_t *serve = json_object(), *listen = json_array();

	for (uint32_t i = 0; i < j->sockets->n; i++) {
		const struct listening *l = &j->sockets->list[i];
		char words[160];

		snprintf(words, sizeof(words), "%s %s", socket_speaks(l), l->where);
		json_array_append_new(listen, json_string(words));
	}
	json_put_text(serve, "name", j->name);
	json_object_set_new(serve, "listen", listen);
	json_put_text_or_null(serve, "key_file", j->key_path ? j->key_path : "");
	json_put_int(serve, "watchdog_s", j->o.watchdog_s);
	json_object_set_new(o, "serve", serve);
}

json_t *job_to_json(const struct job *j, enum exit_code code)
{
	json_t *o = json_answer("berth.launch/1");

	json_put_bool(o, "dry_run", j->o.dry_run);
	json_put_int(o, "exit_code", code);
	json_put_text(o, "exit_class", j->ending.class[0] ? j->ending.class : "none");
	json_put_text_or_null(o, "sentence", j->ending.sentence);
	json_put_text(o, "plan_id", j->id);
	json_put_text(o, "verdict", verdict_name(j->plan.verdict));
	json_object_set_new(o, "plan", plan_to_json(&j->plan));
	if (j->start.argc)
		put_start(o, j);
	if (j->sockets)
		put_service(o, j);
	json_put_text(o, "placement", placement(j));
	json_object_set_new(o, "proof", proof_to_json(&j->proof));
	if (j->wire.is_ready) {
		json_put_int(o, "n_ctx", j->wire.ready.n_ctx);
		json_put_int(o, "threads", j->wire.ready.threads);
	}
	put_counts(o, &j->wire);
	put_generated(o, j);
	return o;
}

void job_dry_run(struct text *t, const struct job *j)
{
	plan_explain(t, &j->plan, "berth launch"); /* of a yes, for which nothing is offered */
	text_add(t, "cpus: ");
	cpus_text(t, &j->cpus);
	text_add(t, "\nmemory: ");
	memory_text(t, &j->memory);
	power_text(t, j);
	for (uint32_t i = 0; j->sockets && i < j->sockets->n; i++)
		text_add(t, "\nserves: %s %s", socket_speaks(&j->sockets->list[i]),
			 j->sockets->list[i].where);
	text_add(t, "\nenvironment:\n");
	for (uint32_t i = 0; i < j->start.n_env; i++) {
		const struct core_env *e = &j->start.env[i];

		if (e->unset)
			text_add(t, "  %s removed\n", e->name);
		else
			text_add(t, "  %s=%s\n", e->name, e->value);
	}
	text_add(t, "would start:\n ");
	for (uint32_t i = 0; i < j->start.argc; i++) {
		text_add(t, " ");
		text_add_word(t, j->start.argv[i]);
	}
	text_add(t, "\n");
}

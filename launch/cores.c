/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "launch/backends.h"
#include "launch/cores.h"

#define VULKAN_DRIVERS "VK_LOADER_DRIVERS_SELECT"

static void add(struct core_start *s, const char *argument)
{
	if (s->argc < CORE_ARGV_MAX)
		s->argv[s->argc++] = argument;
}

static void add_number(struct core_start *s, const char *option, uint32_t slot, uint64_t value)
{
	snprintf(s->numbers[slot], sizeof(s->numbers[slot]), "%" PRIu64, value);
	add(s, option);
	add(s, s->numbers[slot]);
}

static void add_text(struct core_start *s, const char *option, const char *value)
{
	if (!value)
		return;
	add(s, option);
	add(s, value);
}

static void add_if_given(struct core_start *s, const char *option, uint32_t slot, uint64_t value)
{
	if (value)
		add_number(s, option, slot, value);
}

static void add_list(struct core_start *s, const char *option, const struct opt_list *l)
{
	for (uint32_t i = 0; l && i < l->n; i++)
		add_text(s, option, l->v[i]);
}

static void add_service(struct core_start *s, const struct core_wish *w)
{
	add(s, "--serve");
	add_text(s, "--name", w->name);
	add_text(s, "--key-file", w->key_file);
	if (!w->key_file)
		add(s, "--no-key");
	for (uint32_t i = 0; i < w->n_hosts; i++)
		add_text(s, "--allow-host", w->hosts[i]);
	add_text(s, "--chat-template", w->chat_template);
	add_if_given(s, "--sleep-idle", 4, w->sleep_idle_s);
	add_if_given(s, "--max-queue", 5, w->max_queue);
	add_if_given(s, "--max-connections", 6, w->max_connections);
	add_if_given(s, "--max-body", 7, w->max_body);
	add_if_given(s, "--draft-min", 8, w->draft_min);
}

static void our_core(struct core_start *s, const struct core_wish *w)
{
	add(s, w->program);
	add_text(s, "--plan", w->plan_path);
	add_text(s, "--telemetry", w->telemetry_path);
	add_number(s, "--control-fd", 0, (uint32_t)w->control_fd);
	add_number(s, "--tokens", 1, w->max_tokens);
	add_number(s, "--seed", 2, w->seed);
	add_number(s, "--threads", 3, w->threads);
	add_text(s, "--temp", w->temperature);
	add_list(s, "--lora", w->loras);
	add_list(s, "--control-vector", w->vectors);
	if (w->verbose)
		add(s, w->verbose > 1 ? "-vv" : "-v");
	if (w->sockets)
		add_service(s, w);
	else
		add_text(s, "--prompt", w->prompt);
}

const struct core cores[] = {
	{ "berth", "core", our_core },
	/* an adapter that speaks our protocol for it: core/llama_server.c */
	{ "llama-server", "core-llama-server", our_core },
	{ NULL, NULL, NULL },
};

const char *const core_names[] = { "berth", "llama-server", NULL };

static struct core_env *change(struct core_start *s, const char *name)
{
	struct core_env *e = &s->env[s->n_env < CORE_ENV_MAX ? s->n_env++ : CORE_ENV_MAX - 1];

	memset(e, 0, sizeof(*e));
	e->name = name;
	return e;
}

static void set(struct core_start *s, const char *name, const char *value)
{
	text_copy(change(s, name)->value, sizeof(s->env[0].value), value);
}

/* The UUIDs of the plan's devices of one backend, in plan order. false: one has none, or none is used. */
static bool uuid_list(const struct plan *p, const char *backend, struct text *t)
{
	for (uint32_t d = 0; d < p->n_devices; d++) {
		if (strcmp(p->devices[d].backend, backend) != 0)
			continue;
		if (p->devices[d].uuid[0] == 0)
			return false;
		text_add(t, "%s%s", t->len ? "," : "", p->devices[d].uuid);
	}
	return t->len > 0 && !t->cut;
}

static void backend_environment(struct core_start *s, const struct launch_backend *b,
				const struct plan *p)
{
	char list[sizeof(s->env[0].value)];
	struct text t;

	text_init(&t, list, sizeof(list));
	if (!b->visible || !uuid_list(p, b->name, &t))
		return;
	set(s, b->visible, list);
	if (b->unset)
		change(s, b->unset)->unset = true;
}

static void common_environment(struct core_start *s)
{
	/* ggml would start a debugger for a backtrace (ggml.c, ggml_print_backtrace) */
	set(s, "GGML_NO_BACKTRACE", "1");
	/* A way to have the engine load any file as a backend (ggml-backend-reg.cpp) */
	change(s, "GGML_BACKEND_PATH")->unset = true;
	for (const struct launch_backend *b = launch_backends; b->name; b++)
		if (b->order)
			set(s, b->order, b->order_value);
}

static void hand_over(struct core_start *s, const struct sockets *from)
{
	struct text t;

	text_init(&t, s->socket_names, sizeof(s->socket_names));
	for (uint32_t i = 0; i < from->n; i++) {
		s->sockets[i] = from->list[i].fd;
		text_add(&t, "%s%s", i ? ":" : "", socket_speaks(&from->list[i]));
	}
	s->n_sockets = from->n;
}

void core_start_make(struct core_start *s, const struct core *c, const struct plan *p,
		     const struct core_wish *w)
{
	memset(s, 0, sizeof(*s));
	c->arguments(s, w);
	common_environment(s);
	if (w->vulkan_drivers)
		set(s, VULKAN_DRIVERS, w->vulkan_drivers);
	/* engines that are built with OpenMP; in a barrier its threads spin for ever longer otherwise */
	if (w->shared) {
		set(s, "OMP_WAIT_POLICY", "passive");
		set(s, "GOMP_SPINCOUNT", "0");
	}
	if (w->plain_cpu)
		set(s, "BERTH_CPU", "plain");
	if (w->sockets)
		hand_over(s, w->sockets);
	for (const struct launch_backend *b = launch_backends; b->name; b++)
		backend_environment(s, b, p);
}

void core_start_list(struct core_start *s, const char *program, const struct narrow *n)
{
	memset(s, 0, sizeof(*s));
	add(s, program);
	add(s, "--list-devices");
	add(s, "--json");
	common_environment(s);
	if (!n)
		return;
	for (uint32_t i = 0; i < n->n_backends; i++)
		add_text(s, "--backend", n->backends[i]);
	for (const struct launch_backend *b = launch_backends; b->name; b++) {
		const char *list = strcmp(b->name, "cuda") == 0   ? n->cuda
				   : strcmp(b->name, "rocm") == 0 ? n->rocm
								  : "";

		if (b->visible && list[0])
			set(s, b->visible, list);
	}
	if (n->vulkan[0])
		set(s, VULKAN_DRIVERS, n->vulkan);
}

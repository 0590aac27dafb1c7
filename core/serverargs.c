/* SPDX-License-Identifier: MIT */
#include "core/serverargs.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void add(struct server_args *a, const char *argument)
{
	if (a->n < SERVERARGS_MAX)
		a->argv[a->n++] = argument;
}

static void pair(struct server_args *a, const char *option, const char *value)
{
	add(a, option);
	add(a, value);
}

static void number(struct server_args *a, uint32_t slot, const char *option, uint32_t v)
{
	snprintf(a->numbers[slot], sizeof(a->numbers[slot]), "%u", v);
	pair(a, option, a->numbers[slot]);
}

/* Backends whose devices launch hides by UUID, in the plan's order (launch/backends.c). */
static bool is_hidden_by_uuid(const struct plan *p, const char *backend)
{
	if (strcmp(backend, "cuda") != 0 && strcmp(backend, "rocm") != 0)
		return false;
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (strcmp(p->devices[d].backend, backend) == 0 && !p->devices[d].uuid[0])
			return false;
	return true;
}

void server_device(const struct plan *p, uint32_t d, char name[32])
{
	const struct plan_device *dev = &p->devices[d];
	uint32_t before = 0;

	text_copy(name, 32, dev->engine_name);
	if (!name[0] || !is_hidden_by_uuid(p, dev->backend))
		return;
	for (uint32_t i = 0; i < d; i++)
		before += strcmp(p->devices[i].backend, dev->backend) == 0;
	snprintf(name, 32, "%.*s%u", (int)strcspn(dev->engine_name, "0123456789"), dev->engine_name,
		 before);
}

static int devices(struct server_args *a, const struct plan *p, struct err *e)
{
	struct text names, split;
	char name[32];

	text_init(&names, a->devices, sizeof(a->devices));
	text_init(&split, a->split, sizeof(a->split));
	for (uint32_t d = 0; d < p->n_devices; d++) {
		server_device(p, d, name);
		if (!name[0])
			return err_set(e, -EBADMSG,
				       "the plan does not say what the engine calls %s; plan again",
				       p->devices[d].pci);
		text_add(&names, "%s%s", d ? "," : "", name);
		text_add(&split, "%s%u", d ? "," : "", p->devices[d].layers);
	}
	pair(a, "--device", p->n_devices ? a->devices : "none");
	if (p->n_devices > 1)
		pair(a, "--tensor-split", a->split);
	return 0;
}

static int tensors(struct server_args *a, const struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < p->n_tensors; i++) {
		const struct plan_tensors *t = &p->tensors[i];
		char name[32] = "CPU";

		/* its own list has these between its items */
		if (strpbrk(t->pattern, ",="))
			return err_set(e, -EBADMSG,
				       "llama-server cannot be told the pattern '%s', which has a "
				       "comma or an equals sign",
				       t->pattern);
		if (t->device >= 0)
			server_device(p, (uint32_t)t->device, name);
		snprintf(a->tensors[i], sizeof(a->tensors[i]), "%s=%s", t->pattern, name);
		pair(a, "--override-tensor", a->tensors[i]);
	}
	return 0;
}

static void flags(struct server_args *a, const struct plan_flags *f)
{
	number(a, 0, "--ctx-size", f->n_ctx);
	number(a, 1, "--batch-size", f->n_batch);
	number(a, 2, "--ubatch-size", f->n_ubatch);
	number(a, 3, "--parallel", f->n_seq_max ? f->n_seq_max : 1);
	number(a, 4, "--n-gpu-layers", f->n_gpu_layers);
	pair(a, "--cache-type-k", f->type_k);
	pair(a, "--cache-type-v", f->type_v);
	pair(a, "--flash-attn", f->flash_attn ? "on" : "off");
	add(a, f->kv_unified ? "--kv-unified" : "--no-kv-unified");
	if (f->n_cpu_moe)
		number(a, 5, "--n-cpu-moe", f->n_cpu_moe);
	if (f->no_kv_offload)
		add(a, "--no-kv-offload");
	if (f->swa_full)
		add(a, "--swa-full");
	if (f->embeddings)
		add(a, "--embedding");
}

int server_args(struct server_args *a, const struct plan *p, const struct server_wish *w,
		struct err *e)
{
	memset(a, 0, sizeof(*a));
	add(a, w->program);
	pair(a, "--model", p->model_path);
	int rc = devices(a, p, e);

	if (rc == 0)
		rc = tensors(a, p, e);
	if (rc)
		return rc;
	flags(a, &p->flags);
	number(a, 6, "--threads", w->threads);
	pair(a, "--host", w->socket);
	if (w->name)
		pair(a, "--alias", w->name);
	if (w->key_file)
		pair(a, "--api-key-file", w->key_file);
	/* The plan has decided; layers are told at this level of the log only; nothing is fetched */
	pair(a, "--fit", "off");
	pair(a, "--log-verbosity", "5");
	pair(a, "--log-colors", "off");
	add(a, "--no-webui");
	add(a, "--offline");
	add(a, "--metrics");
	return a->n < SERVERARGS_MAX ? 0 : err_set(e, -EBADMSG, "the plan has too many parts");
}

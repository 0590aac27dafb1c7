/* SPDX-License-Identifier: MIT */
/* What the run and its model are, for those who ask without generating. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "core/reply_priv.h"

/*
 * Which release of Ollama we speak like: clients compare it with the one that brought what they need
 * (/api/embed came with 0.3.0, structured `format` with 0.5.0; some editors ask for 0.6.4).
 */
#define OLLAMA_API_VERSION "0.6.4"

void reply_version(struct bytes *b)
{
	json_t *o = json_object();

	json_put_text(o, "version", OLLAMA_API_VERSION);
	json_put_text(o, "berth", berth_version);
	reply_add(b, o);
}

static json_t *openai_model(const char *name, const struct batch_model *m)
{
	json_t *one = json_object(), *meta = json_object();

	json_put_text(one, "id", name);
	json_put_text(one, "object", "model");
	json_put_int(one, "created", (int64_t)m->modified_s);
	json_put_text(one, "owned_by", "berth");
	json_put_int(meta, "n_ctx", m->n_ctx);
	json_put_int(meta, "n_ctx_train", m->n_ctx_train);
	json_put_int(meta, "n_embd", m->n_embd);
	json_put_int(meta, "n_params", (int64_t)m->n_params);
	json_put_int(meta, "size", (int64_t)m->size_bytes);
	reply_put(one, "meta", meta);
	return one;
}

void reply_model(struct bytes *b, const char *name, const struct batch_model *m)
{
	reply_add(b, openai_model(name, m));
}

void reply_models(struct bytes *b, const char *name, const struct batch_model *m)
{
	json_t *o = json_object(), *data = json_array();

	json_array_append_new(data, openai_model(name, m));
	json_put_text(o, "object", "list");
	reply_put(o, "data", data);
	reply_add(b, o);
}

static const char *state_name(enum batch_state s)
{
	static const char *const names[] = {
		[BATCH_LOADING] = "loading",
		[BATCH_READY] = "ok",
		[BATCH_ASLEEP] = "asleep",
		[BATCH_STOPPING] = "stopping",
	};

	return (unsigned)s <= BATCH_STOPPING ? names[s] : "stopping";
}

void reply_health(struct bytes *b, const struct batch_stats *s)
{
	json_t *o = json_object();

	json_put_text(o, "status", state_name(s->state));
	json_put_int(o, "slots", s->slots);
	json_put_int(o, "busy", s->busy);
	json_put_int(o, "queued", s->queued);
	reply_add(b, o);
}

/* --- Ollama's descriptions --- */

/* "8.0B", "630.2M" */
static void put_params(json_t *o, uint64_t n)
{
	char text[32];

	if (n >= 1000000000)
		snprintf(text, sizeof(text), "%.1fB", (double)n / 1e9);
	else
		snprintf(text, sizeof(text), "%.2fM", (double)n / 1e6);
	json_put_text(o, "parameter_size", text);
}

static json_t *details(const struct batch_model *m)
{
	json_t *o = json_object(), *families = json_array();

	json_array_append_new(families, reply_string(m->arch, strlen(m->arch)));
	json_put_text(o, "parent_model", "");
	json_put_text(o, "format", "gguf");
	json_put_text(o, "family", m->arch);
	reply_put(o, "families", families);
	put_params(o, m->n_params);
	json_put_text(o, "quantization_level", m->quant);
	return o;
}

static json_t *model_object(const char *name, const struct batch_model *m)
{
	json_t *o = json_object();

	json_put_text(o, "name", name);
	json_put_text(o, "model", name);
	json_put_int(o, "size", (int64_t)m->size_bytes);
	json_put_text(o, "digest", m->digest);
	reply_put(o, "details", details(m));
	return o;
}

static void put_modified(json_t *o, const struct batch_model *m)
{
	struct timespec t = { .tv_sec = (time_t)m->modified_s };

	reply_put_time(o, "modified_at", &t);
}

/* The one model, in Ollama's list of them; takes it. */
static void list(struct bytes *b, json_t *model)
{
	json_t *o = json_object(), *models = json_array();

	if (model)
		json_array_append_new(models, model);
	reply_put(o, "models", models);
	reply_add(b, o);
}

void reply_tags(struct bytes *b, const char *name, const struct batch_model *m)
{
	json_t *o = model_object(name, m);

	put_modified(o, m);
	list(b, o);
}

void reply_ps(struct bytes *b, const char *name, const struct batch_model *m,
	      const struct batch_stats *s)
{
	uint64_t vram = 0, all = 0;
	/* It stays until the run ends; Ollama's clients want a date, and show a far one as "forever" */
	const struct timespec never = { .tv_sec = INT64_C(10413792000) };
	json_t *o;

	if (s->state == BATCH_ASLEEP) {
		list(b, NULL);
		return;
	}
	o = model_object(name, m);
	for (uint32_t i = 0; i < s->n_devices && i < BATCH_DEVICES_MAX; i++) {
		uint64_t bytes = s->devices[i].weights_bytes + s->devices[i].kv_bytes +
				 s->devices[i].compute_bytes;

		all += bytes;
		if (i + 1 < s->n_devices) /* the last is the host */
			vram += bytes;
	}
	json_put_int(o, "size", (int64_t)all);
	json_put_int(o, "size_vram", (int64_t)vram);
	json_put_int(o, "context_length", m->n_ctx);
	reply_put_time(o, "expires_at", &never);
	list(b, o);
}

static void put_info(json_t *o, const struct batch_model *m, const char *key, uint32_t v)
{
	char name[96];

	snprintf(name, sizeof(name), "%s.%s", m->arch, key);
	json_put_int(o, name, v);
}

void reply_show(struct bytes *b, const struct batch_model *m)
{
	json_t *o = json_object(), *info = json_object(), *can = json_array();

	json_put_text(o, "modelfile", "");
	json_put_text(o, "parameters", "");
	reply_put(o, "template",
		  reply_string(m->template ? m->template : "",
			       m->template ? strlen(m->template) : 0));
	reply_put(o, "details", details(m));
	json_put_text(info, "general.architecture", m->arch);
	json_put_text(info, "general.basename", m->name);
	json_put_int(info, "general.parameter_count", (int64_t)m->n_params);
	put_info(info, m, "context_length", m->n_ctx_train);
	put_info(info, m, "embedding_length", m->n_embd);
	put_info(info, m, "block_count", m->n_layer);
	reply_put(o, "model_info", info);
	json_array_append_new(can, json_string(m->embeds ? "embedding" : "completion"));
	if (m->fills)
		json_array_append_new(can, json_string("insert"));
	reply_put(o, "capabilities", can);
	put_modified(o, m);
	reply_add(b, o);
}

/* SPDX-License-Identifier: MIT */
/* Ollama's bodies: the sampling is in "options", streaming is the default. */
#include <stdlib.h>
#include <string.h>

#include "core/query_priv.h"

static const struct {
	const char *key, *says;
} cannot[] = {
	{ "tools", "calls no tools; `berth launch --engine llama-server` does" },
	{ "images", "reads no images; `berth launch --engine llama-server` does" },
	{ "think", "does not support thinking: it cannot tell thoughts from answers" },
	{ "context", "takes no \"context\"; send the text, its beginning is computed once" },
	{ "template", "uses the model's own template; try \"raw\"" },
};

static bool read_options(const struct ask *a, struct request *r)
{
	const json_t *options = json_object_get(a->o, "options");
	const struct ask in = { .o = options, .q = a->q, .m = a->m, .why = a->why };
	int64_t n = -1;

	if (!options || json_is_null(options))
		return true;
	if (!json_is_object(options))
		return ask_refuse(a, 400, "options", "\"options\" must be an object");
	if (!ask_sampling(&in, r) || !ask_stop(&in, r) ||
	    !ask_whole(&in, "num_predict", -2, INT32_MAX, &n))
		return false;
	/* -1: on and on, -2: until the context is full */
	r->empty = n == 0;
	r->max_tokens = n > 0 ? (uint32_t)n : 0;
	return true;
}

static bool read_format(const struct ask *a, struct request *r)
{
	const json_t *f = json_object_get(a->o, "format");
	const char *name = json_string_value(f);

	if (!f || json_is_null(f) || (name && *name == 0))
		return true;
	if (name && strcmp(name, "json") == 0)
		return ask_json(a, "format", NULL, r);
	if (json_is_object(f))
		return ask_json(a, "format", f, r);
	return ask_refuse(a, 400, "format", "\"format\" must be \"json\" or a JSON schema");
}

static bool read_generation(const struct ask *a, struct request *r)
{
	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++) {
		if (ask_has(a, cannot[i].key))
			return ask_refuse(a, 400, cannot[i].key, "this core %s", cannot[i].says);
	}
	return read_options(a, r) && read_format(a, r);
}

/*
 * Ollama's way to have a model loaded, or not: a request for nothing. Beside a text, keep_alive is passed
 * over, as the run's own option says how long a model stays.
 */
static bool load_only(const struct ask *a)
{
	const json_t *keep = json_object_get(a->o, "keep_alive");
	const char *text = json_string_value(keep);

	a->q->load_only = true;
	if ((json_is_number(keep) && json_number_value(keep) == 0) ||
	    (text &&
	     (strcmp(text, "0") == 0 || strcmp(text, "0s") == 0 || strcmp(text, "0m") == 0)))
		return ask_refuse(
			a, 400, "keep_alive",
			"clients do not unload this run's model: its --sleep-idle does when "
			"nobody asks, and `berth stop` ends the run");
	return true;
}

static bool chat(const struct ask *a)
{
	struct request *r;

	if (!ask_has(a, "messages"))
		return load_only(a);
	r = ask_add(a, REQUEST_GENERATE);
	return r && ask_messages(a, r) && read_generation(a, r);
}

static bool add_message(const struct ask *a, struct request *r, const char *role, const char *text)
{
	struct request_message *m = &r->messages[r->n_messages++];

	return ask_set_text(a, &m->role, role) && ask_set_text(a, &m->content, text);
}

/* /api/generate speaks to the model as a chat does, unless it is raw. */
static bool as_chat(const struct ask *a, struct request *r, const char *system, const char *prompt)
{
	r->messages = calloc(2, sizeof(*r->messages));
	if (!r->messages)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	if (*system && !add_message(a, r, "system", system))
		return false;
	return add_message(a, r, "user", prompt);
}

static bool generate(const struct ask *a)
{
	const char *prompt = "", *system = "";
	struct request *r;
	bool raw = false;

	if (!ask_text(a, "prompt", &prompt) || !ask_text(a, "system", &system) ||
	    !ask_bool(a, "raw", &raw))
		return false;
	if (*prompt == 0 && !ask_has(a, "suffix"))
		return load_only(a);
	r = ask_add(a, REQUEST_GENERATE);
	if (!r || !read_generation(a, r))
		return false;
	/* A model without a template goes on from the text as it is */
	if (!raw && a->m->chats && !ask_has(a, "suffix"))
		return as_chat(a, r, system, prompt);
	if (*system)
		return ask_refuse(a, 400, "system",
				  "there is no place for \"system\" without a chat template, or "
				  "beside \"suffix\" or \"raw\"");
	return ask_set_text(a, &r->text, prompt) && ask_suffix(a, r);
}

bool ask_ollama(struct ask *a)
{
	a->q->stream = true;
	if (!ask_bool(a, "stream", &a->q->stream))
		return false;
	switch (a->q->kind) {
	case QUERY_OLLAMA_CHAT:
		return chat(a);
	case QUERY_OLLAMA_GENERATE:
		return generate(a);
	case QUERY_OLLAMA_EMBED:
		a->q->stream = false;
		return ask_dimensions(a) && ask_inputs(a, "input", REQUEST_EMBED, false);
	case QUERY_OLLAMA_EMBEDDINGS:
		a->q->stream = false;
		return ask_inputs(a, "prompt", REQUEST_EMBED, false);
	default:
		return true;
	}
}

/* SPDX-License-Identifier: MIT */
/* OpenAI's bodies, with the fields that llama-server adds to them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/grammar.h"
#include "core/query_priv.h"

#define COPIES_MAX (16U << 20) /* bytes of a body, or of a part of it, times its answers */

/* What we know and cannot do; the sentence ends with what to do instead. */
static const struct {
	const char *key, *says;
} cannot[] = {
	{ "tools", "calls no tools; `berth launch --engine llama-server` does" },
	{ "functions", "calls no functions; `berth launch --engine llama-server` does" },
	{ "audio", "makes no audio" },
	{ "echo", "does not repeat the prompt; leave \"echo\" out" },
	{ "web_search_options", "searches no web" },
};

static bool refuse_cannot(const struct ask *a)
{
	for (size_t i = 0; i < sizeof(cannot) / sizeof(cannot[0]); i++) {
		if (ask_has(a, cannot[i].key))
			return ask_refuse(a, 400, cannot[i].key, "this core %s", cannot[i].says);
	}
	return true;
}

static bool read_limit(const struct ask *a, struct request *r)
{
	int64_t n = -1;

	/* The newer name wins */
	if (!ask_whole(a, "max_tokens", -1, INT32_MAX, &n) ||
	    !ask_whole(a, "max_completion_tokens", -1, INT32_MAX, &n))
		return false;
	r->empty = n == 0;
	r->max_tokens = n > 0 ? (uint32_t)n : 0;
	return true;
}

static bool read_bias(const struct ask *a, struct request *r)
{
	const json_t *map = json_object_get(a->o, "logit_bias");
	const char *key;
	json_t *v;

	if (!map || json_is_null(map))
		return true;
	if (!json_is_object(map) || json_object_size(map) > REQUEST_BIAS_MAX)
		return ask_refuse(a, 400, "logit_bias",
				  "\"logit_bias\" must be an object of at most %d tokens",
				  REQUEST_BIAS_MAX);
	r->bias = calloc(json_object_size(map) + 1, sizeof(*r->bias));
	if (!r->bias)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	json_object_foreach((json_t *)map, key, v)
	{
		double bias = json_is_number(v) ? json_number_value(v) : NAN;
		uint64_t token;

		if (text_parse_u64(key, &token) || token > INT32_MAX ||
		    !(bias >= -100 && bias <= 100))
			return ask_refuse(
				a, 400, "logit_bias",
				"\"logit_bias\" must give tokens numbers from -100 to 100");
		/* OpenAI's -100 is a ban */
		r->bias[r->n_bias++] = (struct request_bias) { .token = (int32_t)token,
							       .bias = bias <= -100 ? -INFINITY
										    : (float)bias };
	}
	return true;
}

static bool read_logprobs(const struct ask *a, struct request *r)
{
	int64_t top = 0;

	if (a->q->kind == QUERY_COMPLETION) {
		top = -1; /* a number here: that many, and 0 is no "no" */
		if (!ask_whole(a, "logprobs", 0, REQUEST_TOP_MAX, &top))
			return false;
		r->logprobs = top >= 0;
	} else if (!ask_bool(a, "logprobs", &r->logprobs) ||
		   !ask_whole(a, "top_logprobs", 0, REQUEST_TOP_MAX, &top)) {
		return false;
	}
	if (top > 0 && !r->logprobs)
		return ask_refuse(a, 400, "top_logprobs", "\"top_logprobs\" needs \"logprobs\"");
	r->n_top = top > 0 ? (uint32_t)top : 0;
	return true;
}

static bool read_format(const struct ask *a, struct request *r)
{
	const json_t *f = json_object_get(a->o, "response_format");
	const char *type = json_string_value(json_object_get(f, "type"));
	const json_t *schema = json_object_get(json_object_get(f, "json_schema"), "schema");

	if (!f || json_is_null(f) || (type && strcmp(type, "text") == 0))
		return true;
	if (type && strcmp(type, "json_object") == 0)
		return ask_json(a, "response_format", json_object_get(f, "schema"), r);
	if (type && strcmp(type, "json_schema") == 0 && json_is_object(schema))
		return ask_json(a, "response_format", schema, r);
	return ask_refuse(
		a, 400, "response_format",
		"\"response_format\" must have the type text, json_object or json_schema");
}

static bool read_stream(const struct ask *a)
{
	const json_t *options = json_object_get(a->o, "stream_options");
	const struct ask in = { .o = options, .q = a->q, .m = a->m, .why = a->why };

	if (!ask_bool(a, "stream", &a->q->stream))
		return false;
	return !json_is_object(options) || ask_bool(&in, "include_usage", &a->q->usage);
}

static bool read_grammar(const struct ask *a, struct request *r)
{
	const char *grammar = NULL;
	struct err e = { 0 };
	int rc;

	if (!ask_text(a, "grammar", &grammar))
		return false;
	if (!grammar || !*grammar)
		return true;
	rc = grammar_check(grammar, &e);
	if (rc)
		return ask_refuse(a, rc == -EINVAL ? 400 : 503, "grammar", "%s", e.text);
	return ask_set_text(a, &r->grammar, grammar);
}

static bool read_generation(const struct ask *a, struct request *r)
{
	bool cache = true;

	if (!refuse_cannot(a) || !read_stream(a) || !ask_sampling(a, r) || !ask_stop(a, r) ||
	    !read_limit(a, r) || !read_bias(a, r) || !read_logprobs(a, r) || !read_grammar(a, r) ||
	    !ask_bool(a, "ignore_eos", &r->ignore_end) || !ask_bool(a, "cache_prompt", &cache))
		return false;
	r->no_cache = !cache;
	return read_format(a, r);
}

/* How many answers to each prompt; each has the whole text of what is asked for itself. */
static bool read_choices(const struct ask *a)
{
	int64_t n = 1, best;

	if (!ask_whole(a, "n", 1, QUERY_CHOICES_MAX, &n))
		return false;
	best = n;
	if (!ask_whole(a, "best_of", 1, QUERY_CHOICES_MAX, &best))
		return false;
	if (best != n)
		return ask_refuse(
			a, 400, "best_of",
			"this core gives all answers that it makes; \"best_of\" must be \"n\"");
	if (n > 1 && (size_t)n * a->size > COPIES_MAX)
		return ask_refuse(a, 400, "n", "\"n\" times this body is too much text");
	a->q->n_each = (size_t)n;
	return true;
}

/* The other answers differ by chance alone, also where the seed is given. */
static void vary(struct request *r, size_t i)
{
	r->sampling.seed += (uint32_t)i;
}

static bool chat(const struct ask *a)
{
	if (!read_choices(a))
		return false;
	a->q->alike = true;
	for (size_t i = 0; i < a->q->n_each; i++) {
		struct request *r = ask_add(a, REQUEST_GENERATE);

		if (!r || !ask_messages(a, r) || !read_generation(a, r))
			return false;
		vary(r, i);
	}
	return true;
}

/* Prompts came once for each answer: put all answers to a prompt together. */
static bool put_together(const struct ask *a)
{
	struct query *q = a->q;
	size_t prompts = q->n / q->n_each;
	struct request **sorted = calloc(q->n, sizeof(*sorted));

	if (!sorted)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	for (size_t i = 0; i < q->n; i++)
		sorted[i % prompts * q->n_each + i / prompts] = q->requests[i];
	free(q->requests);
	q->requests = sorted;
	return true;
}

static bool completion(const struct ask *a)
{
	struct query *q = a->q;

	if (!read_choices(a))
		return false;
	for (size_t i = 0; i < q->n_each; i++) {
		if (!ask_inputs(a, "prompt", REQUEST_GENERATE, true))
			return false;
		if (q->n * q->n_each > QUERY_CHOICES_MAX * (i + 1))
			return ask_refuse(
				a, 400, "prompt",
				"at most %d answers come in one call, to all prompts together",
				QUERY_CHOICES_MAX);
	}
	q->alike = q->n == q->n_each;
	if (q->n * json_string_length(json_object_get(a->o, "suffix")) > COPIES_MAX)
		return ask_refuse(a, 400, "suffix",
				  "\"suffix\" times the prompts is too much text");
	if (!put_together(a))
		return false;
	for (size_t i = 0; i < q->n; i++) {
		if (!ask_suffix(a, q->requests[i]) || !read_generation(a, q->requests[i]))
			return false;
		vary(q->requests[i], i % q->n_each);
	}
	return true;
}

static bool embeddings(const struct ask *a)
{
	const char *format = "float";

	if (!ask_text(a, "encoding_format", &format) || !ask_dimensions(a))
		return false;
	if (strcmp(format, "float") != 0 && strcmp(format, "base64") != 0)
		return ask_refuse(a, 400, "encoding_format",
				  "\"encoding_format\" must be float or base64");
	a->q->base64 = strcmp(format, "base64") == 0;
	return ask_inputs(a, "input", REQUEST_EMBED, true);
}

bool ask_openai(struct ask *a)
{
	switch (a->q->kind) {
	case QUERY_CHAT:
		return chat(a);
	case QUERY_COMPLETION:
		return completion(a);
	default:
		return embeddings(a);
	}
}

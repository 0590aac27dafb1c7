/* SPDX-License-Identifier: MIT */
/* OpenAI's answers; `timings` are llama-server's addition to them. */
#include <stdlib.h>
#include <string.h>

#include "core/reply_priv.h"

static json_t *answer(const struct reply *p, const char *object)
{
	json_t *o = json_object();

	json_put_text(o, "id", p->id);
	json_put_text(o, "object", object);
	json_put_int(o, "created", p->wall.tv_sec);
	json_put_text(o, "model", p->model);
	return o;
}

static json_t *usage(const struct reply *p)
{
	json_t *o = json_object(), *details;
	uint64_t generated = 0, cached = 0;

	json_put_int(o, "prompt_tokens", (int64_t)reply_prompt_tokens(p));
	if (p->q->kind == QUERY_EMBEDDINGS) {
		json_put_int(o, "total_tokens", (int64_t)reply_prompt_tokens(p));
		return o;
	}
	for (size_t i = 0; i < p->q->n; i++) {
		generated += p->q->requests[i]->generated_tokens;
		cached += i % p->q->n_each ? 0 : p->q->requests[i]->cached_tokens;
	}
	json_put_int(o, "completion_tokens", (int64_t)generated);
	json_put_int(o, "total_tokens", (int64_t)(reply_prompt_tokens(p) + generated));
	details = json_object();
	json_put_int(details, "cached_tokens", (int64_t)cached);
	reply_put(o, "prompt_tokens_details", details);
	return o;
}

static void put_rate(json_t *o, const char *what, uint64_t n, uint64_t ns)
{
	char key[48];

	snprintf(key, sizeof(key), "%s_n", what);
	json_put_int(o, key, (int64_t)n);
	snprintf(key, sizeof(key), "%s_ms", what);
	reply_put(o, key, reply_real((double)ns / 1e6));
	/* A rate needs both */
	if (n == 0 || ns == 0)
		return;
	snprintf(key, sizeof(key), "%s_per_token_ms", what);
	reply_put(o, key, reply_real((double)ns / 1e6 / (double)n));
	snprintf(key, sizeof(key), "%s_per_second", what);
	reply_put(o, key, reply_real((double)n * 1e9 / (double)ns));
}

/* Of several answers the sums: a rate is then that of one of them. */
static json_t *timings(const struct reply *p)
{
	uint64_t cached = 0, prompt = 0, prompt_ns = 0, generated = 0, generated_ns = 0;
	uint64_t drafted = 0, accepted = 0;
	json_t *o = json_object();

	for (size_t i = 0; i < p->q->n; i++) {
		const struct request *r = p->q->requests[i];

		cached += r->cached_tokens;
		prompt += r->prompt_tokens - r->cached_tokens;
		prompt_ns += r->prompt_ns;
		generated += r->generated_tokens;
		generated_ns += r->generated_ns;
		drafted += r->drafted_tokens;
		accepted += r->accepted_tokens;
	}
	json_put_int(o, "cache_n", (int64_t)cached);
	put_rate(o, "prompt", prompt, prompt_ns);
	put_rate(o, "predicted", generated, generated_ns);
	if (drafted) {
		json_put_int(o, "draft_n", (int64_t)drafted);
		json_put_int(o, "draft_n_accepted", (int64_t)accepted);
	}
	return o;
}

/* --- log-probabilities --- */

static json_t *token_object(const char *text, size_t n, float logprob)
{
	json_t *o = json_object(), *raw = json_array();

	reply_put(o, "token", reply_string(text, n));
	reply_put(o, "logprob", reply_real((double)logprob));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(raw, json_integer((unsigned char)text[i]));
	reply_put(o, "bytes", raw);
	return o;
}

static void chat_logprobs(json_t *list, const struct request_piece *piece)
{
	for (uint32_t i = 0; i < piece->n_tokens; i++) {
		const struct request_token *t = &piece->tokens[i];
		json_t *o = token_object(t->text, t->n_text, t->logprob), *top = json_array();

		for (uint32_t k = 0; k < t->n_top; k++)
			json_array_append_new(top, token_object(t->top[k].text, t->top[k].n_text,
								t->top[k].logprob));
		reply_put(o, "top_logprobs", top);
		json_array_append_new(list, o);
	}
}

static void text_logprobs(json_t *o, const struct request_piece *piece)
{
	json_t *tokens = json_object_get(o, "tokens"),
	       *logprobs = json_object_get(o, "token_logprobs");
	json_t *tops = json_object_get(o, "top_logprobs");

	for (uint32_t i = 0; i < piece->n_tokens; i++) {
		const struct request_token *t = &piece->tokens[i];
		json_t *top = json_object();

		json_array_append_new(tokens, reply_string(t->text, t->n_text));
		json_array_append_new(logprobs, reply_real((double)t->logprob));
		for (uint32_t k = 0; k < t->n_top; k++) {
			json_t *text = reply_string(t->top[k].text, t->top[k].n_text);

			reply_put(top, json_string_value(text),
				  reply_real((double)t->top[k].logprob));
			json_decref(text);
		}
		json_array_append_new(tops, top);
	}
}

/* Null when none were asked for; of one piece (all false), or of it and those of `of` after it. */
static json_t *logprobs(const struct reply *p, const struct request_piece *piece, bool all,
			size_t of)
{
	bool chat = p->q->kind == QUERY_CHAT;
	json_t *o, *list;

	if (!p->q->requests[0]->logprobs)
		return json_null();
	o = json_object();
	list = json_array();
	if (chat) {
		reply_put(o, "content", list);
	} else {
		reply_put(o, "tokens", list);
		reply_put(o, "token_logprobs", json_array());
		reply_put(o, "top_logprobs", json_array());
	}
	for (; piece; piece = all ? piece->next : NULL) {
		if (piece->of != of)
			continue;
		if (chat)
			chat_logprobs(list, piece);
		else
			text_logprobs(o, piece);
	}
	return o;
}

/* --- streams --- */

static void event(struct bytes *b, json_t *o)
{
	bytes_text(b, "data: ");
	reply_add(b, o);
	bytes_text(b, "\n\n");
}

/* One choice with what is new in it; `delta` is taken. */
static json_t *chunk(const struct reply *p, size_t of, json_t *delta, json_t *probs,
		     const char *reason)
{
	bool chat = p->q->kind == QUERY_CHAT;
	json_t *o = answer(p, chat ? "chat.completion.chunk" : "text_completion");
	json_t *choice = json_object(), *choices = json_array();

	json_put_int(choice, "index", (int64_t)of);
	reply_put(choice, chat ? "delta" : "text", delta);
	reply_put(choice, "logprobs", probs);
	json_put_text_or_null(choice, "finish_reason", reason);
	json_array_append_new(choices, choice);
	reply_put(o, "choices", choices);
	return o;
}

/* A chat begins with who speaks. */
static void begin(struct bytes *b, struct reply *p)
{
	if (p->begun || p->q->kind != QUERY_CHAT)
		return;
	p->begun = true;
	for (size_t i = 0; i < p->q->n; i++) {
		json_t *delta = json_object();

		json_put_text(delta, "role", "assistant");
		json_put_text(delta, "content", "");
		event(b, chunk(p, i, delta, json_null(), ""));
	}
}

void reply_openai_piece(struct bytes *b, struct reply *p, const struct request_piece *piece)
{
	json_t *text = reply_string(piece->text, piece->n_text), *delta = text;

	begin(b, p);
	if (p->q->kind == QUERY_CHAT) {
		delta = json_object();
		reply_put(delta, "content", text);
	}
	event(b, chunk(p, piece->of, delta, logprobs(p, piece, false, piece->of), ""));
}

void reply_openai_end(struct bytes *b, struct reply *p, const struct refusal *why)
{
	if (why->status) {
		bytes_text(b, "data: ");
		reply_error(b, false, why);
		bytes_text(b, "\n\n");
		return;
	}
	begin(b, p);
	for (size_t i = 0; i < p->q->n; i++) {
		json_t *o = chunk(p, i, p->q->kind == QUERY_CHAT ? json_object() : json_string(""),
				  json_null(), reply_reason(p->ends[i]));

		if (i + 1 == p->q->n)
			reply_put(o, "timings", timings(p));
		event(b, o);
	}
	if (p->q->usage) {
		json_t *o = answer(p, p->q->kind == QUERY_CHAT ? "chat.completion.chunk"
							       : "text_completion");
		reply_put(o, "choices", json_array());
		reply_put(o, "usage", usage(p));
		event(b, o);
	}
	bytes_text(b, "data: [DONE]\n\n");
}

/* --- whole --- */

static json_t *base64(const void *bytes, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = bytes;
	struct bytes b = { .p = NULL };
	json_t *j;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) |
			     (i + 2 < n ? s[i + 2] : 0);
		char four[4] = { digits[v >> 18], digits[v >> 12 & 63],
				 i + 1 < n ? digits[v >> 6 & 63] : '=',
				 i + 2 < n ? digits[v & 63] : '=' };

		bytes_add(&b, four, sizeof(four));
	}
	j = reply_string(b.p ? b.p : "", b.n);
	bytes_fini(&b);
	return j;
}

static void embeddings(struct bytes *b, const struct reply *p)
{
	json_t *o = json_object(), *data = json_array();

	for (size_t i = 0; i < p->q->n; i++) {
		const struct request *r = p->q->requests[i];
		json_t *one = json_object(), *v = NULL;

		json_put_text(one, "object", "embedding");
		json_put_int(one, "index", (int64_t)i);
		if (p->q->base64) {
			v = base64(r->embedding, r->n_embedding * sizeof(float));
		} else {
			v = json_array();
			for (uint32_t k = 0; k < r->n_embedding; k++)
				json_array_append_new(v, reply_real((double)r->embedding[k]));
		}
		reply_put(one, "embedding", v);
		json_array_append_new(data, one);
	}
	json_put_text(o, "object", "list");
	reply_put(o, "data", data);
	json_put_text(o, "model", p->model);
	reply_put(o, "usage", usage(p));
	reply_add(b, o);
}

static json_t *whole_choice(const struct reply *p, size_t of, const struct request_piece *pieces)
{
	bool chat = p->q->kind == QUERY_CHAT;
	json_t *choice = json_object(), *text = reply_text(pieces, of);

	json_put_int(choice, "index", (int64_t)of);
	if (chat) {
		json_t *message = json_object();

		json_put_text(message, "role", "assistant");
		reply_put(message, "content", text);
		reply_put(choice, "message", message);
	} else {
		reply_put(choice, "text", text);
	}
	reply_put(choice, "logprobs", logprobs(p, pieces, true, of));
	json_put_text(choice, "finish_reason", reply_reason(p->ends[of]));
	return choice;
}

void reply_openai_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces)
{
	json_t *o, *choices;

	if (p->q->kind == QUERY_EMBEDDINGS) {
		embeddings(b, p);
		return;
	}
	o = answer(p, p->q->kind == QUERY_CHAT ? "chat.completion" : "text_completion");
	choices = json_array();
	for (size_t i = 0; i < p->q->n; i++)
		json_array_append_new(choices, whole_choice(p, i, pieces));
	reply_put(o, "choices", choices);
	reply_put(o, "usage", usage(p));
	reply_put(o, "timings", timings(p));
	reply_add(b, o);
}

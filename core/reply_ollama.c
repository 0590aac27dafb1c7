/* SPDX-License-Identifier: MIT */
/* Ollama's answers: one JSON object a line, durations in nanoseconds. */
#include <string.h>

#include "core/reply_priv.h"

static json_t *line(const struct reply *p, json_t *text)
{
	json_t *o = json_object();

	json_put_text(o, "model", p->model);
	reply_put_time(o, "created_at", &p->wall);
	if (p->q->kind == QUERY_OLLAMA_CHAT) {
		json_t *m = json_object();

		json_put_text(m, "role", "assistant");
		reply_put(m, "content", text);
		reply_put(o, "message", m);
	} else {
		reply_put(o, "response", text);
	}
	return o;
}

static void put_end(json_t *o, const struct reply *p, const char *reason)
{
	const struct request *r = p->q->n ? p->q->requests[0] : NULL;

	json_put_bool(o, "done", true);
	json_put_text(o, "done_reason", reason);
	if (!r) /* it only had to be there */
		return;
	json_put_int(o, "total_duration", (int64_t)(p->now_ns - p->started_ns));
	json_put_int(o, "load_duration", (int64_t)p->load_ns);
	json_put_int(o, "prompt_eval_count", r->prompt_tokens);
	json_put_int(o, "prompt_eval_duration", (int64_t)r->prompt_ns);
	json_put_int(o, "eval_count", r->generated_tokens);
	json_put_int(o, "eval_duration", (int64_t)r->generated_ns);
}

void reply_ollama_piece(struct bytes *b, struct reply *p, const struct request_piece *piece)
{
	json_t *o = line(p, reply_string(piece->text, piece->n_text));

	json_put_bool(o, "done", false);
	reply_add(b, o);
	bytes_text(b, "\n");
}

void reply_ollama_end(struct bytes *b, struct reply *p, const struct refusal *why)
{
	if (why->status) {
		reply_error(b, true, why);
	} else {
		json_t *o = line(p, json_string(""));

		put_end(o, p, p->q->load_only ? "load" : reply_reason(p->ends[0]));
		reply_add(b, o);
	}
	bytes_text(b, "\n");
}

static json_t *vector(const struct request *r)
{
	json_t *v = json_array();

	for (uint32_t k = 0; k < r->n_embedding; k++)
		json_array_append_new(v, reply_real((double)r->embedding[k]));
	return v;
}

static json_t *embeddings(const struct reply *p)
{
	json_t *o = json_object(), *all = json_array();

	if (p->q->kind == QUERY_OLLAMA_EMBEDDINGS) {
		json_decref(all);
		reply_put(o, "embedding", vector(p->q->requests[0]));
		return o;
	}
	for (size_t i = 0; i < p->q->n; i++)
		json_array_append_new(all, vector(p->q->requests[i]));
	json_put_text(o, "model", p->model);
	reply_put(o, "embeddings", all);
	json_put_int(o, "total_duration", (int64_t)(p->now_ns - p->started_ns));
	json_put_int(o, "load_duration", (int64_t)p->load_ns);
	json_put_int(o, "prompt_eval_count", (int64_t)reply_prompt_tokens(p));
	return o;
}

void reply_ollama_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces)
{
	json_t *o;

	if (p->q->kind >= QUERY_OLLAMA_EMBED) {
		reply_add(b, embeddings(p));
		return;
	}
	o = line(p, reply_text(pieces, 0));
	put_end(o, p, p->q->load_only ? "load" : reply_reason(p->ends[0]));
	reply_add(b, o);
	bytes_text(b, "\n");
}

/* SPDX-License-Identifier: MIT */
#ifndef BERTH_CORE_REPLY_PRIV_H
#define BERTH_CORE_REPLY_PRIV_H

#include "base/json.h"
#include "core/reply.h"

/* Text of a model as JSON: what is no UTF-8 becomes U+FFFD. */
json_t *reply_string(const char *text, size_t n);

/* JSON has no infinity and no NaN: the one is -9999, as OpenAI tells what is next to impossible, the other 0. */
json_t *reply_real(double v);

/* The text of all pieces of one request. */
json_t *reply_text(const struct request_piece *pieces, size_t of);

/* Set a key; takes the value. Memory that is gone is the end of the process, as in base/json.h. */
void reply_put(json_t *o, const char *key, json_t *v);

/* "2026-03-01T12:00:00.123456Z" */
void reply_put_time(json_t *o, const char *key, const struct timespec *t);

/* Compact, and gone. */
void reply_add(struct bytes *b, json_t *o);

/* OpenAI's finish_reason and Ollama's done_reason: "stop" or "length". */
const char *reply_reason(enum request_end end);

/* Over the query's requests; a prompt counts once, however many answers it gets. */
uint64_t reply_prompt_tokens(const struct reply *p);

void reply_openai_piece(struct bytes *b, struct reply *p, const struct request_piece *piece);
void reply_openai_end(struct bytes *b, struct reply *p, const struct refusal *why);
void reply_openai_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces);
void reply_ollama_piece(struct bytes *b, struct reply *p, const struct request_piece *piece);
void reply_ollama_end(struct bytes *b, struct reply *p, const struct refusal *why);
void reply_ollama_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a client asks in a body of OpenAI's or Ollama's API, made into requests. Pure: bytes in, structs
 * out; the bytes are hostile. What we do not know is ignored, as both APIs do; what we know and cannot
 * do is refused, so that nobody gets an answer to another question.
 */
#ifndef BERTH_CORE_QUERY_H
#define BERTH_CORE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/request.h"

#define QUERY_INPUTS_MAX  2048 /* texts to embed in one call, as OpenAI's */
#define QUERY_CHOICES_MAX 64   /* answers in one call; each is a sequence, or waits for one */

enum query_kind {
	QUERY_CHAT,        /* /v1/chat/completions */
	QUERY_COMPLETION,  /* /v1/completions */
	QUERY_EMBEDDINGS,  /* /v1/embeddings */
	QUERY_OLLAMA_CHAT, /* /api/chat; the rest under /api alike */
	QUERY_OLLAMA_GENERATE,
	QUERY_OLLAMA_EMBED,
	QUERY_OLLAMA_EMBEDDINGS, /* the older one: one text, one vector */
	QUERY_OLLAMA_SHOW,       /* makes no request */
};

/* What it is asked of. */
struct query_model {
	const char *name; /* what `model` must be */
	bool chats, embeds;
	uint32_t n_embd;
};

struct query {
	enum query_kind kind;
	bool stream;
	bool usage;     /* OpenAI, streaming: a last event with the count of tokens */
	bool base64;    /* vectors as the bytes of floats, not as numbers */
	bool load_only; /* Ollama: nothing to generate, only to have the model there */
	bool alike;     /* all requests have the same prompt */
	struct request **requests;
	size_t n;
	size_t n_each; /* answers to each prompt, which stand together in `requests` */
};

/* Why not: the status, and what OpenAI's errors tell besides. */
struct refusal {
	int status;
	const char *code; /* "model_not_found"; NULL: none */
	char param[40];   /* the field; "": none */
	char sentence[400];
};

/* 0, or -1 with *why filled and nothing to free. query_fini() after 0. */
int query_parse(struct query *q, enum query_kind kind, const struct query_model *m,
		const char *body, size_t n, struct refusal *why);
void query_fini(struct query *q);

bool query_is_ollama(enum query_kind kind);

/* Whether a client that says `said` means the run `name`: Ollama's add a tag, ":latest". */
bool query_names(const char *name, const char *said, bool ollama);

#endif

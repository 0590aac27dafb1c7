/* SPDX-License-Identifier: MIT */
/*
 * One request to the engine, where the thread that talks to a client and the thread that computes
 * meet. The client's side makes it, fills what is asked, submits it (batch.h) and takes what comes;
 * the engine's side adds pieces and ends it. Each side holds a reference.
 *
 * What is asked does not change after batch_submit. What came of it is behind the request's lock until
 * request_take has told an end; from then on it does not change either, and may be read freely.
 */
#ifndef BERTH_CORE_REQUEST_H
#define BERTH_CORE_REQUEST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_TOP_MAX  20 /* alternatives told of a token */
#define REQUEST_STOP_MAX 16 /* stop strings */
#define REQUEST_BIAS_MAX 300

enum request_kind {
	REQUEST_GENERATE,
	REQUEST_EMBED, /* one text, one vector of length 1 */
};

enum request_end {
	REQUEST_RUNNING = 0, /* queued, or at work */
	REQUEST_DONE,        /* the model ended it; of REQUEST_EMBED: the vector is there */
	REQUEST_STOP,        /* a stop string came; it is not in the text */
	REQUEST_LENGTH,      /* max_tokens came */
	REQUEST_CONTEXT,     /* the context is full */
	REQUEST_CANCELLED,
	REQUEST_FAILED, /* see error and sentence */
};

/* Whose fault, which is what an HTTP status says. */
enum request_error {
	REQUEST_NO_ERROR = 0,
	REQUEST_BAD,         /* 400: what was asked makes no sense: a grammar that does not parse */
	REQUEST_TOO_LONG,    /* 400: more prompt than context (OpenAI: context_length_exceeded) */
	REQUEST_UNSUPPORTED, /* 501: this model or engine cannot: no known chat template, no vectors */
	REQUEST_UNAVAILABLE, /* 503: the core is stopping */
	REQUEST_ENGINE,      /* 500: it failed while computing */
};

struct request_message {
	char *role, *content;
};

struct request_bias {
	int32_t token;
	float bias; /* added to its logit; -INFINITY forbids it */
};

/* How the next token is drawn. request_sampling_defaults() first: zeros are not neutral. */
struct request_sampling {
	float temperature; /* 0 or less: the likeliest token, and nothing below counts but penalties */
	int32_t top_k;     /* 0: all */
	float top_p;       /* 1: all */
	float min_p;       /* 0: all */
	float typical_p;         /* 1: all */
	float repeat_penalty;    /* 1: none */
	float frequency_penalty; /* 0: none */
	float presence_penalty;  /* 0: none */
	int32_t repeat_last_n;   /* tokens that these look at; 0: none, -1: the whole context */
	uint32_t seed;
	bool seeded; /* otherwise the seed is drawn */
};

/* A token with its probability, told when logprobs are asked for. */
struct request_token {
	int32_t id;
	float logprob;
	char text[64]; /* its bytes, perhaps a part of a character */
	uint8_t n_text;
	uint8_t n_top;
	struct request_alternative {
		int32_t id;
		float logprob;
		char text[64];
		uint8_t n_text;
	} * top; /* the likeliest first; NULL when none were asked for */
};

/* What reaches the reader at once: whole characters, and never a part of a stop string. */
struct request_piece {
	struct request_piece *next;
	char *text; /* ended with a 0 that does not count */
	size_t n_text;
	uint32_t n_tokens;            /* 0 without logprobs */
	struct request_token *tokens; /* those that ended in this piece */
	size_t of;                    /* the reader's: which of several requests it is of */
};

struct request {
	/* --- what is asked: the client's side, before batch_submit. Pointers are malloc'd and freed
	 * with the request. --- */
	enum request_kind kind;
	/* one of these three */
	char *text;   /* tokenized with the model's special tokens */
	char *suffix; /* beside text: what comes after the gap that text ends at; NULL: no gap */
	struct request_message *messages;
	size_t n_messages;
	int32_t *tokens; /* as they are */
	size_t n_tokens;

	uint32_t max_tokens; /* 0: until the model ends or the context is full */
	bool empty;          /* compute the prompt, generate nothing (max_tokens 0 of OpenAI) */
	bool raw;            /* text: add no special tokens, take none for special */
	bool ignore_end;     /* go on when the model ends */
	char *stop[REQUEST_STOP_MAX]; /* none of them empty */
	size_t n_stop;
	struct request_sampling sampling;
	char *grammar; /* GBNF with a rule `root`; NULL: none */
	struct request_bias *bias;
	size_t n_bias;  /* at most REQUEST_BIAS_MAX */
	bool logprobs;  /* fill tokens of the pieces */
	uint32_t n_top; /* alternatives for each, at most REQUEST_TOP_MAX */
	bool no_cache;  /* compute the whole prompt even when its beginning is there already */

	/* Called from the engine's thread when there is something to take, with no lock that
	 * request_take needs. It must not block. NULL: use request_wait. */
	void (*wake)(void *arg);
	void *wake_arg;

	/* --- what came of it: the engine's side --- */
	enum request_error error;
	char sentence[320];     /* of REQUEST_FAILED, for people */
	char stopped_by[64];    /* REQUEST_STOP: the string, cut to fit */
	uint32_t prompt_tokens; /* of them... */
	uint32_t cached_tokens; /* ...so many were there already */
	uint32_t generated_tokens;
	uint32_t drafted_tokens;                     /* guessed by a draft model, and checked... */
	uint32_t accepted_tokens;                    /* ...and so many were right */
	uint64_t queued_ns, prompt_ns, generated_ns; /* waited; computed; generated */
	float *embedding;                            /* REQUEST_EMBED */
	uint32_t n_embedding;

	/* --- private --- */
	atomic_uint refs;
	atomic_bool cancelled;
	pthread_mutex_t lock, wake_lock;
	pthread_cond_t changed;
	enum request_end end;
	struct request_piece *first, **last;
	struct request *next; /* in the queue */
	uint64_t submitted_ns;
};

/* Zeroed but for sampling, with one reference. NULL: no memory. */
struct request *request_new(enum request_kind kind);
struct request *request_ref(struct request *r);
void request_unref(struct request *r); /* NULL is fine */

/* 0.8, 40, 0.95, 0.05: the engine's own defaults; no penalties, no seed. */
void request_sampling_defaults(struct request_sampling *s);

/* --- the client's side --- */

/*
 * Everything that came since the last call, oldest first, to be freed with request_pieces_free; NULL:
 * nothing. Returns the end when nothing more will come after these.
 */
enum request_end request_take(struct request *r, struct request_piece **pieces);
void request_pieces_free(struct request_piece *pieces);

/* The same, but first waits until there is something or the end; at most timeout_ms, -1: for ever. */
enum request_end request_wait(struct request *r, int timeout_ms, struct request_piece **pieces);

/* Nobody reads any more, or has read enough: it ends soon as REQUEST_CANCELLED. Any thread. */
void request_cancel(struct request *r);

/* After this, wake is not called again; waits for one that runs. Not from within wake. */
void request_detach(struct request *r);

/* --- the engine's side --- */

/*
 * Hand a piece over; the text is copied, tokens are moved (may be NULL). -ENOMEM: nothing was added,
 * and tokens are still the caller's.
 */
int request_add(struct request *r, const char *text, size_t n_text, struct request_token *tokens,
		uint32_t n_tokens);
void request_tokens_free(struct request_token *tokens, uint32_t n);

/* End it, once; what came of it must be filled in before. */
void request_finish(struct request *r, enum request_end end);
void request_fail(struct request *r, enum request_error error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *request_end_name(enum request_end e); /* "stop": for logs */

#endif

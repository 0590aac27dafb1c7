/* SPDX-License-Identifier: MIT */
/*
 * What a client is told, in OpenAI's or Ollama's words. Pure: what came of a query goes in, the bytes
 * of the body come out; the clock is the caller's.
 */
#ifndef BERTH_CORE_REPLY_H
#define BERTH_CORE_REPLY_H

#include <time.h>

#include "core/batch.h"
#include "core/bytes.h"
#include "core/query.h"

struct reply {
	const struct query *q;
	const char *model;
	char id[48];
	uint64_t started_ns, load_ns; /* for Ollama's durations, on one clock with now_ns */
	uint64_t now_ns;
	struct timespec wall;         /* the time of day, now */
	bool begun;                   /* the first event is out */
	const enum request_end *ends; /* of each request, in the end */
};

/* One piece of a streamed answer: an event, or a line. */
void reply_piece(struct bytes *b, struct reply *p, const struct request_piece *piece);

/* The end of a streamed answer; `why` has a status when it failed. */
void reply_end(struct bytes *b, struct reply *p, const struct refusal *why);

/* The whole answer; `pieces` are those of all requests that generate. */
void reply_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces);

/* An error in the words of one API. */
void reply_error(struct bytes *b, bool ollama, const struct refusal *why);

/* Of a request that ended as FAILED or CANCELLED. */
void reply_refusal(const struct request *r, enum request_end end, struct refusal *why);

/* What is asked without a request. */
void reply_model(struct bytes *b, const char *name, const struct batch_model *m);
void reply_models(struct bytes *b, const char *name, const struct batch_model *m);
void reply_health(struct bytes *b, const struct batch_stats *s);
void reply_tags(struct bytes *b, const char *name, const struct batch_model *m);
void reply_ps(struct bytes *b, const char *name, const struct batch_model *m,
	      const struct batch_stats *s);
void reply_show(struct bytes *b, const struct batch_model *m);
void reply_version(struct bytes *b);

/* Prometheus' text format. */
void reply_metrics(struct bytes *b, const char *name, const struct batch_stats *s);

#endif

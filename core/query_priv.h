/* SPDX-License-Identifier: MIT */
/* Reading fields, for both dialects of query.c. All return false with the refusal filled. */
#ifndef BERTH_CORE_QUERY_PRIV_H
#define BERTH_CORE_QUERY_PRIV_H

#include "base/json.h"
#include "core/query.h"

struct ask {
	const json_t *o; /* the body, or Ollama's "options" in it */
	struct query *q;
	const struct query_model *m;
	struct refusal *why;
	size_t size; /* of the body */
};

bool ask_refuse(const struct ask *a, int status, const char *param, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Absent and null leave *v as it is. */
bool ask_bool(const struct ask *a, const char *key, bool *v);
bool ask_number(const struct ask *a, const char *key, double min, double max, double *v);
bool ask_whole(const struct ask *a, const char *key, int64_t min, int64_t max, int64_t *v);
bool ask_text(const struct ask *a, const char *key, const char **v);

/* There and not null, false, "", [] or {}: something that must be refused when we cannot do it. */
bool ask_has(const struct ask *a, const char *key);

/* The rest of what both dialects have, into `r`. */
bool ask_sampling(const struct ask *a, struct request *r);
bool ask_stop(const struct ask *a, struct request *r);
bool ask_messages(const struct ask *a, struct request *r);
bool ask_set_text(const struct ask *a, char **slot, const char *text);

/* The grammar of "any JSON object", or that of a JSON schema. */
bool ask_json(const struct ask *a, const char *param, const json_t *schema, struct request *r);

/* A new request at the end of the query's, or NULL with the refusal filled. */
struct request *ask_add(const struct ask *a, enum request_kind kind);

/* A text, a list of texts, or (`tokens`) a list of tokens or of such lists: a request of `kind` for each. */
bool ask_inputs(const struct ask *a, const char *key, enum request_kind kind, bool tokens);

/* What comes after the gap to fill, beside a text. */
bool ask_suffix(const struct ask *a, struct request *r);

/* How many numbers a vector shall have: those that it has. */
bool ask_dimensions(const struct ask *a);

bool ask_openai(struct ask *a);
bool ask_ollama(struct ask *a);

#endif

/* SPDX-License-Identifier: MIT */
#include "core/query.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/query_priv.h"
#include "core/schema.h"
#include "core/textout.h"

#define MESSAGES_MAX 4096

bool ask_refuse(const struct ask *a, int status, const char *param, const char *fmt, ...)
{
	va_list ap;

	a->why->status = status;
	text_copy(a->why->param, sizeof(a->why->param), param ? param : "");
	va_start(ap, fmt);
	vsnprintf(a->why->sentence, sizeof(a->why->sentence), fmt, ap);
	va_end(ap);
	/* The sentence may repeat what the client sent */
	text_clean(a->why->sentence);
	return false;
}

static const json_t *field(const struct ask *a, const char *key)
{
	const json_t *v = json_object_get(a->o, key);

	return json_is_null(v) ? NULL : v;
}

bool ask_bool(const struct ask *a, const char *key, bool *v)
{
	const json_t *j = field(a, key);

	if (j && !json_is_boolean(j))
		return ask_refuse(a, 400, key, "\"%s\" must be true or false", key);
	if (j)
		*v = json_is_true(j);
	return true;
}

bool ask_number(const struct ask *a, const char *key, double min, double max, double *v)
{
	const json_t *j = field(a, key);
	double d = j && json_is_number(j) ? json_number_value(j) : NAN;

	if (!j)
		return true;
	if (!(d >= min && d <= max))
		return ask_refuse(a, 400, key, "\"%s\" must be a number from %g to %g", key, min,
				  max);
	*v = d;
	return true;
}

bool ask_whole(const struct ask *a, const char *key, int64_t min, int64_t max, int64_t *v)
{
	const json_t *j = field(a, key);
	int64_t n = json_integer_value(j);

	if (!j)
		return true;
	/* Some languages have no other numbers: 256.0 is whole */
	if (json_is_real(j) && fabs(json_real_value(j)) < 9e15 &&
	    floor(json_real_value(j)) == json_real_value(j))
		n = (int64_t)json_real_value(j);
	else if (!json_is_integer(j))
		n = min - 1;
	if (n < min || n > max)
		return ask_refuse(a, 400, key,
				  "\"%s\" must be a whole number from %" PRId64 " to %" PRId64, key,
				  min, max);
	*v = n;
	return true;
}

bool ask_text(const struct ask *a, const char *key, const char **v)
{
	const json_t *j = field(a, key);

	if (j && !json_is_string(j))
		return ask_refuse(a, 400, key, "\"%s\" must be a string", key);
	if (j)
		*v = json_string_value(j);
	return true;
}

bool ask_has(const struct ask *a, const char *key)
{
	const json_t *j = field(a, key);

	if (!j || json_is_false(j))
		return false;
	if (json_is_string(j))
		return json_string_length(j) > 0;
	return !(json_is_array(j) && json_array_size(j) == 0) &&
	       !(json_is_object(j) && json_object_size(j) == 0);
}

bool ask_set_text(const struct ask *a, char **slot, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	free(*slot);
	*slot = copy;
	return true;
}

struct request *ask_add(const struct ask *a, enum request_kind kind)
{
	struct query *q = a->q;
	struct request **more = realloc(q->requests, (q->n + 1) * sizeof(struct request *));
	struct request *r = more ? request_new(kind) : NULL;

	if (more)
		q->requests = more;
	if (!r) {
		ask_refuse(a, 503, NULL, "there is no memory for this request");
		return NULL;
	}
	q->requests[q->n++] = r;
	return r;
}

/* --- sampling --- */

enum row_type { ROW_FLOAT, ROW_INT };

/* The fields of both APIs have these names; the ranges are those in which they mean anything. */
static const struct sampling_row {
	const char *key;
	enum row_type type;
	size_t offset;
	double min, max;
} sampling_rows[] = {
#define ROW(member) offsetof(struct request_sampling, member)
	{ "temperature", ROW_FLOAT, ROW(temperature), 0, 100 },
	{ "top_p", ROW_FLOAT, ROW(top_p), 0, 1 },
	{ "min_p", ROW_FLOAT, ROW(min_p), 0, 1 },
	{ "typical_p", ROW_FLOAT, ROW(typical_p), 0, 1 },
	{ "repeat_penalty", ROW_FLOAT, ROW(repeat_penalty), 0.01, 100 },
	{ "frequency_penalty", ROW_FLOAT, ROW(frequency_penalty), -2, 2 },
	{ "presence_penalty", ROW_FLOAT, ROW(presence_penalty), -2, 2 },
	{ "top_k", ROW_INT, ROW(top_k), 0, INT32_MAX },
	{ "repeat_last_n", ROW_INT, ROW(repeat_last_n), -1, INT32_MAX },
#undef ROW
};

static bool sampling_field(const struct ask *a, const struct sampling_row *row,
			   struct request_sampling *s)
{
	char *at = (char *)s + row->offset;

	if (row->type == ROW_INT) {
		int64_t v = *(int32_t *)(void *)at;

		if (!ask_whole(a, row->key, (int64_t)row->min, (int64_t)row->max, &v))
			return false;
		*(int32_t *)(void *)at = (int32_t)v;
		return true;
	}
	double v = (double)*(float *)(void *)at;

	if (!ask_number(a, row->key, row->min, row->max, &v))
		return false;
	*(float *)(void *)at = (float)v;
	return true;
}

bool ask_sampling(const struct ask *a, struct request *r)
{
	int64_t seed = -1;

	for (size_t i = 0; i < sizeof(sampling_rows) / sizeof(sampling_rows[0]); i++) {
		if (!sampling_field(a, &sampling_rows[i], &r->sampling))
			return false;
	}
	/* A negative seed asks for chance in clients of both kinds; a large one is folded */
	if (!ask_whole(a, "seed", INT64_MIN + 1, INT64_MAX, &seed))
		return false;
	if (seed >= 0) {
		r->sampling.seed = (uint32_t)((uint64_t)seed ^ (uint64_t)seed >> 32);
		r->sampling.seeded = true;
	}
	return true;
}

static bool add_stop(const struct ask *a, struct request *r, const json_t *j)
{
	const char *s = json_string_value(j);

	if (!s)
		return ask_refuse(a, 400, "stop", "\"stop\" must be a string or a list of strings");
	if (*s == 0) /* stops at nothing */
		return true;
	if (r->n_stop == REQUEST_STOP_MAX)
		return ask_refuse(a, 400, "stop", "\"stop\" has more than %d strings",
				  REQUEST_STOP_MAX);
	if (json_string_length(j) > TEXTOUT_STOP_BYTES)
		return ask_refuse(a, 400, "stop", "\"stop\" has a string of more than %d bytes",
				  TEXTOUT_STOP_BYTES);
	if (!ask_set_text(a, &r->stop[r->n_stop], s))
		return false;
	r->n_stop++;
	return true;
}

bool ask_stop(const struct ask *a, struct request *r)
{
	const json_t *j = field(a, "stop");

	if (!j)
		return true;
	if (!json_is_array(j))
		return add_stop(a, r, j);
	for (size_t i = 0; i < json_array_size(j); i++) {
		if (!add_stop(a, r, json_array_get(j, i)))
			return false;
	}
	return true;
}

/* --- messages --- */

/* OpenAI's content may be parts; those that are text are put together, each on lines of its own. */
static bool parts_text(const struct ask *a, const json_t *parts, char **out)
{
	size_t room = 1, n = 0;

	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *p = json_array_get(parts, i);
		const json_t *text = json_object_get(p, "text");
		const char *type = json_string_value(json_object_get(p, "type"));

		if (!type || strcmp(type, "text") != 0)
			return ask_refuse(
				a, 400, "messages",
				"a part of a message is \"%.40s\", and this core reads text "
				"only; `berth launch --engine llama-server` reads more",
				type ? type : "of no type");
		if (!json_is_string(text))
			return ask_refuse(a, 400, "messages",
					  "a part of a message has no \"text\"");
		room += json_string_length(text) + 1;
	}
	*out = malloc(room);
	if (!*out)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *text = json_object_get(json_array_get(parts, i), "text");

		if (i)
			(*out)[n++] = '\n';
		memcpy(*out + n, json_string_value(text), json_string_length(text));
		n += json_string_length(text);
	}
	(*out)[n] = 0;
	return true;
}

static bool one_message(const struct ask *a, const json_t *j, struct request_message *m)
{
	const struct ask in = { .o = j, .q = a->q, .m = a->m, .why = a->why };
	const json_t *content = json_object_get(j, "content");
	const char *role = json_string_value(json_object_get(j, "role"));

	if (!role)
		return ask_refuse(a, 400, "messages", "a message has no \"role\"");
	if (ask_has(&in, "tool_calls") || ask_has(&in, "images") || strcmp(role, "tool") == 0)
		return ask_refuse(
			a, 400, "messages",
			"a message has tool calls or images, which this core cannot read; "
			"`berth launch --engine llama-server` can");
	/* OpenAI's newer name for the same */
	if (!ask_set_text(a, &m->role, strcmp(role, "developer") == 0 ? "system" : role))
		return false;
	if (json_is_array(content))
		return parts_text(a, content, &m->content);
	if (!json_is_string(content))
		return ask_refuse(a, 400, "messages", "the message of \"%.40s\" has no \"content\"",
				  role);
	return ask_set_text(a, &m->content, json_string_value(content));
}

bool ask_messages(const struct ask *a, struct request *r)
{
	const json_t *j = field(a, "messages");
	size_t n = json_array_size(j);

	if (!json_is_array(j) || n == 0 || n > MESSAGES_MAX)
		return ask_refuse(a, 400, "messages",
				  "\"messages\" must be a list of 1 to %d messages", MESSAGES_MAX);
	r->messages = calloc(n, sizeof(*r->messages));
	if (!r->messages)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	r->n_messages = n;
	for (size_t i = 0; i < n; i++) {
		if (!one_message(a, json_array_get(j, i), &r->messages[i]))
			return false;
	}
	return true;
}

/* --- inputs --- */

static bool is_tokens(const json_t *j)
{
	return json_is_array(j) && json_is_integer(json_array_get(j, 0));
}

static bool set_tokens(const struct ask *a, const char *key, struct request *r, const json_t *j)
{
	size_t n = json_array_size(j);

	r->tokens = calloc(n, sizeof(*r->tokens));
	if (!r->tokens)
		return ask_refuse(a, 503, NULL, "there is no memory for this request");
	for (size_t i = 0; i < n; i++) {
		const json_t *t = json_array_get(j, i);

		if (!json_is_integer(t) || json_integer_value(t) < 0 ||
		    json_integer_value(t) > INT32_MAX)
			return ask_refuse(a, 400, key, "\"%s\" has a token that is none", key);
		r->tokens[r->n_tokens++] = (int32_t)json_integer_value(t);
	}
	return true;
}

static bool one_input(const struct ask *a, const char *key, enum request_kind kind, bool tokens,
		      const json_t *j)
{
	struct request *r;

	if (!json_is_string(j) && !(tokens && is_tokens(j)))
		return ask_refuse(a, 400, key, "\"%s\" must be a text%s, or a list of such", key,
				  tokens ? " or tokens" : "");
	r = ask_add(a, kind);
	if (!r)
		return false;
	return json_is_string(j) ? ask_set_text(a, &r->text, json_string_value(j))
				 : set_tokens(a, key, r, j);
}

bool ask_inputs(const struct ask *a, const char *key, enum request_kind kind, bool tokens)
{
	const json_t *j = field(a, key);
	size_t n = json_array_size(j);

	if (!j)
		return ask_refuse(a, 400, key, "\"%s\" is missing", key);
	if (!json_is_array(j) || (tokens && is_tokens(j)))
		return one_input(a, key, kind, tokens, j);
	if (n == 0 || n > QUERY_INPUTS_MAX)
		return ask_refuse(a, 400, key, "\"%s\" must be 1 to %d texts", key,
				  QUERY_INPUTS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!one_input(a, key, kind, tokens, json_array_get(j, i)))
			return false;
	}
	return true;
}

bool ask_suffix(const struct ask *a, struct request *r)
{
	const char *suffix = "";

	if (!ask_text(a, "suffix", &suffix))
		return false;
	if (*suffix && !r->text)
		return ask_refuse(a, 400, "suffix",
				  "\"suffix\" needs a text before it, not tokens");
	return !*suffix || ask_set_text(a, &r->suffix, suffix);
}

bool ask_dimensions(const struct ask *a)
{
	int64_t n = a->m->n_embd;

	if (!ask_whole(a, "dimensions", 1, INT32_MAX, &n))
		return false;
	return n == a->m->n_embd ||
	       ask_refuse(a, 400, "dimensions", "the vectors of this model have %u numbers",
			  a->m->n_embd);
}

/* --- the whole --- */

bool ask_json(const struct ask *a, const char *param, const json_t *schema, struct request *r)
{
	const struct request *first = a->q->requests[0];
	struct bytes grammar = { .p = NULL };
	struct err e = { 0 };
	int rc = 0;
	bool set;

	if (r->grammar)
		return ask_refuse(a, 400, param, "\"grammar\" and \"%s\" exclude each other",
				  param);
	/* All answers to one body are held to the same */
	if (first != r && first->grammar)
		return ask_set_text(a, &r->grammar, first->grammar);
	if (schema)
		rc = schema_grammar(&grammar, schema, &e);
	else
		schema_any(&grammar);
	bytes_add(&grammar, "", 1);
	if (rc == -EINVAL)
		ask_refuse(a, 400, param, "%s", e.text);
	else if (rc || grammar.lost)
		ask_refuse(a, 503, NULL, "there is no memory for this request");
	set = rc == 0 && !grammar.lost && ask_set_text(a, &r->grammar, grammar.p);
	bytes_fini(&grammar);
	return set;
}

bool query_is_ollama(enum query_kind kind)
{
	return kind >= QUERY_OLLAMA_CHAT;
}

bool query_names(const char *name, const char *said, bool ollama)
{
	size_t n = strlen(name);

	if (strncmp(name, said, n) != 0)
		return false;
	return said[n] == 0 || (ollama && !strchr(name, ':') && strcmp(said + n, ":latest") == 0);
}

static bool check_model(const struct ask *a)
{
	bool ollama = query_is_ollama(a->q->kind);
	const char *said = NULL;

	if (!ask_text(a, "model", &said))
		return false;
	if (!said && ollama && !ask_text(a, "name", &said)) /* its older name */
		return false;
	if (!said || !*said)
		return ask_refuse(a, 400, "model", "\"model\" is missing; this run is \"%s\"",
				  a->m->name);
	if (query_names(a->m->name, said, ollama))
		return true;
	a->why->code = "model_not_found";
	return ask_refuse(a, 404, "model", "model \"%.120s\" not found; this run is \"%s\"", said,
			  a->m->name);
}

int query_parse(struct query *q, enum query_kind kind, const struct query_model *m,
		const char *body, size_t n, struct refusal *why)
{
	struct err e = { 0 };
	json_t *o = json_parse(body, n, "the body", &e);
	struct ask a = { .o = o, .q = q, .m = m, .why = why, .size = n };
	bool fine;

	*q = (struct query) { .kind = kind, .n_each = 1 };
	*why = (struct refusal) { .status = 400 };
	if (!o) {
		ask_refuse(&a, 400, NULL, "%s", e.text);
		return -1;
	}
	fine = check_model(&a) && (query_is_ollama(kind) ? ask_ollama(&a) : ask_openai(&a));
	json_decref(o);
	if (!fine)
		query_fini(q);
	return fine ? 0 : -1;
}

void query_fini(struct query *q)
{
	for (size_t i = 0; i < q->n; i++)
		request_unref(q->requests[i]);
	free(q->requests);
	q->requests = NULL;
	q->n = 0;
}

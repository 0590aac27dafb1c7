/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/reply_priv.h"

/* The length of the sound UTF-8 sequence at s, 0: there is none. */
static size_t sound(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 },
		      { 0xe0, 0xc0, 0x80 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++) {
		uint32_t c = s[0] & (unsigned char)~forms[k].mask;

		if ((s[0] & forms[k].mask) != forms[k].lead)
			continue;
		if (k >= n)
			return 0;
		for (size_t i = 1; i <= k; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s[i] & 0x3f);
		}
		if (c < forms[k].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return 0;
		return k + 1;
	}
	return 0;
}

json_t *reply_string(const char *text, size_t n)
{
	json_t *j = json_stringn(text, n);
	struct bytes b = { .p = NULL };

	for (size_t i = 0; !j && i < n;) {
		size_t k = sound((const unsigned char *)text + i, n - i);

		if (k)
			bytes_add(&b, text + i, k);
		else
			bytes_text(&b, "\xef\xbf\xbd");
		i += k ? k : 1;
	}
	if (!j)
		j = json_stringn(b.p ? b.p : "", b.n);
	bytes_fini(&b);
	if (!j)
		abort();
	return j;
}

json_t *reply_real(double v)
{
	return json_real(isfinite(v) ? v : isnan(v) ? 0 : v < 0 ? -9999 : 9999);
}

json_t *reply_text(const struct request_piece *pieces, size_t of)
{
	struct bytes b = { .p = NULL };
	json_t *j;

	for (const struct request_piece *p = pieces; p; p = p->next) {
		if (p->of == of)
			bytes_add(&b, p->text, p->n_text);
	}
	j = reply_string(b.p ? b.p : "", b.n);
	bytes_fini(&b);
	return j;
}

void reply_put(json_t *o, const char *key, json_t *v)
{
	if (json_object_set_new(o, key, v) != 0)
		abort();
}

void reply_put_time(json_t *o, const char *key, const struct timespec *t)
{
	char text[40], all[72];
	struct tm tm;

	gmtime_r(&t->tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(all, sizeof(all), "%s.%06ldZ", text, t->tv_nsec / 1000);
	json_put_text(o, key, all);
}

void reply_add(struct bytes *b, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));

	json_decref(o);
	if (!text)
		abort();
	bytes_text(b, text);
	free(text);
}

const char *reply_reason(enum request_end end)
{
	return end == REQUEST_LENGTH || end == REQUEST_CONTEXT ? "length" : "stop";
}

uint64_t reply_prompt_tokens(const struct reply *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->q->n; i += p->q->n_each)
		n += p->q->requests[i]->prompt_tokens;
	return n;
}

/* --- the two dialects --- */

void reply_piece(struct bytes *b, struct reply *p, const struct request_piece *piece)
{
	if (query_is_ollama(p->q->kind))
		reply_ollama_piece(b, p, piece);
	else
		reply_openai_piece(b, p, piece);
}

void reply_end(struct bytes *b, struct reply *p, const struct refusal *why)
{
	if (query_is_ollama(p->q->kind))
		reply_ollama_end(b, p, why);
	else
		reply_openai_end(b, p, why);
}

void reply_whole(struct bytes *b, struct reply *p, const struct request_piece *pieces)
{
	if (query_is_ollama(p->q->kind))
		reply_ollama_whole(b, p, pieces);
	else
		reply_openai_whole(b, p, pieces);
}

/* --- errors --- */

/* OpenAI's types go with the status. */
static const struct {
	int status;
	const char *type;
} types[] = {
	{ 400, "invalid_request_error" }, { 401, "authentication_error" },
	{ 403, "permission_error" },      { 404, "not_found_error" },
	{ 405, "invalid_request_error" }, { 408, "invalid_request_error" },
	{ 413, "invalid_request_error" }, { 429, "rate_limit_error" },
	{ 501, "not_supported_error" },   { 503, "unavailable_error" },
};

static const char *type_of(int status)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].status == status)
			return types[i].type;
	}
	return "server_error";
}

void reply_error(struct bytes *b, bool ollama, const struct refusal *why)
{
	json_t *o = json_object(), *e;

	if (ollama) {
		json_put_text(o, "error", why->sentence);
		reply_add(b, o);
		return;
	}
	e = json_object();
	json_put_text(e, "message", why->sentence);
	json_put_text(e, "type", type_of(why->status));
	json_put_text_or_null(e, "param", why->param);
	json_put_text_or_null(e, "code", why->code ? why->code : "");
	reply_put(o, "error", e);
	reply_add(b, o);
}

void reply_refusal(const struct request *r, enum request_end end, struct refusal *why)
{
	static const struct {
		int status;
		const char *code;
	} rows[] = {
		[REQUEST_NO_ERROR] = { 500, NULL },
		[REQUEST_BAD] = { 400, NULL },
		[REQUEST_TOO_LONG] = { 400, "context_length_exceeded" },
		[REQUEST_UNSUPPORTED] = { 501, NULL },
		[REQUEST_UNAVAILABLE] = { 503, NULL },
		[REQUEST_ENGINE] = { 500, NULL },
	};

	if (end == REQUEST_CANCELLED) {
		*why = (struct refusal) { .status = 503, .sentence = "the request was cancelled" };
		return;
	}
	*why = (struct refusal) { .status = rows[r->error].status, .code = rows[r->error].code };
	text_copy(why->sentence, sizeof(why->sentence),
		  r->sentence[0] ? r->sentence : "the request did not end well");
}

/* SPDX-License-Identifier: MIT */
/*
 * A request of a client: method, path, Host, Origin and Authorization on a line each, an empty line, the
 * body. What can be parsed is answered, too, with the prompt as the model's text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "core/reply.h"
#include "core/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char *const allowed[] = { "berth.example" };

/* The next line as text, up to a NUL; the bytes after it stay. */
static char *line(const uint8_t **at, size_t *size)
{
	const uint8_t *end = *size ? memchr(*at, '\n', *size) : NULL;
	size_t n = end ? (size_t)(end - *at) : *size;
	char *s = malloc(n + 1);

	if (!s)
		abort();
	if (n)
		memcpy(s, *at, n);
	s[n] = 0;
	*at += n + (end != NULL);
	*size -= n + (end != NULL);
	return s;
}

static void answer(struct query *q)
{
	enum request_end *ends = calloc(q->n + 1, sizeof(*ends));
	struct reply p = { .q = q, .model = "m", .now_ns = 1, .ends = ends };
	const struct refusal fine = { .status = 0 };
	struct request *r = q->n ? q->requests[0] : NULL;
	struct request_token token = { .logprob = -1.0f / 3, .text = "\xff", .n_text = 1 };
	struct request_piece piece = { .text = r && r->text ? r->text : (char *)"\xc3(",
				       .n_tokens = 1,
				       .tokens = &token };
	struct bytes b = { .p = NULL };
	float v[2] = { 1.0f, 0.0f };

	piece.n_text = strlen(piece.text);
	for (size_t i = 0; i < q->n; i++) {
		if (q->requests[i]->kind != REQUEST_EMBED)
			continue;
		q->requests[i]->n_embedding = 2;
		q->requests[i]->embedding = malloc(sizeof(v));
		if (q->requests[i]->embedding)
			memcpy(q->requests[i]->embedding, v, sizeof(v));
		else
			q->requests[i]->n_embedding = 0;
	}
	if (!ends)
		abort();
	if (q->stream && r) {
		reply_piece(&b, &p, &piece);
		reply_end(&b, &p, &fine);
	} else {
		reply_whole(&b, &p, &piece);
	}
	if (b.lost || b.n == 0)
		abort();
	bytes_fini(&b);
	free(ends);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *words[5];
	const struct query_model m = { .name = "m", .chats = true, .n_embd = 2 };
	const struct route *route;
	const char *allow = NULL;
	struct refusal why;
	struct query q;
	int status;

	for (size_t i = 0; i < 5; i++)
		words[i] = line(&bytes, &size);
	guard_host(words[2], allowed, 1);
	guard_origin(words[3], allowed, 1);
	guard_key(words[4], "0123456789abcdef");
	route = route_find(words[0], words[1], false, &status, &allow);
	if (!route)
		route = route_find(words[0], words[1], true, &status, &allow);
	if (route && route->what == ROUTE_QUERY) {
		if (query_parse(&q, route->kind, &m, (const char *)bytes, size, &why) == 0) {
			if (q.kind != QUERY_OLLAMA_SHOW)
				answer(&q);
			query_fini(&q);
		} else {
			struct bytes b = { .p = NULL };

			if (why.status < 400 || !why.sentence[0])
				abort();
			reply_error(&b, query_is_ollama(route->kind), &why);
			bytes_fini(&b);
		}
	}
	for (size_t i = 0; i < 5; i++)
		free(words[i]);
	return 0;
}

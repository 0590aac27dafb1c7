/* SPDX-License-Identifier: MIT */
#include "core/routes.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
static const struct route routes[] = {
	{ .path = "/health", .what = ROUTE_HEALTH, .open = true, .ollama = true },
	{ .path = "/metrics", .what = ROUTE_METRICS },
	{ .path = "/v1/models", .what = ROUTE_MODELS },
	{ .path = "/v1/models/", .what = ROUTE_MODEL },
	{ .path = "/v1/chat/completions", .post = true, .kind = QUERY_CHAT },
	{ .path = "/v1/completions", .post = true, .kind = QUERY_COMPLETION },
	{ .path = "/v1/embeddings", .post = true, .kind = QUERY_EMBEDDINGS },
	{ .path = "/", .what = ROUTE_HELLO, .open = true, .ollama = true, .ollama_only = true },
	{ .path = "/api/version", .what = ROUTE_VERSION, .ollama = true },
	{ .path = "/api/tags", .what = ROUTE_TAGS, .ollama = true },
	{ .path = "/api/ps", .what = ROUTE_PS, .ollama = true },
	{ .path = "/api/show", .post = true, .kind = QUERY_OLLAMA_SHOW, .ollama = true },
	{ .path = "/api/chat", .post = true, .kind = QUERY_OLLAMA_CHAT, .ollama = true },
	{ .path = "/api/generate", .post = true, .kind = QUERY_OLLAMA_GENERATE, .ollama = true },
	{ .path = "/api/embed", .post = true, .kind = QUERY_OLLAMA_EMBED, .ollama = true },
	{ .path = "/api/embeddings", .post = true, .kind = QUERY_OLLAMA_EMBEDDINGS, .ollama = true },
};
/* clang-format on */

static bool is_at(const struct route *r, const char *path)
{
	if (r->what == ROUTE_MODEL)
		return strncmp(path, r->path, strlen(r->path)) == 0;
	return strcmp(path, r->path) == 0;
}

const struct route *route_find(const char *method, const char *path, bool ollama, int *status,
			       const char **allow)
{
	*status = 404;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *r = &routes[i];
		const char *other = strcmp(method, "HEAD") == 0 ? "GET" : method;

		if (!is_at(r, path) || (ollama ? !r->ollama : r->ollama_only))
			continue;
		if (strcmp(other, r->post ? "POST" : "GET") == 0)
			return r;
		*status = 405;
		*allow = r->post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
	}
	return NULL;
}

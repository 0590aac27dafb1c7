/* SPDX-License-Identifier: MIT */
/* What there is to ask for, as a table. Pure. */
#ifndef BERTH_CORE_ROUTES_H
#define BERTH_CORE_ROUTES_H

#include <stdbool.h>

#include "core/query.h"

enum route_what {
	ROUTE_QUERY, /* a body that makes a query of `kind` */
	ROUTE_MODELS,
	ROUTE_MODEL, /* one of them, by the rest of the path */
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_HELLO, /* how Ollama's clients find out that it runs */
	ROUTE_TAGS,
	ROUTE_PS,
	ROUTE_VERSION,
};

struct route {
	const char *path; /* that of ROUTE_MODEL: its beginning */
	bool post;
	enum route_what what;
	enum query_kind kind; /* of ROUTE_QUERY */
	bool open;            /* asks for no key */
	bool ollama;          /* is on Ollama's port */
	bool ollama_only;     /* and on no other */
};

/*
 * The route, or NULL with *status 404 or 405 (then *allow is what the path takes). `ollama`: it came in
 * by Ollama's port. HEAD is GET.
 */
const struct route *route_find(const char *method, const char *path, bool ollama, int *status,
			       const char **allow);

#endif

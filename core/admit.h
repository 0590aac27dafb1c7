/* SPDX-License-Identifier: MIT */
/* Whether a request may come in, by its line and its headers alone: before any of its body is read. Pure. */
#ifndef BERTH_CORE_ADMIT_H
#define BERTH_CORE_ADMIT_H

#include "core/guard.h"
#include "core/routes.h"

/* What is asked; a header that was not sent is NULL. */
struct knock {
	const char *method, *path;
	const char *host, *origin, *authorization, *length;
	bool ollama; /* came in by Ollama's port */
};

/* The house's rules. */
struct house {
	const char *key;          /* NULL: none asked for */
	const char *const *hosts; /* allowed in Host and Origin besides loopback's names */
	size_t n_hosts;
	size_t body_max;
};

struct admission {
	const struct route *route; /* NULL: there is none, or `preflight` */
	bool preflight;            /* a browser asks whether a page may ask */
	struct refusal why;        /* status 0: come in */
	const char *allow;         /* with 405: what the path takes */
	char origin[256];          /* allowed, to be told so; "" */
	char model[256];           /* ROUTE_MODEL: the rest of the path */
};

void admit(struct admission *a, const struct house *h, const struct knock *k);

/* Refuse, unless that was done already. */
void admit_refuse(struct admission *a, int status, const char *code, const char *sentence);

#define ADMIT_TOO_LARGE "the body is larger than this run takes"

#endif

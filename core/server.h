/* SPDX-License-Identifier: MIT */
/*
 * The run's HTTP: OpenAI's API, Ollama's, health and metrics, in threads of its own. It computes
 * nothing: calls become requests of the batch. Clients are hostile; none may starve another.
 */
#ifndef BERTH_CORE_SERVER_H
#define BERTH_CORE_SERVER_H

#include <stddef.h>

#include "base/sockets.h"
#include "core/batch.h"

struct server;

struct server_options {
	struct batch *batch;
	const char *name;         /* of the run: what `model` must be */
	const char *key;          /* NULL: none asked for, which only local sockets may do */
	const char *const *hosts; /* allowed in Host and Origin besides loopback's names */
	size_t n_hosts;
	size_t body_max;          /* bytes of one body; 0: 8 MiB */
	uint32_t connections_max; /* 0: 512 */
	uint32_t client_s;        /* seconds a client may take to send a request; 0: 30 */
	const struct listening *sockets;
	uint32_t n_sockets;
};

/*
 * Serve on the sockets. Everything the options point to must stay. 0, or a negative errno with *e filled;
 * either way the sockets are still the caller's to close, once the server has stopped.
 */
int server_start(struct server **out, const struct server_options *o, struct err *e);

/* Take no more calls, end those there are, free everything. NULL is fine. */
void server_stop(struct server *s);

#endif

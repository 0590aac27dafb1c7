/* SPDX-License-Identifier: MIT */
/* What `core --serve` needs before a model is loaded, so that what cannot be served fails at once. */
#ifndef BERTH_CORE_SERVE_H
#define BERTH_CORE_SERVE_H

#include "base/cmd.h"
#include "base/sockets.h"
#include "core/guard.h"
#include "core/server.h"

/* As the command line has them. */
struct serve_options {
	const char *name; /* NULL: the model's file, without its ending */
	const char *key_file, *ollama;
	bool no_key; /* or key_file, one of them */
	struct opt_list listen, hosts;
	uint64_t body_max;
	uint32_t connections_max;
};

struct serve {
	struct server_options o; /* but for the batch */
	struct sockets sockets;
	char name[128];
	char key[GUARD_KEY_MAX + 1];
};

/* Open the sockets, or take those that were given, and read the key. serve_close() after 0. */
int serve_open(struct serve *s, const struct serve_options *o, const char *model_path,
	       struct err *e);

/* Close what no server has taken. */
void serve_close(struct serve *s);

#endif

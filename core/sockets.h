/* SPDX-License-Identifier: MIT */
/* Sockets to listen on: given by whoever started us (systemd's protocol), or opened here. */
#ifndef BERTH_CORE_SOCKETS_H
#define BERTH_CORE_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SOCKETS_MAX 8

struct listening {
	int fd;
	bool ollama;     /* its port: no key, only /api */
	bool local;      /* loopback, or a UNIX socket: nobody else can reach it */
	char where[128]; /* "127.0.0.1:8470", "unix:/run/x" */
	char made[108];  /* the UNIX socket's file, when it is ours to remove */
};

/*
 * Those of LISTEN_FDS when LISTEN_PID is ours; LISTEN_FDNAMES tells them apart ("ollama", anything else
 * is the main one). The variables are removed. *n grows.
 */
int sockets_inherit(struct listening out[SOCKETS_MAX], uint32_t *n, struct err *e);

/* "127.0.0.1:8470", "[::1]:8470", "unix:PATH" (0600). -EADDRINUSE: somebody is there. */
int sockets_open(struct listening out[SOCKETS_MAX], uint32_t *n, const char *where, bool ollama,
		 struct err *e);

void sockets_close(struct listening *sockets, uint32_t n);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The sockets a run is served on: handed over by whoever started us (systemd's protocol, which the
 * supervisor speaks to its cores, too), or opened here.
 */
#ifndef BERTH_SOCKETS_H
#define BERTH_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SOCKETS_MAX     8
#define SOCKETS_DEFAULT "127.0.0.1:8470"
#define SOCKETS_OLLAMA  "127.0.0.1:11434"

struct listening {
	int fd;
	bool ollama;     /* its port: no key, only /api */
	bool local;      /* loopback, or a UNIX socket: nobody else can reach it */
	char where[128]; /* "127.0.0.1:8470", "[::1]:8470", "unix:/run/x" */
	char made[108];  /* the UNIX socket's file, when it is ours to remove */
};

struct sockets {
	uint32_t n;
	struct listening list[SOCKETS_MAX];
};

/* Where to listen, read from "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT" (loopback) or "unix:PATH". */
struct socket_place {
	bool local;     /* path is a UNIX socket's */
	char host[64];  /* a numeric address */
	uint16_t port;  /* 0: any that is free */
	char path[108]; /* as in struct sockaddr_un */
};

/* Pure. 0, or -EINVAL with *e. */
int socket_place_parse(struct socket_place *p, const char *spec, struct err *e);

/*
 * All that a run listens at. What a service manager handed over (LISTEN_PID, LISTEN_FDS; LISTEN_FDNAMES
 * tells Ollama's from the others) takes the place of `places`, which would be bound twice; without both
 * it is SOCKETS_DEFAULT. `ollama` NULL: no socket for Ollama's clients, unless one was handed over. The
 * variables are removed. 0; -EINVAL, -EACCES with *e, and nothing is open.
 */
int sockets_open_all(struct sockets *s, const char *const *places, uint32_t n, const char *ollama,
		     struct err *e);

/* Its two halves: the handed over, 0 or -EINVAL; and one place, 0, -EINVAL, or -EACCES. */
int sockets_inherit(struct sockets *s, struct err *e);
int sockets_open(struct sockets *s, const char *spec, bool ollama, struct err *e);

/* "openai" or "ollama": what is spoken there, as LISTEN_FDNAMES has it. */
const char *socket_speaks(const struct listening *l);

void sockets_close(struct sockets *s);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The sockets a run is served on. The supervisor holds them for the whole of its life and hands them to
 * each core as systemd would hand them to us, so that no client ever finds the door closed.
 */
#ifndef BERTH_LAUNCH_SOCKETS_H
#define BERTH_LAUNCH_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SOCKETS_MAX     8
#define SOCKETS_DEFAULT "127.0.0.1:8470"
#define SOCKETS_OLLAMA  "127.0.0.1:11434"

struct listener {
	int fd;
	char name[16];     /* "openai" or "ollama": what is spoken there */
	char address[160]; /* "127.0.0.1:8470", "[::1]:8470", "unix:/run/x" */
	bool ours;         /* a UNIX socket that we made, to be removed at the end */
};

struct sockets {
	uint32_t n;
	struct listener list[SOCKETS_MAX];
};

/* Where to listen, read from "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT" (loopback) or "unix:PATH". */
struct socket_place {
	bool local;     /* path is a UNIX socket's */
	char host[64];  /* a numeric address */
	uint16_t port;  /* 0: any that is free */
	char path[108]; /* as in struct sockaddr_un */
	bool loopback;  /* only this machine can reach it */
};

/* Pure. 0, or -EINVAL with *e. */
int socket_place_parse(struct socket_place *p, const char *spec, struct err *e);

/* Listen at spec. 0; -EINVAL; -EADDRINUSE and the like with *e. */
int sockets_add(struct sockets *s, const char *name, const char *spec, struct err *e);

/*
 * Take what a service manager handed us (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and forget the
 * variables. Names that are not ours mean "openai". The count of them; 0: nothing; -EINVAL with *e.
 */
int sockets_inherit(struct sockets *s, struct err *e);

void sockets_close(struct sockets *s);

#endif

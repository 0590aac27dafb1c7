/* SPDX-License-Identifier: MIT */
/*
 * Connections handed on, byte for byte, to a server behind a UNIX socket. It never waits: what cannot
 * go on now is kept, at most RELAY_BUFFER bytes a direction, and the reading stops meanwhile.
 */
#ifndef BERTH_CORE_RELAY_H
#define BERTH_CORE_RELAY_H

#include <stdint.h>

#include "base/err.h"

#define RELAY_LISTENERS_MAX 8
#define RELAY_MAX           256 /* connections at once; more wait in the backlog */
#define RELAY_BUFFER        16384

struct relay;

/* A relay that listens at nothing yet. `path` is the server's. -ENOMEM, -EMFILE... */
int relay_open(struct relay **r, const char *path, struct err *e);

/* From now on accept what comes in at this descriptor, which stays the caller's. */
int relay_listen(struct relay *r, int fd, struct err *e);

/* Readable when relay_step() has something to do. */
int relay_fd(const struct relay *r);

void relay_step(struct relay *r);

void relay_close(struct relay *r);

#endif

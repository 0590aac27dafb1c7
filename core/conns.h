/* SPDX-License-Identifier: MIT */
/*
 * The connections of a server, and a thread that watches what its library does not: clients that left
 * while their call waits for the engine, and clients that take for ever to ask.
 */
#ifndef BERTH_CORE_CONNS_H
#define BERTH_CORE_CONNS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/call.h"

struct conns;
struct conn;

/* At most `max` are served; a client has client_s to send a request. 0, or a negative errno. */
int conns_open(struct conns **out, uint32_t max, uint32_t client_s);

/* All connections must be gone. NULL is fine. */
void conns_close(struct conns *s);

/* From its accept, until its close. NULL: no memory; all below take that, too. */
struct conn *conn_add(struct conns *s, int fd);
void conn_remove(struct conn *c);

/* It owes us a request from now on. */
void conn_owes(struct conn *c);

/* Its request is there: it owes nothing. A call that waits does so until its answer is out. */
void conn_served(struct conn *c);

/* Its call is with the engine; conns_end_calls counts it until conn_owes. */
void conn_waits(struct conn *c, struct call *call);

/*
 * Its peer has more than its share, a quarter of all: a user of this machine who does not own this run, or
 * an address of another machine.
 */
bool conn_crowds(const struct conn *c);

/* There are more than are served. */
bool conns_full(struct conns *s);

/* Cancel, or at last drop, every call that waits. Returns how many there are. */
uint32_t conns_end_calls(struct conns *s, bool drop);

#endif

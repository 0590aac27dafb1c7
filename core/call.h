/* SPDX-License-Identifier: MIT */
/*
 * One call of a client while the engine works on it: its requests on the way in, what came of them on
 * the way out. Whoever carries the bytes (server.c) asks what to do next, and is called back when that
 * may have changed.
 */
#ifndef BERTH_CORE_CALL_H
#define BERTH_CORE_CALL_H

#include <pthread.h>

#include "core/reply.h"

struct call {
	struct batch *batch;
	struct query query;
	struct reply reply;
	struct refusal why; /* after CALL_REFUSED */
	struct bytes out;   /* what was rendered... */
	size_t sent;        /* ...and of it, has been read */
	struct request_piece *pieces, **last_piece;
	enum request_end *ends; /* of each request */
	size_t n_in, n_ended;   /* requests submitted; ended */
	bool begun;             /* something came of it */
	bool finished;          /* everything is rendered */

	pthread_mutex_t lock;
	bool woken;   /* something came since call_next looked */
	bool asleep;  /* the carrier waits for resume */
	bool dropped; /* nobody waits any more: nothing may come */
	void (*resume)(void *arg);
	void *arg;
};

enum call_next {
	CALL_SLEEP,   /* nothing yet; suspend() was called, resume() will be */
	CALL_REFUSED, /* answer with why */
	CALL_WHOLE,   /* answer 200 with `out` */
	CALL_STREAM,  /* answer 200, and call_read() gives the body */
};

/* `resume` is called on the engine's thread, once for each CALL_SLEEP or 0 of call_read. */
void call_init(struct call *c, struct batch *batch, void (*resume)(void *arg), void *arg);
void call_fini(struct call *c);

/* The query is in place: take it to the engine. `name` is the run's and stays. */
void call_begin(struct call *c, const char *name, uint64_t id);

/*
 * What to do now. `suspend` is called, under the call's lock, where nothing is to be done: it must stop
 * whatever would call this again, until resume().
 */
enum call_next call_next(struct call *c, void (*suspend)(void *arg));

/* Up to `max` bytes of a stream. 0: nothing yet, as CALL_SLEEP; -1: the end; -2: it broke off. */
long call_read(struct call *c, char *buf, size_t max, void (*suspend)(void *arg));

/* The client has gone, or the server goes: the requests end soon. Any thread. */
void call_cancel(struct call *c);

/* Wait for nothing any more, even if the engine never answers: resumes it, and then it breaks off. */
void call_drop(struct call *c);

#endif

/* SPDX-License-Identifier: MIT */
/* The holder's state, and what its parts ask of each other. */
#ifndef BERTH_HOLDER_PRIV_H
#define BERTH_HOLDER_PRIV_H

#include "bar-forward/crew.h"
#include "bar-forward/holder.h"

struct holder {
	const struct holder_start *start;
	const struct serve_opts *o;
	const struct log *log;
	struct serve_page *page;
	struct policy policy;
	struct device *d; /* NULL: it is the session's, or gone */
	struct crew crew;
	bool alone;             /* the device cannot be given to a worker */
	int client;             /* -1: none is there */
	struct stream stream;   /* of the client */
	struct session session; /* its, too */
	uint64_t looked_ns;
	uint64_t restarts;            /* of workers, that are told already */
	int fetcher;                  /* whom to have reset and look at the device; -1: nobody */
	bool ending, lost_once, late; /* late: the page is behind */
	bool told_lost;
};

/* holder.c: what readers see of it (must: at once), and the device without a client */
void holder_tell(struct holder *v, bool must);
struct session_opts holder_session(struct holder *v, const struct policy *p);

/* The device of the last client was lost: what answers now is another, as far as anybody knows. 0 or an errno with *e. */
int holder_open_again(struct holder *v, struct err *e);

/* It went while nobody had it: who comes next has it opened again. */
void holder_lose_idle(struct holder *v);

/* holder_fetch.c: the device, fetched, with v->d and the policy. 0, or an errno with *e and no device. */
int holder_fetch(struct holder *v, struct err *e);

/* As session_opts.reset and .look. */
int holder_reset(void *arg, struct device *d, bool waited_for, struct err *e);
int holder_look(void *arg, struct device *d);

/* Nobody needs who fetched a device that is gone. */
void holder_leave_fetcher(struct holder *v);

/* holder_rules.c: the policy before the first guest, of a file (-1: there is none), 0 or an errno with *e; and what comes for the one at work */
int holder_first_policy(struct holder *v, int fd, struct err *e);

/* Workers see it with their next message. Anew for each client: another one's may have been by something else than a worker. */
void holder_publish_policy(struct holder *v);
void holder_reread_policy(struct holder *v);
void holder_change_trace(struct holder *v);

/* holder_client.c: a client (takes the descriptor; -1: none), and its messages, looked at, done, answered, and only then taken */
void holder_take_client(struct holder *v, int taken);
void holder_end_client(struct holder *v, const char *why);
void holder_serve_message(struct holder *v);
void holder_serve_device(struct holder *v);

/* An answer that comes now may meet a client that does not wait for it any more, and would take it for another one. */
bool holder_is_late(const struct holder *v);

/* holder_crew.c: what workers said, or died of; a device that is lost; whether the client has hung up */
void holder_act(struct holder *v);
void holder_tell_lost(struct holder *v);
bool holder_is_leaving(struct holder *v);

#endif

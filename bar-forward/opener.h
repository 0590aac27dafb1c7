/* SPDX-License-Identifier: MIT */
/* The opener's state, all of it, and what its parts ask of each other: share.h tells of it, and of its children. */
#ifndef BERTH_OPENER_H
#define BERTH_OPENER_H

#include <signal.h>

#include "bar-forward/control.h"
#include "bar-forward/fetch.h"
#include "bar-forward/serve_priv.h"
#include "bar-forward/share.h"
#include "bar-forward/spawn.h"
#include "bar-forward/user.h"

struct server {
	const struct serve_opts *o;
	const struct log *log;
	struct sockets sockets;
	sigset_t before; /* signals of whoever called */
	int signals;
	struct serve_page page;
	struct trace trace;
	struct control control;
	struct serve_lost lost;
	struct as_user user; /* whose the others are */
	struct spawn spawn;
	struct fetchers fetchers;
	struct dev_handed *handed; /* by them, to the holder */
	int share_fd;
	struct share *share;
	pid_t holder; /* 0: none */
	int line;     /* to it; -1 */
	bool ended, recorded;
	bool is_lost; /* the device */
	uint64_t looked_ns;
	struct err last;  /* what the holder said at its end */
	int64_t asked_ms; /* when it was first told to end; 0: it was not */
	bool hurry;       /* and somebody said so again */
	int upgrade;      /* how the last one went; -EINPROGRESS: it has not yet */
};

/* opener_line.c: a holder with workers of its own, 0 or an errno with *e; and what is said to it (with a descriptor, or -1) */
int opener_start_holder(struct server *v, struct err *e);
void opener_send(struct server *v, const struct line *l, int fd);

/* Another worker, for the holder; `next`: of the version that is installed by now. 0 or a negative errno. */
int opener_spawn(struct server *v, bool next);

/*
 * What the holder has said by now, as much as is read at once: true, there may be more. It need not be itself any more, and
 * is trusted with no more than its orders.
 */
bool opener_hear(struct server *v);

/* opener_asked.c: what is asked of the bridge itself; as control_serve() has it done */
int opener_asked(void *arg, struct control_ask *a, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* What happens once a server's device is lost, and its telemetry page. */
#ifndef BERTH_SERVE_PRIV_H
#define BERTH_SERVE_PRIV_H

#include "bar-forward/control.h"
#include "bar-forward/policy.h"
#include "bar-forward/serve.h"
#include "bar-forward/session.h"
#include "bar-forward/stream.h"
#include "bar-forward/trace.h"
#include "base/sockets.h"
#include "base/telem.h"

/* What happens once the device is lost: its guest is asked to let go of it, and its return is told. */
struct serve_lost {
	struct unplug unplug;
	bool asked; /* about this loss */
	bool back;  /* it was told that the device has returned */
};

/* As often as one likes while a client has a lost device: it is asked for once. msix: the guest sees MSI-X. */
void serve_lost_ask(struct serve_lost *l, bool msix);

/* unplug_fd() is readable. */
void serve_lost_hear(struct serve_lost *l, const struct log *log);

/* Each second while it is lost. One that came back is another generation, and given to nobody who has not asked anew. */
void serve_lost_look(struct serve_lost *l, const struct serve_opts *o, const struct telem_bridge *b,
		     const struct log *log);

/* Another generation has begun. */
void serve_lost_over(struct serve_lost *l);

/*
 * What readers see of it. The counts are the session's; the page is written at most ten times a second. Opener and holder have
 * one each, and share what it says: numbers and texts alone, since who meets a client could change what is shared.
 */
struct serve_page {
	struct telem_writer writer;
	struct telem_bridge *now; /* shared; the holder's */
	uint64_t told_ns;
	const struct trace *trace;         /* whose counts are told there, too */
	const struct telem_bridge *worker; /* what workers count: added */
};

/* Open the page of this process; its `now`, `trace` and `worker` are set. It says from then on what it is for. 0, or the errno of creating it with *e. */
int serve_page_open(struct serve_page *p, const struct serve_opts *o, struct err *e);

/* What is said there now; `must`: however short ago it was. True: it could not be told yet. */
bool serve_page_tell(struct serve_page *p, bool must);

/* The bridge has ended: its page goes, too. */
void serve_page_close(struct serve_page *p);

#endif

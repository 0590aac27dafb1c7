/* SPDX-License-Identifier: MIT */
/* The server's state, all of it, and its telemetry page. */
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

/* What readers see of it. The counts are the session's; the page is written at most ten times a second. */
struct serve_page {
	struct telem_writer writer;
	struct telem_bridge now;
	uint64_t told_ns;
	const struct trace *trace; /* whose counts are told there, too; may be NULL */
};

/* Open the page of this process. 0, or the errno of creating it with *e. */
int serve_page_open(struct serve_page *p, const struct serve_opts *o, struct err *e);

/* What is said there now; `must`: however short ago it was. True: it could not be told yet. */
bool serve_page_tell(struct serve_page *p, bool must);

/* The bridge has ended: its page goes, too. */
void serve_page_close(struct serve_page *p);

#endif

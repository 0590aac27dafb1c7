/* SPDX-License-Identifier: MIT */
/* The process that holds a device, and the one client at a time that it has: share.h tells of it and of the others. */
#ifndef BERTH_HOLDER_H
#define BERTH_HOLDER_H

#include "bar-forward/serve_priv.h"
#include "bar-forward/share.h"
#include "bar-forward/user.h"

/* What its parent has made before. */
struct holder_start {
	const struct serve_opts *o;
	const struct log *log;
	const struct as_user *user;
	struct serve_page *page;
	struct trace *trace;
	const struct dev_handed *handed; /* where a device that is fetched is told of */
	int listening, line, share_fd;
	struct share *share;
};

/* Until it is told to end; the opener gets its last word. */
void holder_run(const struct holder_start *s);

#endif

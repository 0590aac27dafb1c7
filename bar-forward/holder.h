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
	struct serve_page *page; /* shared with the parent */
	struct trace *trace;     /* the first one makes it, and tells the parent */
	bool first;              /* false: the device was lost, and is opened when a client comes */
	int listening, line, share_fd;
	struct share *share;
	int client; /* one that came while the last holder found its device gone; -1. Taken */
};

/* Until it is told to end, or its device is lost and the client gone; the opener gets its last word. */
void holder_run(const struct holder_start *s);

#endif

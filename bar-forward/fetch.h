/* SPDX-License-Identifier: MIT */
/*
 * The process that opens a device: a child of the opener, which has met nobody. It hands the device over to the holder, which
 * opens nothing; then it is as powerless as that one, and makes what may hang in the kernel for it, and is left behind if it
 * does.
 */
#ifndef BERTH_FETCH_H
#define BERTH_FETCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bar-forward/device.h"
#include "bar-forward/user.h"
#include "base/err.h"
#include "base/log.h"

#define FETCHERS_MAX 4 /* of which all but one hang */

/* What goes before the device's descriptors, in this order: line.next. */
enum fetch_with { FETCH_POLICY = 1, FETCH_CALLS = 2 };

enum fetch_kind { FETCH_RESET = 1, FETCH_LOOK };

struct fetch_opts {
	const struct device_ops *ops;
	const char *what;
	struct device *beside;
	const char *policy; /* a file; NULL: none */
	const struct as_user *user;
	const struct log *log;
	struct dev_handed *to; /* shared with the holder */
	int line;              /* to it: there it says LINE_MADE, */
	int32_t order;         /* and to this one */
};

struct fetchers {
	pid_t pid[FETCHERS_MAX]; /* 0: unused */
	pid_t newest;            /* 0: it is dead, which was told */
	int32_t order;           /* of that one */
};

/*
 * Start one; any from before is killed, since its device is not used any more. leave(arg) closes, in the child, what is the
 * opener's alone. 0 or a negative errno with *e.
 */
int fetch_start(struct fetchers *f, const struct fetch_opts *o, void (*leave)(void *arg), void *arg,
		struct err *e);

/* Collect those that are dead. True, once: the newest is, and may have said nothing. */
bool fetch_reap(struct fetchers *f);

/* The device is not used any more: who hangs in it, or is about to, lets go of it as soon as the kernel does. */
void fetch_kill(const struct fetchers *f);
void fetch_close(struct fetchers *f);

/* --- in the holder --- */

/* The device as it was handed over; the descriptors are taken, whatever comes. 0 or a negative errno with *e. */
int fetch_take(struct device **d, const struct device_ops *ops, const char *what,
	       struct device *beside, const struct dev_handed *from, const int *fds, uint32_t n,
	       struct err *e);

/*
 * What it makes for us: as the device's reset() or present(). -ETIMEDOUT: it hangs, and *calls is closed; -EPIPE: there is
 * none, and *calls is -1.
 */
int fetch_call(int *calls, enum fetch_kind kind, int ms, struct err *e);

#endif

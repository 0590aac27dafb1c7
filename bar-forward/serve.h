/* SPDX-License-Identifier: MIT */
/* A device at a UNIX socket: one client at a time, until it is told to end. */
#ifndef BERTH_SERVE_H
#define BERTH_SERVE_H

#include <stdbool.h>

#include "bar-forward/device.h"
#include "bar-forward/shape.h"
#include "bar-forward/unplug.h"
#include "base/err.h"
#include "base/log.h"

struct serve_opts {
	const struct device_ops *ops;
	const char *what; /* the device, as ops->open() takes it */
	struct device
		*beside;    /* what it has in common with others, as ops->gather() gave it; NULL */
	const char *pci;    /* its whole address; NULL: it is made of memory */
	const char *socket; /* its path */
	const char *policy; /* a file of rules; NULL: everything is trapped */
	struct shape shape; /* how the guest sees the device */
	struct unplug_opts unplug; /* whom to ask when the device is lost */
	const char *guest;         /* name of the virtual machine; NULL: not known */
	bool once;                 /* end when the first client goes */
	const char *record; /* a file that what goes over the bridge is recorded in; NULL: none */
	uint64_t record_bytes;
	const char *user;         /* whose holder and workers are; NULL: see user_choose() */
	const char *socket_owner; /* "USER", "USER:GROUP" or ":GROUP"; NULL: who started us */
	bool relay;               /* interrupts pass us, so that they can be recorded */
};

/*
 * Serve until SIGINT or SIGTERM, or (`once`) until the first client has gone; SIGHUP reads the policy anew. 0, or with
 * *e -ENODEV (the device is absent), -EACCES (the socket is in use, no permission), -EBADMSG and -EINVAL (policy,
 * description), -ENXIO: the one client's device was lost.
 */
int serve_run(const struct serve_opts *o, const struct log *log, struct err *e);

#endif

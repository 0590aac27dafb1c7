/* SPDX-License-Identifier: MIT */
/*
 * The end of a device that was taken away: its virtual machine is asked to take it out of the guest, over QEMU's own monitor
 * or through libvirt. A child of ours does it: it is made before any device or client is open, keeps none of their
 * descriptors, may open sockets and run virsh, and can hang without anybody waiting.
 */
#ifndef BERTH_UNPLUG_H
#define BERTH_UNPLUG_H

#include <stdbool.h>
#include <sys/types.h>

#include "bar-forward/user.h"
#include "base/child.h"
#include "base/err.h"

struct unplug_opts {
	const char *qmp;     /* path of QEMU's monitor; NULL: see the next */
	const char *libvirt; /* the domain's name, uuid or number; NULL: nobody is asked */
	const char *socket;  /* where the device is served: tells it from others of that machine */
};

struct unplug {
	struct child child;
	int orders; /* -1: there is none */
};

enum unplug_how { UNPLUG_NOTE, UNPLUG_WARNING, UNPLUG_DONE };

/* What it has to say: a sentence. */
struct unplug_word {
	int how; /* enum unplug_how; UNPLUG_DONE: the guest has let go of it */
	char text[700];
};

/*
 * The options are the caller's, and stay. user: who talks to the monitor, once it is connected; libvirt's tools stay those
 * of who started us, since whose machines they show depends on that. 0, or -EINVAL (a path that is none), or the errno of
 * forking, with *e.
 */
int unplug_open(struct unplug *u, const struct unplug_opts *o, const struct as_user *user,
		struct err *e);

/* The device is lost, and a client has it. msix: its guest sees MSI-X; see qmp.h. Never waits. */
void unplug_ask(struct unplug *u, bool msix);

int unplug_fd(const struct unplug *u); /* to poll; -1: there is none */

/* When that is readable. False: it has ended by itself, which it should not. */
bool unplug_hear(struct unplug *u, struct unplug_word *w);

void unplug_close(struct unplug *u);

#endif

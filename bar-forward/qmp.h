/* SPDX-License-Identifier: MIT */
/*
 * How QEMU is asked to take our device out of its guest, in its machine protocol (docs/interop/qmp-spec.rst): which of its
 * devices it is, device_del, and the event that says the guest has let go of it. Pure: an object in, the next command out.
 *
 * Of QEMU up to 11.1.3 we know that it aborts when a vfio-user device with MSI-X is taken out (vfio_user_msix_teardown: the
 * region that it removes is gone by then). Nothing is asked of it then: a guest with a dead device is better than none.
 */
#ifndef BERTH_QMP_H
#define BERTH_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QMP_DEVICES 32
#define QMP_OBJECT  (1u << 20) /* bytes of the largest object that is read */

enum qmp_step {
	QMP_GREETING, /* it speaks first */
	QMP_AGREE,    /* qmp_capabilities was sent */
	QMP_NAMED,    /* devices that have an id are asked for */
	QMP_UNNAMED,  /* and those that have none */
	QMP_LOOK,     /* what device `at` consists of: its regions are named after its socket */
	QMP_DELETE,   /* device_del was sent */
	QMP_WAIT,     /* the guest has to let go of it */
	QMP_DONE,
};

struct qmp_device {
	char path[128]; /* of the object */
	bool told;      /* its regions name a socket: */
	bool exact;     /* ours */
	bool alike;     /* one that is called as ours, as QEMU in a root of its own sees it */
};

struct qmp {
	const char *socket; /* where we serve */
	bool msix;          /* the guest sees the device's MSI-X */
	enum qmp_step step;
	uint32_t n, at;
	struct qmp_device device[QMP_DEVICES];
	char chosen[128];
	char version[24]; /* "11.1.3"; empty: not told */
};

/* socket stays the caller's, and in use. */
void qmp_begin(struct qmp *q, const char *socket, bool msix);

/*
 * As above, for a monitor that greets nobody and tells no events, as libvirt hands it on: the first command is in `out`, and
 * QMP_WAIT is as far as it goes.
 */
void qmp_begin_mute(struct qmp *q, const char *socket, bool msix, char *out, size_t size);

/*
 * An object that came, and in `out` the next command, a line with its newline; "": none yet. 0, and q->step tells how far it
 * is; -EBADMSG with *e: this is no monitor; -ENOENT: it has no such device, or several that may be ours; -EBUSY: the guest
 * refuses; -EACCES: QEMU does; -EPERM: QEMU would abort.
 */
int qmp_take(struct qmp *q, const char *object, size_t size, char *out, size_t room, struct err *e);

#define QMP_COMMAND 512 /* room for any command */

#endif

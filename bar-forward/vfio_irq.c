/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: a client's descriptors go to the kernel as they are, and no interrupt comes by here. Only two are ours: that
 * the host wants the device back, which a client may hear of, too, and errors of PCI Express, which it may not: QEMU
 * stops the whole machine on them.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bar-forward/irqrelay.h"
#include "bar-forward/vfio_priv.h"
#include "base/own.h"

#define DATA_MOST (VU_IRQS_MAX * sizeof(int32_t))

static int set_irqs(struct device *d, uint32_t flags, uint32_t index, uint32_t start,
		    uint32_t count, const void *data, size_t size)
{
	struct vfio_irq_set head = { .argsz = (uint32_t)(sizeof(head) + size),
				     .flags = flags,
				     .index = index,
				     .start = start,
				     .count = count };
	own_free uint8_t *ask = malloc(sizeof(head) + DATA_MOST);

	if (!ask || size > DATA_MOST)
		return ask ? -EINVAL : -ENOMEM;
	memcpy(ask, &head, sizeof(head));
	if (size)
		memcpy(ask + sizeof(head), data, size);
	return d->kernel->ioctl(d->fd, VFIO_DEVICE_SET_IRQS, ask);
}

/* --- what is ours --- */

static int watch(struct device *d, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return fd >= 0 && epoll_ctl(d->poll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

/* -1 where the device has no such interrupt. */
static int listen_to(struct device *d, uint32_t index, int *fd)
{
	int rc;

	if (!d->facts.irq[index].count)
		return 0;
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	rc = set_irqs(d, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1, fd,
		      sizeof(*fd));
	return rc ? rc : watch(d, *fd);
}

int vfio_irqs_open(struct device *d, struct err *e)
{
	int rc;

	d->poll = epoll_create1(EPOLL_CLOEXEC);
	rc = d->poll < 0 ? -errno : listen_to(d, DEV_REQ, &d->request);
	if (!rc)
		rc = listen_to(d, DEV_ERR, &d->error);
	return rc ? vfio_why(e, rc, d->facts.name, "its interrupts") : 0;
}

int vfio_irqs_watch(struct device *d, struct err *e)
{
	int rc;

	d->poll = epoll_create1(EPOLL_CLOEXEC);
	rc = d->poll < 0 ? -errno : watch(d, d->request);
	if (!rc)
		rc = watch(d, d->error);
	return rc ? vfio_why(e, rc, d->facts.name, "its interrupts") : 0;
}

void vfio_irqs_close(struct device *d)
{
	own_close_fd(&d->client_request);
	own_close_fd(&d->poll);
	own_close_fd(&d->request);
	own_close_fd(&d->error);
}

static bool was_signalled(int fd)
{
	uint64_t n;

	return fd >= 0 && read(fd, &n, sizeof(n)) == sizeof(n);
}

bool vfio_erred(struct device *d)
{
	return was_signalled(d->error);
}

bool vfio_wanted_back(struct device *d)
{
	if (was_signalled(d->request)) {
		d->wanted_back = true;
		irqrelay_raise(d->client_request);
	}
	return d->wanted_back;
}

/* Others the kernel writes to, and looks at itself; this one we do. */
static int set_request(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	int fd = -1;

	if (set->action != VU_IRQ_TRIGGER || set->data == VU_IRQ_BOOL ||
	    (set->data == VU_IRQ_NONE && set->count))
		return err_set(e, -EINVAL, "that the host wants a device back is only heard of");
	if (fds && set->count && fds[0] >= 0) {
		if (!irqrelay_is_eventfd(fds[0]))
			return err_set(e, -EINVAL, "the descriptor of an interrupt is no eventfd");
		fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return err_set(e, -errno, "no descriptors are left: %s", strerror(errno));
	}
	own_close_fd(&d->client_request);
	d->client_request = fd;
	if (d->wanted_back)
		irqrelay_raise(fd);
	return 0;
}

/* --- what is the client's --- */

static const uint32_t actions[] = {
	[VU_IRQ_MASK] = VFIO_IRQ_SET_ACTION_MASK,
	[VU_IRQ_UNMASK] = VFIO_IRQ_SET_ACTION_UNMASK,
	[VU_IRQ_TRIGGER] = VFIO_IRQ_SET_ACTION_TRIGGER,
};

static int set_fds(struct device *d, const struct vu_irqs *set, const int *fds)
{
	uint32_t flags = VFIO_IRQ_SET_DATA_EVENTFD | actions[set->action];
	own_free int32_t *list = calloc(set->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->count; i++)
		list[i] = fds ? fds[i] : -1;
	return set_irqs(d, flags, set->index, set->start, set->count, list,
			set->count * sizeof(*list));
}

/* Taking down what is not up is fine with clients, and an error for the kernel. */
static int take_down(struct device *d, uint32_t index)
{
	int rc;

	if (!(d->up & 1u << index))
		return 0;
	rc = set_irqs(d, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0, NULL,
		      0);
	if (!rc)
		d->up &= ~(1u << index);
	return rc;
}

static int set_any(struct device *d, const struct vu_irqs *set, const int *fds)
{
	int rc;

	switch (set->data) {
	case VU_IRQ_EVENTFD:
		rc = set_fds(d, set, fds);
		if (!rc && set->action == VU_IRQ_TRIGGER)
			d->up |= 1u << set->index;
		return rc;
	case VU_IRQ_BOOL:
		return set_irqs(d, VFIO_IRQ_SET_DATA_BOOL | actions[set->action], set->index,
				set->start, set->count, set->bools, set->count);
	default:
		if (set->action == VU_IRQ_TRIGGER && !set->count)
			return take_down(d, set->index);
		return set_irqs(d, VFIO_IRQ_SET_DATA_NONE | actions[set->action], set->index,
				set->start, set->count, NULL, 0);
	}
}

int vfio_irqs(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	int rc;

	if (set->index == DEV_REQ)
		return set_request(d, set, fds, e);
	if (set->index >= DEV_ERR || set->count > d->facts.irq[set->index].count)
		return err_set(e, -EINVAL, "%s has no such interrupt", d->facts.name);
	rc = set_any(d, set, fds);
	return rc ? err_set(e, rc, "the kernel does not set interrupts of index %" PRIu32 " up: %s",
			    set->index, strerror(-rc))
		  : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reset: of the function alone where it can, or of its slot or bus, which reaches other functions, too: then all of these
 * have to be ours, and none may have a client at work.
 */
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/vfio_iommufd.h"
#include "bar-forward/vfio_priv.h"
#include "base/own.h"

/* What the kernel says a reset reaches: 8 bytes each behind a head, the first 4 its group, or its id in the iommufd. */
union reached {
	struct vfio_pci_hot_reset_info head;
	uint8_t room[sizeof(struct vfio_pci_hot_reset_info) +
		     HOT_RESET_MOST * sizeof(struct vfio_pci_dependent_device)];
};

static const struct vfio_space *space_of_group(const struct device *d, uint32_t group)
{
	const struct vfio_space *s = d->space;

	do {
		if (s->group_fd >= 0 && (uint32_t)s->group == group)
			return s;
		s = s->next;
	} while (s != d->space);
	return NULL;
}

static void take_reached(struct device *d, const union reached *r)
{
	for (uint32_t i = 0; i < r->head.count; i++) {
		const struct vfio_pci_dependent_device *o = &r->head.devices[i];

		d->hot[i].group = o->group_id;
		snprintf(d->hot[i].pci, sizeof(d->hot[i].pci), "%04x:%02x:%02x.%x", o->segment,
			 o->bus, o->devfn >> 3u, o->devfn & 7u);
	}
	d->n_hot = r->head.count;
}

/* Which functions it would reach does not change while the device is there. */
void vfio_read_hot_reset(struct device *d)
{
	own_free union reached *r = calloc(1, sizeof(*r));

	d->n_hot = 0;
	if (!r)
		return;
	r->head.argsz = sizeof(*r);
	if (d->kernel->ioctl(d->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, r) || !r->head.count ||
	    r->head.count > HOT_RESET_MOST)
		return;
	if (r->head.flags & HOT_BY_ID && !(r->head.flags & HOT_OWNED))
		return;
	take_reached(d, r);
	for (uint32_t i = 0; d->space->group_fd >= 0 && i < d->n_hot; i++)
		if (!space_of_group(d, d->hot[i].group))
			d->n_hot = 0;
}

/* The groups that prove that all is ours; none where the iommufd does. */
static int hot_reset(struct device *d)
{
	union {
		struct vfio_pci_hot_reset head;
		uint8_t room[sizeof(struct vfio_pci_hot_reset) + HOT_RESET_MOST * sizeof(int32_t)];
	} ask = { .head = { .argsz = sizeof(ask) } };

	for (uint32_t i = 0; d->space->group_fd >= 0 && i < d->n_hot; i++) {
		const struct vfio_space *s = space_of_group(d, d->hot[i].group);
		bool told = false;

		if (!s)
			return -EPERM;
		for (uint32_t j = 0; j < ask.head.count; j++)
			told |= ask.head.group_fds[j] == s->group_fd;
		if (!told)
			ask.head.group_fds[ask.head.count++] = s->group_fd;
	}
	return d->kernel->ioctl(d->fd, VFIO_DEVICE_PCI_HOT_RESET, &ask);
}

static bool is_busy(struct vfio_space *s, const char *pci)
{
	bool busy;

	if (vfio_seats_lock(s->table))
		return true;
	busy = vfio_seats_busy(s->table, pci);
	vfio_seats_unlock(s->table);
	return busy;
}

/* A function with maps has a client at work; NULL: none has. */
static const char *busy_beside(const struct device *d)
{
	for (uint32_t i = 0; i < d->n_hot; i++) {
		const char *pci = d->hot[i].pci;
		struct vfio_space *s = d->space;

		if (strcmp(pci, d->facts.name) == 0)
			continue;
		do {
			if (is_busy(s, pci))
				return pci;
			s = s->next;
		} while (s != d->space);
	}
	return NULL;
}

int vfio_reset(struct device *d, struct err *e)
{
	const char *name = d->facts.name, *busy;
	int rc;

	if (d->own_reset) {
		rc = d->kernel->ioctl(d->fd, VFIO_DEVICE_RESET, NULL);
	} else {
		busy = busy_beside(d);
		if (busy)
			return err_set(e, -EBUSY,
				       "a reset of %s would reach %s, which has a client", name,
				       busy);
		rc = d->n_hot ? hot_reset(d) : -ENOTTY;
	}
	if (rc && vfio_look(d))
		return err_set(e, -ENODEV, "%s is gone", name);
	return rc ? vfio_why(e, rc, name, "to reset it") : 0;
}

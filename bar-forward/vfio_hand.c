/* SPDX-License-Identifier: MIT */
/* A device that one process has opened, and another goes on with: the latter asks for nothing that has a path. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/vfio_priv.h"
#include "base/own.h"

static const struct space_kind *const kinds[] = { &space_type1, &space_iommufd };

/* As it goes from one to the other; then come the descriptors that it tells of, behind the device's own. */
struct handed {
	bool own_reset;
	bool gathered; /* its space is known there, too */
	bool request, error, group_fd, space;
	uint32_t kind; /* row of kinds[] */
	int32_t group;
	uint32_t ioas;
	uint64_t entries;
	uint32_t n_hot;
	struct vfio_reached hot[HOT_RESET_MOST];
};

_Static_assert(sizeof(struct handed) <= DEV_HANDED_BYTES, "room for it");

static int add(int fds[DEV_FDS_MAX], int *n, int fd)
{
	if (fd < 0)
		return 0;
	fds[(*n)++] = fd;
	return 1;
}

/* What tells us of the host's wishes is read by the other from now on, not by both. */
int vfio_hand(struct device *d, struct dev_handed *to, int fds[DEV_FDS_MAX])
{
	const struct vfio_space *s = d->space;
	struct handed h = { .own_reset = d->own_reset,
			    .gathered = s->gathered,
			    .kind = s->kind == kinds[1],
			    .group = s->group,
			    .ioas = s->ioas,
			    .entries = s->entries,
			    .n_hot = d->n_hot };
	int n = 0;

	memcpy(h.hot, d->hot, sizeof(h.hot));
	add(fds, &n, d->fd);
	h.request = add(fds, &n, d->request);
	h.error = add(fds, &n, d->error);
	h.space = !s->gathered && add(fds, &n, s->fd);
	h.group_fd = !s->gathered && add(fds, &n, s->group_fd);
	d->request = d->error = -1;
	to->size = sizeof(h);
	memcpy(to->state, &h, sizeof(h));
	return n;
}

/* --- in the other process --- */

static int next(const int *fds, uint32_t n, uint32_t *at, bool there)
{
	return there && *at < n ? fds[(*at)++] : -1;
}

static void take_state(struct device *d, const struct handed *h)
{
	d->own_reset = h->own_reset;
	d->n_hot = h->n_hot < HOT_RESET_MOST ? h->n_hot : HOT_RESET_MOST;
	memcpy(d->hot, h->hot, sizeof(d->hot));
}

static int take_space(struct device *d, const struct handed *h, const struct device *beside,
		      int space_fd, int group_fd, struct err *e)
{
	const struct vfio_space what = { .kernel = d->kernel,
					 .kind = kinds[h->kind == 1],
					 .group = h->group,
					 .ioas = h->ioas,
					 .entries = h->entries,
					 .fd = space_fd,
					 .group_fd = group_fd };

	return h->gathered ? vfio_space_find(&d->space, h->group, beside, e)
			   : vfio_space_join(&d->space, &what, beside, e);
}

int vfio_take_in(const struct vfio_kernel *kernel, struct device **to, const char *what,
		 struct device *beside, const struct dev_handed *from, const int *fds, uint32_t n,
		 struct err *e)
{
	struct device *d = vfio_new_device(kernel, what);
	struct handed h = { 0 };
	uint32_t at = 0;

	memcpy(&h, from->state, from->size == sizeof(h) ? sizeof(h) : 0);
	if (!d || !n || from->size != sizeof(h)) {
		for (uint32_t i = 0; i < n; i++)
			close(fds[i]);
		vfio_close(d);
		return err_set(e, d ? -EPROTO : -ENOMEM, "%s was not handed over", what);
	}
	d->facts = from->facts;
	take_state(d, &h);
	d->fd = next(fds, n, &at, true);
	d->request = next(fds, n, &at, h.request);
	d->error = next(fds, n, &at, h.error);
	own_fd int space = next(fds, n, &at, h.space);
	own_fd int group = next(fds, n, &at, h.group_fd);

	for (; at < n; at++)
		close(fds[at]);
	int rc = take_space(d, &h, beside, space, group, e);

	if (!rc && !h.gathered)
		space = group = -1; /* the space's */
	if (!rc)
		rc = vfio_space_enter(d, e);
	if (!rc)
		rc = vfio_irqs_watch(d, e);
	if (rc) {
		vfio_close(d);
		return rc;
	}
	*to = d;
	return 0;
}

int vfio_take(struct device **to, const char *what, struct device *beside,
	      const struct dev_handed *from, const int *fds, uint32_t n, struct err *e)
{
	return vfio_take_in(&vfio_running_kernel, to, what, beside, from, fds, n, e);
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/irqrelay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/own.h"

#define AT_ONCE 64

bool irqrelay_is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[32], what[sizeof(wanted)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, what, sizeof(what)) == sizeof(wanted) - 1 &&
	       memcmp(what, wanted, sizeof(wanted) - 1) == 0;
}

bool irqrelay_raise(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	const uint64_t one = 1;

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT &&
	       write(fd, &one, sizeof(one)) == sizeof(one);
}

int irqrelay_open(struct irqrelay *r, struct err *e)
{
	*r = (struct irqrelay) { .fd = epoll_create1(EPOLL_CLOEXEC), .device = -1 };
	if (r->fd < 0)
		return err_set(e, -errno, "cannot watch interrupts: %s", strerror(errno));
	r->on = true;
	return 0;
}

static void drop(struct irqrelay_one *x)
{
	if (!x)
		return;
	own_close_fd(&x->ours);
	own_close_fd(&x->theirs);
	free(x);
}

static void forget(struct irqrelay *r, uint32_t index, uint32_t v)
{
	if (v >= r->n[index] || !r->one[index][v])
		return;
	/* Others have duplicates of it, by which the kernel would go on watching. */
	epoll_ctl(r->fd, EPOLL_CTL_DEL, r->one[index][v]->ours, NULL);
	drop(r->one[index][v]);
	r->one[index][v] = NULL;
}

void irqrelay_close(struct irqrelay *r)
{
	irqrelay_settle(r, false);
	for (uint32_t i = 0; r->on && i < RELAY_SETS; i++) {
		for (uint32_t v = 0; v < r->n[i]; v++)
			forget(r, i, v);
		free(r->one[i]);
	}
	if (r->on)
		own_close_fd(&r->fd);
	*r = (struct irqrelay) { 0 };
}

static int make_room(struct irqrelay *r, uint32_t index, uint32_t n, struct err *e)
{
	struct irqrelay_one **more;

	if (n <= r->n[index])
		return 0;
	more = realloc(r->one[index], n * sizeof(*more));
	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	memset(more + r->n[index], 0, (n - r->n[index]) * sizeof(*more));
	r->one[index] = more;
	r->n[index] = n;
	return 0;
}

/* A descriptor of ours for one of theirs, which is taken; a duplicate of ours is left in its place. */
static struct irqrelay_one *pair(uint32_t index, uint32_t vector, int *fd)
{
	struct irqrelay_one *x = malloc(sizeof(*x));
	int copy;

	if (!x)
		return NULL;
	*x = (struct irqrelay_one) { .index = (uint8_t)index,
				     .vector = vector,
				     .ours = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				     .theirs = -1 };
	copy = x->ours < 0 ? -1 : fcntl(x->ours, F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		drop(x);
		return NULL;
	}
	x->theirs = *fd;
	*fd = copy;
	return x;
}

/* Give back what was taken. */
static void undo(struct irqrelay *r, int *fds)
{
	for (uint32_t i = 0; i < r->asked; i++) {
		if (!r->fresh[i])
			continue;
		own_close_fd(&fds[i]);
		fds[i] = take_fd(&r->fresh[i]->theirs);
	}
	irqrelay_settle(r, false);
}

int irqrelay_take(struct irqrelay *r, const struct vu_irqs *ask, int *fds, uint32_t n_fds,
		  struct err *e)
{
	bool some = ask->data == VU_IRQ_EVENTFD && ask->count && ask->count == n_fds;
	int rc;

	if (!r->on || ask->index >= RELAY_SETS || ask->action != VU_IRQ_TRIGGER ||
	    (ask->count && ask->data != VU_IRQ_EVENTFD))
		return 0;
	for (uint32_t i = 0; some && i < n_fds; i++)
		if (fds[i] >= 0 && !irqrelay_is_eventfd(fds[i]))
			return err_set(e, -EINVAL,
				       "an interrupt is told by an eventfd, which this is not");
	rc = some ? make_room(r, ask->index, ask->start + ask->count, e) : 0;
	if (rc)
		return rc;
	r->index = ask->index;
	r->start = ask->count ? ask->start : 0;
	r->asked = ask->count ? ask->count : r->n[ask->index];
	r->fresh = calloc(r->asked + 1, sizeof(*r->fresh));
	if (!r->fresh)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = 0; some && i < n_fds; i++) {
		r->fresh[i] = fds[i] >= 0 ? pair(ask->index, ask->start + i, &fds[i]) : NULL;
		if (fds[i] >= 0 && !r->fresh[i]) {
			undo(r, fds);
			return err_set(e, -EMFILE, "cannot pass interrupts on");
		}
	}
	return 0;
}

void irqrelay_settle(struct irqrelay *r, bool well)
{
	for (uint32_t i = 0; r->fresh && i < r->asked; i++) {
		struct irqrelay_one *x = r->fresh[i];
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = x };

		if (well)
			forget(r, r->index, r->start + i);
		if (well && x && epoll_ctl(r->fd, EPOLL_CTL_ADD, x->ours, &ev) == 0)
			r->one[r->index][r->start + i] = x;
		else
			drop(x);
	}
	free(r->fresh);
	r->fresh = NULL;
	r->asked = 0;
}

void irqrelay_watch(struct irqrelay *r, int fd, bool now)
{
	struct epoll_event ev = { .events = now ? EPOLLIN : 0 };

	if (fd < 0 || !r->on || (fd == r->device && now == r->watched))
		return;
	if (epoll_ctl(r->fd, fd == r->device ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) == 0) {
		r->device = fd;
		r->watched = now;
	}
}

static void pass(const struct irqrelay_one *x, struct trace *t, uint64_t (*now)(void))
{
	uint64_t n;

	if (read(x->ours, &n, sizeof(n)) != sizeof(n))
		return;
	if (trace_is_on(t))
		trace_put(t, &(struct trace_slot) { .kind = TRACE_IRQ,
						    .ns = now(),
						    .region = x->index,
						    .offset = x->vector,
						    .value = n });
	/* However often it came meanwhile: who hears it looks at its device. */
	irqrelay_raise(x->theirs);
}

bool irqrelay_pass(struct irqrelay *r, struct trace *t, uint64_t (*now)(void))
{
	struct epoll_event ev[AT_ONCE];
	int n = r->on ? epoll_wait(r->fd, ev, AT_ONCE, 0) : 0;
	bool device = false;

	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr)
			pass(ev[i].data.ptr, t, now);
		else
			device |= r->watched;
	}
	return device;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/memirq.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bar-forward/irqrelay.h"
#include "base/own.h"

static const char *const index_names[DEV_IRQS] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

void memirq_info(const struct pcidesc *d, struct dev_irq irq[DEV_IRQS])
{
	const struct desc_cap *msi = pcidesc_cap(d, CAP_MSI), *msix = pcidesc_cap(d, CAP_MSIX);

	irq[DEV_INTX] = (struct dev_irq) { d->pin ? 1 : 0, true, true, true, false };
	irq[DEV_MSI] = (struct dev_irq) { msi ? msi->vectors : 0, true, false, false, true };
	irq[DEV_MSIX] = (struct dev_irq) { msix ? msix->vectors : 0, true, false, false,
					   msix && msix->noresize };
	irq[DEV_ERR] = irq[DEV_REQ] = (struct dev_irq) { 1, true, false, false, true };
}

/* --- descriptors --- */

static void watch(const struct memirq *q, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(q->poll, EPOLL_CTL_ADD, fd, &ev);
}

/* The client has the same eventfd, so that closing ours does not end the watch. */
static void drop_unmask(struct memirq *q)
{
	if (q->unmask >= 0)
		epoll_ctl(q->poll, EPOLL_CTL_DEL, q->unmask, NULL);
	own_close_fd(&q->unmask);
}

int memirq_open(struct memirq *q, const int kick[2])
{
	int made[2] = { -1, -1 }, rc = 0;

	*q = (struct memirq) { .unmask = -1, .poll = -1 };
	if (!kick && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, made) < 0)
		rc = -errno;
	q->kick = kick ? kick[0] : made[0];
	q->kicked = kick ? kick[1] : made[1];
	q->poll = rc ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (!rc && q->poll < 0)
		rc = -errno;
	if (!rc)
		watch(q, q->kicked);
	return rc;
}

static void off(struct memirq *q, uint32_t index)
{
	for (uint32_t i = 0; i < q->enabled[index]; i++)
		own_close_fd(&q->fd[index][i]);
	free(q->fd[index]);
	q->fd[index] = NULL;
	q->enabled[index] = 0;
}

void memirq_close(struct memirq *q)
{
	for (uint32_t i = 0; i < DEV_IRQS; i++)
		off(q, i);
	/* One that forked has the same epoll: what it watches stays. */
	own_close_fd(&q->unmask);
	own_close_fd(&q->poll);
	own_close_fd(&q->kick);
	own_close_fd(&q->kicked);
}

static int dup_eventfd(int fd, int *to, struct err *e)
{
	*to = -1;
	if (fd < 0)
		return 0;
	if (!irqrelay_is_eventfd(fd))
		return err_set(e, -EINVAL, "an interrupt is told by an eventfd, which this is not");
	*to = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *to < 0 ? err_set(e, -errno, "no descriptor for an interrupt: %s", strerror(errno))
		       : 0;
}

/* One that finds no room says nothing new. */
void memirq_kick(const struct memirq *q)
{
	(void)!send(q->kick, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void memirq_attend(struct memirq *q)
{
	uint64_t n;
	char kicks[512]; /* more than there is room for */

	(void)!recv(q->kicked, kicks, sizeof(kicks), MSG_DONTWAIT);
	struct pollfd p = { .fd = q->unmask, .events = POLLIN };

	if (q->unmask >= 0 && poll(&p, 1, 0) == 1 && read(q->unmask, &n, sizeof(n)) == sizeof(n))
		q->masked = false;
}

/* --- what is pending --- */

void memirq_raise(struct access *a, uint64_t vector)
{
	uint64_t index = a->m->s->irq_index;
	struct dev_irq irq[DEV_IRQS];
	const uint64_t *word;

	memirq_info(a->m->desc, irq);
	if ((index != DEV_MSI && index != DEV_MSIX) || vector >= irq[index].count)
		return;
	word = &a->m->s->pending[vector / 64];
	access_set(a, word, access_word(a, word) | UINT64_C(1) << (vector % 64));
}

static bool wants_line(const struct memstate *m)
{
	for (uint32_t i = 0; i < m->desc->n_regs; i++)
		if (m->desc->reg[i].line && m->s->value[i])
			return true;
	return false;
}

bool memirq_line(const struct memstate *m)
{
	return m->desc->pin && wants_line(m);
}

static bool line_is_on(const struct memstate *m)
{
	return memirq_line(m) && !(m->s->config[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8);
}

/* Of MSI a device with fewer vectors than it would like uses these in turn. */
static void tell_pending(struct memirq *q, struct memstate *m, uint32_t index)
{
	for (uint32_t w = 0; w < VU_IRQS_MAX / 64; w++)
		for (uint64_t left = m->s->pending[w]; left; left &= left - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(left), vector = 64 * w + bit;

			if (index == DEV_MSI)
				vector %= q->enabled[index];
			if (vector >= q->enabled[index] || q->fd[index][vector] < 0)
				continue;
			irqrelay_raise(q->fd[index][vector]);
			m->s->pending[w] &= ~(UINT64_C(1) << bit);
		}
}

static void tell_gone(struct memirq *q, const struct memstate *m)
{
	bool gone = m->s->fault.kind == FAULT_GONE;

	if (gone && !q->told_gone && q->enabled[DEV_REQ])
		irqrelay_raise(q->fd[DEV_REQ][0]);
	q->told_gone = gone;
}

static bool any_pending(const struct memstate *m)
{
	for (uint32_t w = 0; w < VU_IRQS_MAX / 64; w++)
		if (m->s->pending[w])
			return true;
	return false;
}

void memirq_deliver(struct memirq *q, struct memstate *m)
{
	uint64_t index;
	bool others;

	memstate_lock(m);
	index = m->s->irq_index;
	if ((index == DEV_MSI || index == DEV_MSIX) && q->enabled[index])
		tell_pending(q, m, (uint32_t)index);
	if (q->enabled[DEV_INTX] && !q->masked && line_is_on(m)) {
		q->masked = true;
		irqrelay_raise(q->fd[DEV_INTX][0]);
	}
	tell_gone(q, m);
	others = index < DEV_IRQS && !q->enabled[index] && (any_pending(m) || line_is_on(m));
	memstate_unlock(m);
	if (others)
		memirq_kick(q);
}

/* --- what clients ask for --- */

static int check(const struct memstate *m, const struct vu_irqs *s, struct err *e)
{
	struct dev_irq irq[DEV_IRQS];
	uint64_t end = (uint64_t)s->start + s->count;

	memirq_info(m->desc, irq);
	if (s->index >= DEV_IRQS || end > irq[s->index].count)
		return err_set(e, -EINVAL, "interrupts %u to %llu of index %u are not there",
			       s->start, (unsigned long long)end, s->index);
	return 0;
}

/* INTx only. */
static int set_mask(struct memirq *q, const struct vu_irqs *s, const int *fds, struct err *e)
{
	int fd, rc;

	if (s->index != DEV_INTX)
		return err_set(e, -ENOTTY, "%s cannot be masked here", index_names[s->index]);
	if (s->count != 1 || !q->enabled[DEV_INTX])
		return err_set(e, -EINVAL, "INTx is masked as one, and while it is on");
	if (s->data == VU_IRQ_EVENTFD) {
		if (s->action == VU_IRQ_MASK)
			return err_set(e, -ENOTTY, "INTx is not masked by a descriptor");
		rc = dup_eventfd(fds ? fds[0] : -1, &fd, e);
		if (rc)
			return rc;
		drop_unmask(q);
		q->unmask = fd;
		if (fd >= 0)
			watch(q, fd);
		return 0;
	}
	if (s->data == VU_IRQ_NONE || s->bools[0])
		q->masked = s->action == VU_IRQ_MASK;
	return 0;
}

static int grow(struct memirq *q, uint32_t index, uint32_t n, struct err *e)
{
	int *more = realloc(q->fd[index], n * sizeof(*more));

	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	for (uint32_t i = q->enabled[index]; i < n; i++)
		more[i] = -1;
	q->fd[index] = more;
	q->enabled[index] = n;
	return 0;
}

static int may_enable(const struct memirq *q, const struct memstate *m, const struct vu_irqs *s,
		      struct err *e)
{
	struct dev_irq irq[DEV_IRQS];

	memirq_info(m->desc, irq);
	for (uint32_t i = DEV_INTX; s->index <= DEV_MSIX && i <= DEV_MSIX; i++)
		if (i != s->index && q->enabled[i])
			return err_set(e, -EINVAL, "%s is on: take it away before %s",
				       index_names[i], index_names[s->index]);
	if (q->enabled[s->index] && irq[s->index].noresize &&
	    s->start + s->count > q->enabled[s->index])
		return err_set(e, -EINVAL, "%s is on with %u vectors, and cannot have more so",
			       index_names[s->index], q->enabled[s->index]);
	return 0;
}

static void close_all(int *fd, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		own_close_fd(&fd[i]);
}

static int set_fds(struct memirq *q, const struct memstate *m, const struct vu_irqs *s,
		   const int *fds, struct err *e)
{
	own_free int *mine = calloc(s->count + 1U, sizeof(*mine));
	uint32_t n = 0, end = s->start + s->count;
	int rc = mine ? may_enable(q, m, s, e) : err_set(e, -ENOMEM, "out of memory");

	if (rc)
		return rc;
	for (; !rc && n < s->count; n++)
		rc = dup_eventfd(fds[n], &mine[n], e);
	if (!rc && end > q->enabled[s->index])
		rc = grow(q, s->index, end, e);
	if (rc) {
		close_all(mine, n);
		return rc;
	}
	for (uint32_t i = 0; i < s->count; i++) {
		own_close_fd(&q->fd[s->index][s->start + i]);
		q->fd[s->index][s->start + i] = mine[i];
	}
	return 0;
}

/* A client that tries its descriptors. */
static int fire(const struct memirq *q, const struct vu_irqs *s, struct err *e)
{
	if (s->start + s->count > q->enabled[s->index])
		return err_set(e, -EINVAL, "%s has no descriptors there", index_names[s->index]);
	for (uint32_t i = 0; i < s->count; i++)
		if (s->data == VU_IRQ_NONE || s->bools[i])
			irqrelay_raise(q->fd[s->index][s->start + i]);
	return 0;
}

static void turn_off(struct memirq *q, uint32_t index)
{
	off(q, index);
	if (index != DEV_INTX)
		return;
	drop_unmask(q);
	q->masked = false;
}

/* The block says which index is in force, so that a process without descriptors knows what to leave pending. */
static void note_index(const struct memirq *q, struct memstate *m)
{
	uint64_t now = DEV_IRQS;

	for (uint32_t i = DEV_INTX; i <= DEV_MSIX; i++)
		if (q->enabled[i])
			now = i;
	memstate_lock(m);
	if (now != m->s->irq_index)
		memset(m->s->pending, 0, sizeof(m->s->pending));
	m->s->irq_index = now;
	memstate_unlock(m);
}

int memirq_set(struct memirq *q, struct memstate *m, const struct vu_irqs *s, const int *fds,
	       struct err *e)
{
	int rc = check(m, s, e);

	if (rc)
		return rc;
	if (s->action != VU_IRQ_TRIGGER)
		rc = set_mask(q, s, fds, e);
	else if ((s->data == VU_IRQ_NONE && s->count == 0) || (s->data == VU_IRQ_EVENTFD && !fds))
		turn_off(q, s->index);
	else if (s->data == VU_IRQ_EVENTFD)
		rc = set_fds(q, m, s, fds, e);
	else
		rc = fire(q, s, e);
	if (rc)
		return rc;
	note_index(q, m);
	memirq_deliver(q, m);
	return 0;
}

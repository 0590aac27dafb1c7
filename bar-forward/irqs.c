/* SPDX-License-Identifier: MIT */
#include "bar-forward/irqs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static uint32_t offered(const struct dev_facts *f, uint32_t index)
{
	uint32_t count = f->irq[index].count;

	return index == DEV_ERR ? 0 : count > VU_IRQS_MAX ? VU_IRQS_MAX : count;
}

int irqs_open(struct irqs *q, const struct device_ops *ops, struct device *d, struct err *e)
{
	*q = (struct irqs) { .ops = ops, .d = d };
	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		struct irq_set *s = &q->set[i];

		*s = (struct irq_set) { .count = offered(ops->facts(d), i),
					.mask = -1,
					.unmask = -1 };
		s->fds = malloc((s->count + 1) * sizeof(int));
		if (!s->fds) {
			irqs_close(q);
			return err_set(e, -ENOMEM, "out of memory");
		}
		memset(s->fds, 0xff, (s->count + 1) * sizeof(int));
	}
	return 0;
}

static void forget(struct irq_set *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		own_close_fd(&s->fds[i]);
	own_close_fd(&s->mask);
	own_close_fd(&s->unmask);
	s->enabled = 0;
}

static int take_down(struct irqs *q, uint32_t index, struct err *e)
{
	const struct vu_irqs none = { .index = index,
				      .data = VU_IRQ_NONE,
				      .action = VU_IRQ_TRIGGER };

	return q->ops->irqs(q->d, &none, NULL, e);
}

void irqs_close(struct irqs *q)
{
	struct err unsaid = { 0 };

	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		struct irq_set *s = &q->set[i];

		if (!s->fds)
			continue;
		if (s->enabled)
			take_down(q, i, &unsaid);
		forget(s);
		free(s->fds);
		s->fds = NULL;
	}
}

int irqs_info(const struct irqs *q, uint32_t index, struct vu_irq_info *info)
{
	if (index >= DEV_IRQS)
		return -EINVAL;
	const struct dev_irq *f = &q->ops->facts(q->d)->irq[index];

	*info = (struct vu_irq_info) { .index = index,
				       .count = q->set[index].count,
				       .eventfd = f->eventfd,
				       .maskable = f->maskable,
				       .automasked = f->automasked,
				       .noresize = f->noresize };
	return 0;
}

/* Set up the first n as fds[] has them. */
static int set_up(struct irqs *q, uint32_t index, uint32_t n, const int *fds, struct err *e)
{
	const struct vu_irqs all = {
		.index = index, .count = n, .data = VU_IRQ_EVENTFD, .action = VU_IRQ_TRIGGER
	};

	return q->ops->irqs(q->d, &all, fds, e);
}

/* More than there were, in a set that does not grow: down, and up again whole. When that fails, as it was before. */
static int grow(struct irqs *q, uint32_t index, uint32_t n, const int *fresh, struct err *e)
{
	struct irq_set *s = &q->set[index];
	struct err unsaid = { 0 };
	int rc = take_down(q, index, e);

	if (rc)
		return rc;
	rc = set_up(q, index, n, fresh, e);
	if (rc && set_up(q, index, s->enabled, s->fds, &unsaid))
		s->enabled = 0;
	return rc;
}

static int set_triggers(struct irqs *q, const struct vu_irqs *ask, int *fds, struct err *e)
{
	struct irq_set *s = &q->set[ask->index];
	bool noresize = q->ops->facts(q->d)->irq[ask->index].noresize;
	uint32_t end = ask->start + ask->count, n = end > s->enabled ? end : s->enabled;
	own_free int *fresh = malloc((s->count + 1) * sizeof(int));
	int rc;

	if (!fresh)
		return err_set(e, -ENOMEM, "out of memory");
	memcpy(fresh, s->fds, (s->count + 1) * sizeof(int));
	for (uint32_t i = 0; i < ask->count; i++)
		fresh[ask->start + i] = fds ? fds[i] : -1;
	/* Without descriptors, too, a set is up from then on: QEMU has MSI-X so until a vector is used. */
	if (noresize && s->enabled && end > s->enabled)
		rc = grow(q, ask->index, n, fresh, e);
	else if (ask->start > s->enabled) /* a hole before it: the device learns of the whole set */
		rc = set_up(q, ask->index, n, fresh, e);
	else
		rc = q->ops->irqs(q->d, ask, fds, e);
	if (rc)
		return rc;
	for (uint32_t i = ask->start; i < end; i++) {
		own_close_fd(&s->fds[i]);
		s->fds[i] = fresh[i];
		if (fds)
			fds[i - ask->start] = -1;
	}
	s->enabled = n;
	return 0;
}

/* The descriptors by which INTx is masked and unmasked. */
static int set_masks(struct irqs *q, const struct vu_irqs *ask, int *fds, struct err *e)
{
	struct irq_set *s = &q->set[ask->index];
	int *keep = ask->action == VU_IRQ_MASK ? &s->mask : &s->unmask;
	int rc;

	if (ask->index != DEV_INTX || ask->count != 1)
		return err_set(e, -EINVAL,
			       "only INTx is masked by a descriptor, not interrupt index %" PRIu32,
			       ask->index);
	rc = q->ops->irqs(q->d, ask, fds, e);
	if (rc)
		return rc;
	own_close_fd(keep);
	if (fds)
		*keep = take_fd(&fds[0]);
	return 0;
}

int irqs_apply(struct irqs *q, const struct vu_irqs *ask, int *fds, uint32_t n_fds, struct err *e)
{
	struct irq_set *s;
	int rc;

	if (ask->index >= DEV_IRQS)
		return err_set(e, -EINVAL, "there is no interrupt index %" PRIu32, ask->index);
	s = &q->set[ask->index];
	if (ask->start > s->count || ask->count > s->count - ask->start)
		return err_set(e, -EINVAL,
			       "interrupts %" PRIu32 " to %" PRIu32 " of index %" PRIu32
			       ", which has %" PRIu32,
			       ask->start, ask->start + ask->count - 1, ask->index, s->count);
	if (ask->count == 0) {
		rc = take_down(q, ask->index, e);
		if (!rc)
			forget(s);
		return rc;
	}
	if (ask->data != VU_IRQ_EVENTFD)
		return q->ops->irqs(q->d, ask, NULL, e);
	if (n_fds == 0)
		fds = NULL;
	return ask->action == VU_IRQ_TRIGGER ? set_triggers(q, ask, fds, e)
					     : set_masks(q, ask, fds, e);
}

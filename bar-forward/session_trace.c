/* SPDX-License-Identifier: MIT */
/* What of a session the recorder is told. */
#include <string.h>

#include "bar-forward/session_priv.h"

void session_record_access(struct session *s, const struct vu_access *a, enum telem_access what,
			   const uint8_t *bytes, uint64_t began, uint64_t ended)
{
	static const uint8_t none[8];
	struct trace_slot r = { .ns = ended,
				.offset = a->offset,
				.extra = s->seen.extra,
				.took = trace_took(ended - began),
				.kind = what == TELEM_READ ? TRACE_READ : TRACE_WRITE,
				.region = (uint8_t)a->region,
				.flags = s->seen.flags };

	if (what == TELEM_POSTED)
		r.flags |= TRACE_POSTED;
	if (!s->d)
		r.flags |= TRACE_ABSENT;
	/* What a read that failed left behind is nobody's value. */
	if (r.flags & TRACE_FAILED && what == TELEM_READ)
		trace_bytes(s->o.trace, &r, none,
			    a->count < sizeof(none) ? a->count : sizeof(none));
	else
		trace_bytes(s->o.trace, &r, bytes, a->count);
}

static uint8_t failed(int rc)
{
	return rc ? TRACE_FAILED : 0;
}

void session_record_map(struct session *s, enum trace_kind kind, const struct map *m, uint8_t flags,
			int rc)
{
	struct trace_slot r = { .offset = m->iova,
				.value = m->size,
				.extra = rc ? (uint64_t)-rc : m->offset,
				.kind = (uint8_t)kind,
				.flags = (uint8_t)(flags | failed(rc)) };

	if (!trace_is_on(s->o.trace))
		return;
	r.ns = s->o.now();
	if (kind == TRACE_DMA_MAP)
		r.flags |= (uint8_t)((m->read ? TRACE_MAP_READ : 0) |
				     (m->write ? TRACE_MAP_WRITE : 0) |
				     (m->fd < 0 ? TRACE_MAP_MESSAGE : 0));
	trace_put(s->o.trace, &r);
}

void session_record_irqs(struct session *s, const struct vu_irqs *set, uint32_t n_fds, int rc)
{
	struct trace_slot r = { .offset = set->start,
				.value = set->count,
				.extra = (uint64_t)-rc,
				.kind = TRACE_IRQ_SET,
				.region = (uint8_t)set->index,
				.flags = failed(rc) };

	if (!trace_is_on(s->o.trace))
		return;
	r.ns = s->o.now();
	if (set->data == VU_IRQ_BOOL)
		r.flags |= TRACE_IRQ_BOOL;
	else if (set->data == VU_IRQ_EVENTFD && n_fds)
		r.flags |= TRACE_IRQ_EVENTFD;
	if (set->action == VU_IRQ_MASK)
		r.flags |= TRACE_IRQ_MASK;
	else if (set->action == VU_IRQ_UNMASK)
		r.flags |= TRACE_IRQ_UNMASK;
	trace_put(s->o.trace, &r);
}

static void record_set(struct session *s, uint32_t index)
{
	const struct irq_set *q = &s->irqs.set[index];
	struct trace_slot r = { .ns = s->o.now(),
				.value = q->enabled,
				.kind = TRACE_IRQ_SET,
				.region = (uint8_t)index,
				.flags = TRACE_IRQ_EVENTFD | TRACE_AGAIN };

	if (q->enabled)
		trace_put(s->o.trace, &r);
}

void session_record_state(struct session *s)
{
	uint32_t size = s->facts.region[DEV_CONFIG].size >= CFG_SIZE ? CFG_SIZE : 256;

	if (!trace_is_on(s->o.trace))
		return;
	trace_device(s->o.trace, &s->facts, s->o.count->generation, s->real, size);
	for (uint32_t i = 0; i < s->maps.n; i++)
		session_record_map(s, TRACE_DMA_MAP, &s->maps.map[i], TRACE_AGAIN, 0);
	for (uint32_t i = 0; i < DEV_IRQS; i++)
		record_set(s, i);
}

/* Of ours, when it has ended. */
void session_record_dma(struct session *s, int rc)
{
	struct trace_slot r = { .offset = s->dma.iova,
				.value = s->dma.count,
				.extra = (uint64_t)-rc,
				.kind = s->dma.write ? TRACE_DMA_WRITE : TRACE_DMA_READ,
				.flags = failed(rc) };

	if (!trace_is_on(s->o.trace))
		return;
	r.ns = s->o.now();
	r.took = trace_took(r.ns - s->dma.since_ns);
	trace_put(s->o.trace, &r);
}

void session_record(struct session *s, enum trace_kind kind, uint64_t began, int rc)
{
	struct trace_slot r = { .kind = (uint8_t)kind,
				.extra = (uint64_t)-rc,
				.flags = failed(rc) };

	if (!trace_is_on(s->o.trace))
		return;
	r.ns = s->o.now();
	if (began)
		r.took = trace_took(r.ns - began);
	trace_put(s->o.trace, &r);
}

/* An interrupt that ends here. */
void session_record_error(struct session *s)
{
	if (trace_is_on(s->o.trace))
		trace_put(s->o.trace, &(struct trace_slot) { .kind = TRACE_IRQ,
							     .ns = s->o.now(),
							     .region = DEV_ERR,
							     .value = 1 });
}

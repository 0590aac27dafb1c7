/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "bar-forward/device.h"
#include "bar-forward/replay_priv.h"

/* --- registers --- */

static uint32_t place(uint32_t region, uint64_t offset, uint32_t width)
{
	uint64_t h = (offset ^ (uint64_t)region << 58 ^ (uint64_t)width << 52) *
		     UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 32) & (REPLAY_KEYS - 1);
}

static bool is_idle(const struct key *k)
{
	return k->reads.first == NONE && k->writes.first == NONE;
}

static struct key *find(struct replay *r, uint32_t region, uint64_t offset, uint32_t width)
{
	uint32_t i = place(region, offset, width);

	while (r->key[i].width && (r->key[i].offset != offset || r->key[i].region != region ||
				   r->key[i].width != width))
		i = (i + 1) & (REPLAY_KEYS - 1);
	return &r->key[i];
}

static void point(struct replay *r, const struct queue *q, uint32_t key)
{
	for (uint64_t n = q->first; n != NONE; n = replay_entry(r, n)->next)
		replay_entry(r, n)->key = key;
}

/*
 * The table is full: registers of which nothing is to come are forgotten, the rest find their places anew. In the window are
 * at most half as many as there are rows.
 */
static void forget_idle(struct replay *r)
{
	struct key *kept = r->kept;
	uint32_t n = 0;

	for (uint32_t i = 0; i < REPLAY_KEYS; i++)
		if (r->key[i].width && !is_idle(&r->key[i]))
			kept[n++] = r->key[i];
	memset(r->key, 0, sizeof(r->key));
	for (uint32_t i = 0; i < n; i++) {
		struct key *k = find(r, kept[i].region, kept[i].offset, kept[i].width);

		*k = kept[i];
		point(r, &k->reads, (uint32_t)(k - r->key));
		point(r, &k->writes, (uint32_t)(k - r->key));
	}
	r->n_keys = n;
	r->polled = 0;
}

struct key *replay_key(struct replay *r, uint32_t region, uint64_t offset, uint32_t width)
{
	struct key *k = find(r, region, offset, width);

	if (k->width)
		return k;
	if (r->n_keys >= REPLAY_KEYS / 4 * 3) {
		forget_idle(r);
		k = find(r, region, offset, width);
	}
	*k = (struct key) { .offset = offset,
			    .region = (uint8_t)region,
			    .width = (uint8_t)width,
			    .reads = { NONE, NONE },
			    .writes = { NONE, NONE } };
	r->n_keys++;
	return k;
}

/* --- entries --- */

void replay_drop(struct replay *r, struct queue *q, enum entry_state how)
{
	struct entry *x = replay_entry(r, q->first);

	x->state = (uint8_t)how;
	q->first = x->next;
	if (q->first == NONE)
		q->last = NONE;
}

static struct queue *queue_of(struct replay *r, const struct entry *x)
{
	struct key *k = &r->key[x->key];

	return x->kind == TRACE_READ ? &k->reads : &k->writes;
}

static bool is_write(const struct entry *x)
{
	return x->kind == TRACE_WRITE || x->kind == TRACE_RESET;
}

/* The oldest entry leaves the window. */
static void pop(struct replay *r)
{
	struct entry *x = replay_entry(r, r->tail);

	if (x->kind != TRACE_IRQ && x->state != ENTRY_DONE) {
		if (x->kind == TRACE_READ && !x->given)
			r->counts.left_reads += x->count;
		/* It is its queue's first, since all of them are in their order. */
		replay_drop(r, queue_of(r, x), ENTRY_DONE);
	}
	r->tail++;
}

/* What lies behind the guest: made, or so far back that it does not come to it any more. */
static bool is_behind(struct replay *r)
{
	const struct entry *x = replay_entry(r, r->tail);

	if (r->tail >= r->front || r->tail >= r->next_irq)
		return false;
	return x->state == ENTRY_DONE || r->reached > r->tail + REPLAY_LAG;
}

void replay_advance(struct replay *r)
{
	for (; r->front < r->head; r->front++) {
		struct entry *x = replay_entry(r, r->front);

		if (!is_write(x) || x->state != ENTRY_OPEN)
			continue;
		if (r->reached <= r->front + REPLAY_LAG)
			break;
		x->state = ENTRY_OVERDUE;
		r->counts.overdue_writes++;
	}
	while (r->next_irq < r->head && replay_entry(r, r->next_irq)->kind != TRACE_IRQ)
		r->next_irq++;
}

static bool repeats(struct replay *r, const struct trace_slot *s, const struct key *k)
{
	const struct entry *x = r->head > r->tail ? replay_entry(r, r->head - 1) : NULL;

	return x && x->kind == TRACE_READ && x->state == ENTRY_OPEN && &r->key[x->key] == k &&
	       x->value == s->value && x->count < UINT32_MAX;
}

static void append(struct replay *r, const struct trace_slot *s, struct key *k, uint8_t kind)
{
	struct entry *x = replay_entry(r, r->head);
	struct queue *q = kind == TRACE_READ ? &k->reads : &k->writes;

	if (kind == TRACE_READ && repeats(r, s, k)) {
		replay_entry(r, r->head - 1)->count++;
		return;
	}
	*x = (struct entry) { .value = s->value,
			      .ns = s->ns,
			      .next = NONE,
			      .key = (uint32_t)(k - r->key),
			      .count = 1,
			      .kind = kind };
	if (q->last == NONE)
		q->first = r->head;
	else
		replay_entry(r, q->last)->next = r->head;
	q->last = r->head++;
}

/* The ROM is what was read of it, wherever in the recording. */
static void keep_rom(struct replay *r, const struct trace_record *rec)
{
	uint64_t end;

	if (rec->s.kind == TRACE_READ && !(rec->s.flags & (TRACE_FAILED | TRACE_ABSENT)) &&
	    !__builtin_add_overflow(rec->s.offset, rec->held, &end) && end <= r->rom_bytes)
		memcpy(r->rom + rec->s.offset, rec->bytes, rec->held);
}

/* What the guest is not answered by the device is none of the device's: the rules of this replay decide about it anew. */
static bool is_devices(const struct trace_slot *s)
{
	return !(s->flags & (TRACE_DENIED | TRACE_FAILED | TRACE_ABSENT)) && s->width;
}

/* Those that came before that time, ns. */
static void append_irqs(struct replay *r, uint64_t until)
{
	uint32_t n = 0;

	for (; n < r->n_held && r->held[n].ns < until; n++)
		*replay_entry(r, r->head++) = (struct entry) { .value = r->held[n].offset,
							       .ns = r->held[n].ns,
							       .next = NONE,
							       .kind = TRACE_IRQ,
							       .index = r->held[n].region };
	r->n_held -= n;
	memmove(r->held, r->held + n, r->n_held * sizeof(r->held[0]));
}

/*
 * A write is recorded when it has ended, by another process than the interrupt that it raised meanwhile. So interrupts that came
 * after it had begun are put behind it.
 */
static void take_access(struct replay *r, const struct trace_slot *s)
{
	uint64_t began = s->ns > s->took ? s->ns - s->took : 0;
	struct trace_slot passed = *s;

	if (s->flags & TRACE_MASKED)
		passed.value = s->extra;
	append_irqs(r, s->kind == TRACE_WRITE ? began : NONE);
	append(r, &passed, replay_key(r, s->region, s->offset, s->width), s->kind);
	append_irqs(r, NONE);
}

static void take(struct replay *r, const struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;

	switch (s->kind) {
	case TRACE_READ:
	case TRACE_WRITE:
		if (s->region == DEV_ROM)
			keep_rom(r, rec);
		else if (s->region <= DEV_BAR5 && is_devices(s))
			take_access(r, s);
		return;
	case TRACE_RESET:
		append_irqs(r, NONE);
		if (!(s->flags & TRACE_FAILED))
			append(r, s, replay_key(r, TRACE_REGIONS, 0, 1), TRACE_RESET);
		return;
	case TRACE_IRQ:
		if (s->region == DEV_ERR) /* was never the guest's */
			return;
		if (r->n_held == REPLAY_HELD)
			append_irqs(r, NONE);
		r->held[r->n_held++] = *s;
		return;
	case TRACE_DMA_READ:
	case TRACE_DMA_WRITE:
		r->counts.dma++;
	}
}

void replay_fill(struct replay *r)
{
	struct err unsaid = { 0 };

	replay_advance(r);
	while (r->tail < r->head && is_behind(r))
		pop(r);
	while (!r->ended && r->head - r->tail + REPLAY_HELD < REPLAY_WINDOW) {
		r->ended = trace_reader_next(r->reader, &r->record, &unsaid) != 1;
		if (r->ended)
			append_irqs(r, NONE);
		else
			take(r, &r->record);
	}
	replay_advance(r);
}

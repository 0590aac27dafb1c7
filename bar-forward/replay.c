/* SPDX-License-Identifier: MIT */
#include "bar-forward/replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/replay_priv.h"
#include "base/telem_bridge.h"

#define NS_A_S     UINT64_C(1000000000)
#define SAME_AHEAD 4 /* writes of a register among which the same value is looked for */

static const char *region_name(uint32_t region)
{
	return region < TELEM_REGIONS ? telem_region_name(region) : "its reset";
}

/* --- what is said --- */

/* Where in the recording the guest is, ns from its beginning. */
static uint64_t here(struct replay *r)
{
	uint64_t ns = r->reached > r->tail ? replay_entry(r, r->reached - 1)->ns : r->done_ns;

	return ns > r->began ? ns - r->began : 0;
}

static void tell(struct replay *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct replay *r, const char *fmt, ...)
{
	uint64_t at = here(r);
	int n;
	va_list args;

	if (r->told++ >= REPLAY_SAID || r->said[0][0])
		return;
	n = snprintf(r->said[0], sizeof(r->said[0]),
		     "at %" PRIu64 ".%06" PRIu64 " s: ", at / NS_A_S, at % NS_A_S / 1000);
	va_start(args, fmt);
	vsnprintf(r->said[0] + n, sizeof(r->said[0]) - (size_t)n, fmt, args);
	va_end(args);
}

static void depart(struct replay *r)
{
	if (r->counts.departed)
		return;
	r->counts.departed = true;
	r->counts.departed_ns = here(r);
}

const char *replay_said(struct replay *r)
{
	if (!r->said[0][0])
		return NULL;
	memcpy(r->said[1], r->said[0], sizeof(r->said[0]));
	r->said[0][0] = '\0';
	return r->said[1];
}

const char *replay_report(struct replay *r)
{
	const struct replay_counts *c = &r->counts;
	char path[96] = "the guest stayed on the recorded path";

	if (c->departed)
		snprintf(path, sizeof(path),
			 "the guest left the recorded path at %" PRIu64 ".%06" PRIu64 " s",
			 c->departed_ns / NS_A_S, c->departed_ns % NS_A_S / 1000);
	snprintf(r->report, sizeof(r->report),
		 "%s%s; %" PRIu64 " reads (%" PRIu64 " that the recording does not know), %" PRIu64
		 " writes (%" PRIu64 " not known, %" PRIu64 " of another value), %" PRIu64
		 " interrupts; recorded and not done: %" PRIu64 " reads, %" PRIu64
		 " writes, %" PRIu64 " transfers",
		 path, c->ended ? ", to its end" : "", c->reads, c->unknown_reads, c->writes,
		 c->unknown_writes, c->other_values, c->interrupts, c->left_reads,
		 c->overdue_writes, c->dma);
	return r->report;
}

const struct replay_counts *replay_counts(const struct replay *r)
{
	return &r->counts;
}

/* --- beginning and end --- */

int replay_open(struct replay **out, struct trace_reader *reader, uint8_t *rom, uint64_t rom_bytes,
		struct err *e)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r) {
		trace_reader_close(reader);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->reader = reader;
	r->began = r->done_ns = reader->head.started_ns;
	r->rom = rom;
	r->rom_bytes = rom ? rom_bytes : 0;
	r->due = NONE;
	r->limit = REPLAY_PATIENCE;
	replay_fill(r);
	*out = r;
	return 0;
}

int replay_fd(const struct replay *r)
{
	return r->reader->fd;
}

void replay_close(struct replay *r)
{
	if (r)
		trace_reader_close(r->reader);
	free(r);
}

static void reach(struct replay *r, uint64_t n)
{
	if (r->reached <= n)
		r->reached = n + 1;
	if (r->ended && r->reached == r->head && !r->counts.ended) {
		r->counts.ended = true;
		tell(r, "this is the last access that was recorded");
	}
}

/* --- reads --- */

/* Writes before entry n count as overdue: whoever waits for what came after them waits no longer. */
static void give_up(struct replay *r, uint64_t n)
{
	while (r->front < n) {
		struct entry *x = replay_entry(r, r->front);

		x->state = ENTRY_OVERDUE;
		r->counts.overdue_writes++;
		depart(r);
		tell(r, "the guest goes on without the write of 0x%" PRIx64 " to %s+0x%" PRIx64,
		     x->value, region_name(r->key[x->key].region), r->key[x->key].offset);
		replay_advance(r);
	}
}

/* Whether a guest that polls has to wait for entry n, which came after a write that it has not made. */
static bool is_held(struct replay *r, uint64_t n, bool polls)
{
	if (r->front >= n || !polls)
		return false;
	if (r->patience++ < r->limit)
		return true;
	give_up(r, n);
	r->patience = 0;
	if (r->limit <
	    UINT32_MAX / 16) /* it may never make another: do not run through the recording */
		r->limit *= 16;
	return false;
}

/* The entry that answers now; NONE: there is none. */
static uint64_t answer(struct replay *r, struct key *k, bool polls)
{
	uint64_t n = k->reads.first;
	struct entry *x = n == NONE ? NULL : replay_entry(r, n);

	if (!x || !x->given || x->next == NONE)
		return n;
	/* It was given: once more, or the next. What was left of it when a later write was made is not asked for any more. */
	if ((x->given < x->count && n >= r->done) || is_held(r, x->next, polls))
		return n;
	replay_drop(r, &k->reads, ENTRY_DONE);
	return k->reads.first;
}

static uint64_t not_known(struct replay *r, struct key *k)
{
	if (k->known)
		return k->last;
	r->counts.unknown_reads++;
	depart(r);
	tell(r,
	     "the guest reads %s+0x%" PRIx64 "/%u, which it does not in the recording from here on",
	     region_name(k->region), k->offset, (unsigned)k->width);
	return 0;
}

uint64_t replay_read(struct replay *r, uint32_t region, uint64_t offset, uint32_t width,
		     uint64_t now)
{
	struct key *k = replay_key(r, region, offset, width);
	uint64_t me = (uint64_t)(k - r->key) + 1, n;
	bool polls = r->polled == me;

	r->counts.reads++;
	r->last_at = now;
	if (!polls)
		r->patience = 0;
	r->polled = me;
	replay_fill(r);
	k = replay_key(r, region, offset, width); /* filling may have moved it */
	n = answer(r, k, polls);
	if (n == NONE)
		return not_known(r, k);
	struct entry *x = replay_entry(r, n);

	x->given += x->given < UINT32_MAX;
	k->known = true;
	k->last = x->value;
	reach(r, n);
	return x->value;
}

/* --- writes --- */

/* Which of the register's next writes this is: the next of the same value, else the next. */
static uint64_t choose(struct replay *r, const struct key *k, uint64_t value)
{
	uint64_t n = k->writes.first;

	for (int i = 0; i < SAME_AHEAD && n != NONE; i++) {
		if (replay_entry(r, n)->value == value)
			return n;
		n = replay_entry(r, n)->next;
	}
	return k->writes.first;
}

static void skip_to(struct replay *r, struct key *k, uint64_t n)
{
	while (k->writes.first != n) {
		if (replay_entry(r, k->writes.first)->state == ENTRY_OPEN)
			r->counts.overdue_writes++;
		replay_drop(r, &k->writes, ENTRY_DONE);
	}
}

static void made(struct replay *r, struct key *k, uint64_t n, uint64_t now)
{
	r->limit = REPLAY_PATIENCE;
	if (r->done <= n) {
		r->done = n + 1;
		r->done_ns = replay_entry(r, n)->ns;
		r->done_at = now;
		r->due = NONE;
	}
	replay_drop(r, &k->writes, ENTRY_DONE);
	reach(r, n);
	replay_fill(r);
}

static void unknown_write(struct replay *r, struct key *k, uint64_t value)
{
	r->counts.unknown_writes++;
	depart(r);
	tell(r,
	     "the guest writes 0x%" PRIx64 " to %s+0x%" PRIx64
	     "/%u, which it does not in the recording from here on",
	     value, region_name(k->region), k->offset, (unsigned)k->width);
}

void replay_write(struct replay *r, uint32_t region, uint64_t offset, uint32_t width,
		  uint64_t value, uint64_t now)
{
	struct key *k;
	uint64_t n;

	r->counts.writes++;
	r->polled = 0;
	r->last_at = now;
	replay_fill(r);
	k = replay_key(r, region, offset, width);
	if (k->reads.first == NONE) {
		k->known = true;
		k->last = value;
	}
	n = choose(r, k, value);
	if (n == NONE) {
		unknown_write(r, k, value);
		return;
	}
	skip_to(r, k, n);
	if (replay_entry(r, n)->value != value && r->counts.other_values++ == 0)
		tell(r,
		     "the guest writes 0x%" PRIx64 " to %s+0x%" PRIx64 ", 0x%" PRIx64
		     " in the recording; more such are counted",
		     value, region_name(region), offset, replay_entry(r, n)->value);
	made(r, k, n, now);
}

void replay_reset(struct replay *r, uint64_t now)
{
	struct key *k;

	replay_fill(r);
	k = replay_key(r, TRACE_REGIONS, 0, 1);
	r->polled = 0;
	r->last_at = now;
	if (k->writes.first != NONE)
		made(r, k, k->writes.first, now);
}

/* --- interrupts --- */

/*
 * When a guest that goes on doing nothing waits for the interrupt, of which a few writes that came before are missing: it
 * stood still for that long then, too, if it did. NONE: it does not.
 */
static uint64_t waits_from(struct replay *r)
{
	const struct entry *x = replay_entry(r, r->next_irq);
	uint64_t then = x->ns > r->done_ns ? x->ns - r->done_ns : 0, at;

	if (!r->done || r->next_irq - r->front > REPLAY_NEAR ||
	    __builtin_add_overflow(r->last_at + REPLAY_IDLE_NS, then, &at))
		return NONE;
	return at;
}

uint64_t replay_due(struct replay *r, uint64_t now)
{
	const struct entry *x;
	uint64_t after;

	replay_fill(r);
	if (r->next_irq >= r->head)
		return NONE;
	if (r->front < r->next_irq && waits_from(r) <= now)
		give_up(r, r->next_irq);
	if (r->front < r->next_irq)
		return waits_from(r);
	x = replay_entry(r, r->next_irq);
	after = x->ns > r->done_ns ? x->ns - r->done_ns : 0;
	if (r->due == NONE)
		r->due = r->done_at + (after < REPLAY_AFTER_NS ? after : REPLAY_AFTER_NS);
	return r->due;
}

bool replay_irq(struct replay *r, uint64_t now, struct replay_irq *q)
{
	struct entry *x;

	if (replay_due(r, now) > now || r->front < r->next_irq)
		return false;
	x = replay_entry(r, r->next_irq);
	*q = (struct replay_irq) { .index = x->index, .vector = x->value };
	x->state = ENTRY_DONE;
	reach(r, r->next_irq);
	r->next_irq++;
	r->due = NONE;
	r->counts.interrupts++;
	replay_fill(r);
	return true;
}

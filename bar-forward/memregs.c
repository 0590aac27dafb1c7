/* SPDX-License-Identifier: MIT */
#include "bar-forward/memregs.h"

#include <string.h>

#include "bar-forward/memdma.h"
#include "bar-forward/memfault.h"
#include "bar-forward/memirq.h"

static const uint64_t *word(const struct access *a, const struct desc_reg *r)
{
	return &a->m->s->value[r - a->m->desc->reg];
}

static uint64_t now(const struct access *a, const struct desc_reg *r)
{
	return access_word(a, word(a, r));
}

static void set(struct access *a, const struct desc_reg *r, uint64_t value)
{
	access_set(a, word(a, r), value);
}

/* --- behaviours --- */

static void write_plain(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	uint64_t takes = r->mask & bytes;

	set(a, r, (now(a, r) & ~takes) | (value & takes));
}

/* Counts writes, whatever they say. */
static void write_counter(struct access *a, const struct desc_reg *r, uint64_t value,
			  uint64_t bytes)
{
	(void)value;
	(void)bytes;
	set(a, r, now(a, r) + 1);
}

static void write_sum(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	set(a, r, now(a, r) + (value & bytes));
}

static void write_w1c(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	set(a, r, now(a, r) & ~(value & bytes & r->mask));
}

/* Which device it is, as in the first four bytes of config space. */
static uint64_t read_identity(struct access *a, const struct desc_reg *r)
{
	const struct pcidesc *d = a->m->desc;

	(void)r;
	return d->vendor | (uint64_t)d->device << 16;
}

static uint64_t read_invert(struct access *a, const struct desc_reg *r)
{
	return ~now(a, r);
}

static void write_raise(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	const struct desc_reg *status = &a->m->desc->reg[r->status];

	set(a, status, now(a, status) | (value & bytes));
	memirq_raise(a, r->vector);
}

static void write_vector(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	(void)r;
	memirq_raise(a, value & bytes);
}

static void write_clear(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	const struct desc_reg *status = &a->m->desc->reg[r->status];

	set(a, status, now(a, status) & ~(value & bytes));
}

static uint64_t read_nothing(struct access *a, const struct desc_reg *r)
{
	(void)a;
	(void)r;
	return 0;
}

static uint64_t read_fault(struct access *a, const struct desc_reg *r)
{
	(void)r;
	return access_word(a, &a->m->s->fault.kind);
}

/* The kind in the lowest byte, its value above. */
static void write_fault(struct access *a, const struct desc_reg *r, uint64_t value, uint64_t bytes)
{
	(void)r;
	memfault_set(a, (value & bytes) & 0xff, (value & bytes) >> 8, UINT64_MAX);
}

static uint64_t read_doorbell(struct access *a, const struct desc_reg *r)
{
	return now(a, r) | (access_word(a, &a->m->s->engine.busy) ? DMA_START : 0);
}

static void write_doorbell(struct access *a, const struct desc_reg *r, uint64_t value,
			   uint64_t bytes)
{
	(void)r;
	memdma_ring(a, value & bytes);
}

const struct behaviour behaviours[REG_BEHAVIOURS] = {
	[REG_PLAIN] = { "plain", WANTS_MASK, NULL, write_plain },
	[REG_READONLY] = { "readonly", 0, NULL, NULL },
	[REG_COUNTER] = { "counter", 0, NULL, write_counter },
	[REG_SUM] = { "sum", 0, NULL, write_sum },
	[REG_W1C] = { "w1c", WANTS_MASK, NULL, write_w1c },
	[REG_IDENTITY] = { "identity", 0, read_identity, NULL },
	[REG_INVERT] = { "invert", WANTS_MASK, read_invert, write_plain },
	[REG_RAISE] = { "raise", WANTS_STATUS | WANTS_VECTOR, read_nothing, write_raise },
	[REG_VECTOR] = { "vector", 0, read_nothing, write_vector },
	[REG_CLEAR] = { "clear", WANTS_STATUS, read_nothing, write_clear },
	[REG_DOORBELL] = { "doorbell", WANTS_ENGINE | WANTS_VECTOR, read_doorbell, write_doorbell },
	[REG_FAULT] = { "fault", 0, read_fault, write_fault },
};

/* --- bytes of a BAR to registers: each that an access touches is read or written once --- */

void memregs_read(struct access *a, uint8_t bar, uint64_t at, uint8_t *bytes, uint32_t width)
{
	const struct pcidesc *d = a->m->desc;

	memset(bytes, 0, width);
	for (uint32_t i = pcidesc_reg_at(d, bar, at); i < d->n_regs; i++) {
		const struct desc_reg *r = &d->reg[i];
		const struct behaviour *b = &behaviours[r->behaviour];

		if (r->bar != bar || r->at >= at + width)
			return;
		uint64_t v = b->read ? b->read(a, r) : now(a, r);

		for (uint32_t k = 0; k < r->width; k++)
			if (r->at + k >= at && r->at + k < at + width)
				bytes[r->at + k - at] = (uint8_t)(v >> (8 * k));
	}
}

void memregs_write(struct access *a, uint8_t bar, uint64_t at, const uint8_t *bytes, uint32_t width)
{
	const struct pcidesc *d = a->m->desc;

	for (uint32_t i = pcidesc_reg_at(d, bar, at); i < d->n_regs; i++) {
		const struct desc_reg *r = &d->reg[i];
		uint64_t value = 0, touched = 0;

		if (r->bar != bar || r->at >= at + width)
			return;
		for (uint32_t k = 0; k < r->width; k++)
			if (r->at + k >= at && r->at + k < at + width) {
				value |= (uint64_t)bytes[r->at + k - at] << (8 * k);
				touched |= UINT64_C(0xff) << (8 * k);
			}
		if (behaviours[r->behaviour].write)
			behaviours[r->behaviour].write(a, r, value, touched);
	}
}

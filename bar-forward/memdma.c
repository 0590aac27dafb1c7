/* SPDX-License-Identifier: MIT */
#include "bar-forward/memdma.h"

#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "bar-forward/memfault.h"
#include "bar-forward/memirq.h"

uint32_t memdma_crc(uint32_t crc, const uint8_t *bytes, uint64_t n)
{
	/* Of four bits each; the polynomial is 0xedb88320. */
	static const uint32_t row[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	crc = ~crc;
	for (uint64_t i = 0; i < n; i++) {
		crc = row[(crc ^ bytes[i]) & 15] ^ crc >> 4;
		crc = row[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
	}
	return ~crc;
}

/* --- maps --- */

int memdma_map(struct memdma *g, const struct map *row, struct err *e)
{
	g->maps.most = UINT32_MAX; /* how many there may be is the caller's */
	return maps_add(&g->maps, row, e);
}

int memdma_unmap(struct memdma *g, const struct map *row, struct err *e)
{
	uint32_t first;
	int n = maps_covered(&g->maps, row->iova, row->size, &first, e);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		g->maps.map[first + (uint32_t)i].fd = -1;
	maps_drop(&g->maps, first, (uint32_t)n);
	return 0;
}

void memdma_close(struct memdma *g)
{
	for (uint32_t i = 0; i < g->maps.n; i++)
		g->maps.map[i].fd = -1;
	maps_free(&g->maps);
}

/* --- the doorbell --- */

static const struct desc_reg *doorbell(const struct memstate *m)
{
	return m->desc->doorbell == REG_NONE ? NULL : &m->desc->reg[m->desc->doorbell];
}

static uint64_t reg(const struct access *a, uint16_t i)
{
	return access_word(a, &a->m->s->value[i]);
}

void memdma_ring(struct access *a, uint64_t command)
{
	const struct desc_reg *r = doorbell(a->m);
	struct mem_engine *g = &a->m->s->engine;

	if (access_word(a, &g->busy))
		return; /* as edu: lost */
	access_set(a, &a->m->s->value[a->m->desc->doorbell],
		   command & (DMA_TO_CLIENT | DMA_INTERRUPT));
	if (!(command & DMA_START))
		return;
	access_add(a, &g->id, 1);
	access_set(a, &g->command, command);
	access_set(a, &g->source, reg(a, r->source));
	access_set(a, &g->destination, reg(a, r->destination));
	access_set(a, &g->length, reg(a, r->length));
	access_set(a, &g->at, 0);
	access_set(a, &g->crc, 0);
	access_set(a, &g->busy, 1);
}

/* --- a piece --- */

/* A transfer as it stands, checked: the block may hold anything. */
struct job {
	struct mem_engine g;
	bool to_client;
	uint64_t iova;   /* of the piece */
	uint8_t *memory; /* the device's side of it */
	uint64_t n;      /* bytes of it, 0: none are left */
};

static bool fits(const struct memstate *m, struct job *j)
{
	const struct desc_reg *r = doorbell(m);
	uint32_t store = r->memory_bar >= 0 ? (uint32_t)r->memory_bar : MEMSTATE_OWN;
	uint64_t here, end, most = r->address_bits < 64 ? UINT64_C(1) << r->address_bits : 0;

	j->to_client = j->g.command & DMA_TO_CLIENT;
	j->iova = j->to_client ? j->g.destination : j->g.source;
	here = (j->to_client ? j->g.source : j->g.destination) - r->memory_base;
	if (!(m->s->config[PCI_COMMAND] & PCI_COMMAND_MASTER))
		return false;
	if (j->g.at > j->g.length || j->g.length > m->store_size[store] ||
	    here > m->store_size[store] - j->g.length)
		return false;
	if (j->g.length &&
	    (__builtin_add_overflow(j->iova, j->g.length - 1, &end) || (most && end >= most)))
		return false;
	j->memory = m->store[store] + here + j->g.at;
	j->iova += j->g.at;
	j->n = j->g.length - j->g.at;
	if (j->n > MEMDMA_PIECE)
		j->n = MEMDMA_PIECE;
	return true;
}

/* Still the transfer that the piece belongs to? A reset may have come between. */
static bool is_on(const struct memstate *m, uint64_t id)
{
	return m->s->engine.busy && m->s->engine.id == id;
}

static void end(struct access *a, bool failed)
{
	struct mem_state *s = a->m->s;
	const struct desc_reg *r = doorbell(a->m);
	uint64_t command = access_word(a, &s->engine.command);

	access_set(a, &s->engine.busy, 0);
	access_add(a, &s->transfers, 1);
	access_set(a, &s->value[a->m->desc->doorbell],
		   (command & (DMA_TO_CLIENT | DMA_INTERRUPT)) | (failed ? DMA_FAILED : 0U));
	if (r->checksum != REG_NONE)
		access_set(a, &s->value[r->checksum], access_word(a, &s->engine.crc));
	if (!(command & DMA_INTERRUPT))
		return;
	if (r->status != REG_NONE)
		access_set(a, &s->value[r->status], reg(a, r->status) | r->bits);
	memirq_raise(a, r->vector);
}

/* A piece is over: what it came to becomes the state of the device, or nothing does. */
static void settle(struct memstate *m, uint64_t id, int rc, uint64_t n, uint32_t crc)
{
	struct access a;

	memstate_lock(m);
	if (is_on(m, id)) {
		access_begin(&a, m);
		if (!rc) {
			access_add(&a, &m->s->engine.at, n);
			access_set(&a, &m->s->engine.crc, crc);
		}
		if (rc || access_word(&a, &m->s->engine.at) >= m->s->engine.length)
			end(&a, rc != 0);
		access_end(&a);
	}
	memstate_unlock(m);
}

/* 0: done; -EAGAIN: the descriptor does not do this, a message may; else why not. */
static int by_descriptor(const struct map *row, const struct job *j, uint8_t *piece)
{
	off_t at = (off_t)(row->offset + (j->iova - row->iova));
	ssize_t n;

	if (row->fd < 0 || at < 0)
		return -EAGAIN;
	n = j->to_client ? pwrite(row->fd, piece, j->n, at) : pread(row->fd, piece, j->n, at);
	if (n < 0)
		return -EAGAIN;
	return (uint64_t)n == j->n ? 0 : -EFAULT; /* cut short */
}

static int do_piece(struct memdma *g, struct memstate *m, struct job *j, struct dev_dma *ask)
{
	const struct map *row = maps_find(&g->maps, j->iova, 1);
	int rc;

	if (!row || !(j->to_client ? row->write : row->read)) {
		settle(m, j->g.id, -EFAULT, 0, 0);
		return 0;
	}
	if (j->n - 1 > row->size - 1 - (j->iova - row->iova))
		j->n = row->size - (j->iova - row->iova);
	if (j->to_client)
		memcpy(g->piece, j->memory, j->n);
	rc = by_descriptor(row, j, g->piece);
	if (rc == -EAGAIN) {
		g->asked = j->g.id;
		g->asked_bytes = (uint32_t)j->n;
		*ask = (struct dev_dma) { j->to_client, j->iova, (uint32_t)j->n,
					  j->to_client ? g->piece : NULL };
		return 1;
	}
	if (!rc && !j->to_client)
		memcpy(j->memory, g->piece, j->n);
	settle(m, j->g.id, rc, j->n, memdma_crc((uint32_t)j->g.crc, g->piece, j->n));
	return 0;
}

int memdma_step(struct memdma *g, struct memstate *m, struct dev_dma *ask, bool *more)
{
	struct job j = { 0 };
	enum desc_fault fault;
	bool sound;
	int rc = 0;

	*more = false;
	if (g->asked || !doorbell(m))
		return 0;
	memstate_lock(m);
	j.g = m->s->engine;
	fault = memfault_now(m);
	sound = j.g.busy && fits(m, &j);
	memstate_unlock(m);
	if (!j.g.busy || fault == FAULT_GONE || fault == FAULT_HANG)
		return 0;
	if (!sound)
		settle(m, j.g.id, -EFAULT, 0, 0);
	else if (!j.n)
		settle(m, j.g.id, 0, 0, (uint32_t)j.g.crc);
	else
		rc = do_piece(g, m, &j, ask);
	*more = !rc && m->s->engine.busy;
	return rc;
}

void memdma_done(struct memdma *g, struct memstate *m, int rc, const uint8_t *bytes)
{
	struct job j = { 0 };
	uint64_t id = g->asked;
	bool sound;

	g->asked = 0;
	memstate_lock(m);
	j.g = m->s->engine;
	sound = id && is_on(m, id) && fits(m, &j) && g->asked_bytes <= j.n;
	memstate_unlock(m);
	if (!sound)
		return;
	if (!rc && !j.to_client)
		memcpy(j.memory, bytes, g->asked_bytes);
	settle(m, id, rc, g->asked_bytes,
	       rc ? 0
		  : memdma_crc((uint32_t)j.g.crc, j.to_client ? g->piece : bytes, g->asked_bytes));
}

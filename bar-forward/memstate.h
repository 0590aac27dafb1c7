/* SPDX-License-Identifier: MIT */
/*
 * The state of a device of memory: one plain block that processes share, so that one of them can be killed at any
 * instruction while the device goes on.
 *
 * Exactly once. What an access changes is first written down as a list of absolute values (`redo.row`), then the list's
 * length is stored (`redo.n`): that one store is the moment at which the access has happened. Only then are the values put
 * where they belong, and the length becomes 0 again. A process killed before that store has changed nothing; one killed
 * behind it left a list, and whoever takes the lock next puts the values in place again, which does no harm the second
 * time. The list also holds `done`, the number of accesses that ever happened, and what the last read gave: whoever noted
 * `done` before it asked for an access knows behind any death whether it ran, and what it answered.
 *
 * The lock is robust: the kernel hands it on when its owner dies. Fences keep the list, its length and the values in their
 * order.
 *
 * Whoever shares the block may have written anything into it, so that whatever is an offset or a length is checked
 * before it is believed. Only the lock itself is trusted: who shares the block can keep it, and so hold up the others.
 */
#ifndef BERTH_MEMSTATE_H
#define BERTH_MEMSTATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "bar-forward/pcidesc.h"
#include "bar-forward/pcispace.h"

#define MEMSTATE_EFFECTS 64
#define MEMSTATE_STORES  (PCIDESC_BARS + 1) /* memory of BARs, and the doorbell's own */
#define MEMSTATE_OWN     PCIDESC_BARS       /* the latter */

/* One value that belongs somewhere. */
struct effect {
	uint32_t where; /* enum effect_where, or a store's number */
	uint32_t width; /* bytes, 1 to 8 */
	uint64_t offset;
	uint64_t value;
};

enum effect_where { IN_STATE = 100, IN_RESET };

/* A fault in force. */
struct mem_fault {
	uint64_t kind; /* enum desc_fault */
	uint64_t value;
	uint64_t left; /* accesses; UINT64_MAX: no end */
};

/* A transfer of the doorbell's. */
struct mem_engine {
	uint64_t id; /* counts transfers: one that a reset ended is not gone on with */
	uint64_t busy;
	uint64_t command; /* what the doorbell was rung with */
	uint64_t source, destination, length;
	uint64_t at;  /* bytes done */
	uint64_t crc; /* of them */
};

struct mem_state {
	uint64_t magic, size;
	pthread_mutex_t lock;
	struct {
		_Atomic uint32_t n;
		struct effect row[MEMSTATE_EFFECTS];
	} redo;

	/* what outlives a reset */
	uint64_t done;     /* accesses that happened */
	uint64_t bar_done; /* those of BARs */
	uint64_t result;   /* of the last read */
	uint64_t resets;
	uint64_t script; /* rows of the description's faults that had their turn */
	uint64_t waited; /* accesses that came to a device that hangs */
	uint64_t transfers;
	_Atomic uint32_t
		turn; /* another fault came into force; those that a hang holds up sleep on it */
	uint32_t spare;
	uint64_t irq_index; /* enum dev_irq_index with eventfds now; DEV_IRQS: none */
	struct mem_fault fault;
	struct mem_engine engine;

	/* what a reset gives back its first values */
	uint8_t config[PCISPACE_SIZE];
	uint64_t value[PCIDESC_REGS];
	uint8_t table[16 * VU_IRQS_MAX];
	uint64_t pending[VU_IRQS_MAX / 64];
};

/* The block, what backs the BARs, and whose description it follows. */
struct memstate {
	const struct pcidesc *desc;
	const struct pcispace *space;
	struct mem_state *s;
	uint8_t *store[MEMSTATE_STORES];
	uint64_t store_size[MEMSTATE_STORES];
	int fd, store_fd[MEMSTATE_STORES];
};

/* An access in the making, under the lock. Nothing has happened before access_end(). */
struct access {
	struct memstate *m;
	uint32_t n;
	struct effect row[MEMSTATE_EFFECTS];
};

void memstate_none(struct memstate *m);

/* New memory with the description's first values. 0 or a negative errno with *e; memstate_close() in either case. */
int memstate_make(struct memstate *m, const struct pcidesc *d, const struct pcispace *space,
		  struct err *e);

/* That of another process, by descriptors as memstate_fds() gave them: taken, and then looked at. */
void memstate_take(struct memstate *m, const int fds[MEMSTATE_STORES + 1]);
int memstate_join(struct memstate *m, const struct pcidesc *d, const struct pcispace *space,
		  struct err *e);

/* Bytes of a store that such a device has; 0: it has none. */
uint64_t memstate_wants(const struct pcidesc *d, uint32_t store);

void memstate_fds(const struct memstate *m, int fds[MEMSTATE_STORES + 1]);
void memstate_close(struct memstate *m);

/* A plain move where the width is one of a processor's: neither split nor torn when it is aligned. */
void memstate_move(uint8_t *to, const uint8_t *from, uint32_t width);

/* Take the lock; what a dead owner had begun is finished, or was never begun. */
void memstate_lock(struct memstate *m);
void memstate_unlock(struct memstate *m);

/* Between lock and unlock. */
void access_begin(struct access *a, struct memstate *m);
void access_end(struct access *a);

/* A word of the block as this access has left it so far. */
uint64_t access_word(const struct access *a, const uint64_t *word);
void access_set(struct access *a, const uint64_t *word, uint64_t value);
void access_add(struct access *a, const uint64_t *word, uint64_t more);

/* Bytes of the block, or of a store. */
void access_bytes(struct access *a, const uint8_t *at, const uint8_t *bytes, uint32_t width);
void access_store(struct access *a, uint32_t store, uint64_t offset, const uint8_t *bytes,
		  uint32_t width);

/* Everything that a reset gives back. */
void access_reset(struct access *a);

#endif

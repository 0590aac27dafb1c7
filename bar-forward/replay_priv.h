/* SPDX-License-Identifier: MIT */
/* The window of a recording that a replay works on: accesses in their order, and the order of each register. */
#ifndef BERTH_REPLAY_PRIV_H
#define BERTH_REPLAY_PRIV_H

#include "bar-forward/replay.h"

#define REPLAY_KEYS 131072U /* a power of two, twice the window */
#define REPLAY_HELD 16
#define NONE        UINT64_MAX

enum entry_state { ENTRY_OPEN, ENTRY_DONE, ENTRY_OVERDUE };

/* One access; of reads that follow each other and gave the same, one for all. */
struct entry {
	uint64_t value, ns;
	uint64_t next;  /* of the same register and direction; NONE */
	uint32_t key;   /* row of keys[] */
	uint32_t count; /* reads that gave this */
	uint32_t given; /* of them to the guest */
	uint8_t kind;   /* TRACE_READ, TRACE_WRITE, TRACE_RESET, TRACE_IRQ */
	uint8_t state;  /* enum entry_state */
	uint8_t index;  /* of an interrupt */
};

/* Entries by number, oldest first. */
struct queue {
	uint64_t first, last; /* NONE: empty */
};

struct key {
	uint64_t offset;
	uint8_t region, width; /* width 0: a free row */
	bool known;            /* `last` is what it read or was written */
	uint64_t last;
	struct queue reads, writes;
};

struct replay {
	struct trace_reader *reader;
	struct trace_record record; /* of the reader */
	uint64_t began;             /* ns of the recording */
	uint8_t *rom;
	uint64_t rom_bytes;
	bool ended; /* nothing more comes from the reader */
	/* Interrupts that wait for the next access: it may be what raised them. */
	uint32_t n_held;
	struct trace_slot held[REPLAY_HELD];
	/* The window: entries `tail` to `head - 1`. */
	uint64_t tail, head;
	uint64_t front;   /* the first write that is neither made nor overdue, or head */
	uint64_t done;    /* one more than the last write that was made */
	uint64_t done_ns; /* recorded time of that one, and the guest's */
	uint64_t done_at, last_at;
	uint64_t reached;  /* one more than the last entry that the guest came to */
	uint64_t next_irq; /* the first interrupt that was not given out, or head */
	uint64_t due;      /* of that one; NONE: not settled */
	/* What the guest did last. */
	uint64_t polled;          /* key + 1 that it read; 0: it wrote */
	uint32_t patience, limit; /* of reads that poll in vain */
	uint32_t n_keys;
	struct replay_counts counts;
	uint32_t told;
	char said[2][256]; /* a departure that waits, and one that was given */
	char report[768];
	struct entry entry[REPLAY_WINDOW];
	struct key key[REPLAY_KEYS];
	struct key kept[REPLAY_WINDOW]; /* while rows find their places anew */
};

static inline struct entry *replay_entry(struct replay *r, uint64_t n)
{
	return &r->entry[n % REPLAY_WINDOW];
}

/* The register, made if there is none; NULL: there is no room for one more. */
struct key *replay_key(struct replay *r, uint32_t region, uint64_t offset, uint32_t width);

/* Fill the window from the recording, as far as what lies behind the guest makes room. */
void replay_fill(struct replay *r);

/* The first write that the guest has yet to make: `front` goes forward over what is made or overdue. */
void replay_advance(struct replay *r);

/* Take the oldest of a queue out of it. */
void replay_drop(struct replay *r, struct queue *q, enum entry_state how);

#endif

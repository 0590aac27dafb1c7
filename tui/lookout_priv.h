/* SPDX-License-Identifier: MIT */
/* What the threads of the lookout share. */
#ifndef BERTH_TUI_LOOKOUT_PRIV_H
#define BERTH_TUI_LOOKOUT_PRIV_H

#include <pthread.h>

#include "tui/lookout.h"
#include "tui/reader.h"

#define BUS_MS     2000  /* between looks for devices that came or went, and at the host */
#define WHOLE_MS   60000 /* and at all of them, links and names included */
#define HOLDERS_MS 5000
#define ASLEEP_MS  2000 /* its power state alone, which wakes nothing */
#define BESIDE_MS                                                                                  \
	2000 /* the same, and whether it is there, of a card of which NVIDIA's library tells */
#define IDLE_MS 5000
#define DOZE_MS                                                                                    \
	15000 /* longer than the usual delay of autosuspend, 5 s: it can fall asleep between */
#define IDLE_AFTER 30 /* readings without work */
#define GIVE_UP_MS                                                                                 \
	30000 /* for one answer of NVIDIA's library; a card that it wakes first takes seconds */

/*
 * What one thread reads into; `now` and `now_turn` belong to the thread, the rest is guarded by the lock of
 * struct lookout.
 */
struct eye {
	struct lookout *live;
	struct reader *reader;
	struct gpu now;
	uint32_t now_turn; /* the turn that `now` began with */
	struct gpu gpu;
	struct fact_text driver; /* as it was read last, once `looked` */
	uint64_t read_ns;        /* 0: never yet */
	bool lost, resting, may_sleep, nvml, works, looked;
	bool stale;    /* its driver changed: the next collection knows more of it */
	uint32_t turn; /* counts what is shown being replaced by a collection */
	bool asked;    /* of NVIDIA's: its answer is awaited */
	uint64_t asked_ns;
	uint32_t idle;
};

struct lookout {
	struct senses senses;
	const char *run_dir;
	pthread_mutex_t lock;
	uint32_t interval_ms;
	struct report *base; /* the last whole collection without its gpus, which the eyes have */
	uint64_t base_ns;
	struct err error;
	struct eye *eyes[PROBE_GPUS_MAX];
	uint32_t n_eyes;
	struct holders *holders; /* parallel to eyes; NULL: not read yet */
	bool more_cards;         /* that an open library does not know of */
	bool stale;              /* an eye is: collect soon */

	/* Of one thread each. */
	struct reader *scanner, *keeper, *library;
	struct claims_past *past;
	uint64_t mark;
	struct cpu_time time;
	struct probe_nvml *nvml;
	bool waits;        /* a round of it is in flight */
	uint64_t heard_ns; /* it was opened, a round began, or it answered */

	struct report *shown; /* of the thread that draws */
};

/* All of these with the lock held. */
uint32_t eye_index(const struct lookout *l, const char *pci); /* n_eyes: none */
struct eye *eye_of(struct lookout *l, const char *pci);
uint32_t eye_next_look(const struct lookout *l, const struct eye *e); /* milliseconds */

/* One round of NVIDIA's library, as a reader; without the lock. */
uint32_t library_read(void *lookout);

#endif

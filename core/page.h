/* SPDX-License-Identifier: MIT */
/* The run's telemetry page. Without a path every call does nothing. */
#ifndef BERTH_CORE_PAGE_H
#define BERTH_CORE_PAGE_H

#include "base/planfile.h"
#include "base/telem.h"
#include "core/account.h"
#include "core/event.h"

struct page {
	struct telem_writer writer;
	bool open;
	uint64_t last_sample_ns, last_energy_ns;
	int energy[TELEM_DEVICES_MAX]; /* of each device of the page; -1: it has no counter */
};

/* Create the page with what the plan says; path NULL: no page. `name` is the run's, or NULL. */
int page_open(struct page *p, const char *path, const struct plan *plan, const char *name,
	      struct err *e);

/* The engine's account; the state stays STARTING until page_state says otherwise. */
void page_account(struct page *p, const struct account *a, uint32_t n_ctx);
void page_verified(struct page *p);
void page_state(struct page *p, enum telem_state state);
void page_sleep(struct page *p); /* nothing is loaded; page_account again once it is */

/* What changes with each step of the engine. */
struct page_counts {
	struct telem_counts all;
	uint32_t ctx_used; /* tokens, of the fullest sequence */
	uint32_t queue, busy;
	uint32_t n_seq; /* how many of the next are told */
	uint32_t seq_tokens[TELEM_SEQ_MAX];
};

/* A sample goes into the ring at most every 100 ms. */
void page_count(struct page *p, const struct page_counts *c);

/* The same of a run with one sequence and one request. */
void page_outcome(struct page *p, const struct outcome *o, uint32_t ctx_used);
void page_beat(struct page *p);
void page_close(struct page *p);

#endif

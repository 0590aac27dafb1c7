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
	uint64_t last_sample_ns;
};

/* Create the page with what the plan says; path NULL: no page. */
int page_open(struct page *p, const char *path, const struct plan *plan, struct err *e);

/* The engine's account; the state stays STARTING until page_state says otherwise. */
void page_account(struct page *p, const struct account *a, uint32_t n_ctx);
void page_verified(struct page *p);
void page_state(struct page *p, enum telem_state state);

/* Counters now, and how many requests wait; a sample goes into the ring at most every 100 ms. */
void page_count(struct page *p, const struct outcome *o, uint32_t ctx_used, uint32_t queue);
void page_beat(struct page *p);
void page_close(struct page *p);

#endif

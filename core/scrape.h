/* SPDX-License-Identifier: MIT */
/* What a llama-server counts: its /metrics, asked once a second without ever waiting for the answer. */
#ifndef BERTH_CORE_SCRAPE_H
#define BERTH_CORE_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/event.h"

#define SCRAPE_MAX 65536

struct scrape {
	int fd;        /* -1: nothing is asked */
	int64_t at_ms; /* when it was asked last */
	size_t n;
	char answer[SCRAPE_MAX];
};

/* The counters of an answer, HTTP head and all, into *o (its stop is left alone). Pure. false: it has not all. */
bool scrape_read(const char *answer, struct outcome *o, uint32_t *queue);

void scrape_init(struct scrape *s);

/*
 * Ask, or see what came; `key` NULL: none is needed. true: *o and *queue are new. Costs no more than a
 * look when there is nothing.
 */
bool scrape_step(struct scrape *s, const char *socket_path, const char *key, int64_t now_ms,
		 struct outcome *o, uint32_t *queue);
void scrape_close(struct scrape *s);

#endif

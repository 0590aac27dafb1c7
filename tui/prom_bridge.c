/* SPDX-License-Identifier: MIT */
/* Metrics of bridges. */
#include <inttypes.h>

#include "tui/judge.h"
#include "tui/prom_priv.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* A number of the page by its place; it is divided by `per`. */
struct metric {
	const char *name, *type, *help;
	size_t offset;
	double per;
};

#define COUNT(member, name, type, per, help)                                                       \
	{                                                                                          \
		name, type, help, offsetof(struct telem_bridge, counts.member), per                \
	}
#define REGION(member, name, type, help)                                                           \
	{                                                                                          \
		name, type, help, offsetof(struct telem_region, member), 1                         \
	}

/* clang-format off */
static const struct metric bridge_metrics[] = {
	COUNT(errors, "berth_bridge_errors_total", "counter", 1, "Accesses that ended in an error."),
	COUNT(refused, "berth_bridge_refused_messages_total", "counter", 1, "Messages that made no sense."),
	COUNT(retries, "berth_bridge_retries_total", "counter", 1, "Accesses that were tried again."),
	COUNT(worker_restarts, "berth_bridge_worker_restarts_total", "counter", 1, "Workers after the first."),
	COUNT(restart_gap_ns, "berth_bridge_restart_gap_seconds", "gauge", 1e9, "The longest that one left."),
	COUNT(clients, "berth_bridge_clients_total", "counter", 1, "Connections taken."),
	COUNT(dma_maps, "berth_bridge_dma_maps", "gauge", 1, "Maps of guest memory."),
	COUNT(dma_bytes, "berth_bridge_dma_bytes", "gauge", 1, "Guest memory that the device reaches."),
	COUNT(dma_refused, "berth_bridge_dma_refused_total", "counter", 1, "Maps and unmaps that could not be."),
	COUNT(interrupts, "berth_bridge_interrupts_total", "counter", 1, "Interrupts delivered."),
	COUNT(recorder_bytes, "berth_bridge_recorder_bytes_total", "counter", 1, "Written by its recorder."),
	COUNT(recorder_drops, "berth_bridge_recorder_drops_total", "counter", 1, "Events it had no room for."),
};

static const struct metric region_metrics[] = {
	REGION(mapped_bytes, "berth_bridge_mapped_bytes", "gauge", "What the guest reaches by itself."),
	REGION(reads, "berth_bridge_reads_total", "counter", "Trapped reads."),
	REGION(writes, "berth_bridge_writes_total", "counter", "Trapped writes, the posted ones included."),
	REGION(posted, "berth_bridge_posted_writes_total", "counter", "Writes that nobody waited for."),
	REGION(denied, "berth_bridge_denied_total", "counter", "Accesses refused by policy."),
};
/* clang-format on */

static void labels(FILE *to, const struct bridge_seen *b)
{
	fputc('{', to);
	prom_label(to, "bridge", b->key);
	fputc(',', to);
	prom_label(to, "pci", b->page.pci);
	fputc(',', to);
	prom_label(to, "guest", b->page.guest);
}

static uint64_t number(const void *at, const struct metric *m)
{
	return *(const uint64_t *)(const void *)((const char *)at + m->offset);
}

static void print_counts(const struct snapshot *s, const struct metric *m, FILE *to)
{
	bool begun = false;

	for (uint32_t i = 0; i < s->n_bridges; i++) {
		uint64_t v = number(&s->bridges[i].page, m);

		if (v == TELEM_UNKNOWN)
			continue;
		if (!begun)
			prom_head(to, m->name, m->type, m->help);
		begun = true;
		fputs(m->name, to);
		labels(to, &s->bridges[i]);
		prom_value(to, v, m->per);
	}
}

static void print_regions(const struct snapshot *s, const struct metric *m, FILE *to)
{
	prom_head(to, m->name, m->type, m->help);
	for (uint32_t i = 0; i < s->n_bridges; i++)
		for (uint32_t k = 0; k < TELEM_REGIONS; k++) {
			const struct telem_region *r = &s->bridges[i].page.regions[k];

			if (!r->size_bytes || number(r, m) == TELEM_UNKNOWN)
				continue;
			fputs(m->name, to);
			labels(to, &s->bridges[i]);
			fputc(',', to);
			prom_label(to, "region", telem_region_name(k));
			prom_value(to, number(r, m), m->per);
		}
}

/* Buckets count all below their end, as Prometheus wants them. */
static void print_latency(const struct bridge_seen *b, FILE *to)
{
	uint64_t sum = 0;
	char le[32];

	for (uint32_t i = 0; i < TELEM_LATENCY; i++) {
		if (__builtin_add_overflow(sum, b->page.latency[i], &sum))
			sum = UINT64_MAX;
		snprintf(le, sizeof(le), "%.9g", (double)(UINT64_C(2) << i) * 1e-9);
		fputs("berth_bridge_access_seconds_bucket", to);
		labels(to, b);
		fputc(',', to);
		prom_label(to, "le", i == TELEM_LATENCY - 1 ? "+Inf" : le);
		prom_value(to, sum, 1);
	}
	if (b->page.counts.latency_ns != TELEM_UNKNOWN) {
		fputs("berth_bridge_access_seconds_sum", to);
		labels(to, b);
		prom_value(to, b->page.counts.latency_ns, 1e9);
	}
	fputs("berth_bridge_access_seconds_count", to);
	labels(to, b);
	prom_value(to, sum, 1);
}

void prom_bridges(const struct snapshot *s, FILE *to)
{
	if (!s->n_bridges)
		return;
	for (size_t i = 0; i < N_OF(bridge_metrics); i++)
		print_counts(s, &bridge_metrics[i], to);
	for (size_t i = 0; i < N_OF(region_metrics); i++)
		print_regions(s, &region_metrics[i], to);
	prom_head(to, "berth_bridge_state", "gauge", "1: the bridge is in this state.");
	for (uint32_t i = 0; i < s->n_bridges; i++) {
		fputs("berth_bridge_state", to);
		labels(to, &s->bridges[i]);
		fputc(',', to);
		prom_label(to, "state", bridge_state_name(judge_bridge(&s->bridges[i])));
		prom_value(to, 1, 1);
	}
	prom_head(to, "berth_bridge_access_seconds", "histogram", "What trapped accesses took.");
	for (uint32_t i = 0; i < s->n_bridges; i++)
		print_latency(&s->bridges[i], to);
}

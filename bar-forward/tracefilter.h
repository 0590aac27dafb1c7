/* SPDX-License-Identifier: MIT */
/* Which records of a recording are wanted: by region and range, by kind, by time. Pure. */
#ifndef BERTH_TRACEFILTER_H
#define BERTH_TRACEFILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/tracefile.h"
#include "base/cmd.h"
#include "base/err.h"

struct trace_place {
	uint8_t region;
	uint64_t first, last; /* offsets, both in it */
};

/* Zeroed: all of them. */
struct trace_filter {
	uint32_t n_only, n_except;
	struct trace_place only[OPT_LIST_MAX], except[OPT_LIST_MAX];
	uint32_t kinds;        /* bits by enum trace_kind; 0: all */
	uint64_t since, until; /* ns; until 0: no end */
};

/* "bar0", "bar0:0x100-0x1ff", "rom:0+64", "config". 0 or -EINVAL with *e. */
int trace_place_parse(struct trace_place *p, const char *text, struct err *e);

/* What was asked on a command line. Times are left as they are. 0 or -EINVAL with *e. */
int trace_filter_parse(struct trace_filter *f, const struct opt_list *only,
		       const struct opt_list *except, const struct opt_list *kinds, struct err *e);

/*
 * "12.5": seconds from the beginning, "-3": before the end. 0 or -EINVAL with *e. *ns is a time of CLOCK_BOOTTIME, as records
 * have it.
 */
int trace_time_parse(const char *text, uint64_t began, uint64_t ended, uint64_t *ns, struct err *e);

/* Places concern reads and writes alone: with `only`, nothing else is wanted. */
bool trace_filter_wants(const struct trace_filter *f, const struct trace_slot *s);

/* "read", "dma-map"; range-checked numbers only. */
const char *trace_kind_name(uint32_t kind);

#endif

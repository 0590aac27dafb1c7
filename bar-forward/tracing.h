/* SPDX-License-Identifier: MIT */
/* berth bridge trace and record. */
#ifndef BERTH_TRACING_H
#define BERTH_TRACING_H

#include "bar-forward/traceread.h"
#include "bar-forward/verbs.h"

int trace_verb(const struct ask *a, struct err *e);
int record_verb(const struct ask *a, struct err *e);

/* A recording's reader and the filter that the options make, for verbs that read recordings. 0 or a negative errno with *e. */
struct trace_filter;
int tracing_open(const struct ask *a, const char *word, struct trace_reader **r,
		 struct trace_filter *f, struct err *e);

#endif

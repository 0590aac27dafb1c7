/* SPDX-License-Identifier: MIT */
/* Records of a recording as text and as JSON. */
#ifndef BERTH_TRACESHOW_H
#define BERTH_TRACESHOW_H

#include <stdio.h>

#include "bar-forward/traceread.h"
#include "base/json.h"

#define TRACE_LINE_MAX 512

/* One line without its end; `began`: what its time counts from. */
void trace_line(char line[TRACE_LINE_MAX], const struct trace_record *rec, uint64_t began);

/* What a line says besides the time and the duration: "read  bar0+0x24/4 = 0x44332211". */
void trace_words(char words[TRACE_LINE_MAX], const struct trace_record *rec);

/* berth.bridge.trace/1: the recording, then each record; the caller's. */
json_t *trace_head_json(const struct trace_head *h);
json_t *trace_json(const struct trace_record *rec, uint64_t began);

#endif

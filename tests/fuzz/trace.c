/* SPDX-License-Identifier: MIT */
/* A recording of a bridge that anybody may have written: every record that is given is sound, and can be shown. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bar-forward/heat.h"
#include "bar-forward/tracefilter.h"
#include "bar-forward/traceshow.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define RECORDS 2000

static struct trace_record rec;

static void check(const struct trace_reader *r, struct heat *h)
{
	char line[TRACE_LINE_MAX];
	json_t *o;

	if (rec.held > rec.count || rec.s.kind >= TRACE_KINDS || rec.ticket >= r->next)
		abort();
	trace_line(line, &rec, r->head.started_ns);
	o = trace_json(&rec, r->head.started_ns);
	if (json_object_size(o) < 4)
		abort();
	json_decref(o);
	if ((rec.s.kind == TRACE_READ || rec.s.kind == TRACE_WRITE) &&
	    heat_add(h, rec.s.region, rec.s.offset, rec.count, rec.s.kind == TRACE_WRITE))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct trace_reader *r = NULL;
	struct heat h = { 0 };
	uint64_t last = 0;

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	if (trace_reader_take(&r, fd, "it", NULL))
		return 0;
	json_decref(trace_head_json(&r->head));
	for (int i = 0; i < RECORDS && trace_reader_next(r, &rec, NULL) == 1; i++) {
		if (i && rec.ticket <= last)
			abort();
		last = rec.ticket;
		check(r, &h);
	}
	trace_reader_seek(r, rec.s.ns, NULL);
	trace_reader_end(r);
	heat_free(&h);
	trace_reader_close(r);
	return 0;
}

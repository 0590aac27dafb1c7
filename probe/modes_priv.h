/* SPDX-License-Identifier: MIT */
/* What `berth probe` does besides showing one report. Each returns an exit code or a negative errno. */
#ifndef BERTH_PROBE_MODES_PRIV_H
#define BERTH_PROBE_MODES_PRIV_H

#include "base/log.h"
#include "probe/probe_priv.h"

/* --diff: two machines, each a captured folder or NULL for this one. EXIT_YES: no difference. */
struct compare_opts {
	const char *from, *to;
	bool json, wake, live;
};

int compare_machines(const struct compare_opts *o, struct err *e);

/* --watch: this machine's events, a line each, until a signal, the time or the count ends it. */
struct watch_opts {
	bool json;
	uint32_t timeout_s, count; /* 0: without end */
};

int watch_machine(const struct watch_opts *o, const struct log *log, struct err *e);

#endif

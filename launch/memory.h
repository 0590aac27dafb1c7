/* SPDX-License-Identifier: MIT */
/*
 * Which NUMA nodes a core's host memory comes from. Without a word the kernel takes it from wherever the
 * thread runs that touches it first, and from elsewhere when caches of files fill that node; weights that
 * are read once a token are then read over the link between sockets for as long as the run lives.
 */
#ifndef BERTH_LAUNCH_MEMORY_H
#define BERTH_LAUNCH_MEMORY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"
#include "base/planfile.h"
#include "base/text.h"

#define MEMORY_NODES_MAX 64 /* nodes of a higher number are not used */

/* Less than this in host memory is not worth a policy: it is in the caches, or read seldom. */
#define MEMORY_WORTH_BYTES (UINT64_C(256) << 20)

struct memory_node {
	bool usable;         /* it is there and has memory */
	uint64_t free_bytes; /* free, or a file's page that can be dropped */
	cpu_set_t cpus;
};

struct memory_nodes {
	uint32_t n_usable;
	struct memory_node nodes[MEMORY_NODES_MAX];
};

enum memory_kind {
	MEMORY_ANY,        /* as the kernel does it */
	MEMORY_BIND,       /* from these nodes alone */
	MEMORY_INTERLEAVE, /* from these in turns, page by page */
};

struct memory_policy {
	enum memory_kind kind;
	uint64_t nodes; /* a bit each */
};

/* The nodes of a machine; none on a kernel without NUMA. */
void memory_read(struct memory_nodes *m, const struct machine *machine);

/*
 * The policy for a plan whose core runs on `cpus`. Bind to their one node when it has room for what the plan
 * has on the host; else interleave over the nodes of these CPUs, or over all when those lack room. Nothing
 * where there is one node, where little is on the host, or where it would not fit at all. Pure.
 */
struct memory_policy memory_choose(const struct memory_nodes *m, const struct plan *p,
				   const cpu_set_t *cpus);

/* "bound to node 0", "interleaved over nodes 0-1"; "wherever the kernel takes it". */
void memory_text(struct text *t, const struct memory_policy *p);
const char *memory_kind_name(enum memory_kind k); /* "any", "bind", "interleave" */
void memory_nodes_text(struct text *t, const struct memory_policy *p); /* "0-1" */

/* Whether nobody has set a policy for this process, as numactl does. */
bool memory_is_ours(void);

/* For this process, and those it starts from here on. 0, or the kernel's -errno. */
int memory_use(const struct memory_policy *p);

#endif

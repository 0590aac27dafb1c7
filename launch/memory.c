/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpulist.h"
#include "launch/cpus.h"
#include "launch/memory.h"

static const char *const kind_names[] = {
	[MEMORY_ANY] = "any",
	[MEMORY_BIND] = "bind",
	[MEMORY_INTERLEAVE] = "interleave",
};

/* --- reading --- */

/* "Node 0 MemFree:  22247080 kB"; 0 where there is no such line. */
static uint64_t line_bytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	unsigned long long kib;

	if (!at || sscanf(at + strlen(key), " %llu kB", &kib) != 1 || kib > UINT64_MAX >> 11)
		return 0;
	return (uint64_t)kib << 10;
}

static void read_node(struct memory_node *n, const struct machine *machine, unsigned number)
{
	static const char *const keys[] = { "MemFree:", "Inactive(file):", "Active(file):" };
	char path[64], text[8192];

	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", number);
	if (machine_read(machine, path, text, sizeof(text)) < 0 ||
	    cpus_parse(text_trim(text), &n->cpus))
		CPU_ZERO(&n->cpus); /* memory without processors, as CXL's */
	snprintf(path, sizeof(path), "sys/devices/system/node/node%u/meminfo", number);
	if (machine_read(machine, path, text, sizeof(text)) < 0)
		return;
	n->usable = line_bytes(text, "MemTotal:") > 0;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		n->free_bytes += line_bytes(text, keys[i]);
}

void memory_read(struct memory_nodes *m, const struct machine *machine)
{
	char list[1024];
	struct cpuset has;

	memset(m, 0, sizeof(*m));
	if (machine_read(machine, "sys/devices/system/node/has_memory", list, sizeof(list)) < 0 ||
	    cpulist_parse(text_trim(list), &has))
		return;
	for (unsigned i = 0; i < MEMORY_NODES_MAX; i++) {
		if (!cpuset_has(&has, i))
			continue;
		read_node(&m->nodes[i], machine, i);
		m->n_usable += m->nodes[i].usable;
	}
}

/* --- choosing --- */

static uint64_t room(const struct memory_nodes *m, uint64_t nodes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MEMORY_NODES_MAX; i++)
		if (nodes >> i & 1)
			sum += m->nodes[i].free_bytes;
	return sum;
}

/* Nodes with memory; with `cpus` those alone that have one of them. */
static uint64_t nodes_of(const struct memory_nodes *m, const cpu_set_t *cpus)
{
	uint64_t nodes = 0;

	for (unsigned i = 0; i < MEMORY_NODES_MAX; i++) {
		cpu_set_t both;

		if (!m->nodes[i].usable)
			continue;
		if (cpus)
			CPU_AND(&both, &m->nodes[i].cpus, cpus);
		if (!cpus || CPU_COUNT(&both) > 0)
			nodes |= UINT64_C(1) << i;
	}
	return nodes;
}

static bool is_one(uint64_t nodes)
{
	return nodes && !(nodes & (nodes - 1));
}

struct memory_policy memory_choose(const struct memory_nodes *m, const struct plan *p,
				   const cpu_set_t *cpus)
{
	const struct memory_policy any = { .kind = MEMORY_ANY };
	uint64_t near = nodes_of(m, cpus), all = nodes_of(m, NULL);
	uint64_t need = plan_buffers_sum(
		&p->host.buffers); /* saturates, and has the margin in it */

	if (m->n_usable < 2 || need - p->host.buffers.overhead_bytes < MEMORY_WORTH_BYTES)
		return any;
	if (near && need <= room(m, near))
		return (struct memory_policy) { is_one(near) ? MEMORY_BIND : MEMORY_INTERLEAVE,
						near };
	if (need <= room(m, all))
		return (struct memory_policy) { MEMORY_INTERLEAVE, all };
	return any;
}

/* --- saying and doing --- */

const char *memory_kind_name(enum memory_kind k)
{
	return kind_names[k];
}

void memory_nodes_text(struct text *t, const struct memory_policy *p)
{
	struct cpuset set = { 0 };
	char list[256];

	for (unsigned i = 0; i < MEMORY_NODES_MAX; i++)
		if (p->nodes >> i & 1)
			set.bits[i / 8] |= (uint8_t)(1u << (i % 8));
	cpulist_text(&set, list, sizeof(list));
	text_add(t, "%s", list);
}

void memory_text(struct text *t, const struct memory_policy *p)
{
	if (p->kind == MEMORY_ANY) {
		text_add(t, "wherever the kernel takes it");
		return;
	}
	text_add(t, "%s node%s ", p->kind == MEMORY_BIND ? "bound to" : "interleaved over",
		 is_one(p->nodes) ? "" : "s");
	memory_nodes_text(t, p);
}

int memory_use(const struct memory_policy *p)
{
	static const int modes[] = {
		[MEMORY_ANY] = MPOL_DEFAULT,
		[MEMORY_BIND] = MPOL_BIND,
		[MEMORY_INTERLEAVE] = MPOL_INTERLEAVE,
	};
	unsigned long mask = p->nodes;

	/* the kernel reads one bit less than it is told */
	if (syscall(SYS_set_mempolicy, modes[p->kind], p->kind == MEMORY_ANY ? NULL : &mask,
		    p->kind == MEMORY_ANY ? 0UL : (unsigned long)MEMORY_NODES_MAX + 1) < 0)
		return -errno;
	return 0;
}

bool memory_is_ours(void)
{
	int mode = MPOL_DEFAULT;

	return syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) < 0 || mode == MPOL_DEFAULT;
}

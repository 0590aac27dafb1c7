/* SPDX-License-Identifier: MIT */
/* Which NUMA nodes host memory comes from, and that the kernel takes the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "launch/cpus.h"
#include "launch/memory.h"
#include "tests/unit/harness.h"

#define GIB (UINT64_C(1) << 30)

/* Two sockets of four CPUs and 64 GiB each, and a node of memory alone. */
static struct memory_nodes *two_sockets(void)
{
	struct memory_nodes *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->n_usable = 3;
	for (unsigned i = 0; i < 3; i++)
		m->nodes[i] = (struct memory_node) { .usable = true, .free_bytes = 64 * GIB };
	cpus_parse("0-3", &m->nodes[0].cpus);
	cpus_parse("4-7", &m->nodes[1].cpus);
	return m;
}

static const char *chosen(const struct memory_nodes *m, uint64_t bytes, const char *cpus)
{
	static char words[128];
	struct plan p = { .host.buffers = { .weights_bytes = bytes, .overhead_bytes = GIB / 4 } };
	struct memory_policy policy;
	cpu_set_t set;
	struct text t;

	assert_int_equal(cpus_parse(cpus, &set), 0);
	policy = memory_choose(m, &p, &set);
	text_init(&t, words, sizeof(words));
	memory_text(&t, &policy);
	return words;
}

static void choices(void **state)
{
	static const char any[] = "wherever the kernel takes it";
	struct memory_nodes *m = two_sockets();

	(void)state;
	assert_string_equal(chosen(m, 40 * GIB, "4-7"), "bound to node 1");
	assert_string_equal(chosen(m, 40 * GIB, "0,2"), "bound to node 0");
	assert_string_equal(chosen(m, 40 * GIB, "2-5"), "interleaved over nodes 0-1");
	/* more than the near node has: all of them */
	assert_string_equal(chosen(m, 100 * GIB, "4-7"), "interleaved over nodes 0-2");
	assert_string_equal(chosen(m, 100 * GIB, "2-5"), "interleaved over nodes 0-1");
	/* more than there is, and little: nothing to bind */
	assert_string_equal(chosen(m, 500 * GIB, "4-7"), any);
	assert_string_equal(chosen(m, GIB / 8, "4-7"), any);
	assert_string_equal(chosen(m, UINT64_MAX, "4-7"), any);
	/* CPUs of no node that is known */
	assert_string_equal(chosen(m, 40 * GIB, "12"), "interleaved over nodes 0-2");
	m->n_usable = 1;
	m->nodes[1].usable = m->nodes[2].usable = false;
	assert_string_equal(chosen(m, 40 * GIB, "0-3"), any);
	free(m);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *s = path + strlen(dir) + 1; (s = strchr(s, '/')); s++) {
		*s = 0;
		mkdir(path, 0700);
		*s = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void reading(void **state)
{
	char dir[] = "/tmp/berth-memory-XXXXXX", command[64];
	struct memory_nodes *m = calloc(1, sizeof(*m));
	struct machine machine;

	(void)state;
	assert_non_null(m);
	assert_non_null(mkdtemp(dir));
	put(dir, "sys/devices/system/node/has_memory", "0,2-3,70\n");
	put(dir, "sys/devices/system/node/node0/cpulist", "0-1\n");
	put(dir, "sys/devices/system/node/node0/meminfo",
	    "Node 0 MemTotal: 1000 kB\nNode 0 MemFree: 300 kB\nNode 0 Active(file): 20 kB\n"
	    "Node 0 Inactive(file): 3 kB\n");
	put(dir, "sys/devices/system/node/node2/cpulist", "\n");
	put(dir, "sys/devices/system/node/node2/meminfo",
	    "Node 2 MemTotal: 7 kB\nNode 2 MemFree: 99999999999999999999999 kB\n");
	assert_int_equal(machine_open(&machine, dir, NULL), 0);
	memory_read(m, &machine);
	assert_int_equal(m->n_usable, 2); /* of node 3 there is nothing, and 70 is too many */
	assert_int_equal(m->nodes[0].free_bytes, 323 << 10);
	assert_int_equal(CPU_COUNT(&m->nodes[0].cpus), 2);
	assert_true(m->nodes[2].usable);
	assert_int_equal(m->nodes[2].free_bytes, 0);
	assert_int_equal(CPU_COUNT(&m->nodes[2].cpus), 0);
	assert_false(m->nodes[3].usable);
	machine_close(&machine);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(m);
}

/* A line of numa_maps says by which policy its memory comes. */
static bool maps_say(const char *word)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, word) != NULL;
	if (f)
		fclose(f);
	return found;
}

static void use(void **state)
{
	const struct memory_policy bind = { MEMORY_BIND, 1 }, any = { .kind = MEMORY_ANY },
				   nowhere = { MEMORY_BIND, UINT64_C(1) << 63 };
	FILE *f = fopen("/proc/self/numa_maps", "r");

	(void)state;
	if (f)
		fclose(f);
	if (!f || memory_use(&any) || !memory_is_ours())
		skip(); /* no NUMA in this kernel, or a container forbids it */
	assert_int_equal(memory_use(&bind), 0);
	assert_true(maps_say(" bind:0"));
	assert_false(memory_is_ours());
	assert_int_equal(memory_use(&any), 0);
	assert_false(maps_say(" bind:0"));
	assert_int_equal(memory_use(&nowhere), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choices),
		cmocka_unit_test(reading),
		cmocka_unit_test(use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * hwloc: the cores, packages and NUMA nodes we may use, and which node a GPU's CPUs belong to. I/O
 * objects stay filtered out: finding them reads every config space, which wakes what sleeps.
 */
#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/probe_priv.h"

/*
 * Plugins bring OpenCL, GL and NVML with them: seconds of loading, and devices woken. What hwloc thinks
 * of a strange machine is not for stderr: the facts it lacks are unknown.
 */
static const struct {
	const char *name, *value;
} settings[] = { { "HWLOC_PLUGINS_PATH", "/nonexistent" }, { "HWLOC_HIDE_ERRORS", "2" } };

static int load(hwloc_topology_t *topo)
{
	int rc = hwloc_topology_init(topo);

	if (rc)
		return rc;
	hwloc_topology_set_all_types_filter(*topo, HWLOC_TYPE_FILTER_KEEP_NONE);
	hwloc_topology_set_type_filter(*topo, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
	hwloc_topology_set_type_filter(*topo, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
	/* This component visits every CPU in turn, for caches that we do not ask about. */
	hwloc_topology_set_components(*topo, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
	hwloc_topology_set_flags(*topo, HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
						HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS |
						HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
	rc = hwloc_topology_load(*topo);
	if (rc)
		hwloc_topology_destroy(*topo);
	return rc;
}

/* hwloc takes these only from the environment; the person's own settings win. */
static int load_quietly(hwloc_topology_t *topo)
{
	bool set[ARRAY_LEN(settings)];

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		set[i] = !getenv(settings[i].name);
		if (set[i])
			setenv(settings[i].name, settings[i].value, 1);
	}
	int rc = load(topo);

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (set[i])
			unsetenv(settings[i].name);
	return rc;
}

static struct fact count_used(hwloc_topology_t topo, hwloc_obj_type_t type,
			      hwloc_const_bitmap_t ours)
{
	int64_t n = 0;

	for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(topo, type, o));)
		n += hwloc_bitmap_intersects(o->cpuset, ours);
	return n ? fact_of(n, SRC_HWLOC) : fact_unknown(WHY_NOT_EXPORTED);
}

/* The first CPU we may use of each core; of each logical CPU where the machine does not tell cores. */
static void pick_cpus(hwloc_topology_t topo, hwloc_const_bitmap_t ours, struct cpu *c)
{
	hwloc_obj_type_t type = hwloc_get_nbobjs_by_type(topo, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE
										   : HWLOC_OBJ_PU;
	own_free unsigned *order = calloc(CPUS_MAX, sizeof(*order));
	struct cpuset set = { 0 };
	int cores = 0;

	for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(topo, type, o));) {
		hwloc_bitmap_t here = hwloc_bitmap_dup(o->cpuset);

		if (!here || !order) {
			hwloc_bitmap_free(here);
			return;
		}
		hwloc_bitmap_and(here, here, ours);
		int cpu = hwloc_bitmap_first(here);

		hwloc_bitmap_free(here);
		if (cpu < 0 || cpu >= CPUS_MAX || cores == CPUS_MAX)
			continue;
		set.bits[cpu / 8] |= (uint8_t)(1u << (cpu % 8));
		order[cores++] = (unsigned)cpu;
	}
	if (!cores)
		return;
	c->cores = fact_of(cores, SRC_HWLOC);
	c->cpuset = (struct fact_text) { .src = SRC_HWLOC };
	if (!cpulist_text(&set, c->cpuset.v, sizeof(c->cpuset.v)))
		c->cpuset = fact_text_unknown(WHY_GARBLED);
	/* Where we may not use all of the machine, our count of its cores is not Slurm's. */
	if (!hwloc_bitmap_isequal(ours, hwloc_topology_get_complete_cpuset(topo)))
		return;
	c->core_order.src = SRC_HWLOC;
	if (!cpulist_order_text(order, cores, c->core_order.v, sizeof(c->core_order.v)))
		c->core_order = fact_text_unknown(WHY_GARBLED);
}

static void ask_cpu(hwloc_topology_t topo, hwloc_const_bitmap_t ours, struct cpu *c)
{
	hwloc_obj_t package = hwloc_get_obj_by_type(topo, HWLOC_OBJ_PACKAGE, 0);
	const char *name = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;

	c->name = name && *name ? fact_text_of(name, SRC_HWLOC)
				: fact_text_unknown(WHY_NOT_EXPORTED);
	c->threads = fact_of(hwloc_bitmap_weight(ours), SRC_HWLOC);
	c->packages = count_used(topo, HWLOC_OBJ_PACKAGE, ours);
	c->numa_nodes = count_used(topo, HWLOC_OBJ_NUMANODE, ours);
	c->cores = fact_unknown(WHY_NOT_EXPORTED);
	c->cpuset = c->core_order = fact_text_unknown(WHY_NOT_EXPORTED);
	pick_cpus(topo, ours, c);
}

static hwloc_bitmap_t bitmap_of(const char *cpus)
{
	hwloc_bitmap_t map = hwloc_bitmap_alloc();
	struct cpuset set;

	/* Our own parser: hwloc's knows no strides. */
	if (!map || cpulist_parse(cpus, &set))
		return map;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (set.bits[i / 8] >> (i % 8) & 1)
			hwloc_bitmap_set(map, i);
	return map;
}

/* The one NUMA node whose CPUs hold all of the list, as hwloc sees the machine. */
static struct fact node_of(hwloc_topology_t topo, const char *cpus)
{
	struct fact node = fact_unknown(WHY_NOT_EXPORTED);
	hwloc_bitmap_t set = bitmap_of(cpus);

	if (!set)
		return node;
	hwloc_bitmap_and(set, set, hwloc_topology_get_topology_cpuset(topo));
	hwloc_obj_t o = hwloc_bitmap_iszero(set) ? NULL : hwloc_get_obj_covering_cpuset(topo, set);

	if (o && hwloc_bitmap_weight(o->nodeset) == 1)
		node = fact_of(hwloc_bitmap_first(o->nodeset), SRC_HWLOC);
	hwloc_bitmap_free(set);
	return node;
}

void topo_ask(const struct report *r, struct topo_view *v)
{
	hwloc_topology_t topo;

	*v = (struct topo_view) { 0 };
	if (load_quietly(&topo))
		return;
	v->asked = true;
	hwloc_bitmap_t ours = hwloc_bitmap_alloc();

	/* Affinity may be narrower than what the cgroup allows; launch inherits both. */
	if (ours &&
	    (hwloc_get_cpubind(topo, ours, HWLOC_CPUBIND_PROCESS) || hwloc_bitmap_iszero(ours)))
		hwloc_bitmap_copy(ours, hwloc_topology_get_allowed_cpuset(topo));
	if (ours) {
		hwloc_bitmap_and(ours, ours, hwloc_topology_get_allowed_cpuset(topo));
		ask_cpu(topo, ours, &v->cpu);
	}
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		const struct gpu *g = &r->gpus[i];
		struct topo_fn *f = &v->fns[v->n++];

		memcpy(f->pci, g->pci, sizeof(f->pci));
		f->numa_node = fact_text_known(&g->cpus) ? node_of(topo, g->cpus.v)
							 : fact_unknown(g->cpus.why);
	}
	hwloc_bitmap_free(ours);
	hwloc_topology_destroy(topo);
}

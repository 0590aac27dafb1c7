/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/cpulist.h"
#include "launch/cpus.h"

int cpus_parse(const char *list, cpu_set_t *set)
{
	struct cpuset cpus;

	CPU_ZERO(set);
	if (!*list || cpulist_parse(list, &cpus))
		return -EINVAL;
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		if (!cpuset_has(&cpus, i))
			continue;
		if (i >= CPU_SETSIZE)
			return -EINVAL; /* sched_setaffinity could not be asked for it */
		CPU_SET(i, set);
	}
	return 0;
}

void cpus_text(struct text *t, const cpu_set_t *set)
{
	struct cpuset cpus = { 0 };
	char buf[256];

	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, set))
			cpus.bits[i / 8] |= (uint8_t)(1u << (i % 8));
	cpulist_text(&cpus, buf, sizeof(buf));
	text_add(t, "%s", buf);
}

/* set := set & near, unless nothing would be left. */
static void narrow(cpu_set_t *set, const cpu_set_t *near)
{
	cpu_set_t both;

	CPU_AND(&both, set, near);
	if (CPU_COUNT(&both) > 0)
		*set = both;
}

void cpus_choose(const struct report *r, const struct plan *p, const cpu_set_t *allowed,
		 cpu_set_t *set)
{
	cpu_set_t some, near;

	*set = *allowed;
	if (fact_text_known(&r->cpu.cpuset) && cpus_parse(r->cpu.cpuset.v, &some) == 0)
		narrow(set, &some);
	CPU_ZERO(&near);
	for (uint32_t d = 0; d < p->n_devices; d++) {
		const struct gpu *g = report_gpu(r, p->devices[d].pci);

		/* One device of unknown place, and no CPU is better than another */
		if (!g || !fact_text_known(&g->cpus) || cpus_parse(g->cpus.v, &some))
			return;
		CPU_OR(&near, &near, &some);
	}
	if (p->n_devices > 0)
		narrow(set, &near);
}

uint32_t cpus_threads(uint32_t n, double load)
{
	double free_cpus = load > 0 ? n - load : n;

	if (free_cpus < 1.5)
		return 1;
	return free_cpus >= n ? n : (uint32_t)(free_cpus + 0.5);
}

bool cpus_are_shared(double load)
{
	return load < 0 || load >= 0.5;
}

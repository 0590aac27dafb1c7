/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "launch/cpus.h"

/* One "N" or "N-M" at *s; moves *s behind it. */
static int parse_range(const char **s, cpu_set_t *set)
{
	char *end;
	long first = strtol(*s, &end, 10), last = first;

	if (end == *s || **s < '0' || **s > '9' || first >= CPU_SETSIZE)
		return -EINVAL;
	if (*end == '-') {
		const char *second = end + 1;

		if (*second < '0' || *second > '9')
			return -EINVAL;
		last = strtol(second, &end, 10);
	}
	if (last < first || last >= CPU_SETSIZE)
		return -EINVAL;
	for (long i = first; i <= last; i++)
		CPU_SET((size_t)i, set);
	*s = end;
	return 0;
}

int cpus_parse(const char *list, cpu_set_t *set)
{
	CPU_ZERO(set);
	for (const char *s = list;; s++) {
		if (parse_range(&s, set))
			return -EINVAL;
		if (*s == 0)
			return 0;
		if (*s != ',')
			return -EINVAL;
	}
}

void cpus_text(struct text *t, const cpu_set_t *set)
{
	const char *comma = "";

	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		size_t first = i;

		if (!CPU_ISSET(i, set))
			continue;
		while (i + 1 < CPU_SETSIZE && CPU_ISSET(i + 1, set))
			i++;
		text_add(t, first == i ? "%s%zu" : "%s%zu-%zu", comma, first, i);
		comma = ",";
	}
}

static const struct gpu *find_gpu(const struct report *r, const char *pci)
{
	for (uint32_t i = 0; i < r->n_gpus; i++)
		if (pci[0] && strcasecmp(r->gpus[i].pci, pci) == 0)
			return &r->gpus[i];
	return NULL;
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
		const struct gpu *g = find_gpu(r, p->devices[d].pci);

		/* one device of unknown place, and no CPU is better than another */
		if (!g || !fact_text_known(&g->cpus) || cpus_parse(g->cpus.v, &some))
			return;
		CPU_OR(&near, &near, &some);
	}
	if (p->n_devices > 0)
		narrow(set, &near);
}

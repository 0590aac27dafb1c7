/* SPDX-License-Identifier: MIT */
/* Lists of CPUs as the kernel and taskset write them: "0-7,16-23", "0-62:2". */
#ifndef BERTH_CPULIST_H
#define BERTH_CPULIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS_MAX 8192 /* what the kernel can be built for (CONFIG_NR_CPUS on x86-64) */

struct cpuset {
	uint8_t bits[CPUS_MAX / 8];
};

bool cpuset_has(const struct cpuset *set, unsigned cpu);

/* 0, or -EINVAL (not a list) or -ERANGE (a CPU beyond CPUS_MAX). The empty text is the empty set. */
int cpulist_parse(const char *list, struct cpuset *set);

/*
 * The shortest true text that fits: plain ranges, else with strides ("0-126:2"). False when neither
 * fits; buf is then empty.
 */
bool cpulist_text(const struct cpuset *set, char *buf, size_t size);

/* The same in plain ranges only, for readers that know no strides. */
bool cpulist_ranges(const struct cpuset *set, char *buf, size_t size);

/*
 * Lists whose order counts, in the same form: "0-6:2,1-7:2" is 0 2 4 6 1 3 5 7. cpulist_order() fills at
 * most max CPUs and returns their count, or -EINVAL (not a list) or -ERANGE (too long, or a CPU beyond
 * CPUS_MAX). cpulist_order_text() is false when the text does not fit; buf is then empty.
 */
int cpulist_order(const char *list, unsigned *cpus, int max);
bool cpulist_order_text(const unsigned *cpus, int n, char *buf, size_t size);

#endif

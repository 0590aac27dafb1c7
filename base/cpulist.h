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

#endif

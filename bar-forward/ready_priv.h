/* SPDX-License-Identifier: MIT */
/* The checks' parts, within the table of ready.c. */
#ifndef BERTH_READY_PRIV_H
#define BERTH_READY_PRIV_H

#include "bar-forward/ready.h"

void find_say(struct finding *w, enum verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void find_fix(struct finding *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool check_reset(const struct bridge_facts *f, struct finding *w);
bool check_power(const struct bridge_facts *f, struct finding *w);

/* Whether vfio of that kernel makes one access of 8 bytes. 1, 0, or -1: no version. */
int kernel_is_wide(const char *release);

#endif

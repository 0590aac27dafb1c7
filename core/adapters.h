/* SPDX-License-Identifier: MIT */
/* The options --lora and --control-vector: FILE or FILE=SCALE, again and again. */
#ifndef BERTH_CORE_ADAPTERS_H
#define BERTH_CORE_ADAPTERS_H

#include <limits.h>

#include "base/cmd.h"
#include "base/err.h"

#define ADAPTERS_MAX 16

/* A file, and how strongly it counts. */
struct adapter {
	char path[PATH_MAX]; /* absolute */
	float scale;         /* 1 unless given */
};

struct adapters {
	uint32_t n;
	struct adapter v[ADAPTERS_MAX];
};

/* 0; -E2BIG too many, -EINVAL no such scale, or the errno of a file that is not there; *e says. */
int adapters_take(struct adapters *a, const struct opt_list *given, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* The subjects of the report, in the order in which they are shown. */
#include "probe/section.h"

/* clang-format off */
const struct section sections[] = {
	{ .name = NULL },
};
/* clang-format on */

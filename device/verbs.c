/* SPDX-License-Identifier: MIT */
#include "device/verb.h"

/* clang-format off */
const struct verb verbs[] = {
	{ .name = NULL },
};
/* clang-format on */

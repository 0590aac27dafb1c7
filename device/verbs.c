/* SPDX-License-Identifier: MIT */
#include "device/tb.h"
#include "device/verb.h"

static const char *const authorise_heeds[] = { "enrol", NULL };

/* clang-format off */
const struct verb verbs[] = {
	{ .name = "authorise", .operands = "DEV", .summary = "let a Thunderbolt or USB4 box in, for this time",
	  .min_words = 1, .max_words = 1, .heeds = authorise_heeds, .plan = authorise_plan },
	{ .name = "deauthorise", .operands = "DEV", .summary = "let a box, and what is plugged into it, out again",
	  .min_words = 1, .max_words = 1, .plan = deauthorise_plan },
	{ .name = NULL },
};
/* clang-format on */

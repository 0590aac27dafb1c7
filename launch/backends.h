/* SPDX-License-Identifier: MIT */
/* What a launcher must know about the engine's backends. */
#ifndef BERTH_LAUNCH_BACKENDS_H
#define BERTH_LAUNCH_BACKENDS_H

#include <stdint.h>

struct launch_backend {
	const char *name; /* as in a plan: "cuda" */
	const char *
		visible; /* variable that hides all devices but a list of UUIDs; NULL: none takes UUIDs */
	const char *unset; /* a variable that would be applied on top, by index; NULL: none */
	const char *order,
		*order_value; /* makes indices follow PCI addresses; NULL: no such thing */
};

/* In order of preference when several drive one device. Ends with a NULL name. */
extern const struct launch_backend launch_backends[];

/* The rank of a backend, lower is better; UINT32_MAX: unknown. */
uint32_t launch_backend_rank(const char *name);

#endif

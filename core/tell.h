/* SPDX-License-Identifier: MIT */
/* What is told without a request to the engine: what GET asks for, and /api/show. Pure. */
#ifndef BERTH_CORE_TELL_H
#define BERTH_CORE_TELL_H

#include "core/admit.h"
#include "core/reply.h"

struct told {
	int status;
	const char *type; /* of the content */
	struct bytes body;
};

/* `a` was admitted to a route that makes no query. */
void tell(struct told *t, const struct admission *a, const char *name, const struct batch_model *m,
	  const struct batch_stats *stats);

#endif

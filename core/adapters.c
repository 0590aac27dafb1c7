/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "core/adapters.h"

/* A name may have an equals sign of its own: only a number after the last one is a scale. */
static int take(struct adapter *a, const char *given, struct err *e)
{
	const char *equals = strrchr(given, '=');
	char path[PATH_MAX], *end = NULL;
	double scale = equals ? strtod(equals + 1, &end) : 1;

	if (!text_copy(path, sizeof(path), given))
		return err_set(e, -ENAMETOOLONG, "the path is too long: %s", given);
	if (equals && end != equals + 1 && *end == 0)
		path[equals - given] = 0;
	else
		scale = 1;
	/* The negated form refuses NaN too */
	if (!(scale >= -1000 && scale <= 1000))
		return err_set(e, -EINVAL, "%s: a scale is from -1000 to 1000", given);
	if (!realpath(path, a->path))
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	a->scale = (float)scale;
	return 0;
}

int adapters_take(struct adapters *a, const struct opt_list *given, struct err *e)
{
	int rc = 0;

	a->n = 0;
	if (given->n > ADAPTERS_MAX)
		return err_set(e, -E2BIG, "%u adapters; at most %d", given->n, ADAPTERS_MAX);
	for (uint32_t i = 0; i < given->n && !rc; i++)
		rc = take(&a->v[a->n++], given->v[i], e);
	return rc;
}

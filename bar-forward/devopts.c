/* SPDX-License-Identifier: MIT */
#include "bar-forward/devopts.h"

#include <string.h>

/* Most machines have one domain only, and people leave it out. */
static const char *plain(const char *name)
{
	static const char domain[] = "0000:";

	return strncmp(name, domain, sizeof(domain) - 1) == 0 ? name + sizeof(domain) - 1 : name;
}

/* What comes after the device's name and the mark; NULL: it is not for that one. */
static const char *after(const char *given, const char *device, char mark)
{
	const char *from = plain(given), *name = plain(device);
	size_t n = strlen(name);

	return strncmp(from, name, n) == 0 && from[n] == mark ? from + n + 1 : NULL;
}

int devopts_of(const struct devopts *o, uint32_t k, const char **value, struct err *e)
{
	const char *given = o->given->v[k];

	for (uint32_t i = 0; i < o->n; i++) {
		*value = after(given, o->devices[i], o->mark);
		if (*value)
			return (int)i;
	}
	*value = given;
	return o->n == 1
		       ? 0
		       : err_set(e, -EINVAL,
				 "--%s %s is for none of the devices; of several it is given as --%s %s%c%s",
				 o->option, given, o->option, o->devices[0], o->mark, o->sample);
}

int devopts_one(const struct devopts *o, uint32_t device, const char **value, struct err *e)
{
	*value = NULL;
	for (uint32_t k = 0; k < o->given->n; k++) {
		const char *found;
		int of = devopts_of(o, k, &found, e);

		if (of < 0)
			return of;
		if ((uint32_t)of != device)
			continue;
		if (*value)
			return err_set(e, -EINVAL, "--%s is given twice for %s", o->option,
				       o->devices[device]);
		*value = found;
	}
	return 0;
}

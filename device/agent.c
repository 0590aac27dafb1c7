/* SPDX-License-Identifier: MIT */
#include "device/agent.h"

#include <string.h>

const struct agent agents[] = {
	{ NULL, NULL, NULL },
};

const struct agent *agent_find(const struct agent *table, const char *name)
{
	for (const struct agent *a = table; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "device/agent.h"

#include <string.h>

#include "device/agent_pci.h"
#include "device/agent_run.h"
#include "device/boxes.h"
#include "device/modules.h"
#include "device/power.h"

const struct agent agents[] = {
	{ "bolt", bolt_agent_call, bolt_agent_look },
	{ "module", modprobe_call, modprobe_look },
	{ "nvml", nvml_agent_call, nvml_agent_look },
	{ "pci", NULL, pci_look },
	{ "run", run_ask, run_look },
	{ NULL, NULL, NULL },
};

const struct agent *agent_find(const struct agent *table, const char *name)
{
	for (const struct agent *a = table; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

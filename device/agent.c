/* SPDX-License-Identifier: MIT */
#include "device/agent.h"

#include <string.h>

#include "device/agent_pci.h"
#include "device/agent_run.h"
#include "device/boxes.h"
#include "device/modules.h"
#include "device/power.h"

const struct agent agents[] = {
	{ .name = "bolt", .call = bolt_agent_call, .look = bolt_agent_look },
	{ .name = "module", .call = modprobe_call, .look = modprobe_look },
	{ .name = "nvml", .call = nvml_agent_call, .look = nvml_agent_look },
	{ .name = "pci", .look = pci_look, .differs = pci_differs },
	{ .name = "run", .call = run_ask, .look = run_look },
	{ .name = NULL },
};

const struct agent *agent_find(const struct agent *table, const char *name)
{
	for (const struct agent *a = table; a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

/* SPDX-License-Identifier: MIT */
/* Lines of /proc and sysfs that say who uses a device: mounts, swap, routes, maps, a QEMU's words, `resource`. */
#include <stdlib.h>
#include <string.h>

#include "device/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void each_line(const char *line)
{
	struct mount_line m;
	char text[64], pci[24];
	uint32_t major, minor;

	mount_parse(line, &m);
	swap_parse(line, text, sizeof(text));
	route_parse(line, text, sizeof(text));
	if (registers_parse(line, pci, sizeof(pci)) && !addr_ok(pci))
		abort();
	dev_parse(line, &major, &minor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), name[64];
	struct func f = { 0 };

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	vm_name_parse(text, size, name, sizeof(name));
	uevent_value(text, "DEVNAME", name, sizeof(name));
	resource_parse(text, &f);
	for (uint32_t i = 0; i < f.n_res; i++)
		if (f.res[i].end < f.res[i].start)
			abort();
	each_line(text);
	free(text);
	return 0;
}

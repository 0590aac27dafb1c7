/* SPDX-License-Identifier: MIT */
/*
 * libcuda, libamdhip64 and libze_loader for tests, under whichever name it is found. FAKE_COMPUTE names the
 * devices by address, with commas, in CUDA's order of speed; sorted when the interface's variable asks for
 * PCI order. "hang", "crash" and "none" are what they say.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAKE __attribute__((visibility("default")))

static char devices[16][16];
static int n_devices;

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What hides devices must not be set: then there are none. */
static int start(const char *hides, int sorted)
{
	const char *list = getenv("FAKE_COMPUTE");

	n_devices = 0;
	if (!list || !strcmp(list, "none") || getenv(hides))
		return 100;
	if (!strcmp(list, "hang"))
		sleep(1000);
	if (!strcmp(list, "crash"))
		abort();
	while (*list && n_devices < 16) {
		size_t n = strcspn(list, ",");

		snprintf(devices[n_devices++], sizeof(devices[0]), "%.*s", (int)n, list);
		list += n + (list[n] == ',');
	}
	if (sorted)
		qsort(devices, (size_t)n_devices, sizeof(devices[0]), compare);
	return 0;
}

static int is(const char *name, const char *value)
{
	const char *v = getenv(name);

	return v && !strcmp(v, value);
}

FAKE int cuInit(unsigned flags);
FAKE int cuInit(unsigned flags)
{
	(void)flags;
	return start("CUDA_VISIBLE_DEVICES", is("CUDA_DEVICE_ORDER", "PCI_BUS_ID"));
}

FAKE int cuDeviceGetCount(int *n);
FAKE int cuDeviceGetCount(int *n)
{
	*n = n_devices;
	return 0;
}

FAKE int cuDeviceGet(int *device, int i);
FAKE int cuDeviceGet(int *device, int i)
{
	*device = 1000 + i;
	return 0;
}

FAKE int cuDeviceGetPCIBusId(char *text, int size, int device);
FAKE int cuDeviceGetPCIBusId(char *text, int size, int device)
{
	if (device < 1000 || device >= 1000 + n_devices)
		return 101;
	snprintf(text, (size_t)size, "%s", devices[device - 1000]);
	return 0;
}

FAKE int hipGetDeviceCount(int *n);
FAKE int hipGetDeviceCount(int *n)
{
	int rc = start("ROCR_VISIBLE_DEVICES", 0);

	*n = n_devices;
	return rc;
}

FAKE int hipDeviceGetPCIBusId(char *text, int size, int i);
FAKE int hipDeviceGetPCIBusId(char *text, int size, int i)
{
	snprintf(text, (size_t)size, "%s", devices[i]);
	return 0;
}

FAKE int zeInit(uint32_t flags);
FAKE int zeInit(uint32_t flags)
{
	(void)flags;
	return start("ZE_AFFINITY_MASK", is("ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1") &&
						 is("ZE_FLAT_DEVICE_HIERARCHY", "COMPOSITE"));
}

/* The first driver lists all devices but the last, which a second one has. */
FAKE int zeDriverGet(uint32_t *n, void **drivers);
FAKE int zeDriverGet(uint32_t *n, void **drivers)
{
	*n = 2;
	drivers[0] = &devices[0];
	drivers[1] = &devices[1];
	return 0;
}

FAKE int zeDeviceGet(void *driver, uint32_t *n, void **list);
FAKE int zeDeviceGet(void *driver, uint32_t *n, void **list)
{
	int first = driver == &devices[0];

	*n = first ? (uint32_t)n_devices - 1 : 1;
	for (uint32_t i = 0; i < *n; i++)
		list[i] = devices[first ? i : (uint32_t)n_devices - 1];
	return 0;
}

struct pci {
	uint32_t stype;
	void *next;
	uint32_t domain, bus, device, function;
	int32_t speed[2];
	int64_t bandwidth;
};

FAKE int zeDevicePciGetPropertiesExt(void *device, struct pci *p);
FAKE int zeDevicePciGetPropertiesExt(void *device, struct pci *p)
{
	if (p->stype != 0x10008)
		return 1;
	sscanf(device, "%x:%x:%x.%x", &p->domain, &p->bus, &p->device, &p->function);
	return 0;
}

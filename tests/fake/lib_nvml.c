/* SPDX-License-Identifier: MIT */
/*
 * A libnvidia-ml.so.1 for tests. FAKE_NVML says how it behaves: "ok"; "old" (no memory v2, no power);
 * "hang" in init, "hang-device" at the second device; "crash" and "crash-device" likewise; "refuse".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAKE __attribute__((visibility("default")))

struct device {
	const char *pci, *uuid, *name;
	unsigned long long total, reserved, used;
	unsigned mw;
};

static struct device devices[] = {
	{ "0000:41:00.0", "GPU-11111111-2222-3333-4444-555555555555", "NVIDIA GeForce RTX 3090",
	  25769803776ULL, 300000000ULL, 169762048ULL, 21350 },
	{ "0000:61:00.0", "GPU-66666666-2222-3333-4444-555555555555", "NVIDIA GeForce RTX 4090",
	  25757220864ULL, 446371584ULL, 900000000ULL, 0 },
};

struct memory_v2 {
	unsigned version;
	unsigned long long total, reserved, free, used;
};

struct memory_v1 {
	unsigned long long total, free, used;
};

int nvmlInit_v2(void);
int nvmlSystemGetDriverVersion(char *v, unsigned n);
int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, struct device **d);
int nvmlDeviceGetUUID(struct device *d, char *v, unsigned n);
int nvmlDeviceGetName(struct device *d, char *v, unsigned n);
int nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *m);
int nvmlDeviceGetMemoryInfo(struct device *d, struct memory_v1 *m);
int nvmlDeviceGetPowerUsage(struct device *d, unsigned *mw);
int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *mw);
int nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned *celsius);
int nvmlDeviceGetUtilizationRates(struct device *d, unsigned percent[2]);

static int mode(const char *name)
{
	const char *m = getenv("FAKE_NVML");

	return m && strcmp(m, name) == 0;
}

static void misbehave(const char *hang, const char *crash)
{
	if (mode(hang))
		for (;;)
			pause();
	if (mode(crash))
		abort();
}

FAKE int nvmlInit_v2(void)
{
	printf("noise on stdout\n");
	fflush(stdout);
	misbehave("hang", "crash");
	return mode("refuse") ? 18 : 0; /* LIB_RM_VERSION_MISMATCH */
}

FAKE int nvmlSystemGetDriverVersion(char *v, unsigned n)
{
	snprintf(v, n, "570.86.16");
	return 0;
}

FAKE int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, struct device **d)
{
	for (int i = 0; i < 2; i++) {
		if (strcmp(devices[i].pci, pci) != 0)
			continue;
		if (i == 1)
			misbehave("hang-device", "crash-device");
		*d = &devices[i];
		return 0;
	}
	return 6; /* NOT_FOUND */
}

FAKE int nvmlDeviceGetUUID(struct device *d, char *v, unsigned n)
{
	snprintf(v, n, "%s", d->uuid);
	return 0;
}

FAKE int nvmlDeviceGetName(struct device *d, char *v, unsigned n)
{
	snprintf(v, n, "%s", d->name);
	return 0;
}

FAKE int nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *m)
{
	if (mode("old"))
		return 13; /* FUNCTION_NOT_FOUND */
	if (m->version != (sizeof(*m) | 2u << 24))
		return 25; /* ARGUMENT_VERSION_MISMATCH */
	m->total = d->total;
	m->reserved = d->reserved;
	m->used = d->used;
	m->free = d->total - d->reserved - d->used;
	return 0;
}

FAKE int nvmlDeviceGetMemoryInfo(struct device *d, struct memory_v1 *m)
{
	m->total = d->total;
	m->used = d->used + d->reserved;
	m->free = d->total - m->used;
	return 0;
}

FAKE int nvmlDeviceGetPowerUsage(struct device *d, unsigned *mw)
{
	*mw = d->mw;
	return d->mw && !mode("old") ? 0 : 3; /* NOT_SUPPORTED */
}

FAKE int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *mw)
{
	(void)d;
	*mw = 350000;
	return 0;
}

FAKE int nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned *celsius)
{
	(void)d;
	*celsius = 36;
	return sensor == 0 ? 0 : 2;
}

FAKE int nvmlDeviceGetUtilizationRates(struct device *d, unsigned percent[2])
{
	(void)d;
	percent[0] = 7;
	percent[1] = 3;
	return 0;
}

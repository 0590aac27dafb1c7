/* SPDX-License-Identifier: MIT */
/*
 * A libnvidia-ml.so.1 for tests, of two devices. FAKE_NVML says how it behaves:
 *
 *   ok, moving        energy and power follow the clock
 *   eight             so do those of eight other devices, which it has instead
 *   old               a driver before r510: no memory v2, no power, no newer names
 *   hang, crash       in init; hang-device, crash-device: at the second device; hang-call: in the middle
 *   refuse            the library is not this driver's
 *   lost              the first device fell off the bus; reset: it wants a reset
 *   mig               the first device is cut into two instances; cut: from its second reading on
 *   unified           no memory of its own, addressing by ATS; gb10: only its name says so
 *   garbage           texts of control bytes, without an end, and numbers that contradict each other
 *   stride16, stride32   a process record of another size, as some drivers write
 *   many              more processes than anyone keeps
 *   limit-denied      nobody but root may set a power limit; limit-hang: setting it hangs; limit-rounds:
 *                     it takes steps of 25 W; limit-none: there is none to set; limit-garbage: it
 *                     is 0 W; limit-crash: setting it crashes
 *
 * A power limit that is set outlives the process, as a real one does: FAKE_NVML_LIMITS is a folder with a
 * file for each device.
 */
#include "tests/fake/nvml/nvml.h"

static struct device devices[] = {
	{ "0000:41:00.0", "GPU-11111111-2222-3333-4444-555555555555", "NVIDIA GeForce RTX 3090",
	  25769803776ULL, 300000000ULL, 169762048ULL, 21350, 0 },
	{ "0000:61:00.0", "GPU-66666666-2222-3333-4444-555555555555", "NVIDIA GeForce RTX 4090",
	  25757220864ULL, 446371584ULL, 900000000ULL, 0, 1 },
};

#define L40S(bus, id)                                                                              \
	{                                                                                          \
		"0000:" bus ":00.0", "GPU-" bus "555555-2222-3333-4444-555555555555",              \
			"NVIDIA L40S", 48305799168ULL, 627376128ULL, 21474836480ULL, 90000, id     \
	}

static struct device eight[] = {
	L40S("13", 2), L40S("14", 3), L40S("15", 4), L40S("16", 5),
	L40S("81", 6), L40S("91", 7), L40S("a1", 8), L40S("b1", 9),
};

static struct device migs[] = {
	{ "", "MIG-aaaaaaaa-1111-2222-3333-444444444444", "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
	  20937965568ULL, 1000000ULL, 4000000000ULL, 0, 10 },
	{ "", "MIG-bbbbbbbb-1111-2222-3333-444444444444", "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
	  5100273664ULL, 1000000ULL, 0, 0, 11 },
};

struct memory_v2 {
	unsigned version;
	unsigned long long total, reserved, free, used;
};

struct memory_v1 {
	unsigned long long total, free, used;
};

struct field_value {
	unsigned field, scope;
	long long timestamp, latency;
	int type, rc;
	unsigned long long v;
};

int nvmlSystemGetDriverVersion(char *v, unsigned n);
int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, struct device **d);
int nvmlDeviceGetUUID(struct device *d, char *v, unsigned n);
int nvmlDeviceGetName(struct device *d, char *v, unsigned n);
int nvmlDeviceGetSerial(struct device *d, char *v, unsigned n);
int nvmlDeviceGetCudaComputeCapability(struct device *d, int *major, int *minor);
int nvmlDeviceGetMinorNumber(struct device *d, unsigned *v);
int nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *m);
int nvmlDeviceGetMemoryInfo(struct device *d, struct memory_v1 *m);
int nvmlDeviceGetBAR1MemoryInfo(struct device *d, struct memory_v1 *m);
int nvmlDeviceGetPowerUsage(struct device *d, unsigned *mw);
int nvmlDeviceGetTotalEnergyConsumption(struct device *d, unsigned long long *mj);
int nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned *celsius);
int nvmlDeviceGetTemperatureThreshold(struct device *d, int which, unsigned *celsius);
int nvmlDeviceGetFanSpeed(struct device *d, unsigned *percent);
int nvmlDeviceGetUtilizationRates(struct device *d, unsigned percent[2]);
int nvmlDeviceGetClockInfo(struct device *d, int which, unsigned *mhz);
int nvmlDeviceGetMaxClockInfo(struct device *d, int which, unsigned *mhz);
int nvmlDeviceGetPerformanceState(struct device *d, unsigned *p);
int nvmlDeviceGetCurrentClocksEventReasons(struct device *d, unsigned long long *bits);
int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *d, unsigned long long *bits);
int nvmlDeviceGetCurrPcieLinkGeneration(struct device *d, unsigned *v);
int nvmlDeviceGetCurrPcieLinkWidth(struct device *d, unsigned *v);
int nvmlDeviceGetMaxPcieLinkGeneration(struct device *d, unsigned *v);
int nvmlDeviceGetEccMode(struct device *d, unsigned *now, unsigned *pending);
int nvmlDeviceGetVirtualizationMode(struct device *d, unsigned *v);
int nvmlDeviceGetAddressingMode(struct device *d, unsigned v[2]);
int nvmlDeviceGetFieldValues(struct device *d, int n, struct field_value *v);
int nvmlDeviceGetMigMode(struct device *d, unsigned *now, unsigned *pending);
int nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned *n);
int nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned i, struct device **mig);
int nvmlDeviceGetGpuInstanceId(struct device *d, unsigned *v);
int nvmlDeviceGetComputeInstanceId(struct device *d, unsigned *v);

int mode(const char *name)
{
	const char *m = getenv("FAKE_NVML");

	return m && strcmp(m, name) == 0;
}

void misbehave(const char *hang, const char *crash)
{
	if (mode(hang))
		for (;;)
			pause();
	if (mode(crash))
		abort();
}

struct device *cards(unsigned *n)
{
	*n = mode("eight") ? sizeof(eight) / sizeof(eight[0])
			   : sizeof(devices) / sizeof(devices[0]);
	return mode("eight") ? eight : devices;
}

int moves(void)
{
	return mode("moving") || mode("eight");
}

int state(const struct device *d)
{
	if (d->id == 0 && mode("lost"))
		return LOST;
	return d->id == 0 && mode("reset") ? RESET : OK;
}

static unsigned n_readings; /* of the first device's memory */

int is_cut(void)
{
	return mode("mig") || (mode("cut") && n_readings > 1);
}

int put(const struct device *d, unsigned *to, unsigned v)
{
	*to = v;
	return state(d);
}

static int text(const struct device *d, char *to, unsigned n, const char *v)
{
	if (mode("garbage"))
		memset(to, '\x1b', n);
	else
		snprintf(to, n, "%s", v);
	return state(d);
}

unsigned long long clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000 + (unsigned long long)t.tv_nsec / 1000000;
}

FAKE int nvmlInit_v2(void)
{
	printf("noise on stdout\n");
	fflush(stdout);
	misbehave("hang", "crash");
	return mode("refuse") ? 18 : OK; /* LIB_RM_VERSION_MISMATCH */
}

FAKE int nvmlSystemGetDriverVersion(char *v, unsigned n)
{
	snprintf(v, n, "570.86.16");
	return OK;
}

FAKE int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, struct device **d)
{
	unsigned n;
	struct device *all = cards(&n);

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(all[i].pci, pci) != 0)
			continue;
		if (all[i].id == 1)
			misbehave("hang-device", "crash-device");
		*d = &all[i];
		return state(*d);
	}
	return NOT_FOUND;
}

FAKE int nvmlDeviceGetUUID(struct device *d, char *v, unsigned n)
{
	return text(d, v, n, d->uuid);
}

FAKE int nvmlDeviceGetName(struct device *d, char *v, unsigned n)
{
	return text(d, v, n, mode("gb10") ? "NVIDIA GB10" : d->name);
}

FAKE int nvmlDeviceGetSerial(struct device *d, char *v, unsigned n)
{
	snprintf(v, n, "1320221000000");
	return d->id == 1 ? NOT_SUPPORTED : state(d);
}

FAKE int nvmlDeviceGetCudaComputeCapability(struct device *d, int *major, int *minor)
{
	*major = 8;
	*minor = d->id == 1 ? 9 : 6;
	return state(d);
}

FAKE int nvmlDeviceGetMinorNumber(struct device *d, unsigned *v)
{
	return put(d, v, mode("garbage") ? 4000000000u : 1 - d->id);
}

FAKE int nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *m)
{
	n_readings += d->id == 0;
	if (mode("old"))
		return NOT_THERE;
	if (mode("unified") || mode("gb10"))
		return NOT_SUPPORTED;
	if (m->version != (sizeof(*m) | 2u << 24))
		return 25; /* ARGUMENT_VERSION_MISMATCH */
	m->total = d->total;
	m->reserved = d->reserved;
	m->used = d->used;
	m->free = mode("garbage") ? d->total + 1 : d->total - d->reserved - d->used;
	return state(d);
}

FAKE int nvmlDeviceGetMemoryInfo(struct device *d, struct memory_v1 *m)
{
	if (mode("unified") || mode("gb10"))
		return NOT_SUPPORTED;
	m->total = d->total;
	m->used = d->used + d->reserved;
	m->free = d->total - m->used;
	return state(d);
}

FAKE int nvmlDeviceGetBAR1MemoryInfo(struct device *d, struct memory_v1 *m)
{
	m->total = 268435456;
	m->used = 5242880;
	m->free = m->total - m->used;
	return state(d);
}

FAKE int nvmlDeviceGetPowerUsage(struct device *d, unsigned *mw)
{
	if (mode("hang-call"))
		misbehave("hang-call", "");
	*mw = moves() ? 20000 + (unsigned)(clock_ms() % 100000) : d->mw;
	return d->mw && !mode("old") ? state(d) : NOT_SUPPORTED;
}

FAKE int nvmlDeviceGetTotalEnergyConsumption(struct device *d, unsigned long long *mj)
{
	*mj = mode("garbage") ? ~0ULL : moves() ? clock_ms() : 123456;
	return state(d);
}

FAKE int nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned *celsius)
{
	return sensor == 0 ? put(d, celsius, 36) : INVALID;
}

FAKE int nvmlDeviceGetTemperatureThreshold(struct device *d, int which, unsigned *celsius)
{
	/* The second card knows only where the hardware slows it down. */
	if (d->id == 1 && which == 3)
		return NOT_SUPPORTED;
	return put(d, celsius, which == 3 ? 93 : 95);
}

FAKE int nvmlDeviceGetFanSpeed(struct device *d, unsigned *percent)
{
	return put(d, percent, 30);
}

FAKE int nvmlDeviceGetUtilizationRates(struct device *d, unsigned percent[2])
{
	percent[0] = mode("garbage") ? 101 : 7;
	percent[1] = 3;
	return state(d);
}

FAKE int nvmlDeviceGetClockInfo(struct device *d, int which, unsigned *mhz)
{
	return put(d, mhz, which == 2 ? 405 : 210);
}

FAKE int nvmlDeviceGetMaxClockInfo(struct device *d, int which, unsigned *mhz)
{
	return put(d, mhz, which == 2 ? 9751 : 2100);
}

FAKE int nvmlDeviceGetPerformanceState(struct device *d, unsigned *p)
{
	return put(d, p, d->id == 1 ? 32 : 8);
}

FAKE int nvmlDeviceGetCurrentClocksEventReasons(struct device *d, unsigned long long *bits)
{
	*bits = d->id == 1 ? 0 : 0x24;
	return mode("old") ? NOT_THERE : state(d);
}

FAKE int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *d, unsigned long long *bits)
{
	*bits = 0x41;
	return state(d);
}

FAKE int nvmlDeviceGetCurrPcieLinkGeneration(struct device *d, unsigned *v)
{
	return put(d, v, mode("garbage") ? 99 : 1);
}

FAKE int nvmlDeviceGetCurrPcieLinkWidth(struct device *d, unsigned *v)
{
	return put(d, v, 16);
}

FAKE int nvmlDeviceGetMaxPcieLinkGeneration(struct device *d, unsigned *v)
{
	return put(d, v, 4);
}

FAKE int nvmlDeviceGetEccMode(struct device *d, unsigned *now, unsigned *pending)
{
	*now = *pending = 1;
	return d->id == 1 ? NOT_SUPPORTED : state(d);
}

FAKE int nvmlDeviceGetVirtualizationMode(struct device *d, unsigned *v)
{
	return put(d, v, mode("garbage") ? 77 : 0);
}

FAKE int nvmlDeviceGetAddressingMode(struct device *d, unsigned v[2])
{
	if (v[0] != (8 | 1u << 24) || mode("gb10"))
		return mode("gb10") ? NOT_SUPPORTED : 25;
	v[1] = mode("unified") ? 2 : 1;
	return state(d);
}

/* The bytes of one direction, which grow with each question. The second card counts in 32 bits. */
static void moved(const struct device *d, struct field_value *v)
{
	static unsigned long long bytes = 5000000000ULL;

	bytes += 1000;
	v->type = d->id == 1 ? 1 : 3;
	v->v = d->id == 1 ? (unsigned)bytes : bytes;
	v->rc = moves() ? OK : NOT_SUPPORTED;
}

FAKE int nvmlDeviceGetFieldValues(struct device *d, int n, struct field_value *v)
{
	for (int i = 0; i < n; i++) {
		if (v[i].field == 197 || v[i].field == 198) {
			moved(d, &v[i]);
			continue;
		}
		v[i].type = 1;
		v[i].v = 70;
		v[i].rc = v[i].field == 82 && d->id == 0 ? OK : NOT_SUPPORTED;
	}
	return state(d);
}

FAKE int nvmlDeviceGetMigMode(struct device *d, unsigned *now, unsigned *pending)
{
	*now = *pending = (unsigned)is_cut();
	return d->id == 1 ? NOT_SUPPORTED : state(d);
}

FAKE int nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned *n)
{
	return put(d, n, d->id == 1 ? 0 : 7);
}

FAKE int nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned i, struct device **mig)
{
	/* With a gap, as where an instance was destroyed. */
	if (d->id || (i != 0 && i != 2))
		return NOT_FOUND;
	*mig = &migs[i / 2];
	return OK;
}

FAKE int nvmlDeviceGetGpuInstanceId(struct device *d, unsigned *v)
{
	return put(d, v, d->id - 9);
}

FAKE int nvmlDeviceGetComputeInstanceId(struct device *d, unsigned *v)
{
	return put(d, v, 0);
}

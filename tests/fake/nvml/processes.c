/* SPDX-License-Identifier: MIT */
/* Who holds memory, in records of the size that a driver writes. */
#include "tests/fake/nvml/nvml.h"

/* One process record of the size that this driver writes. */
static void process(unsigned char *to, unsigned i, unsigned pid, unsigned long long bytes)
{
	size_t size = mode("stride16") ? 16 : mode("stride32") ? 32 : 24;
	const unsigned ids[2] = { 0xffffffff, 0xffffffff };
	const unsigned long long protected = 0;

	to += i * size;
	memcpy(to, &pid, 4);
	memset(to + 4, 0, 4);
	memcpy(to + 8, &bytes, 8);
	if (size > 16)
		memcpy(to + 16, ids, 8);
	if (size > 24)
		memcpy(to + 24, &protected, 8);
}

FAKE int nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, unsigned *n, void *to)
{
	unsigned have = mode("many") ? 100 : d->id == 10 ? 1 : d->id ? 0 : 2;

	if (is_cut() && d->id == 0)
		return 4; /* NO_PERMISSION: the whole card's list is for root */
	if (have > *n) {
		*n = have;
		return TOO_SMALL;
	}
	*n = have;
	for (unsigned i = 0; i < have; i++)
		process(to, i, (unsigned)getppid() + (mode("many") ? i : 0) + i,
			i ? ~0ULL : 4096000000ULL);
	return state(d);
}

FAKE int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *d, unsigned *n, void *to)
{
	const unsigned have = d->id < 10;

	if (have > *n) {
		*n = have;
		return TOO_SMALL;
	}
	*n = have;
	if (have)
		process(to, 0, (unsigned)getppid(), 4096000000ULL);
	return state(d);
}

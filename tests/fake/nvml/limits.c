/* SPDX-License-Identifier: MIT */
/* Power limits: read, set, and kept in files. */
#include "tests/fake/nvml/nvml.h"

int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *mw);
int nvmlDeviceGetPowerManagementLimit(struct device *d, unsigned *mw);
int nvmlDeviceSetPowerManagementLimit(struct device *d, unsigned mw);
int nvmlDeviceGetPowerManagementDefaultLimit(struct device *d, unsigned *mw);
int nvmlDeviceGetPowerManagementLimitConstraints(struct device *d, unsigned *min, unsigned *max);

static FILE *limit_file(const struct device *d, const char *how)
{
	const char *dir = getenv("FAKE_NVML_LIMITS");
	char path[512];

	if (!dir)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", dir, d->pci);
	return fopen(path, how);
}

static unsigned limit_of(const struct device *d)
{
	FILE *f = limit_file(d, "r");
	unsigned mw = 350000;

	if (f && fscanf(f, "%u", &mw) != 1)
		mw = 0;
	if (f)
		fclose(f);
	return mw;
}

FAKE int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *mw)
{
	return put(d, mw, limit_of(d));
}

FAKE int nvmlDeviceGetPowerManagementLimit(struct device *d, unsigned *mw)
{
	if (mode("limit-none"))
		return NOT_SUPPORTED;
	return put(d, mw, mode("limit-garbage") ? 0 : limit_of(d));
}

FAKE int nvmlDeviceSetPowerManagementLimit(struct device *d, unsigned mw)
{
	FILE *f;

	if (state(d))
		return state(d);
	if (mode("limit-denied"))
		return NO_PERMISSION;
	if (mode("limit-none"))
		return NOT_SUPPORTED;
	misbehave("limit-hang", "limit-crash");
	if (mw < 100000 || mw > 400000)
		return INVALID;
	f = limit_file(d, "w");
	if (!f)
		return NO_PERMISSION;
	fprintf(f, "%u\n", mode("limit-rounds") ? mw / 25000 * 25000 : mw);
	return fclose(f) ? NO_PERMISSION : OK;
}

FAKE int nvmlDeviceGetPowerManagementDefaultLimit(struct device *d, unsigned *mw)
{
	return put(d, mw, 370000);
}

FAKE int nvmlDeviceGetPowerManagementLimitConstraints(struct device *d, unsigned *min,
						      unsigned *max)
{
	*min = 100000;
	*max = 400000;
	return state(d);
}

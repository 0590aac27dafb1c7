/* SPDX-License-Identifier: MIT */
/* NVIDIA's power limits: in the child the library's calls, here what its answer means for people. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/child.h"
#include "probe/nvml_lib_priv.h"
#include "probe/power.h"
#include "probe/probe_priv.h"

struct question {
	const char *pci;
	uint32_t mw; /* 0: set nothing */
};

/* What the child sends. */
struct answer {
	enum why why;           /* no library, no driver: the rest is nothing */
	nvml_return found, set; /* NVML_OK where it was not asked for */
	struct {
		nvml_return rc;
		uint32_t mw;
	} now, min, max, usual;
};

/* --- the child's work --- */

static void read_limits(void *lib, nvml_device d, struct answer *a)
{
	nvml_return (*now)(nvml_device, unsigned *) = dlsym(lib,
							    "nvmlDeviceGetPowerManagementLimit");
	nvml_return (*usual)(nvml_device,
			     unsigned *) = dlsym(lib, "nvmlDeviceGetPowerManagementDefaultLimit");
	nvml_return (*range)(nvml_device, unsigned *, unsigned *) = dlsym(
		lib, "nvmlDeviceGetPowerManagementLimitConstraints");

	a->now.rc = now ? now(d, &a->now.mw) : NVML_NOT_THERE;
	a->usual.rc = usual ? usual(d, &a->usual.mw) : NVML_NOT_THERE;
	a->min.rc = a->max.rc = range ? range(d, &a->min.mw, &a->max.mw) : NVML_NOT_THERE;
}

static void work(int to, void *question)
{
	const struct question *q = question;
	nvml_return (*set)(nvml_device, unsigned) = NULL;
	struct answer a;
	void *lib = nvml_open();
	nvml_device d = NULL;

	memset(&a, 0, sizeof(a)); /* its padding is sent, too */
	a.why = nvml_start(lib);
	if (!a.why)
		a.found = nvml_find(lib, q->pci, &d);
	if (!a.why && !a.found && q->mw) {
		set = dlsym(lib, "nvmlDeviceSetPowerManagementLimit");
		a.set = set ? set(d, q->mw) : NVML_NOT_THERE;
	}
	if (!a.why && !a.found && !a.set)
		read_limits(lib, d, &a);
	child_send(to, &a, sizeof(a));
}

/* --- what it means --- */

/* The sentence after "PCI: ". */
static const struct {
	enum why why;
	int rc;
	const char *says;
} meanings[] = {
	{ WHY_NOT_EXPORTED, -EOPNOTSUPP,
	  "NVIDIA's driver lets nobody set a power limit of this GPU, as of most in laptops" },
	{ WHY_NEEDS_ROOT, -EACCES, "only root may set NVIDIA's power limit" },
	{ WHY_NO_DRIVER, -ENOSYS, "NVIDIA's driver is not loaded" },
	{ WHY_NO_LIBRARY, -ENOSYS,
	  "NVIDIA's library (libnvidia-ml.so.1) is not there, or is not of this driver" },
	{ WHY_LOST, -ENXIO, "the driver has lost the GPU: it fell off the bus, or wants a reset" },
	{ WHY_TIMEOUT, -ETIMEDOUT, "NVIDIA's library does not answer; the driver may hang" },
};

static int refused(const char *pci, enum why why, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (meanings[i].why == why)
			return err_set(e, meanings[i].rc, "%s: %s", pci, meanings[i].says);
	return err_set(e, -EIO, "%s: NVIDIA's library failed", pci);
}

static int judge(const struct question *q, const struct answer *a, struct err *e)
{
	if (a->why)
		return refused(q->pci, a->why, e);
	if (a->found && nvml_why(a->found) == WHY_NOT_EXPORTED)
		return err_set(e, -ENODEV, "%s: NVIDIA's driver does not manage this device",
			       q->pci);
	if (a->found)
		return refused(q->pci, nvml_why(a->found), e);
	if (a->set == NVML_INVALID)
		return err_set(e, -EINVAL, "%s: NVIDIA's driver refuses a limit of %g W", q->pci,
			       q->mw / 1000.0);
	if (a->set)
		return refused(q->pci, nvml_why(a->set), e);
	return a->now.rc ? refused(q->pci, nvml_why(a->now.rc), e) : 0;
}

static struct fact limit(nvml_return rc, uint32_t mw)
{
	if (rc)
		return fact_unknown(nvml_why(rc));
	return mw ? fact_of(mw, SRC_NVML) : fact_unknown(WHY_GARBLED);
}

static int ask(const struct question *q, int timeout_ms, struct power_limit *l, struct err *e)
{
	struct question copy = *q;
	struct answer a;
	struct child c;
	int rc = child_open(&c, work, &copy);

	if (rc)
		return err_set(e, rc, "%s: no process to ask NVIDIA's library in", q->pci);
	rc = child_receive(&c, &a, sizeof(a), timeout_ms);
	child_close(&c);
	if (rc == -ETIMEDOUT)
		return refused(q->pci, WHY_TIMEOUT, e);
	if (rc != 1)
		return err_set(e, -EIO, "%s: NVIDIA's library crashed", q->pci);
	rc = judge(q, &a, e);
	if (rc)
		return rc;
	*l = (struct power_limit) { .now_mw = limit(a.now.rc, a.now.mw),
				    .min_mw = limit(a.min.rc, a.min.mw),
				    .max_mw = limit(a.max.rc, a.max.mw),
				    .default_mw = limit(a.usual.rc, a.usual.mw) };
	return 0;
}

int power_limit_read(const char *pci, int timeout_ms, struct power_limit *l, struct err *e)
{
	return ask(&(struct question) { .pci = pci }, timeout_ms, l, e);
}

int power_limit_set(const char *pci, uint32_t mw, int timeout_ms, struct power_limit *l,
		    struct err *e)
{
	return ask(&(struct question) { .pci = pci, .mw = mw }, timeout_ms, l, e);
}

/* SPDX-License-Identifier: MIT */
/* What nvtop wants besides; berth asks for none of it. */
#include "tests/fake/nvml/nvml.h"

struct pci_info {
	char old_address[16];
	unsigned domain, bus, slot, device, subsystem;
	char address[32];
};

struct use_of_process {
	unsigned pid;
	unsigned long long us;
	unsigned sm, memory, encoder, decoder;
};

int nvmlInit(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int rc);
int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct device **d);
int nvmlDeviceGetPciInfo_v3(struct device *d, struct pci_info *to);
int nvmlDeviceGetMaxPcieLinkWidth(struct device *d, unsigned *v);
int nvmlDeviceGetPcieThroughput(struct device *d, int which, unsigned *kb_per_s);
int nvmlDeviceGetEncoderUtilization(struct device *d, unsigned *percent, unsigned *us);
int nvmlDeviceGetDecoderUtilization(struct device *d, unsigned *percent, unsigned *us);
int nvmlDeviceGetProcessUtilization(struct device *d, struct use_of_process *to, unsigned *n,
				    unsigned long long since_us);
int nvmlDeviceGetComputeRunningProcesses(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetComputeRunningProcesses_v2(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetGraphicsRunningProcesses(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetGraphicsRunningProcesses_v2(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetMPSComputeRunningProcesses(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetMPSComputeRunningProcesses_v2(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetMPSComputeRunningProcesses_v3(struct device *d, unsigned *n, void *to);

FAKE int nvmlInit(void)
{
	return nvmlInit_v2();
}

FAKE int nvmlShutdown(void)
{
	return OK;
}

FAKE const char *nvmlErrorString(int rc)
{
	return rc == OK ? "Success" : "Failure";
}

FAKE int nvmlDeviceGetCount_v2(unsigned *n)
{
	cards(n);
	return OK;
}

FAKE int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct device **d)
{
	unsigned n;
	struct device *all = cards(&n);

	if (i >= n)
		return INVALID;
	*d = &all[i];
	return state(*d);
}

FAKE int nvmlDeviceGetPciInfo_v3(struct device *d, struct pci_info *to)
{
	memset(to, 0, sizeof(*to));
	sscanf(d->pci, "%x:%x:%x", &to->domain, &to->bus, &to->slot);
	snprintf(to->old_address, sizeof(to->old_address), "%s", d->pci);
	snprintf(to->address, sizeof(to->address), "0000%s", d->pci);
	return state(d);
}

FAKE int nvmlDeviceGetMaxPcieLinkWidth(struct device *d, unsigned *v)
{
	return put(d, v, 16);
}

FAKE int nvmlDeviceGetPcieThroughput(struct device *d, int which, unsigned *kb_per_s)
{
	return put(d, kb_per_s, (unsigned)(clock_ms() % 1000) * (unsigned)(which + 1));
}

FAKE int nvmlDeviceGetEncoderUtilization(struct device *d, unsigned *percent, unsigned *us)
{
	*us = 1000000;
	return put(d, percent, 0);
}

FAKE int nvmlDeviceGetDecoderUtilization(struct device *d, unsigned *percent, unsigned *us)
{
	*us = 1000000;
	return put(d, percent, 0);
}

FAKE int nvmlDeviceGetProcessUtilization(struct device *d, struct use_of_process *to, unsigned *n,
					 unsigned long long since_us)
{
	(void)since_us;
	if (!to || *n < 1) {
		*n = 1;
		return TOO_SMALL;
	}
	*n = 1;
	*to = (struct use_of_process) { .pid = (unsigned)getppid(),
					.us = clock_ms() * 1000,
					.sm = 7 };
	return state(d);
}

/* The first of the three had records of 16 bytes. */
static int old_processes(struct device *d, unsigned *n, void *to)
{
	const unsigned pid = (unsigned)getppid();
	const unsigned long long bytes = 4096000000ULL;

	if (*n < 1) {
		*n = 1;
		return TOO_SMALL;
	}
	*n = 1;
	memset(to, 0, 16);
	memcpy(to, &pid, sizeof(pid));
	memcpy((char *)to + 8, &bytes, sizeof(bytes));
	return state(d);
}

FAKE int nvmlDeviceGetComputeRunningProcesses(struct device *d, unsigned *n, void *to)
{
	return old_processes(d, n, to);
}

FAKE int nvmlDeviceGetGraphicsRunningProcesses(struct device *d, unsigned *n, void *to)
{
	return old_processes(d, n, to);
}

FAKE int nvmlDeviceGetComputeRunningProcesses_v2(struct device *d, unsigned *n, void *to)
{
	return nvmlDeviceGetComputeRunningProcesses_v3(d, n, to);
}

FAKE int nvmlDeviceGetGraphicsRunningProcesses_v2(struct device *d, unsigned *n, void *to)
{
	return nvmlDeviceGetGraphicsRunningProcesses_v3(d, n, to);
}

static int no_processes(struct device *d, unsigned *n)
{
	*n = 0;
	return state(d);
}

FAKE int nvmlDeviceGetMPSComputeRunningProcesses(struct device *d, unsigned *n, void *to)
{
	(void)to;
	return no_processes(d, n);
}

FAKE int nvmlDeviceGetMPSComputeRunningProcesses_v2(struct device *d, unsigned *n, void *to)
{
	(void)to;
	return no_processes(d, n);
}

FAKE int nvmlDeviceGetMPSComputeRunningProcesses_v3(struct device *d, unsigned *n, void *to)
{
	(void)to;
	return no_processes(d, n);
}

/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's management library, as its users in a child of ours share it: found, started, and what its
 * answers mean. The types restate the documented binary interface (NVML API Reference, r418 to r590).
 */
#ifndef BERTH_PROBE_NVML_LIB_PRIV_H
#define BERTH_PROBE_NVML_LIB_PRIV_H

#include "base/fact.h"

typedef int nvml_return;                 /* nvmlReturn_t */
typedef struct nvml_handle *nvml_device; /* nvmlDevice_t */

/* nvmlReturn_t, NVML API Reference. */
enum {
	NVML_OK = 0,
	NVML_INVALID = 2,
	NVML_NOT_SUPPORTED = 3,
	NVML_NO_PERMISSION = 4,
	NVML_NOT_THERE = 13, /* FUNCTION_NOT_FOUND: so answers a symbol that this library lacks */
};

/* Why a fact is unknown after this return. */
enum why nvml_why(nvml_return rc);

/* The library, or NULL. $BERTH_NVML names another one. */
void *nvml_open(void);

/* Start it. WHY_NONE: it can be asked. There is no stop: the end of the process closes the driver's files. */
enum why nvml_start(void *lib);

/* The device at a PCI address; NVML_NOT_THERE where the library cannot look one up so. */
nvml_return nvml_find(void *lib, const char *pci, nvml_device *d);

#endif

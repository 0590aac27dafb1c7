/* SPDX-License-Identifier: MIT */
/*
 * NVIDIA's management library, as its users in a child of ours share it: found, started, and what its
 * answers mean. The types restate the documented binary interface (NVML API Reference, r418 to r590).
 */
#ifndef BERTH_PROBE_NVML_LIB_PRIV_H
#define BERTH_PROBE_NVML_LIB_PRIV_H

#include <stddef.h>

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

#define NVML_TEXT_MAX 96 /* the largest of the documented buffers: UUID and name, second version */

struct nvml_fn;

/*
 * What one call each tells of a device (nvml_table.c), into *fn, all of which is unknown. With `before` what
 * hardly ever changes is as it was, and not asked.
 */
void nvml_ask_rows(void *lib, nvml_device h, const struct nvml_fn *before, struct nvml_fn *fn);

/* A number as a fact, times `scale`; of a list of names the one with this number. */
struct fact nvml_number(uint64_t v, int64_t scale);
struct fact_text nvml_one_of(const char *const *names, size_t n, uint64_t v);

/* The device at a PCI address; NVML_NOT_THERE where the library cannot look one up so. */
nvml_return nvml_find(void *lib, const char *pci, nvml_device *d);

#endif

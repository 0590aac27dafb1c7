/* SPDX-License-Identifier: MIT */
/* The product name of an AMD chip in libdrm's table of names. Pure. */
#ifndef BERTH_PROBE_AMDIDS_H
#define BERTH_PROBE_AMDIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Look up the text of amdgpu.ids. False: it has no row of this device and revision. */
bool amdids_find(const char *text, uint32_t device, uint32_t revision, char *name, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* What a virtual machine has to be told to get a bridged device: QEMU's arguments, libvirt's XML. Pure. */
#ifndef BERTH_GUEST_H
#define BERTH_GUEST_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"

struct guest {
	const char *pci;    /* "0000:01:00.0" */
	const char *socket; /* where it is served; an absolute path */
	const char *qmp;    /* where the bridge asks for an unplug; an absolute path, or NULL */
	uint64_t memory;    /* bytes; 0: not told, so only the device is */
};

#define GUEST_WORDS_MAX 16

/* Arguments, each a word as the program gets it. */
struct guest_words {
	uint32_t n;
	char v[GUEST_WORDS_MAX][512];
};

/* Whether the path can be a socket's, and the memory a guest's. 0 or -EINVAL with *e. */
int guest_check(const struct guest *g, struct err *e);

/* QEMU's: >= 10.1, a q35 machine. */
void guest_qemu(const struct guest *g, struct guest_words *w);

/* One line that a shell reads as these words. */
int guest_print(const struct guest_words *w, FILE *to);

/* A domain of libvirt: a whole one, small, that can be defined, with remarks on what to take over into another. */
int guest_libvirt(const struct guest *g, FILE *to);

#endif

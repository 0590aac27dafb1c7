/* SPDX-License-Identifier: MIT */
/* What the parts of the fake libnvidia-ml share; nothing here is visible outside. */
#ifndef BERTH_FAKE_NVML_H
#define BERTH_FAKE_NVML_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAKE __attribute__((visibility("default")))

enum {
	OK,
	INVALID = 2,
	NOT_SUPPORTED,
	NO_PERMISSION,
	NOT_FOUND = 6,
	TOO_SMALL,
	NOT_THERE = 13,
	LOST = 15,
	RESET
};

struct device {
	const char *pci, *uuid, *name;
	unsigned long long total, reserved, used;
	unsigned mw;
	unsigned id; /* 0 and 1 are cards, from 10 on MIG instances */
};

#pragma GCC visibility push(hidden)

/* FAKE_NVML is this. */
int mode(const char *name);
/* It is one of those: never come back, or die. */
void misbehave(const char *hang, const char *crash);

struct device *cards(unsigned *n);
int is_cut(void); /* the first device is in MIG mode */
int moves(void); /* the numbers follow the clock */
unsigned long long clock_ms(void);

/* What every call on the first device answers when it is gone. */
int state(const struct device *d);
/* The same, and a number. */
int put(const struct device *d, unsigned *to, unsigned v);

#pragma GCC visibility pop

/* Other parts' functions that have several names. */
int nvmlInit_v2(void);
int nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, unsigned *n, void *to);
int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *d, unsigned *n, void *to);

#endif

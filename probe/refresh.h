/* SPDX-License-Identifier: MIT */
/*
 * Looking again, often: what changes from second to second of devices that probe_collect() has found. Each
 * call may hang with its driver, so a monitor makes it in a thread of its own; none wakes a device.
 */
#ifndef BERTH_PROBE_REFRESH_H
#define BERTH_PROBE_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/machine.h"

struct cpu;
struct gpu;
struct report;

/*
 * Power state, memory, power, temperatures, clocks and what holds them down, by the kernel's files and the
 * driver's ioctl, into *g. What only NVIDIA's library tells is left as it is. 0, or -ENODEV: it left the bus.
 */
int probe_refresh(const struct machine *m, struct gpu *g);

/* Whether NVIDIA's library tells of it: then probe_refresh() has only its power state. */
bool probe_has_nvml(const struct gpu *g);

/* What all CPUs have done since boot, in ticks. */
struct cpu_time {
	uint64_t all, idle;
};

/* RAM, and how busy the CPUs were since `past`, which is zeroed before the first call and moves on. */
void probe_refresh_host(const struct machine *m, struct cpu *c, struct cpu_time *past);

/* Whether the kernel may put it to sleep when nobody uses it: then being looked at keeps it awake. */
bool probe_may_sleep(const struct machine *m, const struct gpu *g);

/*
 * The display functions on the bus as one number: another one means that a device came or went, or that a
 * driver was bound.
 */
uint64_t probe_bus_mark(const struct machine *m);

/*
 * Who holds the devices of r now, into gpus[].holders. *past is NULL at first, and then what was found before, which
 * makes the next time cheaper: of six times one looks at all that processes have open, the others at those
 * that have more or fewer files open than before. probe_past_free() it.
 */
struct claims_past;
int probe_refresh_holders(const struct machine *m, struct report *r, struct claims_past **past,
			  struct err *e);
void probe_past_free(struct claims_past *past);

/*
 * NVIDIA's library, kept open in a child of ours, for the GPUs at these addresses, at most PROBE_GPUS_MAX. While
 * it is open they cannot sleep. probe_nvml_ask() gets round to every one of them, and calls `took` for each as it answers;
 * -ETIMEDOUT: the next one has not answered within the time, and may be waited for again by the same call
 * with `go_on`; -EPIPE: the child is gone, so close.
 */
struct probe_nvml;

int probe_nvml_open(struct probe_nvml **n, const char (*pci)[24], uint32_t n_pci, struct err *e);
int probe_nvml_ask(struct probe_nvml *n, bool go_on, int timeout_ms,
		   void (*took)(void *ctx, const char *pci), void *ctx);
void probe_nvml_close(struct probe_nvml *n);

/*
 * Give up the child that does not answer: it is killed, and all that is left to do is to close. False: the kernel keeps
 * it; whoever asks it waits in vain, and may give it up again.
 */
bool probe_nvml_give_up(struct probe_nvml *n);

/* What was last told of a GPU, into it, its processes among the holders. */
void probe_nvml_take(const struct probe_nvml *n, const struct machine *m, struct gpu *g);

#endif

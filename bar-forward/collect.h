/* SPDX-License-Identifier: MIT */
/* Reads what ready.h judges, of a live or captured machine. Wakes nothing. */
#ifndef BERTH_COLLECT_H
#define BERTH_COLLECT_H

#include "bar-forward/ready.h"
#include "base/err.h"
#include "base/json.h"
#include "base/machine.h"

/*
 * One device: an entry of berth.device.list/1's "devices", with what this machine's files say besides. What is
 * ill-typed there is unknown. -EBADMSG with *e when it has no address.
 */
int collect_facts(const struct machine *m, const json_t *device, struct bridge_facts *f,
		  struct err *e);

/* Whether the interrupts of a machine pass its IOMMU, from the text of /proc/interrupts. Pure. */
struct fact irqs_remapped(const char *interrupts);

/* The soft limit of locked memory, from the text of /proc/PID/limits. Pure. */
struct fact memlock_of(const char *limits);

/* Whether the text of /proc/PID/status gives the right to lock any amount (CAP_IPC_LOCK). Pure. */
bool may_lock_all(const char *status);

#endif

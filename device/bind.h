/* SPDX-License-Identifier: MIT */
/* Plans of the verbs bind, unbind and rescan (verb.h), and the steps that others need, too. */
#ifndef BERTH_DEVICE_BIND_H
#define BERTH_DEVICE_BIND_H

#include "device/scene.h"
#include "device/step.h"

/* Drivers of GPUs give back a display, a firmware and gigabytes; NVIDIA's and amdgpu's were seen to take 10 s. */
#define BIND_MS 30000

struct ask;

/*
 * `bind DEV DRIVER`: all functions of the card when the driver keeps devices for guests; else the function named,
 * and the others of its card go back to the kernel's choice. DRIVER "default": the kernel's choice for all.
 */
int bind_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
int unbind_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
/* `rescan [BRIDGE]` */
int rescan_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
/* A verb.after: says what was found. */
void rescan_after(const struct machine *m, const struct ask *a, struct txn *t);

/* Steps for one function; undone in reverse they put the same driver back. 0 or -EFBIG with *e. */
int bind_step_unbind(const struct func *f, struct txn *t, struct err *e);
/* Its driver_override; "": none. */
int bind_step_override(const struct func *f, const char *driver, struct txn *t, struct err *e);
/* "": whichever the kernel chooses. */
int bind_step_bind(const struct func *f, const char *driver, struct txn *t, struct err *e);

#endif

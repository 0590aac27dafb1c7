/* SPDX-License-Identifier: MIT */
/*
 * An ordinary user plans; a small helper carries out, as root. pkexec starts it, so polkit says who may: one action for
 * each kind of verb (data/org.berth.device.policy.in). The helper takes a verb and its words, never steps or paths:
 * it looks at the words (helper_check), forgets the environment, and starts `device` anew, which plans anew.
 */
#ifndef BERTH_DEVICE_ELEVATE_H
#define BERTH_DEVICE_ELEVATE_H

#include <stdbool.h>

#include "device/verb.h"

#define HELPER "libexec/berth/device-helper"

/* The polkit action of a verb: "manage", "power", "sleep"; with --force "force". NULL: it changes nothing. */
const char *helper_action(const char *verb, bool force);

/* Whether the verb's first word is a device, to be passed on as the plan found it. */
bool helper_takes_device(const char *verb);

/*
 * The helper's command line, hostile: argv[1] the action, argv[2] the verb, then words and options. 0; -EINVAL with
 * *e when it is not one that `berth device` sends.
 */
int helper_check(int argc, const char *const *argv, struct err *e);

/* Whether this process cannot carry out what it planned, but a helper might. */
bool elevate_needed(const struct machine *m);

/*
 * Have the helper do what was asked; `device` is what the plan is about (struct txn). The exit code of what it ran;
 * -EACCES with one sentence that names sudo where there is no polkit, or nobody allowed it: nothing was changed.
 */
int elevate(const struct verb *v, const struct ask *a, const char *device, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* Thunderbolt boxes (routers of the report): which one a person means, what is in it, letting it in and out. */
#ifndef BERTH_DEVICE_TB_H
#define BERTH_DEVICE_TB_H

#include "base/text.h"
#include "device/scene.h"
#include "device/step.h"

/*
 * The box a person means: its name D-R, its unique id or the beginning of it, a part of what it calls itself, or a
 * GPU inside it. Its index in usb4.routers; -ENODEV or -EINVAL with *e.
 */
int tb_select(const struct scene *s, const char *device, struct err *e);

/* The box that a function is in, its index in usb4.routers; -1: in none, or in which is not certain. */
int tb_router_behind(const struct scene *s, const char *pci);

/*
 * The box that stands first in the row that a function is in: plugged into the machine itself, with all others behind
 * it. -1: which row it is in is not certain. Where tb_router_behind() knows no box, the row may still be certain.
 */
int tb_row(const struct scene *s, const char *pci);

/* Whether a box is in the row that begins at `first`. */
bool tb_in_row(const struct scene *s, uint32_t router, uint32_t first);

/*
 * The functions that leave when a box is let go: those below the ports that its domain tunnels through, but for
 * ports that are known to lead to another box. Rather one too many than one too few. At most max; the count.
 */
uint32_t tb_behind(const struct scene *s, uint32_t router, const struct func **set, uint32_t max);

/*
 * Add the steps that let a box go, and those plugged into it first. Asks no guard. -EOPNOTSUPP with *e when its
 * domain cannot (the cable can); -EINVAL when it is no box; nothing is added for what is not authorised.
 */
int tb_steps_deauthorise(const struct scene *s, uint32_t router, struct txn *t, struct err *e);

/* What `list` says of a box: "authorised, not enrolled with boltd", "not authorised: berth device authorise 0-1". */
void tb_words(const struct scene *s, uint32_t router, struct text *t);

/* Plans of verbs (verb.h). */
struct ask;
int authorise_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);
int deauthorise_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e);

/* "0-1 (Razer Core X)" */
void tb_title(struct text *t, const struct scene *s, uint32_t router);

#endif

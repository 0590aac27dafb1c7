/* SPDX-License-Identifier: MIT */
/* What was written over a machine folder, without writing: later answers win over earlier ones, and over the folder. */
#ifndef BERTH_DEVICE_OVERLAY_H
#define BERTH_DEVICE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "device/step.h"

struct overlay;

struct overlay *overlay_new(void); /* NULL: no memory */
void overlay_free(struct overlay *o);

/* Remember that the step was done: its value, where it can be read back, and that its `after` is true. 0 or -ENOMEM. */
int overlay_done(struct overlay *o, const struct step *s);

enum overlay_says { OVERLAY_NOTHING, OVERLAY_TEXT, OVERLAY_LINK, OVERLAY_HERE, OVERLAY_GONE };

/*
 * What was last remembered of a path, or that a folder above it is gone. `text` (a value, or a link's last part) lives
 * until the next overlay_done().
 */
enum overlay_says overlay_find(const struct overlay *o, const char *path, const char **text);

/* What an agent was last asked for about an object; NULL: nothing. */
const char *overlay_asked(const struct overlay *o, const char *agent, const char *object);

#endif

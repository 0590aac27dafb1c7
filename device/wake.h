/* SPDX-License-Identifier: MIT */
/* A device kept awake for a moment, because somebody said --wake. */
#ifndef BERTH_DEVICE_WAKE_H
#define BERTH_DEVICE_WAKE_H

#include "base/child.h"
#include "device/scene.h"

struct wake {
	struct child child;
	bool held;
};

#define WAKE_NONE                                                                                  \
	{                                                                                          \
		.held = false                                                                      \
	}
#define WAKE_TIMEOUT_MS 10000 /* from D3cold, behind a cable */

/*
 * Hold its node open, in a child, as a driver may hang in waking: drivers wake a device for whoever opens it,
 * while some, such as amdgpu since Linux 6.17, refuse to be read by those who find it asleep. On a captured
 * machine, and of a device without a node, nothing is done.
 */
void wake_hold(struct wake *w, const struct scene *s, const struct func *f);
void wake_release(struct wake *w);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The power limit of a GPU whose driver has no file for it: NVIDIA's library is asked, by PCI address, in a
 * child of ours that is killed when it does not answer in time. Part of probe.h.
 *
 * Asking wakes a sleeping GPU: look at its power state first.
 */
#ifndef BERTH_PROBE_POWER_H
#define BERTH_PROBE_POWER_H

#include "base/err.h"
#include "base/fact.h"

/* Milliwatts. The limit that was set, which others, such as heat, may undercut. */
struct power_limit {
	struct fact now_mw, min_mw, max_mw, default_mw;
};

#define POWER_LIMIT_TIMEOUT_MS                                                                     \
	6000 /* an idle card's driver starts it first: seconds, and no hang */

/*
 * 0 with *l, whose range may be unknown; else an errno with one sentence in *e: -ENODEV (the driver does not
 * manage this device), -EOPNOTSUPP (it has no limit to set), -ENXIO (lost), -ENOSYS (no library, or no
 * driver), -ETIMEDOUT, -EACCES.
 */
int power_limit_read(const char *pci, int timeout_ms, struct power_limit *l, struct err *e);

/*
 * Set it, and read back what is in force, which a driver may have rounded. As power_limit_read, and
 * -EINVAL: the driver refuses this number. After -ETIMEDOUT nobody knows whether it was set.
 */
int power_limit_set(const char *pci, uint32_t mw, int timeout_ms, struct power_limit *l,
		    struct err *e);

#endif

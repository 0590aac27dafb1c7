/* SPDX-License-Identifier: MIT */
/*
 * How a person wants a guest to see a device: sizes of BARs, what is mapped, order of writes. Settled when a client comes,
 * and fixed while it is there. Pure.
 *
 * A BAR can be shown smaller than it is: the guest gets its lower part. It is for hosts and guests that have no room for all
 * of it, and for cards that came with a larger one than a driver in the guest can stand.
 */
#ifndef BERTH_SHAPE_H
#define BERTH_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "bar-forward/cfg.h"
#include "bar-forward/device.h"
#include "bar-forward/grants.h"
#include "base/err.h"

enum shape_msix {
	MSIX_AUTO, /* hidden where the device is to be unplugged when it is lost, and has MSI, too: see qmp.h */
	MSIX_SHOW,
	MSIX_HIDE,
};

/* What was asked. Zeroed: as the device is. */
struct shape {
	uint64_t bar[CFG_BARS]; /* bytes; 0: all of it */
	enum grant_mode mode;
	enum shape_msix msix;
	bool unplugs; /* somebody can be asked to unplug it */
	bool order; /* read a register without effects before each trapped write that may follow mapped ones */
};

/* The words of --mode and --msix, in the order of their enums; each ends with NULL. */
extern const char *const grant_mode_names[];
extern const char *const shape_msix_names[];

/* "1=256M": a BAR and its size. 0 or -EINVAL. */
int shape_bar(struct shape *s, const char *word, struct err *e);

/* What of it comes out on one device. A plain value. */
struct shaped {
	uint64_t size[DEV_REGIONS]; /* as the guest sees them */
	struct cfg_shape cfg;
	struct quirk_set quirks;
	struct grants grants;
	bool msix;                 /* the guest sees it */
	bool msix_hidden;          /* it is there, and the guest does not */
	const struct quirk *order; /* the register to read before writes; NULL: none is read */
};

/*
 * config: the device's own, CFG_SIZE bytes. 0; -EINVAL with *e: no such BAR, a size that is none, larger than the device's,
 * or without room for the table of MSI-X; pages are mapped and no register is known that keeps the order; or as grants_make().
 */
int shape_device(struct shaped *to, const struct shape *s, const struct dev_facts *f,
		 const uint8_t *config, const struct policy *p, struct err *e);

#endif

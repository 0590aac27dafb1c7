/* SPDX-License-Identifier: MIT */
/*
 * The power limits of a GPU: which there are, by driver, and what they are now. Reading wakes some devices, so
 * a sleeping one is only looked at on request.
 */
#ifndef BERTH_DEVICE_CAPS_H
#define BERTH_DEVICE_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"
#include "base/text.h"
#include "device/scene.h"

#define CAPS_MAX 4

/* A limit that a driver has: rows, the one that is meant without a name first. */
struct cap_row {
	const char *driver;
	const char *name; /* how a person calls it */
	const char *what; /* what it bounds */
	const char *
		agent; /* who is asked; NULL: it is a file in the driver's hwmon folder, microwatts */
	const char *file, *min, *max, *usual; /* NULL: not exported */
	bool zero_is_none;                    /* 0 W means that there is no limit in force */
};

struct cap {
	const struct cap_row *row;
	char path[256]; /* of its file; the PCI address, where an agent is asked */
	struct fact now_mw, min_mw, max_mw, default_mw;
};

struct caps {
	uint32_t n;
	struct cap list[CAPS_MAX];
	enum why why; /* there is none, or none could be read */
	int rc;       /* why an agent told none, in its words; 0, "" */
	char said[200];
};

/* Whether the driver has rows at all. */
bool caps_known(const char *driver);

/*
 * Read them. A device that sleeps is left alone, unless `wake`; then all is unknown. `timeout_ms` is an
 * agent's.
 */
void caps_read(const struct scene *s, const struct func *f, bool wake, int timeout_ms,
	       struct caps *c);

/* "212 to 280 W", "at most 225 W"; "" when nothing is known of its bounds. */
void cap_range(struct text *t, const struct cap *c);

/* "236 W", "187.5 W". */
void watts(struct text *t, int64_t mw);

/*
 * The limit and the milliwatts that "W", "NAME=W" or "NAME=default" mean. -EINVAL with *e: no such limit, no
 * number, outside the bounds; -ENODATA: its default is not known.
 */
int cap_parse(const struct caps *c, const char *device, const char *asked, const struct cap **cap,
	      int64_t *mw, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Which bridge a person means, and what lies beside its telemetry page: the socket by which it can be asked (".ctl"), and a
 * link to its recording (".trace"), which outlives a bridge that was killed.
 */
#ifndef BERTH_WHICHBRIDGE_H
#define BERTH_WHICHBRIDGE_H

#include <stdint.h>

#include "base/err.h"
#include "base/telem.h"

#define BRIDGE_PATH_MAX 600

struct whichbridge {
	char page[BRIDGE_PATH_MAX]; /* its path */
	int32_t pid;                /* of who writes it */
	enum telem_life life;
};

/*
 * By process number, socket, guest or PCI address. 0; -ENODEV: there is none such, or -EINVAL: several, with *e. One that
 * lives goes before those that were killed.
 */
int whichbridge_find(struct whichbridge *w, const char *word, struct err *e);

/* What lies beside a page: `suffix` ".ctl" or ".trace". `to` has BRIDGE_PATH_MAX bytes; returns to. */
const char *whichbridge_beside(char *to, const char *page, const char *suffix);

/* The recording of a file's name, or of a bridge. `path` has 4096 bytes. As whichbridge_find; -ENODEV also: it records nothing. */
int whichbridge_recording(const char *word, char path[4096], struct err *e);

/* For the bridge: link its recording beside its page; path NULL: there is none any more. 0 or an errno with *e. */
int whichbridge_link(const char *page, const char *path, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/* What can be asked on the command line of `berth bridge`; which verb heeds what is in its row of bridge_verbs[]. */
#ifndef BERTH_BRIDGE_OPTIONS_H
#define BERTH_BRIDGE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"

struct options {
	const char *machine;
	const char *driver;
	struct opt_list sockets; /* one for each device */
	struct opt_list policies; /* "FILE"; of several devices "DEV=FILE" */
	const char *guest;
	struct opt_list records; /* as policies */
	uint64_t record_size; /* bytes */
	bool record_interrupts;
	struct opt_list bars; /* "1=256M"; of several devices "DEV:1=256M" */
	int mode;             /* enum grant_mode */
	int msix;             /* enum shape_msix */
	const char *qmp, *libvirt;
	const char *user, *socket_owner;
	bool order;
	struct opt_list only, except, kinds;
	const char *since, *until;
	int glyphs; /* 1 more than enum heat_glyphs; 0: as the locale is */
	uint32_t limit;
	bool follow, heat;
	int backend;     /* row of backend_names[] */
	uint64_t memory; /* bytes; 0: not given */
	bool any, force, dry_run, once, json;
	int quiet, verbose;
};

extern const struct options bridge_defaults;
extern const struct cmd bridge_command;

#endif

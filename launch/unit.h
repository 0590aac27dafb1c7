/* SPDX-License-Identifier: MIT */
/* Units of systemd for a profile: the service, and the sockets that start it. Pure. */
#ifndef BERTH_LAUNCH_UNIT_H
#define BERTH_LAUNCH_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define UNIT_ALLOWED_MAX 48
#define UNIT_GROUPS_MAX  4
#define UNIT_LIMITS_MAX  16
#define UNIT_TEXT_MAX    8192
#define UNIT_NAME_MAX    96
#define UNIT_STREAM_MAX  128

/* The first line of what we write: only such a file is ever overwritten. */
#define UNIT_MARK "# Written by berth unit"

struct unit {
	const char *profile; /* a profile's name */
	const char *berth;   /* absolute path of the program */
	bool user;           /* for the user's own manager, else for the system's */
	bool cpu_only;       /* no device is needed */
	const char *run;     /* the run's name */
	bool reads_home;     /* something of it is below a folder that ProtectHome would hide */
	bool beyond_loopback;
	bool sockets; /* started by units of its sockets, which are listed below */
	bool ollama;
	const char *cpus;   /* a list as the kernel writes it; NULL: all */
	uint32_t n_allowed; /* 0, and not cpu_only: every GPU */
	char allowed[UNIT_ALLOWED_MAX]
		    [64];  /* files of /dev, or "char-" and a name of /proc/devices */
	uint32_t n_limits; /* power limits, which systemd has set for it and taken back */
	struct unit_limit {
		char pci[24];
		char cap[24];
	} limits[UNIT_LIMITS_MAX];
	uint32_t n_groups;
	const char *groups[UNIT_GROUPS_MAX]; /* that exist here and own such devices */
};

/*
 * Allow what one GPU needs: its render node, and what its driver (a kernel module's name, "" unknown) has
 * besides. `minor` is the N of NVIDIA's /dev/nvidiaN, -1 unknown: then all of them.
 */
void unit_allow(struct unit *u, const char *pci, const char *driver, int minor);

/* "berth-chat.service", "berth-chat.socket" for "openai", "berth-chat-ollama.socket". */
void unit_service_name(char name[UNIT_NAME_MAX], const struct unit *u);
void unit_socket_name(char name[UNIT_NAME_MAX], const struct unit *u, const char *protocol);

void unit_service(struct text *t, const struct unit *u);

/* The n sockets at `streams`, as ListenStream takes them, where `protocol` is spoken. */
void unit_socket(struct text *t, const struct unit *u, const char *protocol,
		 char (*streams)[UNIT_STREAM_MAX], uint32_t n);

#endif

/* SPDX-License-Identifier: MIT */
/* The program `doctor`: its options, and what it does besides showing findings. */
#ifndef BERTH_PROBE_DOCTOR_MAIN_PRIV_H
#define BERTH_PROBE_DOCTOR_MAIN_PRIV_H

#include "base/log.h"
#include "probe/doctor_priv.h"

struct doctor_options {
	bool json, show, list;
	const char *machine, *device, *kmsg, *bundle;
	int quiet, verbose;
	void (*explain)(FILE *to, const struct evidence *ev, const struct gpu *g);
	const char *explained; /* the device */
};

/* Why a GPU's link is as fast as it is, hop by hop. */
void explain_link(FILE *to, const struct evidence *ev, const struct gpu *g);
/* Its BARs, the windows above, and what the tree says. */
void explain_bars(FILE *to, const struct evidence *ev, const struct gpu *g);

/* Write the bundle, or print what would be in it. An exit code, or a negative errno. */
int bundle_write(const struct doctor_options *o, const struct log *log, struct err *e);

#endif

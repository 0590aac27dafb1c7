/* SPDX-License-Identifier: MIT */
/* The verbs that look: what can be bridged, and what a virtual machine has to be told. They change nothing. */
#ifndef BERTH_BRIDGE_LIST_H
#define BERTH_BRIDGE_LIST_H

#include "bar-forward/verbs.h"

/* Verbs (verbs.h). */
int list_verb(const struct ask *a, struct err *e);
int qemu_args_verb(const struct ask *a, struct err *e);
int libvirt_xml_verb(const struct ask *a, struct err *e);

struct bridge_facts;
struct readiness;

/*
 * The one device that a person means, judged. 0; above: the exit code of `berth device`, which has said why; below: an
 * errno with *e.
 */
int judge_one(const struct ask *a, const char *dev, struct bridge_facts *f, struct readiness *r,
	      struct err *e);

#endif

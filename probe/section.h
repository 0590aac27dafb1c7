/* SPDX-License-Identifier: MIT */
/*
 * A section is one subject of the report: its files, its library's answer, its decisions, its JSON and
 * its text, in one file of probe/ and one entry of sections[]. collect.c calls the steps of all entries in
 * this order, whatever the machine:
 *
 *   read    files, through src_*: recorded and replayed by the source. Before the libraries are asked.
 *   ask     live only: what libraries, ioctls or other processes answer, as one JSON object, already
 *           scrubbed when want->rec is set. NULL: nothing to ask.
 *   take    that object, or the captured folder's answers/ANSWER.json, into the report; so live and
 *           replayed are the same. The object is hostile. Not called when there is none.
 *   decide  pure: what follows from all the facts, of any section.
 */
#ifndef BERTH_PROBE_SECTION_H
#define BERTH_PROBE_SECTION_H

#include <stdio.h>

#include "probe/probe_priv.h"

struct look {
	const struct source *s;
	const struct report
		*r; /* every GPU's own files have been read: driver, BARs, nodes, awake */
	struct gpu *g;
	const char *dir; /* the function's real folder, "sys/devices/pci0000:00/0000:00:02.0" */
	bool ask; /* reads that wake are allowed: it and all bridges above are awake, or --wake */
};

struct section {
	const char *name;
	const char *answer; /* name of its file in answers/, or NULL */
	bool asks_folders;  /* ask() reads files alone: a folder without the answer is asked too */
	void (*read)(const struct look *l);
	json_t *(*ask)(const struct run *run, const struct want *w);
	void (*take)(struct report *r, const json_t *answer);
	void (*decide)(struct report *r, struct gpu *g);
	void (*json)(json_t *gpu, const struct gpu *g, const struct report *r);
	void (*text)(FILE *to, const struct gpu *g, const struct report *r, bool verbose);
	/* Once a report, before the GPUs' own. */
	void (*read_report)(const struct source *s, struct report *r);
	void (*json_report)(json_t *report, const struct report *r);
	void (*text_report)(FILE *to, const struct report *r, bool verbose);
};

extern const struct section section_amdids, section_ioctl, section_kfd, section_memory;
extern const struct section section_kind;
extern const struct section section_link;

/* Any function may be NULL. Ends with NULL. */
extern const struct section *const sections[];
/* The same in the order of the text. */
extern const struct section *const sections_shown[];

extern const struct section section_holders;
extern const struct section section_index;
extern const struct section section_seen;
extern const struct section section_nvidia;
extern const struct section section_others;
extern const struct section section_place;
extern const struct section section_tunnel;
extern const struct section section_usb4;
extern const struct section section_config;
extern const struct section section_live;
extern const struct section section_who;

#endif

/* SPDX-License-Identifier: MIT */
/* How a scene is collected: functions first, then the device files by which they are used, then the users. */
#ifndef BERTH_DEVICE_SCENE_PRIV_H
#define BERTH_DEVICE_SCENE_PRIV_H

#include <stdio.h>

#include "device/scene.h"

#define SCENE_PATH 512

/* scene_funcs.c: every function of the bus, in order of addresses. 0 or -ENOMEM. */
int scene_read_funcs(const struct machine *m, struct scene *s);

/* A device file by which a function is used; one that reaches several functions is there for each. */
struct node {
	char path[64]; /* "/dev/nvme0n1p2" */
	bool numbered; /* major and minor are known */
	bool block;
	bool vfio; /* whoever has it open drives the function himself: a virtual machine */
	uint32_t major, minor;
	uint32_t func;
	char name[40]; /* of a block device, in /sys/class/block */
	char on[40];   /* of one that is built on another: that one's name; else "" */
	bool used;     /* something is known to be mounted or swapped on it */
};

#define NODES_MAX 4096

struct nodes {
	uint32_t n, room;
	struct node *v;
};

/* scene_nodes.c: the device files of all functions. 0 or -ENOMEM. The caller frees n->v. */
int scene_read_nodes(const struct scene *s, struct nodes *n);

/* scene_procs.c: processes that have something open or mapped; scene_holds.c: all the others. */
void scene_read_procs(struct scene *s, struct nodes *n);
void scene_read_holds(struct scene *s, struct nodes *n);
/*
 * scene_maps.c: registers that processes have mapped, and their command lines. Both wait for a lock of the process,
 * which one that hangs in a driver may hold for ever: on a live machine they are read in children, which are left
 * behind. `got` has each mapping; the count of processes that gave no answer.
 */
uint32_t scene_maps(const struct machine *m, const uint32_t *pids, uint32_t n,
		    void (*got)(void *ctx, uint32_t pid, const char *pci), void *ctx);
/* Words ended by NUL: the count of bytes, or a negative errno. */
long scene_cmdline(const struct machine *m, uint32_t pid, char *buf, size_t size);
void scene_read_runs(struct scene *s);
/* Once the mounts of other name spaces are asked for: a line of any mountinfo file below the root. */
void scene_read_mounts(struct scene *s, struct nodes *n, const char *path);

/* One more user, unless the same is there; never more than SCENE_HOLDS_MAX. */
void scene_hold(struct scene *s, const struct hold *h);
/* One that is a process of `berth bridge serve` becomes its bridge. */
void scene_know_bridge(const struct machine *m, struct hold *h);
/* The index of a function; -1: none at this address. */
int scene_index(const struct scene *s, const char *pci);

/* Line by line, without those that do not fit into buf. A file that is none gives no line. */
struct line_file {
	FILE *f;
};
bool lines_open(struct line_file *l, const struct machine *m, const char *path);
bool lines_next(struct line_file *l, char *buf, size_t size);
void lines_close(struct line_file *l);

#endif

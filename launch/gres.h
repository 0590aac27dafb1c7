/* SPDX-License-Identifier: MIT */
/*
 * Slurm's own view of a node's GPUs: what its gres.conf(5) lists, in the order by which Slurm numbers
 * them, and from that which GPUs a job was granted. Pure.
 */
#ifndef BERTH_LAUNCH_GRES_H
#define BERTH_LAUNCH_GRES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/planfile.h"
#include "probe/probe.h"

#define SLURM_CONF_MAX (1 << 20) /* bytes of a file of Slurm's */

/* The GPUs of a node; in the end by Slurm's numbers, which are positions in this list. */
struct gres {
	uint32_t n;
	struct gres_gpu {
		char file[64];  /* "/dev/nvidia0", as gres.conf gives it */
		char type[160]; /* empty: none */
		uint32_t line;  /* GPUs of one line stay together */
	} gpus[PROBE_GPUS_MAX];
	uint32_t n_lines;
	char detect[16]; /* AutoDetect's value; empty: off */
	bool includes;   /* it goes on in a file that was not read */
};

/*
 * Read the lines of gres.conf that are about GPUs and this node. Foreign bytes, as slurm.conf's are. 0, or
 * -EBADMSG with *e: more GPUs than there can be, or a list that is none.
 */
int gres_parse(struct gres *g, const char *text, size_t n, const char *node, struct err *e);

/*
 * Put them in the order in which slurm.conf has the types of this node, "Gres=gpu:b:1,gpu:a:2", and leave out what it does
 * not count. 1; 0: it has none for this node, and the order is gres.conf's; -EBADMSG with *e.
 */
int gres_order(struct gres *g, const char *text, size_t n, const char *node, struct err *e);

/*
 * Add what Slurm detects by itself; detected GPUs come in the order of their addresses, whatever their
 * files are called. For a node without a gres.conf give a zeroed *g: then all GPUs of the report are listed, as
 * `probe --format slurm` would.
 */
void gres_detect(struct gres *g, const struct report *r);

/* What a job was granted. */
struct grant {
	uint32_t n;
	char pci[PROBE_GPUS_MAX][24];
	/*
	 * The node's GPUs have several drivers. Then Slurm's numbers, which count all of them, are not those of
	 * CUDA, ROCm or Level Zero, although Slurm gives them as such.
	 */
	bool mixed;
};

/*
 * From Slurm's numbers ("0,2"; NULL or "" is no GPU) to addresses. 0; -EBADMSG: they are no such list, -ENODATA: a
 * number, or its file, that leads to no GPU of this machine.
 */
int grant_find(struct grant *to, const struct gres *g, const struct report *r, const char *numbers,
	       struct err *e);

bool grant_has(const struct grant *g, const char *pci);

/* 0, or -EXDEV with *e: the plan has a device that was not granted. */
int grant_check(const struct grant *g, const struct plan *p, const struct report *r, struct err *e);

#endif

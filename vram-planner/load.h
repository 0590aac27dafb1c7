/* SPDX-License-Identifier: MIT */
/* Loading a model's header through readers: one file or all shards, from here or from a server. */
#ifndef BERTH_LOAD_H
#define BERTH_LOAD_H

#include "vram-planner/model.h"
#include "vram-planner/reader.h"

/* How to get at a named thing: shards are opened by the same one as the file that was named. */
struct opener {
	int (*open)(const struct opener *o, struct reader **r, const char *where, struct err *e);
	const void *arg;
};

extern const struct opener opener_files;

/*
 * Read the header of `where` and, of a split model, of every shard beside it. The errors are those of
 * model_open(); a shard that is missing or does not belong is -EBADMSG with its name.
 */
int model_load(struct model **m, const char *where, const struct opener *o, struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A model's file as the engine wants to open it, without its data: the header, then a hole up to the
 * true size. So a model of which only the header is here, or was read from a server, can be measured.
 */
#ifndef BERTH_SPARSE_H
#define BERTH_SPARSE_H

#include "vram-planner/model.h"

struct sparse {
	char dir[64];     /* a folder of ours, "" when the model's own files are complete */
	char path[1100];  /* what to open: the first shard */
	uint32_t n_files; /* that the model has, or should have */
};

/*
 * The model's own path when all its files are here and complete, else holes in a new folder under
 * TMPDIR. 0 or a negative errno with *e; sparse_close() when done, also then.
 */
int sparse_open(struct sparse *s, const struct model *m, struct err *e);
void sparse_close(const struct sparse *s);

#endif

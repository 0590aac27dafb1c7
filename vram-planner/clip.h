/* SPDX-License-Identifier: MIT */
/*
 * Image encoders beside a model (mmproj files, architecture "clip"): their weights, and the graph of the
 * largest image that their preprocessing lets through.
 */
#ifndef BERTH_CLIP_H
#define BERTH_CLIP_H

#include "vram-planner/backend.h"
#include "vram-planner/model.h"

struct clip_bytes {
	uint64_t weights, compute; /* on the device */
	uint64_t host;             /* the image, before it is cut into patches */
	uint32_t patches;          /* of the worst image; 0: the graph is unknown */
	char note[140];            /* what is not counted, or was not measured; "" nothing */
};

/* Whether a file is one. */
bool clip_is(const struct model *m);

/*
 * On a device of this backend. 0; -EBADMSG with *e when the header lacks what an encoder needs, or is
 * absurd; -ENOMEM.
 */
int clip_bytes(struct clip_bytes *out, const struct model *m, const struct backend *b,
	       bool flash_attn, struct err *e);

#endif

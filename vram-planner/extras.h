/* SPDX-License-Identifier: MIT */
/* What is loaded beside a model: an image encoder, adapters, a draft model. It takes its memory first. */
#ifndef BERTH_EXTRAS_H
#define BERTH_EXTRAS_H

#include "base/cmd.h"
#include "vram-planner/devices.h"
#include "vram-planner/source.h"

struct extras_opts {
	const char *mmproj, *draft; /* as source_open() takes them; NULL: none */
	struct opt_list loras;
};

#define EXTRAS_MAX (OPT_LIST_MAX + 2)

struct extra {
	const char *kind; /* "mmproj", "lora", "draft" */
	char path[1024];
	uint32_t place; /* index into the devices' places; their number: the host */
	uint64_t weights_bytes, kv_bytes, compute_bytes;
	uint64_t host_bytes;     /* beside that */
	struct model *model;     /* owned; of adapters, whose bytes follow the layers */
	struct plan_draft draft; /* of a draft: how it is carried out */
	char note[160];          /* what could not be checked; "" nothing */
};

struct extras {
	uint32_t n;
	struct extra all[EXTRAS_MAX];
};

/*
 * Open them and choose where they go: the place with the most free memory, as the engine's first. `w` is
 * the wish for the main model, whose context a draft shares. -EBADMSG with *e: a file that is not what it
 * is named as; else as source_open().
 */
int extras_open(struct extras *x, const struct extras_opts *o, const struct model *m,
		const struct devices *d, const struct wish *w, const struct source_env *env,
		struct err *e);

/* Add one that is open already, "mmproj", "draft" or "lora"; m is taken over in any case. */
int extras_add(struct extras *x, const char *kind, const char *what, struct model *m,
	       const struct model *main, const struct devices *d, const struct wish *w,
	       struct err *e);
void extras_close(struct extras *x);

/* Take their memory from the devices' free one. Adapters are spread by the plan's layers, NULL: none yet. */
void extras_reserve(const struct extras *x, struct devices *d, const struct plan *p);

/* Write them into a plan that was made on reserved devices; `d` are the devices as they were. */
void extras_charge(const struct extras *x, struct plan *p, const struct devices *d);

void extras_explain(struct text *t, const struct extras *x, const struct devices *d);
json_t *extras_to_json(const struct extras *x, const struct devices *d); /* the caller owns it */

#endif

/* SPDX-License-Identifier: MIT */
/* Several models, answered alike and ranked. */
#ifndef BERTH_COMPARE_H
#define BERTH_COMPARE_H

#include "vram-planner/answer.h"
#include "vram-planner/stores.h"

struct entry {
	char name[256];       /* as it is shown */
	char what[1024];      /* what source_open() takes */
	const char *store;    /* "" none */
	char projector[1024]; /* an image encoder that lies beside it; "" none */
	int rc;               /* of the answer; *why says it in words */
	struct err why;
	struct answer answer;
};

struct comparison {
	struct entry *all; /* owned; ranked by compare_rank() */
	uint32_t n, room;
	bool cut; /* a store had more than berth lists */
};

/*
 * Add what an operand stands for: a model; all models below a folder; with `quants` the other quants of
 * the same model beside it, or all of a Hugging Face repository ("hf:ORG/REPO"). 0, or as source_open();
 * a folder without models is -ENOENT.
 */
int compare_add(struct comparison *c, const char *what, bool quants, const struct source_env *v,
		struct err *e);

/* Whether an operand stands for several models: a folder of them, a repository. */
bool compare_is_several(const char *what);

/* Add what the local stores have. */
int compare_add_stores(struct comparison *c, struct err *e);

/*
 * Answer each, then rank: yes before no, fits before spills, larger before smaller (more bits mean
 * less loss), and by name.
 */
void compare_rank(struct comparison *c, const struct question *q);

/*
 * One exit code for all: EXIT_YES when one is accepted (`every`: all of them); else EXIT_BAD_INPUT,
 * EXIT_ENV, EXIT_UNKNOWN, EXIT_NO, the first that any has.
 */
enum exit_code compare_exit(const struct comparison *c, bool every);

/* The first `top` of them (0: all) as a table; as "berth.compare/1", which the caller owns. */
void compare_explain(FILE *to, const struct comparison *c, uint32_t top);
json_t *compare_to_json(const struct comparison *c, const struct question *q, uint32_t top);

void compare_free(struct comparison *c);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * On which side each node of a graph runs, what is copied between sides, and in which order it is all
 * allocated: the engine's scheduler. The last side is the processor; the others are devices, by index.
 */
#ifndef BERTH_GSCHED_H
#define BERTH_GSCHED_H

#include <stddef.h>

#include "vram-planner/galloc.h"
#include "vram-planner/keeps.h"

#define SCHED_MARKS_MAX 1024

struct sched {
	/* Set by the caller. */
	struct side *sides;
	uint32_t n_sides;
	uint32_t n_copies; /* of every input: more than 1 in a pipeline */
	bool copies_all;   /* inputs that nothing reads are copied, too */
	bool offloads;     /* large batches of host layers go to a device */

	/* Answers. */
	struct laid laid;
	uint32_t n_splits;
	struct {
		uint32_t splits, inputs; /* so far */
	} marks[SCHED_MARKS_MAX];        /* at each marked node (GF_MARK) */
	uint32_t n_marks;
	const char *fault; /* the engine would abort */

	/* Scratch memory. */
	int8_t *side;    /* of each node; -1 */
	int8_t *home;    /* of each node's memory, or of what it views */
	uint8_t *traits; /* of each node: what the passes ask again and again */
	int32_t *copies; /* [node][side]: the first of n_copies nodes; 0 */
	size_t cap_nodes, cap_copies, cap_steps, cap_leaves;
	int32_t *graph_inputs; /* inputs that have copies on their own side */
	uint32_t n_graph_inputs;
	int32_t *inputs; /* what enters each split, and the split's side */
	int8_t *input_sides;
	uint32_t n_inputs, cap_inputs;
	struct reorder *reorder; /* of sides that compute in an order of their own */
	struct keeps keeps;
};

/*
 * Schedule. The graph is changed: operands from other sides become copies. 0; -ENOMEM; -ENOTSUP with
 * s->fault when the engine would abort.
 */
int sched_graph(struct sched *s, struct graph *g);
void sched_fini(struct sched *s);

#endif

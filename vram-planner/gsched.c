/* SPDX-License-Identifier: MIT */
/* The rules are those of ggml-backend.cpp at v0.5.0 (ggml_backend_sched_split_graph), in its five passes. */
#include "vram-planner/vulkan.h"
#include "vram-planner/gsched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE (-1)

static int processor(const struct sched *s)
{
	return (int)s->n_sides - 1;
}

enum trait {
	TRAIT_VIEW_OP = 1, /* only looks at memory: runs nowhere */
	TRAIT_INPUT = 2,
	TRAIT_WEIGHT = 4,
};

static bool is_view_op(const struct sched *s, int32_t n)
{
	return s->traits[n] & TRAIT_VIEW_OP;
}

static uint8_t traits_of(const struct gnode *t)
{
	bool view = t->op == OP_VIEW || t->op == OP_RESHAPE || t->op == OP_PERMUTE ||
		    t->op == OP_TRANSPOSE;

	return (uint8_t)((view ? TRAIT_VIEW_OP : 0) | (t->flags & GF_INPUT ? TRAIT_INPUT : 0) |
			 (t->flags & GF_WEIGHT ? TRAIT_WEIGHT : 0));
}

/* What is viewed was made before its view. */
static void read_nodes(struct sched *s, const struct graph *g)
{
	for (int32_t n = 0; n < g->n_nodes; n++) {
		const struct gnode *t = &g->nodes[n];

		s->traits[n] = traits_of(t);
		s->home[n] = t->view_src ? s->home[t->view_src] : t->home;
	}
}

static bool supports(const struct sched *s, int side, const struct graph *g, int32_t n)
{
	return side_supports(&s->sides[side], side, g, n);
}

/* The side that a home's memory belongs to. */
static int side_of_home(const struct sched *s, int home)
{
	return home >= 0 ? home : processor(s);
}

/* --- pass 1: what is where already --- */

/* The side where an operand's weights draw a node; NOWHERE: it cannot run there. */
static int side_of_weight(const struct sched *s, const struct graph *g, int32_t n, int32_t weight)
{
	int home = s->home[weight], side = side_of_home(s, home);

	if (!supports(s, side, g, n))
		return NOWHERE;
	if (!s->offloads || home != HOME_HOST)
		return side;
	for (int i = 0; i < processor(s); i++) {
		if (supports(s, i, g, n) && side_offloads(&s->sides[i], g, n))
			return i;
	}
	return side;
}

static int side_at_first(struct sched *s, const struct graph *g, int32_t n)
{
	const struct gnode *t = &g->nodes[n];
	int home = s->home[n], pin = t->pin < 0 ? processor(s) : t->pin - 1;

	if (t->pin && supports(s, pin, g, n))
		return pin;
	if (home != HOME_NONE) {
		if (!supports(s, side_of_home(s, home), g, n))
			s->fault = "a tensor is in a buffer whose device cannot work on it";
		return side_of_home(s, home);
	}
	if (s->traits[n] & TRAIT_INPUT)
		return processor(s);
	/* Rope's factors and attention's sinks are too small to decide. */
	if (t->op == OP_ROPE || t->op == OP_FLASH_ATTN)
		return NOWHERE;
	for (uint32_t i = 0; i < t->n_src; i++) {
		if (s->traits[t->src[i]] & TRAIT_WEIGHT)
			return side_of_weight(s, g, n, t->src[i]);
	}
	return NOWHERE;
}

static void assign_first(struct sched *s, const struct graph *g)
{
	for (int32_t i = 0; i < g->n_leaves; i++)
		s->side[g->leaves[i]] = (int8_t)side_at_first(s, g, g->leaves[i]);
	for (int32_t i = 0; i < g->n_order; i++) {
		int32_t n = g->order[i];

		s->side[n] = (int8_t)side_at_first(s, g, n);
	}
}

/* --- pass 2: neighbours go along --- */

/* Devices first, then whatever there is; down the order, then up. */
static void spread(struct sched *s, const struct graph *g, bool devices_only, bool up)
{
	int current = NOWHERE;

	for (int32_t i = 0; i < g->n_order; i++) {
		int32_t n = g->order[up ? g->n_order - 1 - i : i];

		if (is_view_op(s, n))
			continue;
		if (s->side[n] != NOWHERE)
			current = devices_only && s->side[n] == processor(s) ? NOWHERE : s->side[n];
		else if (current != NOWHERE && supports(s, current, g, n))
			s->side[n] = (int8_t)current;
	}
}

/* --- pass 3: nodes that no neighbour's side can run --- */

/* Whether a side can use an operand where it is. */
static bool reaches(const struct sched *s, const struct graph *g, int32_t n, int side)
{
	int home = s->home[n], at = s->side[n];

	if (home != HOME_NONE)
		return side_of_home(s, home) == side;
	if (at == NOWHERE && g->nodes[n].view_src)
		at = s->side[g->nodes[n].view_src];
	return at == side;
}

static int side_of_most_operands(const struct sched *s, const struct graph *g, int32_t n)
{
	const struct gnode *t = &g->nodes[n];
	int best = NOWHERE, most = -1;

	for (int side = 0; side < (int)s->n_sides; side++) {
		int count = 0;

		if (!supports(s, side, g, n))
			continue;
		for (uint32_t k = 0; k < t->n_src; k++)
			count += t->src[k] && reaches(s, g, t->src[k], side);
		if (count > most) {
			most = count;
			best = side;
		}
	}
	return best;
}

static void assign_rest(struct sched *s, const struct graph *g)
{
	for (int32_t i = 0; i < g->n_order; i++) {
		int32_t n = g->order[i];

		if (s->side[n] == NOWHERE && !is_view_op(s, n))
			s->side[n] = (int8_t)side_of_most_operands(s, g, n);
	}
}

/* --- pass 4: views with what they view, other operands with their users --- */

static void assign_operands(struct sched *s, const struct graph *g)
{
	for (int32_t i = 0; i < g->n_order; i++) {
		int32_t n = g->order[i];
		const struct gnode *t = &g->nodes[n];

		if (s->side[n] == NOWHERE && t->view_src)
			s->side[n] = s->side[t->view_src];
		for (uint32_t k = 0; k < t->n_src; k++) {
			int32_t src = t->src[k], of = g->nodes[src].view_src;

			if (src && s->side[src] == NOWHERE)
				s->side[src] = of ? s->side[of] : s->side[n];
		}
		for (int side = 0; side < (int)s->n_sides && s->side[n] == NOWHERE; side++) {
			if (supports(s, side, g, n))
				s->side[n] = (int8_t)side;
		}
		if (s->side[n] == NOWHERE)
			s->fault = "no device can run an operation of the model";
	}
}

/* --- pass 5: splits and copies --- */

static bool room_for_inputs(struct sched *s, uint32_t more)
{
	uint32_t cap = s->cap_inputs ? 2 * s->cap_inputs : 256;
	int32_t *inputs;
	int8_t *sides;

	if (s->n_inputs + more <= s->cap_inputs)
		return true;
	inputs = reallocarray(s->inputs, cap, sizeof(*inputs));
	if (inputs)
		s->inputs = inputs;
	sides = reallocarray(s->input_sides, cap, sizeof(*sides));
	if (sides)
		s->input_sides = sides;
	if (!inputs || !sides)
		return false;
	s->cap_inputs = cap;
	return true;
}

static int32_t *copy_at(struct sched *s, int32_t n, int side)
{
	return &s->copies[(size_t)n * s->n_sides + (size_t)side];
}

/* Nodes like n, one after the other. In a pipeline nothing may write over them. */
static int32_t copies_make(struct sched *s, struct graph *g, int32_t n, uint32_t count)
{
	int32_t first = G_NONE;

	for (uint32_t i = 0; i < count; i++) {
		int32_t c = g_copy_layout(g, n);

		if (!c)
			return G_NONE;
		if (i == 0)
			first = c;
		if (s->n_copies > 1)
			g->nodes[c].flags |= GF_INPUT | GF_OUTPUT;
	}
	return first;
}

/* In a pipeline an input of the graph has copies on its own side, too; itself is the first. */
static bool multiply_input(struct sched *s, struct graph *g, int32_t n)
{
	int side = s->side[n];

	if (s->n_copies < 2 || !(g->nodes[n].flags & GF_INPUT) || side == NOWHERE ||
	    *copy_at(s, n, side))
		return true;
	g->nodes[n].flags |= GF_OUTPUT;
	*copy_at(s, n, side) = copies_make(s, g, n, s->n_copies - 1);
	s->graph_inputs[s->n_graph_inputs++] = n;
	return *copy_at(s, n, side) != G_NONE;
}

static bool multiply_inputs(struct sched *s, struct graph *g)
{
	for (int32_t i = 0; i < g->n_leaves; i++) {
		if (!multiply_input(s, g, g->leaves[i]))
			return false;
	}
	return true;
}

/* The operand as this side sees it: a copy when it is elsewhere. G_NONE: no memory. */
static int32_t operand(struct sched *s, struct graph *g, int32_t n, int side)
{
	int32_t *copy;

	if (!multiply_input(s, g, n))
		return G_NONE;
	if (s->side[n] == side || reaches(s, g, n, side))
		return n;
	copy = copy_at(s, n, side);
	if (!*copy) {
		if (!room_for_inputs(s, 1))
			return G_NONE;
		*copy = copies_make(s, g, n, s->n_copies);
		s->inputs[s->n_inputs] = n;
		s->input_sides[s->n_inputs++] = (int8_t)side;
	}
	return *copy;
}

/* A weight from elsewhere begins a new split: what was fetched for the one before can go. */
static bool wants_new_split(const struct sched *s, const struct graph *g, int32_t n, int side)
{
	const struct gnode *t = &g->nodes[n];

	for (uint32_t k = 0; k < t->n_src; k++) {
		int32_t src = t->src[k];

		if (s->traits[src] & TRAIT_WEIGHT && s->side[src] != side &&
		    !reaches(s, g, src, side))
			return true;
	}
	return false;
}

static void lay(struct sched *s, int32_t step, int side)
{
	s->laid.steps[s->laid.n_steps] = step;
	s->laid.sides[s->laid.n_steps++] = (int8_t)side;
}

/* A node, and then what must stay until it is computed. */
static void lay_node(struct sched *s, int32_t n)
{
	uint32_t count;
	const struct keep *kept = keeps_until(&s->keeps, n, &count);

	lay(s, n, s->side[n]);
	for (uint32_t i = 0; i < count; i++)
		lay(s, -kept[i].node, s->side[n]);
}

/* The backend's own say: its order, and what it reads late. */
static bool optimize(struct sched *s, struct graph *g, int32_t begin, int32_t end, int side)
{
	if (s->sides[side].backend->reorders)
		return reorder_split(s->reorder, g, g->order + begin, end - begin, &s->keeps);
	return !s->sides[side].fuses || cuda_keeps(&s->keeps, g, begin, end);
}

/*
 * The copies that enter a split, each behind what it is a copy of; then its nodes, in the order in which
 * its side computes them.
 */
static bool lay_split(struct sched *s, struct graph *g, uint32_t first_input, int32_t begin,
		      int32_t end, int side)
{
	if (!optimize(s, g, begin, end, side))
		return false;
	for (uint32_t i = first_input; i < s->n_inputs; i++) {
		int32_t n = s->inputs[i];

		lay(s, -n, s->side[n]);
		lay(s, *copy_at(s, n, s->input_sides[i]), s->input_sides[i]);
	}
	for (int32_t i = begin; i < end; i++)
		lay_node(s, g->order[i]);
	return true;
}

static bool take_operands(struct sched *s, struct graph *g, int32_t n, int side)
{
	for (uint32_t k = 0; k < g->nodes[n].n_src; k++) {
		int32_t src = g->nodes[n].src[k];

		if (!src)
			continue;
		src = operand(s, g, src, side);
		if (!src)
			return false;
		g->nodes[n].src[k] = src;
	}
	return true;
}

static void mark(struct sched *s)
{
	if (s->n_marks == SCHED_MARKS_MAX)
		return;
	s->marks[s->n_marks].splits = s->n_splits;
	s->marks[s->n_marks++].inputs = s->n_inputs;
}

static int split(struct sched *s, struct graph *g)
{
	int32_t begin = 0, i = 0;
	uint32_t first_input = 0;
	int side;

	while (i < g->n_order && is_view_op(s, g->order[i]))
		i++;
	if (i == g->n_order)
		return 0;
	side = s->side[g->order[i]];
	for (; i < g->n_order; i++) {
		int32_t n = g->order[i];

		if (g->nodes[n].flags & GF_MARK)
			mark(s);
		if (is_view_op(s, n))
			continue;
		if (s->side[n] != side ||
		    (s->n_inputs > first_input && wants_new_split(s, g, n, side))) {
			if (!lay_split(s, g, first_input, begin, i, side))
				return -ENOMEM;
			first_input = s->n_inputs;
			begin = i;
			side = s->side[n];
			s->n_splits++;
		}
		if (!take_operands(s, g, n, side))
			return -ENOMEM;
	}
	if (!lay_split(s, g, first_input, begin, g->n_order, side))
		return -ENOMEM;
	s->n_splits++;
	return 0;
}

/* --- all of it --- */

static void lay_leaf(struct sched *s, int32_t n, int side)
{
	s->laid.leaves[s->laid.n_leaves] = n;
	s->laid.leaf_sides[s->laid.n_leaves++] = (int8_t)side;
}

static void lay_leaves(struct sched *s, const struct graph *g)
{
	for (uint32_t i = 0; s->n_copies > 1 && i < s->n_graph_inputs; i++) {
		int32_t n = s->graph_inputs[i], copy = *copy_at(s, n, s->side[n]);

		lay_leaf(s, n, s->side[n]);
		for (uint32_t k = 1; k < s->n_copies; k++)
			lay_leaf(s, copy + (int32_t)k - 1, s->side[n]);
	}
	for (uint32_t i = 0; s->n_copies > 1 && i < s->n_inputs; i++) {
		int32_t copy = *copy_at(s, s->inputs[i], s->input_sides[i]);

		for (uint32_t k = 0; k < s->n_copies; k++)
			lay_leaf(s, copy + (int32_t)k, s->input_sides[i]);
	}
	for (int32_t i = 0; i < g->n_leaves; i++)
		lay_leaf(s, g->leaves[i], s->side[g->leaves[i]]);
}

static bool renew(void **array, size_t n, size_t size)
{
	free(*array);
	*array = reallocarray(NULL, n, size);
	return *array != NULL;
}

/*
 * Room for all steps: every node is entered once, and each operand of a node at most once more, with
 * what it is a copy of; a fused node can keep itself and its operands.
 */
#define KEPT_MAX 3

static bool prepare(struct sched *s, const struct graph *g)
{
	size_t nodes = (size_t)g->n_nodes, copies = nodes * s->n_sides;
	size_t steps = (1 + KEPT_MAX) * nodes + 2 * copies;
	size_t leaves = nodes + (nodes + copies) * s->n_copies;

	if (s->cap_steps < steps || s->cap_leaves < leaves || s->cap_copies < copies ||
	    s->cap_nodes < nodes) {
		s->cap_copies = 0;
		if (!renew((void **)&s->side, nodes, 1) || !renew((void **)&s->home, nodes, 1) ||
		    !renew((void **)&s->traits, nodes, 1) ||
		    !renew((void **)&s->copies, copies, sizeof(*s->copies)) ||
		    !renew((void **)&s->graph_inputs, nodes, sizeof(*s->graph_inputs)) ||
		    !renew((void **)&s->laid.steps, steps, sizeof(*s->laid.steps)) ||
		    !renew((void **)&s->laid.sides, steps, 1) ||
		    !renew((void **)&s->laid.leaves, leaves, sizeof(*s->laid.leaves)) ||
		    !renew((void **)&s->laid.leaf_sides, leaves, 1))
			return false;
		s->cap_nodes = nodes;
		s->cap_copies = copies;
		s->cap_steps = steps;
		s->cap_leaves = leaves;
	}
	memset(s->side, NOWHERE, nodes);
	read_nodes(s, g);
	memset(s->copies, 0, copies * sizeof(*s->copies));
	s->laid.n_steps = s->laid.n_leaves = 0;
	s->n_inputs = s->n_graph_inputs = s->n_splits = s->n_marks = 0;
	s->fault = NULL;
	return true;
}

static bool any_reorders(const struct sched *s)
{
	for (uint32_t i = 0; i < s->n_sides; i++) {
		if (s->sides[i].backend->reorders)
			return true;
	}
	return false;
}

int sched_graph(struct sched *s, struct graph *g)
{
	int rc;

	if (!prepare(s, g))
		return -ENOMEM;
	assign_first(s, g);
	spread(s, g, true, false);
	spread(s, g, true, true);
	spread(s, g, false, false);
	spread(s, g, false, true);
	assign_rest(s, g);
	assign_operands(s, g);
	if (s->fault)
		return -ENOTSUP;
	if (s->copies_all && !multiply_inputs(s, g))
		return -ENOMEM;
	if (!keeps_begin(&s->keeps, g) || (any_reorders(s) && !reorder_prepare(&s->reorder, g)))
		return -ENOMEM;
	rc = split(s, g);
	if (!rc)
		lay_leaves(s, g);
	return rc;
}

void sched_fini(struct sched *s)
{
	free(s->laid.steps);
	free(s->laid.sides);
	free(s->laid.leaves);
	free(s->laid.leaf_sides);
	free(s->side);
	free(s->home);
	free(s->traits);
	free(s->copies);
	free(s->graph_inputs);
	free(s->inputs);
	free(s->input_sides);
	reorder_free(s->reorder);
	keeps_fini(&s->keeps);
	*s = (struct sched) { 0 };
}

/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan backend's reordering (ggml-vulkan.cpp at v0.5.0, graph_optimize; 0.7.0 gives the same
 * orders). From the first node left it looks a little ahead and takes along what depends on nothing that
 * is still to come. Sequences that it has one kernel for stay together, or are brought together.
 */
#include <stdlib.h>
#include <string.h>

#include "vram-planner/graph_priv.h"
#include "vram-planner/vulkan.h"

#define AHEAD      20 /* nodes looked at from the first one left */
#define AHEAD_PAIR 15 /* and from one whose partner is looked for */
#define SET_MAX    (4 * AHEAD)
#define NEVER      64 /* positions between graphs: more than a word's bits */

enum { FREE, USED, IN_SET };

/*
 * Who touched some memory lately: bit k is the position `at` - k. Positions grow from graph to graph, so
 * that what is there from earlier ones is out of sight, and nothing needs to be cleared.
 */
struct lately {
	uint32_t at, bits;
};

/* By the memory's node. */
struct memory {
	uint32_t at;         /* position of the node itself */
	struct lately all;   /* whatever is a part of it, */
	struct lately write; /* without views, */
	struct lately read;  /* and what has a part of it as an operand, without views */
};

struct reorder {
	uint16_t *uses; /* of each node, as an operand */
	uint8_t *done;  /* of each node: it has its place */
	struct memory *memory;
	uint8_t *used;    /* of each position of the split: FREE... */
	uint32_t *needs;  /* of each position: bit k when it depends on the one k before */
	uint16_t *starts; /* of each position: bits of the sequences whose operations begin here */
	int32_t *out;
	int32_t cap;
	uint32_t clock; /* position of the split's first node */

	/* The split at hand. */
	struct keeps *keeps;
	const struct graph *g;
	const int32_t *nodes;
	int32_t n, n_out, first; /* first: position of the first node left */
	int32_t set[SET_MAX];    /* positions that come next */
	int32_t n_set;
};

/* Sequences with one kernel. The routing of experts keeps its operands to the end. */
static const struct {
	bool routing;
	uint8_t n, ops[12];
} sequences[] = {
	{ true,
	  10,
	  { OP_SOFT_MAX, OP_RESHAPE, OP_ARGSORT, OP_VIEW, OP_GET_ROWS, OP_RESHAPE, OP_SUM_ROWS,
	    OP_CLAMP, OP_DIV, OP_RESHAPE } },
	{ true,
	  11,
	  { OP_UNARY, OP_RESHAPE, OP_ADD, OP_ARGSORT, OP_VIEW, OP_GET_ROWS, OP_RESHAPE, OP_SUM_ROWS,
	    OP_CLAMP, OP_DIV, OP_RESHAPE } },
	{ true,
	  12,
	  { OP_UNARY, OP_SQRT, OP_RESHAPE, OP_ADD, OP_ARGSORT, OP_VIEW, OP_GET_ROWS, OP_RESHAPE,
	    OP_SUM_ROWS, OP_CLAMP, OP_DIV, OP_RESHAPE } },
	{ true, 5, { OP_SOFT_MAX, OP_RESHAPE, OP_ARGSORT, OP_VIEW, OP_GET_ROWS } },
	{ true, 6, { OP_ARGSORT, OP_VIEW, OP_GET_ROWS, OP_RESHAPE, OP_SOFT_MAX, OP_RESHAPE } },
	{ false, 4, { OP_RMS_NORM, OP_MUL, OP_ADD, OP_MUL } },
	{ false, 3, { OP_RMS_NORM, OP_MUL, OP_ADD } },
	{ false, 5, { OP_RMS_NORM, OP_MUL, OP_ROPE, OP_VIEW, OP_SET_ROWS } },
	{ false, 3, { OP_RMS_NORM, OP_VIEW, OP_SET_ROWS } },
	{ false, 3, { OP_ROPE, OP_VIEW, OP_SET_ROWS } },
};

#define N_SEQUENCES (sizeof(sequences) / sizeof(sequences[0]))

/* --- memory --- */

/* What is new is zero. */
static bool grow(void **array, size_t from, size_t to, size_t size)
{
	char *p = reallocarray(*array, to, size);

	if (!p)
		return false;
	memset(p + from * size, 0, (to - from) * size);
	*array = p;
	return true;
}

/* The graph grows while it is split: copies of operands are nodes, too. */
static bool room(struct reorder *r, const struct graph *g)
{
	size_t from = (size_t)r->cap, to = (size_t)g->cap_nodes;

	if (from >= to)
		return true;
	if (!grow((void **)&r->uses, from, to, sizeof(*r->uses)) ||
	    !grow((void **)&r->done, from, to, sizeof(*r->done)) ||
	    !grow((void **)&r->memory, from, to, sizeof(*r->memory)) ||
	    !grow((void **)&r->used, from, to, sizeof(*r->used)) ||
	    !grow((void **)&r->needs, from, to, sizeof(*r->needs)) ||
	    !grow((void **)&r->starts, from, to, sizeof(*r->starts)) ||
	    !grow((void **)&r->out, from, to, sizeof(*r->out)))
		return false;
	r->cap = g->cap_nodes;
	return true;
}

bool reorder_prepare(struct reorder **scratch, const struct graph *g)
{
	struct reorder *r = *scratch ? *scratch : calloc(1, sizeof(*r));

	if (!r)
		return false;
	*scratch = r;
	if (!room(r, g))
		return false;
	/* The clock must not come round to where old positions could be near. */
	if (r->clock > UINT32_MAX - 2 * G_NODE_MAX) {
		memset(r->memory, 0, (size_t)r->cap * sizeof(*r->memory));
		r->clock = 0;
	}
	memset(r->uses, 0, (size_t)g->n_nodes * sizeof(*r->uses));
	memset(r->done, 0, (size_t)r->cap);
	for (int32_t i = 0; i < g->n_order; i++) {
		const struct gnode *t = &g->nodes[g->order[i]];

		for (uint32_t k = 0; k < t->n_src; k++)
			r->uses[t->src[k]] += r->uses[t->src[k]] < UINT16_MAX;
	}
	r->clock += NEVER;
	return true;
}

void reorder_free(struct reorder *r)
{
	if (!r)
		return;
	free(r->uses);
	free(r->done);
	free(r->memory);
	free(r->used);
	free(r->needs);
	free(r->starts);
	free(r->out);
	free(r);
}

/* --- the nodes of a split, by position --- */

static const struct gnode *at(const struct reorder *r, int32_t i)
{
	return &r->g->nodes[r->nodes[i]];
}

static bool is_empty(const struct gnode *t)
{
	return t->op == OP_NONE || t->op == OP_RESHAPE || t->op == OP_TRANSPOSE ||
	       t->op == OP_VIEW || t->op == OP_PERMUTE;
}

static int32_t base(const struct graph *g, int32_t n)
{
	return g->nodes[n].view_src ? g->nodes[n].view_src : n;
}

/* Those of the last AHEAD - 1 positions before `now` that are noted. */
static uint32_t seen(const struct lately *l, uint32_t now)
{
	uint32_t age = now - l->at;

	return age < AHEAD ? l->bits << age & ((1u << AHEAD) - 2) : 0;
}

static void note(struct lately *l, uint32_t now)
{
	uint32_t age = now - l->at;

	l->bits = (age < AHEAD ? l->bits << age : 0) | 1;
	l->at = now;
}

/*
 * What a node depends on: the operands that it names, and whoever writes what it reads, reads what it
 * writes or writes the same; views have no part in the last three.
 */
static uint32_t needs_of(struct reorder *r, const struct gnode *t, int32_t node, uint32_t now)
{
	struct memory *own = &r->memory[base(r->g, node)];
	bool views = is_empty(t);
	uint32_t needs = seen(&own->all, now) | (views ? 0 : seen(&own->read, now));

	for (uint32_t k = 0; k < t->n_src; k++) {
		int32_t src = t->src[k];

		if (!src)
			continue;
		if (now - r->memory[src].at < AHEAD)
			needs |= 1u << (now - r->memory[src].at);
		if (!views)
			needs |= seen(&r->memory[base(r->g, src)].write, now);
	}
	return needs;
}

static void note_node(struct reorder *r, const struct gnode *t, int32_t node, uint32_t now)
{
	struct memory *own = &r->memory[base(r->g, node)];

	r->memory[node].at = now;
	note(&own->all, now);
	if (is_empty(t))
		return;
	note(&own->write, now);
	for (uint32_t k = 0; k < t->n_src; k++) {
		if (t->src[k])
			note(&r->memory[base(r->g, t->src[k])].read, now);
	}
}

/* Whether b, at a later position than a, depends on it. */
static bool depends(const struct reorder *r, int32_t b, int32_t a)
{
	return b - a < AHEAD && r->needs[b] >> (b - a) & 1;
}

static int32_t window_end(const struct reorder *r, int32_t from, int32_t ahead)
{
	return r->n - from < ahead ? r->n : from + ahead;
}

static void take(struct reorder *r, int32_t i)
{
	if (r->n_set == SET_MAX)
		return;
	r->set[r->n_set++] = i;
	r->used[i] = IN_SET;
}

/* Take a node from further on, out of its turn. */
static void pull(struct reorder *r, int32_t i)
{
	take(r, i);
	r->used[i] = USED;
}

static void place(struct reorder *r, int32_t i)
{
	if (r->done[r->nodes[i]])
		return;
	r->out[r->n_out++] = r->nodes[i];
	r->done[r->nodes[i]] = 1;
	r->used[i] = USED;
}

static void skip_used(struct reorder *r)
{
	while (r->first < r->n && r->used[r->first] == USED)
		r->first++;
}

/* --- sequences that stay together --- */

static bool begins(const struct reorder *r, size_t s, int32_t i)
{
	if (i + sequences[s].n > r->n)
		return false;
	for (int32_t k = 0; k < sequences[s].n; k++) {
		if (at(r, i + k)->op != sequences[s].ops[k])
			return false;
	}
	return true;
}

static bool sequence_at(const struct reorder *r, size_t s, int32_t i)
{
	if (!(r->starts[i] >> s & 1))
		return false;
	for (int32_t k = 0; k < sequences[s].n; k++) {
		if (r->used[i + k] == USED)
			return false;
	}
	return true;
}

static bool any_sequence_at(const struct reorder *r, int32_t i)
{
	for (size_t s = 0; r->starts[i] && s < N_SEQUENCES; s++) {
		if (sequence_at(r, s, i))
			return true;
	}
	return false;
}

/* The routing's operands from outside stay until its last node, or a scaling after it. */
static bool keep_operands(struct reorder *r, size_t s)
{
	int32_t end = r->first + sequences[s].n, last = end - 1;

	if (end < r->n && at(r, end)->op == OP_SCALE)
		last = end;
	for (int32_t i = r->first; i < end; i++) {
		const struct gnode *t = at(r, i);

		for (uint32_t k = 0; k < t->n_src; k++) {
			bool own = false;

			for (int32_t j = r->first; j < i; j++)
				own |= r->nodes[j] == t->src[k];
			if (t->src[k] && !own && !keeps_add(r->keeps, t->src[k], r->nodes[last]))
				return false;
		}
	}
	return true;
}

/* 1: the first nodes left are a sequence, and have their place now; 0: they are not; -1: no memory. */
static int place_sequence(struct reorder *r)
{
	for (size_t s = 0; s < N_SEQUENCES; s++) {
		int32_t i = r->first;

		if (!sequence_at(r, s, i))
			continue;
		if (sequences[s].routing && !keep_operands(r, s))
			return -1;
		for (int32_t k = 0; k < sequences[s].n; k++)
			place(r, i + k);
		skip_used(r);
		return 1;
	}
	return 0;
}

/* --- what comes along --- */

static bool nothing_between(const struct reorder *r, int32_t from, int32_t to)
{
	for (int32_t i = from; i < to; i++) {
		if (r->used[i] != USED && !is_empty(at(r, i)))
			return false;
	}
	return true;
}

/* Pairs that one kernel computes: b may follow a although it needs it. */
static bool is_pair(const struct reorder *r, int32_t a, int32_t b)
{
	static const uint8_t adjacent[][2] = {
		{ OP_MUL_MAT, OP_ADD }, { OP_MUL_MAT_ID, OP_ADD_ID }, { OP_MUL_MAT_ID, OP_MUL },
		{ OP_ADD, OP_ADD },     { OP_SSM_CONV, OP_ADD },      { OP_SSM_CONV, OP_UNARY },
	};
	enum gop op_a = at(r, a)->op, op_b = at(r, b)->op;

	if (r->set[r->n_set - 1] != a)
		return false;
	if ((op_a == OP_RMS_NORM || op_a == OP_UNARY) && op_b == OP_MUL &&
	    nothing_between(r, a + 1, b))
		return true;
	for (size_t i = 0; b == a + 1 && i < sizeof(adjacent) / sizeof(adjacent[0]); i++) {
		if (op_a == adjacent[i][0] && op_b == adjacent[i][1])
			return true;
	}
	return false;
}

static bool can_come(const struct reorder *r, int32_t i)
{
	for (uint32_t left = r->needs[i]; left; left &= left - 1) {
		int32_t c = i - __builtin_ctz(left);

		if (c < r->first)
			break;
		if (r->used[c] != USED && !is_pair(r, c, i))
			return false;
	}
	return true;
}

/* A leaf, or a node that has its place. */
static bool is_there(const struct reorder *r, int32_t node)
{
	return r->g->nodes[node].op == OP_NONE || r->done[node];
}

/* --- partners that are brought close --- */

/* The position of a rope of what is at i, whose other operands are there; -1. */
static int32_t rope_of(const struct reorder *r, int32_t i)
{
	for (int32_t k = i + 1; k < window_end(r, i, AHEAD_PAIR); k++) {
		const struct gnode *t = at(r, k);

		if (t->op == OP_ROPE && t->src[0] == r->nodes[i] &&
		    r->g->nodes[t->src[1]].op == OP_NONE &&
		    (t->n_src < 3 || r->g->nodes[t->src[2]].op == OP_NONE))
			return k;
	}
	return -1;
}

static bool only_for(const struct reorder *r, int32_t i, int32_t user)
{
	const struct gnode *t = at(r, user);
	uint32_t uses = 0;

	for (uint32_t k = 0; k < t->n_src; k++)
		uses += t->src[k] == r->nodes[i];
	return !(at(r, i)->flags & GF_OUTPUT) && r->uses[r->nodes[i]] == uses;
}

/* What is at i goes into a cache through a view: bring both close when nothing is in the way. */
static void pull_store(struct reorder *r, int32_t i)
{
	int32_t view = -1, store = -1;

	for (int32_t k = i + 1; k < window_end(r, i, AHEAD_PAIR) && store < 0; k++) {
		const struct gnode *t = at(r, k);

		if (r->used[k] == USED)
			continue;
		if (view < 0 && t->op == OP_VIEW && t->src[0] == r->nodes[i])
			view = k;
		else if (view >= 0 && t->op == OP_SET_ROWS && t->src[0] == r->nodes[view])
			store = k;
	}
	if (store < 0 || !only_for(r, i, view) || !only_for(r, view, store) ||
	    at(r, view)->view_src != r->nodes[i])
		return;
	for (int32_t c = i + 1; c < store; c++) {
		if (r->used[c] != USED && c != view && !is_empty(at(r, c)) && depends(r, store, c))
			return;
	}
	pull(r, view);
	pull(r, store);
}

/* The next `op` whose first operand is at i; when `second`, its other operand must be there. */
static void pull_user(struct reorder *r, int32_t i, enum gop op, bool second)
{
	for (int32_t k = i + 1; k < window_end(r, i, AHEAD_PAIR); k++) {
		const struct gnode *t = at(r, k);

		if (t->op == op && t->src[0] == r->nodes[i] &&
		    (!second || is_there(r, t->src[1]))) {
			pull(r, k);
			return;
		}
	}
}

/* Activations that can be computed together with the product they enter. */
static bool fuses_product(const struct reorder *r, const struct gnode *unary,
			  const struct gnode *mul, int32_t node, int32_t other)
{
	const struct graph *g = r->g;
	const struct gnode *o = &g->nodes[other];
	const struct gnode *small = mul->src[0] == node ? o : unary;
	const struct gnode *large = mul->src[0] == node ? unary : &g->nodes[mul->src[0]];

	if (unary->kind != UN_GELU && unary->kind != UN_SIGMOID && unary->kind != UN_SILU &&
	    unary->kind != UN_SOFTPLUS)
		return false;
	if (unary->type != mul->type || o->type != unary->type || !g_is_contiguous_n(g, other, 1) ||
	    !g_is_contiguous_n(g, unary->src[0], 1))
		return false;
	for (int d = 0; d < G_DIMS; d++) {
		if (small->ne[d] == 0 || large->ne[d] % small->ne[d])
			return false;
	}
	return true;
}

static void pull_product(struct reorder *r, int32_t i)
{
	int32_t node = r->nodes[i];

	for (int32_t k = i + 1; k < window_end(r, i, AHEAD_PAIR); k++) {
		const struct gnode *t = at(r, k);
		int32_t other;

		if (t->op != OP_MUL || (t->src[0] != node && t->src[1] != node))
			continue;
		other = t->src[0] == node ? t->src[1] : t->src[0];
		if (!is_there(r, other) || !fuses_product(r, at(r, i), t, node, other))
			continue;
		pull(r, k);
		return;
	}
}

static void pull_partners(struct reorder *r, int32_t i)
{
	enum gop op = at(r, i)->op, before = i > 0 ? at(r, i - 1)->op : OP_NONE;
	int32_t last = i, rope;

	if (op == OP_MUL && before == OP_RMS_NORM && (rope = rope_of(r, i)) >= 0) {
		pull(r, rope);
		last = rope;
	}
	if (at(r, last)->op == OP_ROPE || at(r, last)->op == OP_RMS_NORM)
		pull_store(r, last);
	if (op == OP_ADD_ID && before == OP_MUL_MAT_ID)
		pull_user(r, i, OP_MUL, true);
	if (op == OP_ADD && before == OP_MUL_MAT)
		pull_user(r, i, OP_ADD, true);
	if (op == OP_ADD && before == OP_SSM_CONV)
		pull_user(r, i, OP_UNARY, false);
	if (op == OP_UNARY)
		pull_product(r, i);
}

/* --- a split --- */

/* Views whose sources have their place, or come now. */
static void take_views(struct reorder *r)
{
	for (int32_t i = r->first + 1; i < window_end(r, r->first, AHEAD); i++) {
		bool ok = r->used[i] == FREE && is_empty(at(r, i));

		for (uint32_t left = r->needs[i]; ok && left; left &= left - 1) {
			int32_t c = i - __builtin_ctz(left);

			if (c < r->first)
				break;
			ok = r->used[c] != FREE;
		}
		if (ok)
			take(r, i);
	}
}

static void place_next(struct reorder *r)
{
	r->n_set = 0;
	take(r, r->first);
	for (int32_t i = r->first + 1; i < window_end(r, r->first, AHEAD); i++) {
		if (r->used[i] == USED || is_empty(at(r, i)) || any_sequence_at(r, i) ||
		    !can_come(r, i))
			continue;
		take(r, i);
		pull_partners(r, i);
	}
	if (at(r, r->set[r->n_set - 1])->op != OP_ADD)
		take_views(r);
	for (int32_t k = 0; k < r->n_set; k++)
		place(r, r->set[k]);
	skip_used(r);
}

/* Find out what depends on what, and where sequences begin. */
static void look_at(struct reorder *r)
{
	for (int32_t i = 0; i < r->n; i++) {
		const struct gnode *t = at(r, i);
		uint32_t now = r->clock + (uint32_t)i, before = i < AHEAD ? (2u << i) - 1 : ~0u;

		r->used[i] = FREE;
		r->needs[i] = needs_of(r, t, r->nodes[i], now) & before; /* in this split */
		note_node(r, t, r->nodes[i], now);
		r->starts[i] = 0;
		for (size_t s = 0; s < N_SEQUENCES; s++)
			r->starts[i] |= (uint16_t)(begins(r, s, i) << s);
	}
	r->clock += (uint32_t)r->n;
}

bool reorder_split(struct reorder *r, const struct graph *g, int32_t *nodes, int32_t n,
		   struct keeps *keeps)
{
	if (!room(r, g))
		return false;
	r->keeps = keeps;
	r->g = g;
	r->nodes = nodes;
	r->n = n;
	r->n_out = r->first = 0;
	look_at(r);
	while (r->first < r->n) {
		int placed = place_sequence(r);

		if (placed < 0)
			return false;
		if (!placed)
			place_next(r);
	}
	memcpy(nodes, r->out, (size_t)n * sizeof(*nodes));
	return true;
}

/* SPDX-License-Identifier: MIT */
/* The rules are those of ggml-alloc.c at v0.5.0; the truth's engine sizes its buffers the same. */
#include "vram-planner/galloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_MAX 256 /* MAX_FREE_BLOCKS: the engine aborts beyond */
#define CHUNKS_MAX 16  /* GGML_VBUFFER_MAX_CHUNKS */
#define ENDLESS    (UINT64_MAX / 2)
#define MARKS_MAX  1024

struct block {
	uint64_t offset, bytes;
};

struct chunk {
	struct block
		blocks[BLOCKS_MAX]; /* free ones by offset; the last is the rest of the chunk */
	uint32_t n_blocks;
	uint64_t reach;
};

struct pool {
	struct chunk *chunks[CHUNKS_MAX]; /* kept from one use to the next */
	uint32_t n_chunks;
	uint64_t align, max_bytes;
};

struct state {
	uint64_t offset, bytes;  /* bytes: aligned */
	int32_t children, views; /* uses that are still to come */
	int32_t view_src;
	uint32_t born, live; /* the step it was made in; its place in the list of those alive */
	int8_t side;
	uint8_t chunk, flags; /* flags: the node's */
	bool own;             /* has memory of a pool that is its to give back */
	bool elsewhere;       /* in memory that was there before */
};

struct galloc {
	const struct graph *g;
	const struct side *sides;
	struct pool *pools;
	uint32_t n_pools;
	struct state *states;
	int32_t cap_states;
	int32_t *live; /* nodes that have memory, in no order */
	uint32_t n_live, step;
	uint64_t marks[MARKS_MAX];
	uint32_t n_marks, first_mark;
	int error;
};

static uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* --- blocks --- */

static void block_remove(struct chunk *c, uint32_t i)
{
	c->n_blocks--;
	memmove(&c->blocks[i], &c->blocks[i + 1], (c->n_blocks - i) * sizeof(c->blocks[0]));
}

static bool block_insert(struct chunk *c, struct block b)
{
	uint32_t i = 0;

	if (c->n_blocks == BLOCKS_MAX)
		return false;
	while (i < c->n_blocks && c->blocks[i].offset < b.offset)
		i++;
	memmove(&c->blocks[i + 1], &c->blocks[i], (c->n_blocks - i) * sizeof(c->blocks[0]));
	c->blocks[i] = b;
	c->n_blocks++;
	return true;
}

/* The smallest sufficient free block before the end of any chunk; the later of equals. */
static bool best_inner(const struct pool *p, uint64_t bytes, uint32_t *chunk, uint32_t *block)
{
	bool found = false;

	for (uint32_t i = 0; i < p->n_chunks; i++) {
		const struct chunk *c = p->chunks[i];
		uint64_t best = UINT64_MAX;

		for (uint32_t k = 0; k + 1 < c->n_blocks; k++) {
			if (c->blocks[k].bytes >= bytes && c->blocks[k].bytes <= best) {
				best = c->blocks[k].bytes;
				*chunk = i;
				*block = k;
				found = true;
			}
		}
	}
	return found;
}

/* Else the end of a chunk: the one that must grow least, or whose reach fits most closely. */
static bool best_end(const struct pool *p, uint64_t bytes, uint32_t *chunk, uint32_t *block)
{
	int64_t best = INT64_MIN;
	bool found = false;

	for (uint32_t i = 0; i < p->n_chunks; i++) {
		const struct chunk *c = p->chunks[i];
		const struct block *last;
		int64_t spare;

		if (c->n_blocks == 0)
			continue;
		last = &c->blocks[c->n_blocks - 1];
		spare = (int64_t)(c->reach - last->offset - bytes);
		if (last->bytes >= bytes &&
		    ((best < 0 && spare > best) || (spare >= 0 && spare < best))) {
			best = spare;
			*chunk = i;
			*block = c->n_blocks - 1;
			found = true;
		}
	}
	return found;
}

static bool chunk_new(struct pool *p, uint64_t bytes)
{
	struct chunk *c;

	if (p->n_chunks == CHUNKS_MAX)
		return false;
	if (!p->chunks[p->n_chunks])
		p->chunks[p->n_chunks] = malloc(sizeof(*c));
	c = p->chunks[p->n_chunks];
	if (!c)
		return false;
	c->n_blocks = 1;
	c->reach = 0;
	c->blocks[0] = (struct block) { 0, bytes > p->max_bytes ? bytes : p->max_bytes };
	if (p->n_chunks == CHUNKS_MAX - 1)
		c->blocks[0].bytes = ENDLESS;
	p->n_chunks++;
	return true;
}

static bool pool_take(struct pool *p, struct state *s)
{
	uint32_t chunk = 0, block = 0;
	uint64_t bytes = s->bytes;
	struct chunk *c;

	if (!best_inner(p, bytes, &chunk, &block) && !best_end(p, bytes, &chunk, &block)) {
		if (!chunk_new(p, bytes))
			return false;
		chunk = p->n_chunks - 1;
		block = 0;
	}
	c = p->chunks[chunk];
	s->chunk = (uint8_t)chunk;
	s->offset = c->blocks[block].offset;
	c->blocks[block].offset += bytes;
	c->blocks[block].bytes -= bytes;
	if (c->blocks[block].bytes == 0)
		block_remove(c, block);
	if (s->offset + bytes > c->reach)
		c->reach = s->offset + bytes;
	return true;
}

static bool pool_give(struct pool *p, uint32_t chunk, uint64_t offset, uint64_t bytes)
{
	struct chunk *c = p->chunks[chunk];

	for (uint32_t i = 0; i < c->n_blocks; i++) {
		struct block *b = &c->blocks[i];

		if (b->offset + b->bytes == offset) {
			b->bytes += bytes;
			if (i + 1 < c->n_blocks &&
			    b->offset + b->bytes == c->blocks[i + 1].offset) {
				b->bytes += c->blocks[i + 1].bytes;
				block_remove(c, i + 1);
			}
			return true;
		}
		if (offset + bytes == b->offset) {
			b->offset = offset;
			b->bytes += bytes;
			if (i > 0 && c->blocks[i - 1].offset + c->blocks[i - 1].bytes == offset) {
				c->blocks[i - 1].bytes += b->bytes;
				block_remove(c, i);
			}
			return true;
		}
	}
	return block_insert(c, (struct block) { offset, bytes });
}

/* --- nodes --- */

/* Operations that may write over an operand. */
static bool in_place(uint8_t op)
{
	switch (op) {
	case OP_FILL:
	case OP_SCALE:
	case OP_ADD:
	case OP_ADD_ID:
	case OP_SUB:
	case OP_MUL:
	case OP_DIV:
	case OP_SQR:
	case OP_SQRT:
	case OP_UNARY:
	case OP_ROPE:
	case OP_RMS_NORM:
	case OP_CLAMP:
	case OP_SOFT_MAX:
		return true;
	default:
		return false;
	}
}

static bool same_layout(const struct gnode *a, const struct gnode *b)
{
	return a->type == b->type && memcmp(a->ne, b->ne, sizeof(a->ne)) == 0 &&
	       memcmp(a->nb, b->nb, sizeof(a->nb)) == 0;
}

static uint64_t bytes_in(const struct galloc *a, int side, int32_t n)
{
	return align_up(side_bytes(&a->sides[side], a->g, n), a->pools[side].align);
}

static void live_add(struct galloc *a, int32_t n)
{
	a->states[n].own = true;
	a->states[n].born = a->step;
	a->states[n].live = a->n_live;
	a->live[a->n_live++] = n;
}

static void live_remove(struct galloc *a, int32_t n)
{
	int32_t last = a->live[--a->n_live];

	a->states[n].own = false;
	a->live[a->states[n].live] = last;
	a->states[last].live = a->states[n].live;
}

/* An operand's memory for the node; what the operand had beyond its own elements is freed. */
static void take_over(struct galloc *a, int32_t n, int32_t parent)
{
	struct state *s = &a->states[n], *p = &a->states[parent];

	s->side = p->side;
	s->chunk = p->chunk;
	s->offset = p->offset;
	s->bytes = bytes_in(a, p->side, n);
	live_remove(a, parent);
	if (p->bytes > s->bytes &&
	    !pool_give(&a->pools[s->side], s->chunk, s->offset + s->bytes, p->bytes - s->bytes))
		a->error = -E2BIG;
}

static bool reuse(struct galloc *a, int32_t n)
{
	const struct gnode *t = &a->g->nodes[n];

	if (!in_place(t->op))
		return false;
	for (uint32_t i = 0; i < t->n_src; i++) {
		int32_t parent = t->src[i];
		const struct state *p = &a->states[parent];

		if (parent && p->own && p->children == 1 && p->views == 0 &&
		    !(p->flags & GF_OUTPUT) && same_layout(t, &a->g->nodes[parent])) {
			take_over(a, n, parent);
			return true;
		}
	}
	return false;
}

static void allocate(struct galloc *a, int32_t n, int side)
{
	struct state *s = &a->states[n];

	if (s->own || s->elsewhere || s->view_src)
		return;
	live_add(a, n);
	if (reuse(a, n))
		return;
	s->side = (int8_t)side;
	s->bytes = bytes_in(a, side, n);
	if (!pool_take(&a->pools[side], s))
		a->error = -E2BIG;
}

static void release(struct galloc *a, int32_t n)
{
	struct state *s = &a->states[n];

	if (!s->own || s->flags & GF_OUTPUT)
		return;
	if (!pool_give(&a->pools[s->side], s->chunk, s->offset, s->bytes))
		a->error = -E2BIG;
	live_remove(a, n);
}

/* One use of a node is over. */
static void used(struct galloc *a, int32_t n)
{
	struct state *s = &a->states[n];
	int32_t of = s->view_src;

	if (--s->children > 0 || s->views > 0)
		return;
	if (!of) {
		release(a, n);
		return;
	}
	if (--a->states[of].views == 0 && a->states[of].children == 0)
		release(a, of);
}

/* --- the graph --- */

static void count_uses(struct galloc *a, const struct laid *l)
{
	for (uint32_t i = 0; i < l->n_steps; i++) {
		const struct gnode *t;
		int32_t n = l->steps[i];

		if (n < 0) {
			a->states[-n].children++;
			if (a->states[-n].flags & GF_INPUT)
				allocate(a, -n, l->sides[i]);
			continue;
		}
		t = &a->g->nodes[n];
		if (t->view_src && t->op != OP_NONE)
			a->states[t->view_src].views++;
		if (t->flags & GF_INPUT)
			allocate(a, n, l->sides[i]);
		for (uint32_t k = 0; k < t->n_src; k++) {
			if (!t->src[k])
				continue;
			a->states[t->src[k]].children++;
			if (a->states[t->src[k]].flags & GF_INPUT)
				allocate(a, t->src[k], l->sides[i]);
		}
	}
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t free_blocks(const struct galloc *a)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < a->n_pools; i++) {
		for (uint32_t k = 0; k < a->pools[i].n_chunks; k++) {
			const struct chunk *c = a->pools[i].chunks[k];

			h = mix(h, c->n_blocks);
			if (a->pools[i].n_chunks > 1) /* then it decides where to go on */
				h = mix(h, c->reach);
			for (uint32_t m = 0; m < c->n_blocks; m++)
				h = mix(mix(h, c->blocks[m].offset), c->blocks[m].bytes);
		}
	}
	return h;
}

/*
 * Which result is where: results of a repeated pattern are the same when they are of the same age. Those
 * from before the layers are themselves.
 */
static uint64_t results_alive(const struct galloc *a)
{
	uint64_t sum = 0; /* of any order */

	for (uint32_t i = 0; i < a->n_live; i++) {
		const struct state *s = &a->states[a->live[i]];
		uint64_t who = s->born <= a->first_mark ? (uint64_t)a->live[i] << 32
							: a->step - s->born;

		if (a->g->nodes[a->live[i]].op != OP_NONE)
			sum += mix(mix(who, s->offset), (uint64_t)s->side << 8 | s->chunk);
	}
	return sum;
}

static void mark(struct galloc *a)
{
	if (a->n_marks == 0)
		a->first_mark = a->step;
	if (a->n_marks < MARKS_MAX)
		a->marks[a->n_marks++] = mix(free_blocks(a), results_alive(a));
}

uint64_t galloc_mark(const struct galloc *a, uint32_t i)
{
	return i < a->n_marks ? a->marks[i] : 0;
}

static void run(struct galloc *a, const struct laid *l)
{
	for (uint32_t i = 0; i < l->n_leaves; i++)
		allocate(a, l->leaves[i], l->leaf_sides[i]);
	count_uses(a, l);
	for (uint32_t i = 0; i < l->n_steps; i++) {
		int32_t n = l->steps[i];
		const struct gnode *t = &a->g->nodes[n < 0 ? -n : n];

		a->step = i + 1;
		if (n < 0) {
			allocate(a, -n, l->sides[i]);
			used(a, -n);
			continue;
		}
		for (uint32_t k = 0; k < t->n_src; k++) {
			if (t->src[k])
				allocate(a, t->src[k], l->sides[i]);
		}
		allocate(a, n, l->sides[i]);
		for (uint32_t k = 0; k < t->n_src; k++) {
			if (t->src[k])
				used(a, t->src[k]);
		}
		if (t->flags & GF_MARK)
			mark(a);
	}
}

static int prepare(struct galloc *a, const struct graph *g, const struct side *sides, uint32_t n)
{
	if (a->n_pools < n) {
		struct pool *p = reallocarray(a->pools, n, sizeof(*p));

		if (!p)
			return -ENOMEM;
		memset(&p[a->n_pools], 0, (n - a->n_pools) * sizeof(*p));
		a->pools = p;
		a->n_pools = n;
	}
	if (a->cap_states < g->n_nodes) {
		free(a->states);
		free(a->live);
		a->states = reallocarray(NULL, (size_t)g->cap_nodes, sizeof(*a->states));
		a->live = reallocarray(NULL, (size_t)g->cap_nodes, sizeof(*a->live));
		a->cap_states = a->states && a->live ? g->cap_nodes : 0;
		if (!a->cap_states)
			return -ENOMEM;
	}
	for (int32_t i = 0; i < g->n_nodes; i++) {
		const struct gnode *t = &g->nodes[i];

		a->states[i] = (struct state) { .view_src = t->view_src,
						.flags = t->flags,
						.elsewhere = t->home != HOME_NONE };
	}
	for (uint32_t i = 0; i < n; i++) {
		a->pools[i].n_chunks = 0;
		a->pools[i].align = sides[i].alignment;
		a->pools[i].max_bytes = sides[i].max_chunk_bytes ? sides[i].max_chunk_bytes
								 : ENDLESS;
	}
	a->g = g;
	a->sides = sides;
	a->n_marks = a->n_live = a->step = a->first_mark = 0;
	a->error = 0;
	return 0;
}

int galloc_sizes(struct galloc **scratch, const struct graph *g, const struct laid *laid,
		 const struct side *sides, uint32_t n_sides, uint64_t *sizes)
{
	struct galloc *a = *scratch;
	int rc;

	if (!a)
		a = *scratch = calloc(1, sizeof(*a));
	rc = a ? prepare(a, g, sides, n_sides) : -ENOMEM;
	if (rc)
		return rc;
	run(a, laid);
	for (uint32_t i = 0; i < n_sides; i++) {
		sizes[i] = 0;
		for (uint32_t k = 0; k < a->pools[i].n_chunks; k++) {
			if (__builtin_add_overflow(sizes[i], a->pools[i].chunks[k]->reach,
						   &sizes[i]))
				a->error = -E2BIG;
		}
	}
	return a->error;
}

void galloc_free(struct galloc *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->n_pools; i++) {
		for (uint32_t k = 0; k < CHUNKS_MAX; k++)
			free(a->pools[i].chunks[k]);
	}
	free(a->pools);
	free(a->states);
	free(a->live);
	free(a);
}

/* SPDX-License-Identifier: MIT */
#include "device/windows.h"

#include <stdlib.h>
#include <string.h>

/* include/linux/ioport.h */
#define RES_MEM      UINT64_C(0x00000200)
#define RES_PREFETCH UINT64_C(0x00002000)
#define RES_MEM_64   UINT64_C(0x00100000)
#define RES_UNSET    UINT64_C(0x20000000)
/* What makes BARs of one kind: these move together (PCI_RES_TYPE_MASK, without I/O). */
#define RES_KIND (RES_MEM | RES_PREFETCH | RES_MEM_64)

#define MIB             (UINT64_C(1) << 20) /* what a bridge's memory window is a multiple of */
#define LEVELS_MAX      32
#define WINDOW_PLAIN    (FUNC_WINDOW + 1)
#define WINDOW_PREFETCH (FUNC_WINDOW + 2)

bool res_is_memory(const struct func_res *r)
{
	return (r->flags & RES_MEM) && !(r->flags & RES_UNSET) && r->start && r->end > r->start &&
	       bar_size_ok(r->end - r->start + 1);
}

uint64_t res_size(const struct func_res *r)
{
	return r->flags && r->end >= r->start && bar_size_ok(r->end - r->start + 1)
		       ? r->end - r->start + 1
		       : 0;
}

static struct window window_of(const struct func *bridge, uint32_t line)
{
	const struct func_res *r = &bridge->res[line];

	if (line >= bridge->n_res || !res_is_memory(r))
		return (struct window) { 0 };
	return (struct window) { .start = r->start, .size = res_size(r) };
}

/* The search, one level after the other. */
struct climb {
	const struct scene *s;
	const struct func *f; /* whose BAR it is */
	uint64_t kind;        /* of the BAR */
	const struct func *const *without;
	uint32_t n_without;
	const struct func
		*let_go; /* the bridge below, whose window was let go; NULL: the BARs themselves */
	uint64_t align;
	struct room *r;
};

static bool is_without(const struct climb *c, const struct func *f)
{
	for (uint32_t i = 0; i < c->n_without; i++)
		if (c->without[i] == f)
			return true;
	return false;
}

/* A BAR of the function that the kernel places anew together with the one that is resized. */
static bool moves(const struct climb *c, const struct func *f, uint32_t line)
{
	return f == c->f && line < FUNC_ROM && (f->res[line].flags & RES_KIND) == c->kind;
}

static bool is_let_go(const struct climb *c, const struct func *f, uint32_t line)
{
	if (!c->let_go)
		return moves(c, f, line);
	return f == c->let_go && line == (c->r->prefetch ? WINDOW_PREFETCH : WINDOW_PLAIN);
}

static bool has_below(const struct scene *s, const struct func *bridge)
{
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (strcmp(s->funcs[i].above, bridge->pci) == 0)
			return true;
	return false;
}

static bool same_card(const struct func *a, const struct func *b)
{
	const char *dot = strrchr(a->pci, '.');

	return dot && strncmp(a->pci, b->pci, (size_t)(dot - a->pci) + 1) == 0;
}

static void pin(struct climb *c, const struct func *f, uint64_t bytes)
{
	struct room *r = c->r;

	for (uint32_t i = 0; i < r->n_pins; i++)
		if (r->pins[i].func == f) {
			r->pins[i].bytes += bytes;
			return;
		}
	if (r->n_pins == PINS_MAX) {
		r->n_pins_left_out++;
		return;
	}
	r->pins[r->n_pins++] = (struct pin) {
		.func = f,
		.bytes = bytes,
		.empty_port = f->bridge && !has_below(c->s, f),
		.same_card = f != c->f && same_card(f, c->f),
	};
}

static int by_start(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The largest aligned piece of [from, to) that an aligned start leaves; 0: none. */
static uint64_t aligned_gap(uint64_t from, uint64_t to, uint64_t align)
{
	uint64_t start = 0;

	if (__builtin_add_overflow(from, align - 1, &start))
		return 0;
	start &= ~(align - 1);
	return start < to ? to - start : 0;
}

static uint64_t largest_gap(const struct window *w, struct window *used, uint32_t n, uint64_t align)
{
	uint64_t at = w->start, best = 0, end = w->start + w->size;

	qsort(used, n, sizeof(*used), by_start);
	for (uint32_t i = 0; i <= n; i++) {
		uint64_t to = i < n ? used[i].start : end;
		uint64_t gap = to > at ? aligned_gap(at, to, align) : 0;

		best = gap > best ? gap : best;
		if (i < n && used[i].start + used[i].size > at)
			at = used[i].start + used[i].size;
	}
	return best;
}

/* More resources on one bus than this: the rest counts as pins, and their room as taken whole. */
#define USED_MAX 512

/*
 * All that lies in the bridge's window and is not let go: into pins, and what it leaves free into gap_bytes.
 * False when there is too much of it to look at.
 */
static bool look_into(struct climb *c, const struct func *bridge, const struct window *w)
{
	struct window used[USED_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->s->n_funcs; i++) {
		const struct func *f = &c->s->funcs[i];

		if (strcmp(f->above, bridge->pci) != 0 || is_without(c, f))
			continue;
		for (uint32_t line = 0; line < f->n_res && line < FUNC_RES; line++) {
			const struct func_res *r = &f->res[line];

			if (!res_is_memory(r) || !window_holds(w, r->start, res_size(r)) ||
			    is_let_go(c, f, line))
				continue;
			pin(c, f, res_size(r));
			if (n == USED_MAX)
				return false;
			used[n++] = (struct window) { .start = r->start, .size = res_size(r) };
		}
	}
	c->r->gap_bytes = largest_gap(w, used, n, c->align);
	return true;
}

/* What the BARs that move need, the largest first, so that each start is aligned; false: more than there can be. */
static bool add_up(struct climb *c, int bar, uint64_t size)
{
	uint64_t sum = size;

	c->align = size > MIB ? size : MIB;
	for (uint32_t line = 0; line < FUNC_ROM && line < c->f->n_res; line++) {
		uint64_t other = res_size(&c->f->res[line]);

		if (line == (uint32_t)bar || !other || !moves(c, c->f, line))
			continue;
		c->align = other > c->align ? other : c->align;
		if (__builtin_add_overflow(sum, other, &sum))
			return false;
	}
	if (__builtin_add_overflow(sum, MIB - 1, &sum))
		return false;
	c->r->need_bytes = sum & ~(MIB - 1);
	return c->r->need_bytes <= UINT64_C(1) << 62;
}

/*
 * Which of the windows right above it lies in, or would: a prefetchable one in the prefetchable window, unless
 * the bridge has none.
 */
static bool uses_prefetch(const struct func *bridge, const struct func_res *bar)
{
	struct window plain = window_of(bridge, WINDOW_PLAIN);

	if (!(bar->flags & RES_PREFETCH))
		return false;
	return !res_is_memory(bar) || !window_holds(&plain, bar->start, res_size(bar));
}

/* One level up. True when this window decides. */
static bool decide_here(struct climb *c, const struct func *bridge)
{
	struct room *r = c->r;

	r->bridge = bridge;
	r->window = window_of(bridge, r->prefetch ? WINDOW_PREFETCH : WINDOW_PLAIN);
	r->nearest = !c->let_go;
	if (!r->window.size) {
		r->verdict = ROOM_CLOSED;
		return true;
	}
	bool all = look_into(c, bridge, &r->window);

	if (all && !r->n_pins)
		return false;
	r->verdict = all && r->gap_bytes >= r->need_bytes ? ROOM_FITS : ROOM_SMALL;
	return true;
}

void room_find(const struct scene *s, const struct func *f, int bar, uint64_t size,
	       const struct func *const *without, uint32_t n_without, struct room *r)
{
	struct climb c = { .s = s, .f = f, .without = without, .n_without = n_without, .r = r };
	const struct func *bridge = scene_func(s, f->above);

	*r = (struct room) { .verdict = ROOM_SMALL };
	c.kind = f->res[bar].flags & RES_KIND;
	r->need_bytes = size;
	if (!add_up(&c, bar, size))
		return;
	r->prefetch = bridge && uses_prefetch(bridge, &f->res[bar]);
	for (int level = 0; bridge && level < LEVELS_MAX; level++) {
		if (decide_here(&c, bridge))
			return;
		c.let_go = bridge;
		bridge = scene_func(s, bridge->above);
	}
	*r = (struct room) { .verdict = ROOM_UNKNOWN,
			     .need_bytes = r->need_bytes,
			     .prefetch = r->prefetch };
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/tracealign.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define MOST 1024 /* steps of each side that are aligned at once */

/* What pairs are worth: one that is the same goes before any number of those that are of the same register only. */
enum { WORTH_LIKE = 1, WORTH_SAME = 3 };

struct side {
	struct steps *from;
	uint32_t first,
		n; /* of step[], a ring without a turn: it is moved down when it is used up */
	bool ended;
	struct step step[2 * ALIGN_WINDOW];
};

struct aligning {
	struct side a, b;
	align_told *told;
	void *arg;
	struct align_counts *counts;
	uint16_t worth[MOST + 1][MOST + 1];
};

static struct step *at(struct side *s, uint32_t i)
{
	return &s->step[s->first + i];
}

static int fill(struct side *s, struct err *e)
{
	if (s->n >= ALIGN_WINDOW || s->ended)
		return 0;
	memmove(s->step, at(s, 0), s->n * sizeof(*s->step));
	s->first = 0;
	while (s->n < 2 * ALIGN_WINDOW) {
		int rc = steps_next(s->from, &s->step[s->n], e);

		if (rc <= 0) {
			s->ended = true;
			return rc;
		}
		s->n++;
	}
	return 0;
}

static void use(struct side *s, uint32_t n)
{
	s->first += n;
	s->n -= n;
}

/* --- telling --- */

static int tell(struct aligning *g, enum align_kind kind, const struct step *a,
		const struct step *b)
{
	g->counts->n[kind]++;
	return g->told(g->arg, kind, a, b);
}

static int tell_pair(struct aligning *g, const struct step *a, const struct step *b)
{
	return tell(g, step_is_same(a, b) ? ALIGN_SAME : ALIGN_VALUE, a, b);
}

/* --- where they meet again --- */

/* From i and j on the same registers, most of the same values; shorter only where both end. */
static bool meet(struct aligning *g, uint32_t i, uint32_t j)
{
	uint32_t same = 0, n = 0;

	/* Where they are now they may just go on; any other place must begin with what is the same. */
	if ((i || j) && i < g->a.n && j < g->b.n && !step_is_same(at(&g->a, i), at(&g->b, j)))
		return false;
	for (; n < ALIGN_SYNC && i + n < g->a.n && j + n < g->b.n; n++) {
		if (!step_is_like(at(&g->a, i + n), at(&g->b, j + n)))
			return false;
		same += step_is_same(at(&g->a, i + n), at(&g->b, j + n));
	}
	if (n < ALIGN_SYNC && (i + n < g->a.n || j + n < g->b.n))
		return false;
	return 2 * same >= n;
}

/* The nearest such place; none within the window: as much as can be aligned at once. */
static void find_meeting(struct aligning *g, uint32_t *i, uint32_t *j)
{
	uint32_t na = g->a.n < MOST ? g->a.n : MOST, nb = g->b.n < MOST ? g->b.n : MOST;

	for (uint32_t d = 0; d <= na + nb; d++)
		for (uint32_t x = d > nb ? d - nb : 0; x <= d && x <= na; x++)
			if (meet(g, x, d - x)) {
				*i = x;
				*j = d - x;
				return;
			}
	*i = na;
	*j = nb;
}

/* --- what lies before it --- */

static uint32_t worth_of(const struct step *a, const struct step *b)
{
	return step_is_same(a, b) ? WORTH_SAME : step_is_like(a, b) ? WORTH_LIKE : 0;
}

/* worth[x][y]: the best of the steps from x and y on. */
static void weigh(struct aligning *g, uint32_t na, uint32_t nb)
{
	for (uint32_t x = 0; x <= na; x++)
		g->worth[x][nb] = 0;
	for (uint32_t y = 0; y <= nb; y++)
		g->worth[na][y] = 0;
	for (uint32_t x = na; x-- > 0;)
		for (uint32_t y = nb; y-- > 0;) {
			uint32_t pair = worth_of(at(&g->a, x), at(&g->b, y));
			uint32_t best = g->worth[x + 1][y];

			if (g->worth[x][y + 1] > best)
				best = g->worth[x][y + 1];
			if (pair && g->worth[x + 1][y + 1] + pair > best)
				best = g->worth[x + 1][y + 1] + pair;
			g->worth[x][y] = (uint16_t)best;
		}
}

static int tell_gap(struct aligning *g, uint32_t na, uint32_t nb)
{
	uint32_t x = 0, y = 0;
	int rc = 0;

	weigh(g, na, nb);
	while (!rc && (x < na || y < nb)) {
		uint32_t pair = x < na && y < nb ? worth_of(at(&g->a, x), at(&g->b, y)) : 0;

		if (pair && g->worth[x][y] == g->worth[x + 1][y + 1] + pair) {
			rc = tell_pair(g, at(&g->a, x), at(&g->b, y));
			x++;
			y++;
		} else if (y == nb || (x < na && g->worth[x][y] == g->worth[x + 1][y])) {
			rc = tell(g, ALIGN_ONLY_A, at(&g->a, x++), NULL);
		} else {
			rc = tell(g, ALIGN_ONLY_B, NULL, at(&g->b, y++));
		}
	}
	use(&g->a, na);
	use(&g->b, nb);
	return rc;
}

static int tell_difference(struct aligning *g)
{
	uint32_t i, j;
	int rc = 0;

	find_meeting(g, &i, &j);
	if (i || j)
		return tell_gap(g, i, j);
	/* They go on alike, with another value. */
	rc = tell_pair(g, at(&g->a, 0), at(&g->b, 0));
	use(&g->a, 1);
	use(&g->b, 1);
	return rc;
}

int align(struct steps *a, struct steps *b, align_told *told, void *arg,
	  struct align_counts *counts, struct err *e)
{
	own_free struct aligning *g = calloc(1, sizeof(*g));
	int rc = 0;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->a.from = a;
	g->b.from = b;
	g->told = told;
	g->arg = arg;
	g->counts = counts;
	while (!rc) {
		rc = fill(&g->a, e);
		if (!rc)
			rc = fill(&g->b, e);
		if (rc || (!g->a.n && !g->b.n))
			break;
		if (g->a.n && g->b.n && step_is_same(at(&g->a, 0), at(&g->b, 0))) {
			rc = tell(g, ALIGN_SAME, at(&g->a, 0), at(&g->b, 0));
			use(&g->a, 1);
			use(&g->b, 1);
		} else {
			rc = tell_difference(g);
		}
	}
	return rc;
}

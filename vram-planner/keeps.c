/* SPDX-License-Identifier: MIT */
#include "vram-planner/keeps.h"

#include <stdlib.h>
#include <string.h>

bool keeps_begin(struct keeps *k, const struct graph *g)
{
	if (k->cap_nodes < g->cap_nodes) {
		free(k->is_until);
		k->is_until = calloc((size_t)g->cap_nodes, 1);
		k->cap_nodes = k->is_until ? g->cap_nodes : 0;
		if (!k->is_until)
			return false;
	} else if (k->n) {
		memset(k->is_until, 0, (size_t)k->cap_nodes);
	}
	k->n = 0;
	return true;
}

bool keeps_add(struct keeps *k, int32_t node, int32_t until)
{
	for (uint32_t i = k->n; i > 0 && k->list[i - 1].until == until; i--) {
		if (k->list[i - 1].node == node)
			return true;
	}
	if (k->n == k->cap) {
		uint32_t cap = k->cap ? 2 * k->cap : 64;
		struct keep *p = reallocarray(k->list, cap, sizeof(*p));

		if (!p)
			return false;
		k->list = p;
		k->cap = cap;
	}
	k->list[k->n++] = (struct keep) { node, until };
	k->is_until[until] = 1;
	return true;
}

const struct keep *keeps_until(const struct keeps *k, int32_t until, uint32_t *n)
{
	uint32_t i = 0;

	*n = 0;
	/* Copies of operands came after keeps_begin: nothing waits for them. */
	if (k->n == 0 || until >= k->cap_nodes || !k->is_until[until])
		return NULL;
	while (k->list[i].until != until)
		i++;
	while (i + *n < k->n && k->list[i + *n].until == until)
		++*n;
	return &k->list[i];
}

void keeps_fini(struct keeps *k)
{
	free(k->list);
	free(k->is_until);
	*k = (struct keeps) { 0 };
}

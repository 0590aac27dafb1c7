/* SPDX-License-Identifier: MIT */
/*
 * Memory in pages of its own that no child gets by fork: what is large and keeps changing would be there twice
 * while a child of ours goes on, the old for it and the new for us. The child must not touch it.
 */
#ifndef BERTH_PAGES_H
#define BERTH_PAGES_H

#include <stddef.h>

/* Zeroed; NULL when there is no memory. */
void *pages_new(size_t size);
void pages_free(void *p, size_t size); /* of the same size; NULL is nothing */

#endif

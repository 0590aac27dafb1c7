/* SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <sys/mman.h>

void *pages_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, size, MADV_DONTFORK); /* without it children have more than they need */
	return p;
}

void pages_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

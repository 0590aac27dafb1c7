/* SPDX-License-Identifier: MIT */
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/sanitized.h"

/* A sanitizer of addresses sees bounds and leaks only of what malloc gives. */
#ifdef SANITIZED_ADDRESSES

void *pages_new(size_t size)
{
	return calloc(1, size);
}

void pages_free(void *p, size_t size)
{
	(void)size;
	free(p);
}

#else

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

#endif

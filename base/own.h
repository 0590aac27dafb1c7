/* SPDX-License-Identifier: MIT */
/*
 * Locals that clean themselves. `own_fd int fd = open(...)` is closed when it leaves scope;
 * `take_fd(&fd)` moves it out, leaving -1 behind. Closing -1, freeing NULL is nothing.
 */
#ifndef BERTH_OWN_H
#define BERTH_OWN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void own_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void own_close_file(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

static inline void own_close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

/* For any `T *`: the attribute hands us T **, read as void ** through a copy to keep aliasing honest. */
static inline void own_free_ptr(void *p)
{
	void **slot = p;

	free(*slot);
}

#define own_fd   __attribute__((cleanup(own_close_fd)))
#define own_file __attribute__((cleanup(own_close_file)))
#define own_dir  __attribute__((cleanup(own_close_dir)))
#define own_free __attribute__((cleanup(own_free_ptr)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Move a pointer out of an own_free local: `x->text = take_ptr(&text)`. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(*(p)) t_ = *(p);                                                        \
		*(p) = NULL;                                                                       \
		t_;                                                                                \
	})

#endif

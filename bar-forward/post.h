/* SPDX-License-Identifier: MIT */
/*
 * Small records between our own processes, each whole, with descriptors. Not by write() and read(), whose bytes the kernel
 * counts for the task: a worker's counts are those of its accesses.
 */
#ifndef BERTH_POST_H
#define BERTH_POST_H

#include <stddef.h>
#include <stdint.h>

#define POST_FDS 20

/* Two ends. 0 or a negative errno. */
int post_pair(int ends[2]);

/* 0; -EPIPE: nobody is there; or another errno of sending. `now`: -EAGAIN rather than wait. */
int post_send(int to, const void *record, size_t size, const int *fds, uint32_t n_fds, int now);

/*
 * A record of at most `size` bytes; of a shorter one the rest is zeroed. fds: room for POST_FDS, the caller's to close; NULL:
 * none are taken. `now`: do not wait. Bytes; 0: nobody is there any more; -EAGAIN; -EMSGSIZE: it was larger.
 */
long post_take(int from, void *record, size_t size, int *fds, uint32_t *n_fds, int now);

#endif

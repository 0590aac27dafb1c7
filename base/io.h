/* SPDX-License-Identifier: MIT */
/* Reads and writes that go on until they are done: short transfers and EINTR are not the caller's. */
#ifndef BERTH_IO_H
#define BERTH_IO_H

#include <stddef.h>
#include <stdint.h>

/* Up to size bytes, fewer only at the end of the file. The count, or a negative errno. */
long io_read(int fd, void *buf, size_t size);

/* All of them. 0 or a negative errno. */
int io_write(int fd, const void *bytes, size_t n);

/* Until there is something to read, or an end; at the longest until clock_ms() is `until`. 0, -ETIMEDOUT or another errno. */
int io_await(int fd, int64_t until);

/* The folders above a file, 0700 where they are missing. What fails shows when the file is opened. */
void io_make_parents(const char *path);

#endif

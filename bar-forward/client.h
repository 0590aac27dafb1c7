/* SPDX-License-Identifier: MIT */
/*
 * A client of vfio-user, as small as measuring needs. It trusts its server no more than that trusts it: an answer of another
 * size, or none within CLIENT_S, is an error.
 */
#ifndef BERTH_CLIENT_H
#define BERTH_CLIENT_H

#include <stdint.h>

#include "base/err.h"

#define CLIENT_S 10 /* seconds */

/* The bytes of a read of four that go there and back, which a peer has to carry as well. */
#define CLIENT_READ_ASKS    32
#define CLIENT_READ_ANSWERS 36

/* A socket with a server that speaks our version. Its descriptor, or a negative errno with *e (-ECONNREFUSED, -ENOENT: nobody listens). */
int client_open(const char *path, struct err *e);

/* The size of a region; 0: there is none. 0, or a negative errno with *e. So all below. */
int client_region(int fd, uint32_t region, uint64_t *size, struct err *e);

/* width: 1 to 8 bytes. */
int client_read(int fd, uint32_t region, uint64_t offset, uint32_t width, uint64_t *value,
		struct err *e);
int client_write(int fd, uint32_t region, uint64_t offset, uint32_t width, uint64_t value,
		 struct err *e);

/* memory: a descriptor, whose first `size` bytes the device may reach at iova. */
int client_map(int fd, int memory, uint64_t iova, uint64_t size, struct err *e);
int client_unmap(int fd, uint64_t iova, uint64_t size, struct err *e);

#endif

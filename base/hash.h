/* SPDX-License-Identifier: MIT */
/* SHA-256 by libmd, for naming plans and model headers. */
#ifndef BERTH_HASH_H
#define BERTH_HASH_H

#include <stddef.h>

/* Lower-case hex of the digest of n bytes. */
void hash_sha256(const void *bytes, size_t n, char hex[65]);

/* Of a whole file, from its beginning, wherever fd stands. 0 or a negative errno. */
int hash_sha256_fd(int fd, char hex[65]);

#endif

/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <sha2.h>

#include "base/own.h"

#define PIECE (1 << 20)

void hash_sha256(const void *bytes, size_t n, char hex[65])
{
	SHA256Data(bytes, n, hex);
}

int hash_sha256_fd(int fd, char hex[65])
{
	own_free uint8_t *piece = malloc(PIECE);
	SHA2_CTX c;

	if (!piece)
		return -ENOMEM;
	SHA256Init(&c);
	for (off_t at = 0;;) {
		ssize_t n = pread(fd, piece, PIECE, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		SHA256Update(&c, piece, (size_t)n);
		at += n;
	}
	SHA256End(&c, hex);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <stdint.h>
#include <sys/types.h>

#include <sha2.h>

void hash_sha256(const void *bytes, size_t n, char hex[65])
{
	SHA256Data(bytes, n, hex);
}

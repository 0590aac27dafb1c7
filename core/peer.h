/* SPDX-License-Identifier: MIT */
/*
 * Who is on the other side of a connection: a user of this machine, or an address of another. On loopback
 * all have one address, and the kernel alone tells whose socket it is.
 */
#ifndef BERTH_CORE_PEER_H
#define BERTH_CORE_PEER_H

#include <stdbool.h>
#include <stdint.h>

enum peer_kind {
	PEER_UNKNOWN, /* gone already */
	PEER_USER,    /* id is the uid */
	PEER_V4,      /* id is the address */
	PEER_V6,      /* id is the first half of it, which is one household's */
};

struct peer {
	enum peer_kind kind;
	uint64_t id;
};

/* Of a connected socket. On loopback, where the kernel cannot be asked, it is our own user. */
struct peer peer_of(int fd);

bool peer_is_same(const struct peer *a, const struct peer *b);

/* Whoever runs us, and root: they could do worse than open connections. */
bool peer_is_owner(const struct peer *p);

#endif

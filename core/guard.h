/* SPDX-License-Identifier: MIT */
/*
 * Who may come in: the Host that a browser was led to, the Origin of the page that asks, the key. All
 * three are foreign text. Pure.
 *
 * A page of any site can make a browser send requests to 127.0.0.1, and its owner can let his own name
 * point there ("DNS rebinding"); neither can forge these two headers.
 */
#ifndef BERTH_CORE_GUARD_H
#define BERTH_CORE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define GUARD_KEY_MIN 16
#define GUARD_KEY_MAX 256

/* "localhost", "127.1.2.3:8470", "[::1]:80", or one of `allowed` with any port. NULL: no. */
bool guard_host(const char *host, const char *const *allowed, size_t n_allowed);

/* "http://localhost:3000"; "null" and other schemes are no. */
bool guard_origin(const char *origin, const char *const *allowed, size_t n_allowed);

/* "Bearer KEY"; takes as long whatever the key is. NULL: no. */
bool guard_key(const char *authorization, const char *key);

/* Read a key: one line of 16 to 256 visible characters, in a file that only its owner can read. */
int guard_read_key(const char *path, char key[GUARD_KEY_MAX + 1], struct err *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A machine is a root to read from: the live `/`, or a captured folder with the same files below it.
 * Every read goes through the root's descriptor, so a scan of either runs the same code.
 *
 * A captured folder is hostile: symbolic links cannot leave it (openat2 with RESOLVE_IN_ROOT), only
 * regular files are read, and a file is read up to the caller's buffer and no further.
 *
 * Paths are relative to the root, without a leading slash: "sys/bus/pci/devices".
 */
#ifndef BERTH_MACHINE_H
#define BERTH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct machine {
	int root_fd;
	bool live;      /* the running machine: libraries and ioctls may be asked too */
	char path[512]; /* "/" or the folder, for messages */
};

#define MACHINE_NAME_MAX 128
#define MACHINE_LIST_MAX 16384

/* Open the live machine (dir NULL) or a captured folder. machine_close() when done. */
int machine_open(struct machine *m, const char *dir, struct err *e);
void machine_close(struct machine *m);

/*
 * Read a whole small file into buf and end it with NUL. Returns the length, or a negative errno:
 * -ENOENT, -EACCES, -EPERM or -EIO as the kernel says (a sleeping or vanished device), -EFBIG when it
 * does not fit into size-1 bytes, -EBADMSG when it is not a regular file. No trailing white space.
 */
long machine_read(const struct machine *m, const char *path, char *buf, size_t size);

/* The first `size` bytes of a file as they are: the count, or a negative errno as machine_read. */
long machine_read_bytes(const struct machine *m, const char *path, void *buf, size_t size);

/* Read a file that holds one number, decimal or 0x hex. 0, or as machine_read; -EBADMSG: no number. */
int machine_read_u64(const struct machine *m, const char *path, uint64_t *v);

/* A link's target as it stands. -ENOENT: nothing is there; -EINVAL: it is there, but no link. */
int machine_link(const struct machine *m, const char *path, char *buf, size_t size);

bool machine_exists(const struct machine *m, const char *path);

/*
 * Names in a folder, sorted bytewise, without "." and "..". `*names` is one allocation (free it; it
 * holds the array and the strings). Returns the count, or a negative errno; more than
 * MACHINE_LIST_MAX entries is -EFBIG, so that a hostile folder cannot make us work for ever.
 */
int machine_list(const struct machine *m, const char *path, char ***names);

/* Open for reading (the caller closes), under the same rules as machine_read. fd or negative errno. */
int machine_openat(const struct machine *m, const char *path, int flags);

#endif

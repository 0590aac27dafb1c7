/* SPDX-License-Identifier: MIT */
/*
 * A file from a server to this disk, whole or not at all: it grows as PATH.part, which a later call goes
 * on with when the server still has the very same file, and gets its name when its bytes are proven.
 */
#ifndef BERTH_DOWNLOAD_H
#define BERTH_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vram-planner/remote.h"

enum compared { COMPARED_NOT, COMPARED_SERVER, COMPARED_USER };

struct download {
	const char *url, *path;
	const char
		*sha256; /* lower-case hex it must have; NULL: what the server tells, if it does */
	/* Called after each piece; NULL: nobody looks. total may be READER_SIZE_UNKNOWN. */
	void (*progress)(void *arg, uint64_t have, uint64_t total);
	/* Something to say: "begun anew, because ..." */
	void (*note)(void *arg, const char *sentence);
	void *arg;
};

struct downloaded {
	uint64_t bytes;
	uint64_t resumed_bytes; /* of an earlier call */
	bool already;           /* it was there, and is what it should be */
	char sha256[65];
	enum compared compared;
};

/*
 * 0; -ENOSPC when it does not fit on the disk (before anything is written); -EEXIST when another file has
 * the name; -EBUSY when somebody else is at it; -EBADMSG when the bytes are not what was promised; else
 * as the server or the disk says.
 */
int download(struct downloaded *d, const struct download *w, const struct remote_opts *o,
	     struct err *e);

/*
 * The name of a file for `url`: its last part, without a query. false: it has none that is fit to be a
 * file's name here.
 */
bool download_name(const char *url, char *name, size_t size);

#endif

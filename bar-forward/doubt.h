/* SPDX-License-Identifier: MIT */
/* What became of that which a worker was doing when it died. Pure. */
#ifndef BERTH_DOUBT_H
#define BERTH_DOUBT_H

#include "bar-forward/counted.h"
#include "bar-forward/share.h"

enum doubt_kind {
	DOUBT_NOTHING, /* nothing was in doubt: whoever comes next goes on at the head of the client's socket */
	DOUBT_NOT,     /* the access did not happen */
	DOUBT_RAN,     /* it did, and note.access.data is what a read gave */
	DOUBT_ANSWER,  /* so many bytes of the answer were sent */
	DOUBT_TAKE,    /* so many bytes of the message were taken */
	DOUBT_UNKNOWN, /* it cannot be told, or only half of it happened */
};

struct doubt {
	enum doubt_kind kind;
	uint64_t bytes;
	bool answered; /* of what is unknown: an answer may have been sent */
};

/* What is known of the dead one. */
struct evidence {
	const struct counted *counted; /* NULL: the kernel does not count */
	bool by_device;                /* the device says whether an access happened: */
	bool ran;
	bool asked; /* the holder waits for an access, and no message is in the worker's hands */
};

struct doubt doubt_of(const struct share_note *n, const struct evidence *e);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A client's socket as whole messages, each looked at before it is taken: stream_peek() leaves the message and its
 * descriptors in the socket, stream_take() removes just that message. Whoever dies between the two has taken nothing,
 * and the next finds all as it was.
 *
 * A client may send several messages in one piece, and one in several. The kernel ends a peek behind bytes that came with
 * descriptors, so the descriptors of a peek belong to the message that its last byte is in.
 *
 * A look at a socket takes the longer the more is queued there, so with `ahead` whole messages without descriptors
 * that one look has seen are kept, and shown next without another; each is taken by itself all the same.
 */
#ifndef BERTH_STREAM_H
#define BERTH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bar-forward/wire.h"
#include "base/err.h"

struct stream {
	int fd;
	uint32_t timeout_ms;
	uint8_t *bytes;
	size_t room;
	size_t most; /* a message that is larger is left alone; 0: there is no limit but the protocol's */
	bool ahead; /* whoever has it alone, or says stream_forget(), may set it: what was seen is kept */
	size_t at, kept; /* bytes[at, at + kept) are what the socket begins with */
};

/* A message at the head of the socket. Its bytes stay until the next peek; its descriptors until stream_drop(). */
struct incoming {
	const uint8_t *bytes;
	uint32_t size;
	uint32_t n_fds;
	int fds[VU_FDS_MAX];
};

/*
 * fd: a connected, blocking UNIX stream socket; SIGPIPE must be ignored. A message that has begun, and a reply that the
 * client does not read, may take timeout_ms. 0, -ENOMEM, or the errno of setting the socket's timeout.
 */
int stream_open(struct stream *s, int fd, uint32_t timeout_ms, struct err *e);

/* For one that must not ask for memory later: room for messages up to `most` bytes. 0 or -ENOMEM. */
int stream_reserve(struct stream *s, size_t most);
void stream_close(struct stream *s); /* not the socket */

/*
 * Wait for a message, and look at it. 0; -EPIPE: the client is gone; -ETIMEDOUT: it sent half of one and no more;
 * -EINTR: a signal came before a message; -EPROTO: this is no message, and nothing behind it can be told apart;
 * -EMSGSIZE: more descriptors than anybody sends; -EFBIG: it is larger than was reserved.
 *
 * A message with descriptors must have been sent in one piece, as they all are: no peek sees beyond their bytes.
 */
int stream_peek(struct stream *s, struct incoming *in, struct err *e);

/* Another process has taken from the socket, or may have. */
void stream_forget(struct stream *s);

/* Take the message that was peeked out of the socket. 0, or -EPIPE. */
int stream_take(struct stream *s, const struct incoming *in);

/* Close the descriptors that nobody took (a taken one is -1). */
void stream_drop(struct incoming *in);

/*
 * Send a whole message, with one descriptor if fd is not -1; without one by write(2), which the kernel counts for the task.
 * 0, -EPIPE, or -ETIMEDOUT when the client does not read: then half of it may be on its way.
 */
int stream_send(struct stream *s, const uint8_t *bytes, size_t size, int fd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The whole server: what a client sends, byte for byte, to a socket of a server in this process, over a
 * batch that answers at once. A line "--" in the input is a pause, after which the client goes on.
 */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/server.h"

#define QUIET_MS 4 /* nothing more comes, we take it */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct batch {
	struct batch_model model;
	struct batch_stats stats;
};

static struct batch fake = {
	.model = { .name = "m",
		   .arch = "llama",
		   .quant = "Q8_0",
		   .n_ctx = 64,
		   .n_ctx_train = 64,
		   .n_embd = 2,
		   .chats = true },
	.stats = { .slots = 1, .n_devices = 1, .devices = { { "CPU", "", 1, 2, 3 } } }
};

/* A failure for what begins with "f", nothing for "h" until it is cancelled, else a word. */
int batch_submit(struct batch *b, struct request *r)
{
	const char *text = r->text ? r->text : r->n_messages ? r->messages[0].content : "t";

	(void)b;
	r->prompt_tokens = 1;
	if (r->kind == REQUEST_EMBED) {
		r->embedding = calloc(2, sizeof(float));
		r->n_embedding = r->embedding ? 2 : 0;
		request_finish(r, REQUEST_DONE);
	} else if (*text == 'f') {
		request_fail(r, REQUEST_BAD, "it fails");
	} else if (*text != 'h') {
		r->generated_tokens = 1;
		request_add(r, "w\xff", 2, NULL, 0);
		request_finish(r, REQUEST_DONE);
	}
	return *text == 'q' ? -EAGAIN : 0;
}

void batch_cancel(struct batch *b, struct request *r)
{
	(void)b;
	if (!atomic_exchange(&r->cancelled, true) && !r->end)
		request_finish(r, REQUEST_CANCELLED);
}

void batch_stats(struct batch *b, struct batch_stats *s)
{
	*s = b->stats;
}

const struct batch_model *batch_model(const struct batch *b)
{
	return &b->model;
}

/* One server for all inputs, on a socket that has a name of the kernel's and no file. Its address. */
static const struct sockaddr_un *start(socklen_t *n)
{
	static struct sockaddr_un a = { .sun_family = AF_UNIX };
	static socklen_t length = sizeof(sa_family_t);
	static struct listening socket_of = { .local = true };
	static struct server_options o = { .batch = &fake,
					   .name = "m",
					   .key = "0123456789abcdef",
					   .body_max = 4096,
					   .client_s = 2,
					   .sockets = &socket_of,
					   .n_sockets = 1 };
	static struct server *s;
	struct sockaddr *any = (struct sockaddr *)(void *)&a;
	struct err e = { 0 };

	if (!s) {
		socket_of.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (socket_of.fd < 0 || bind(socket_of.fd, any, length) < 0 ||
		    listen(socket_of.fd, 16) < 0)
			abort();
		length = sizeof(a);
		if (getsockname(socket_of.fd, any, &length) < 0 || server_start(&s, &o, &e))
			abort();
	}
	*n = length;
	return &a;
}

/* What came until it is quiet; false: the server has closed. */
static bool drain(int fd)
{
	char buf[4096];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, QUIET_MS) <= 0)
			return true;
		if (recv(fd, buf, sizeof(buf), 0) <= 0)
			return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	socklen_t length;
	const struct sockaddr_un *a = start(&length);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const uint8_t *end = bytes + size;

	if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)a, length) < 0)
		abort(); /* it accepts for ever */
	while (bytes < end) {
		const uint8_t *pause = memmem(bytes, (size_t)(end - bytes), "\n--\n", 4);
		size_t n = (size_t)((pause ? pause : end) - bytes);

		if (send(fd, bytes, n, MSG_NOSIGNAL) < 0 || !drain(fd))
			break;
		bytes = pause ? pause + 4 : end;
	}
	close(fd);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Who knocks while no core runs gets an answer all the same: 503, and when to come again. A client may
 * be slow, silent or hostile: each has two seconds, and there is room for a few at a time; the others
 * wait in the backlog.
 */
#ifndef BERTH_LAUNCH_BUSY_H
#define BERTH_LAUNCH_BUSY_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sockets.h"
#include "base/text.h"

#define BUSY_CLIENTS_MAX 32
#define BUSY_HEAD_MAX    4096 /* of a request that is looked at */
#define BUSY_CLIENT_MS   2000

struct busy_client {
	int fd; /* -1: free */
	bool answered;
	bool ollama;
	int64_t until_ms;
	size_t n;
	char head[BUSY_HEAD_MAX];
};

struct busy {
	const struct sockets *sockets; /* borrowed */
	const char *why;               /* borrowed: "the model is being loaded" */
	uint32_t retry_s;
	struct busy_client clients[BUSY_CLIENTS_MAX];
};

#define BUSY_POLLS_MAX (SOCKETS_MAX + BUSY_CLIENTS_MAX)

void busy_init(struct busy *b, const struct sockets *s);
void busy_fini(struct busy *b); /* whoever still waits is let go */

/* What to poll for; at most BUSY_POLLS_MAX. *timeout_ms is lowered to when it wants to be called next. */
uint32_t busy_polls(const struct busy *b, struct pollfd *p, int *timeout_ms);

/* After poll, with the same array: accept, read, answer, give up. Never blocks. */
void busy_step(struct busy *b, const struct pollfd *p, uint32_t n);

/* The answer to a request: in Ollama's shape when it asks for /api/, else in OpenAI's. Pure. */
void busy_answer(struct text *t, const char *head, size_t n, bool ollama, const char *why,
		 uint32_t retry_s);

#endif

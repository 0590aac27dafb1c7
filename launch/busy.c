/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/own.h"
#include "launch/busy.h"

static bool asks_ollama(const char *head, size_t n)
{
	const char *space = memchr(head, ' ', n);
	size_t left = space ? n - (size_t)(space - head) : 0;

	return left > 6 && memcmp(space, " /api/", 6) == 0;
}

void busy_answer(struct text *t, const char *head, size_t n, bool ollama, const char *why,
		 uint32_t retry_s)
{
	char body[512];
	struct text b;

	text_init(&b, body, sizeof(body));
	if (ollama || asks_ollama(head, n))
		text_add(&b, "{\"error\":\"%s; try again in %u s\"}\n", why, retry_s);
	else
		text_add(&b,
			 "{\"error\":{\"message\":\"%s; try again in %u s\",\"type\":"
			 "\"unavailable_error\",\"param\":null,\"code\":null}}\n",
			 why, retry_s);
	text_add(t,
		 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\nRetry-After: %u\r\nCache-Control: no-store\r\n"
		 "Connection: close\r\n\r\n%s",
		 b.len, retry_s, body);
}

void busy_init(struct busy *b, const struct sockets *s)
{
	memset(b, 0, sizeof(*b));
	b->sockets = s;
	b->why = "the model is being loaded";
	b->retry_s = 1;
	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++)
		b->clients[i].fd = -1;
}

void busy_fini(struct busy *b)
{
	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++)
		own_close_fd(&b->clients[i].fd);
}

static bool is_full(const struct busy *b)
{
	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++)
		if (b->clients[i].fd < 0)
			return false;
	return true;
}

uint32_t busy_polls(const struct busy *b, struct pollfd *p, int *timeout_ms)
{
	bool full = is_full(b);
	int64_t now = clock_ms();
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->sockets->n; i++)
		p[n++] = (struct pollfd) { b->sockets->list[i].fd, full ? 0 : POLLIN, 0 };
	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++) {
		const struct busy_client *c = &b->clients[i];
		int64_t left = c->until_ms - now;

		if (c->fd < 0)
			continue;
		p[n++] = (struct pollfd) { c->fd, POLLIN, 0 };
		left = left < 0 ? 0 : left;
		if (*timeout_ms < 0 || left < *timeout_ms)
			*timeout_ms = (int)left;
	}
	return n;
}

static void let_in(struct busy *b, const struct listening *l)
{
	/* A core shares the flag with us, and may have taken it away */
	fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++) {
		struct busy_client *c = &b->clients[i];

		if (c->fd >= 0)
			continue;
		c->fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (c->fd < 0)
			return;
		c->n = 0;
		c->answered = false;
		c->ollama = l->ollama;
		c->until_ms = clock_ms() + BUSY_CLIENT_MS;
	}
}

/* A new socket's buffer takes this much at once; one that does not is not worth waiting for. */
static void answer(struct busy *b, struct busy_client *c)
{
	char words[1024];
	struct text t;

	text_init(&t, words, sizeof(words));
	busy_answer(&t, c->head, c->n, c->ollama, b->why, b->retry_s);
	if (send(c->fd, words, t.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)t.len) {
		own_close_fd(&c->fd);
		return;
	}
	/* Closed with bytes unread, the kernel would reset the connection, and the answer be lost */
	shutdown(c->fd, SHUT_WR);
	c->answered = true;
}

static void hear(struct busy *b, struct busy_client *c)
{
	char rest[BUSY_HEAD_MAX];
	char *to = c->answered ? rest : c->head + c->n;
	size_t room = c->answered ? sizeof(rest) : sizeof(c->head) - c->n;
	ssize_t n = recv(c->fd, to, room, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&c->fd);
		return;
	}
	if (n < 0 || c->answered)
		return;
	c->n += (size_t)n;
	if (c->n == sizeof(c->head) || memmem(c->head, c->n, "\r\n\r\n", 4))
		answer(b, c);
}

void busy_step(struct busy *b, const struct pollfd *p, uint32_t n)
{
	int64_t now = clock_ms();

	for (uint32_t i = 0; i < BUSY_CLIENTS_MAX; i++) {
		struct busy_client *c = &b->clients[i];

		for (uint32_t k = b->sockets->n; c->fd >= 0 && k < n; k++)
			if (p[k].fd == c->fd && p[k].revents) {
				hear(b, c);
				break;
			}
		if (c->fd >= 0 && now >= c->until_ms)
			own_close_fd(&c->fd);
	}
	for (uint32_t i = 0; i < b->sockets->n && i < n; i++)
		if (p[i].revents)
			let_in(b, &b->sockets->list[i]);
}

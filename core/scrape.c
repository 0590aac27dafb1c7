/* SPDX-License-Identifier: MIT */
#include "core/scrape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

#define EVERY_MS   1000
#define GIVE_UP_MS 30000

/* "llamacpp:NAME VALUE" at the beginning of a line. Seconds have fractions. */
static bool value(const char *answer, const char *name, double *v)
{
	char sign[64];
	char *end;

	snprintf(sign, sizeof(sign), "\nllamacpp:%s ", name);
	const char *s = strstr(answer, sign);

	if (!s)
		return false;
	s += strlen(sign);
	*v = strtod(s, &end);
	return end != s && *v >= 0 && *v < 1e15; /* false for what is no number */
}

bool scrape_read(const char *answer, struct outcome *o, uint32_t *queue)
{
	double prompt, prompt_s, generated, generated_s, waiting;

	if (!value(answer, "prompt_tokens_total", &prompt) ||
	    !value(answer, "prompt_seconds_total", &prompt_s) ||
	    !value(answer, "tokens_predicted_total", &generated) ||
	    !value(answer, "tokens_predicted_seconds_total", &generated_s) ||
	    !value(answer, "requests_deferred", &waiting) || prompt_s > 1e9 || generated_s > 1e9)
		return false;
	o->prompt_tokens = (uint64_t)prompt;
	o->prompt_ns = (uint64_t)(prompt_s * 1e9);
	o->generated_tokens = (uint64_t)generated;
	o->generated_ns = (uint64_t)(generated_s * 1e9);
	*queue = waiting < 1e6 ? (uint32_t)waiting : 1000000;
	return true;
}

void scrape_init(struct scrape *s)
{
	s->fd = -1;
	s->at_ms = 0;
	s->n = 0;
}

void scrape_close(struct scrape *s)
{
	own_close_fd(&s->fd);
	s->n = 0;
}

static void ask(struct scrape *s, const char *socket_path, const char *key)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char request[1024];
	int n = snprintf(request, sizeof(request),
			 "GET /metrics HTTP/1.0\r\nHost: localhost\r\n%s%s%s\r\n",
			 key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "");

	text_copy(to.sun_path, sizeof(to.sun_path), socket_path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* a socket that is new has room for so little */
	if (n >= (int)sizeof(request) || s->fd < 0 ||
	    connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(s->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		scrape_close(s);
}

bool scrape_step(struct scrape *s, const char *socket_path, const char *key, int64_t now_ms,
		 struct outcome *o, uint32_t *queue)
{
	if (s->fd < 0 && now_ms - s->at_ms < EVERY_MS)
		return false;
	if (s->fd < 0) {
		s->at_ms = now_ms;
		ask(s, socket_path, key);
		return false;
	}
	ssize_t n = recv(s->fd, s->answer + s->n, sizeof(s->answer) - 1 - s->n, MSG_DONTWAIT);

	if (n > 0) {
		s->n += (size_t)n;
		return false;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && now_ms - s->at_ms < GIVE_UP_MS)
		return false;
	s->answer[s->n] = '\0';
	scrape_close(s);
	return n == 0 && scrape_read(s->answer, o, queue);
}

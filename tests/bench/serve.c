/* SPDX-License-Identifier: MIT */
/*
 * A client that costs little beside the server it measures. One run of one server, one line of numbers;
 * serve.sh takes several in turn and compares.
 *
 *   serve load PORT PID CLIENTS REQUESTS PROMPT TOKENS VOCAB SEED fresh|again
 *     CLIENTS at once, each with REQUESTS one after the other, on a connection each: a prompt of PROMPT random
 *     tokens, TOKENS drawn as clients draw them by default, streamed. Prints the nanoseconds it took, those
 *     of CPU time that process PID used, tokens of prompts, tokens generated, and the medians of the
 *     nanoseconds to the first token and of the longest wait for another one. It fails where the server
 *     counts other tokens. `again`: all prompts of a client are the same, and the server may know that.
 *
 *   serve start PORT FOLDER PROGRAM ARGUMENT...
 *     Nanoseconds from exec, in that folder, to the first good /health, and those of CPU time; the program
 *     is ended then.
 *
 *   serve port
 *     A port that is free.
 *
 *   serve outage PORT PID
 *     Kill PID, and ask until the first answer to a completion. Nanoseconds of it, PID's death being 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"

#define CLIENTS_MAX   256
#define ANSWER_MAX    (4U << 20)
#define PATIENCE_NS   UINT64_C(120000000000)
#define FIRST_TOKEN   300 /* those below are bytes and marks in our models */
#define ASK_AGAIN_US  500
#define PROMPT_DIGITS 8 /* and a comma */

static int wrong(const char *what)
{
	fprintf(stderr, "serve: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	return 1;
}

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

static uint64_t cpu_ns(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : ns_of(clock);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	int rc = -errno;

	close(fd);
	return rc;
}

static int send_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t k = send(fd, data, n, MSG_NOSIGNAL);

		if (k <= 0)
			return -1;
		data += k;
		n -= (size_t)k;
	}
	return 0;
}

/* --- load --- */

struct load {
	uint16_t port;
	pid_t pid;
	uint32_t clients, requests, prompt, tokens, vocab;
	uint64_t random;
	uint64_t prompt_tokens, generated_tokens; /* as the server counted them */
	bool again;
	uint64_t *first_ns, *longest_ns; /* of each request */
	uint32_t n_first, n_ended;
};

struct client {
	int fd;
	uint32_t left;
	uint64_t asked_ns, last_ns, longest_ns;
	uint64_t prompt; /* what its random tokens begin with */
	bool saw_token;
	char *answer;
	size_t n;
};

static uint32_t random_token(const struct load *l, uint64_t *state)
{
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return FIRST_TOKEN + (uint32_t)(*state >> 33) % (l->vocab - FIRST_TOKEN);
}

/* The body is the caller's to free. */
static char *write_request(const struct load *l, uint64_t state)
{
	size_t room = 512 + (size_t)l->prompt * (PROMPT_DIGITS + 1), n = 0;
	char *body = malloc(room), *all = malloc(room + 256);

	if (!body || !all)
		abort();
	n += (size_t)snprintf(body, room, "{\"model\":\"bench\",\"prompt\":[");
	for (uint32_t i = 0; i < l->prompt; i++)
		n += (size_t)snprintf(body + n, room - n, "%s%u", i ? "," : "",
				      random_token(l, &state));
	n += (size_t)snprintf(body + n, room - n,
			      "],\"max_tokens\":%u,\"stream\":true,\"stream_options\":{\"include_"
			      "usage\":true},\"ignore_eos\":true,\"cache_prompt\":%s,\"seed\":1,"
			      "\"temperature\":0.8,\"top_k\":40,\"top_p\":0.95,\"min_p\":0.05}",
			      l->tokens, l->again ? "true" : "false");
	snprintf(all, room + 256,
		 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 n, body);
	free(body);
	return all;
}

static int ask(struct load *l, struct client *c)
{
	char *request;
	int rc;

	if (!l->again)
		c->prompt = l->random++;
	request = write_request(l, c->prompt);
	c->n = 0;
	c->longest_ns = 0;
	c->saw_token = false;
	c->asked_ns = now_ns();
	c->fd = connect_to(l->port);
	rc = c->fd < 0 ? -1 : send_all(c->fd, request, strlen(request));
	free(request);
	return rc ? wrong("cannot send a request") : 0;
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* An event with text, or with a place for it: ours and theirs both name the field so. */
static bool has_token(const struct client *c)
{
	const char *event = strstr(c->answer, "data: {");

	return event && strstr(event, "\"text\":");
}

static bool is_whole(const struct client *c)
{
	return c->n >= 5 && memcmp(c->answer + c->n - 5, "0\r\n\r\n", 5) == 0 &&
	       strstr(c->answer + c->n - (c->n < 64 ? c->n : 64), "[DONE]");
}

static int end_request(struct load *l, struct client *c)
{
	uint64_t prompt, generated;
	const char *usage = strstr(c->answer, "\"usage\":{");

	if (!usage)
		return wrong("an answer without usage");
	prompt = number_after(usage, "\"prompt_tokens\":");
	generated = number_after(usage, "\"completion_tokens\":");
	if (prompt != l->prompt || generated != l->tokens) {
		fprintf(stderr, "serve: %" PRIu64 " and %" PRIu64 " tokens, not %u and %u\n",
			prompt, generated, l->prompt, l->tokens);
		return 1;
	}
	l->prompt_tokens += prompt;
	l->generated_tokens += generated;
	close(c->fd);
	l->longest_ns[l->n_ended++] = c->longest_ns;
	c->left--;
	return c->left ? ask(l, c) : 0;
}

/* Some more of an answer is there. */
static int take(struct load *l, struct client *c)
{
	ssize_t n = recv(c->fd, c->answer + c->n, ANSWER_MAX - 1 - c->n, 0);
	uint64_t now;

	if (n <= 0)
		return wrong("the server closed a connection");
	c->n += (size_t)n;
	c->answer[c->n] = 0;
	if (c->n >= 12 && memcmp(c->answer, "HTTP/1.1 200", 12) != 0) {
		fprintf(stderr, "serve: %.300s\n", c->answer);
		return 1;
	}
	now = now_ns();
	if (c->saw_token && now - c->last_ns > c->longest_ns)
		c->longest_ns = now - c->last_ns;
	c->last_ns = now;
	if (!c->saw_token && has_token(c)) {
		c->saw_token = true;
		l->first_ns[l->n_first++] = now - c->asked_ns;
	}
	return is_whole(c) ? end_request(l, c) : 0;
}

static int run_clients(struct load *l, struct client *clients)
{
	struct pollfd p[CLIENTS_MAX];
	uint32_t busy = l->clients;

	while (busy) {
		for (uint32_t i = 0; i < l->clients; i++)
			p[i] = (struct pollfd) { .fd = clients[i].left ? clients[i].fd : -1,
						 .events = POLLIN };
		if (poll(p, l->clients, (int)(PATIENCE_NS / 1000000)) <= 0)
			return wrong("the server does not go on");
		busy = 0;
		for (uint32_t i = 0; i < l->clients; i++) {
			if (p[i].revents && take(l, &clients[i]))
				return 1;
			busy += clients[i].left != 0;
		}
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return n ? v[n / 2] : 0;
}

static int measure_load(struct load *l)
{
	struct client *clients = calloc(l->clients, sizeof(*clients));
	uint64_t cpu, start;

	l->first_ns = calloc((size_t)l->clients * l->requests, sizeof(*l->first_ns));
	l->longest_ns = calloc((size_t)l->clients * l->requests, sizeof(*l->longest_ns));
	if (!clients || !l->first_ns || !l->longest_ns)
		abort();
	for (uint32_t i = 0; i < l->clients; i++) {
		clients[i].answer = malloc(ANSWER_MAX);
		clients[i].left = l->requests;
		clients[i].prompt = l->random++;
		if (!clients[i].answer)
			abort();
	}
	cpu = cpu_ns(l->pid);
	start = now_ns();
	for (uint32_t i = 0; i < l->clients; i++) {
		if (ask(l, &clients[i]))
			return 1;
	}
	if (run_clients(l, clients))
		return 1;
	uint64_t took = now_ns() - start, cpu_took = cpu_ns(l->pid) - cpu;

	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took,
	       cpu_took, l->prompt_tokens, l->generated_tokens, median(l->first_ns, l->n_first),
	       median(l->longest_ns, l->n_ended));
	return 0;
}

/* --- one question --- */

/* True when the answer is 200 and whole. */
static bool asks_well(uint16_t port, const char *request)
{
	own_fd int fd = connect_to(port);
	char answer[8192];
	size_t n = 0;
	ssize_t k;

	if (fd < 0 || send_all(fd, request, strlen(request)))
		return false;
	while (n < sizeof(answer) && (k = recv(fd, answer + n, sizeof(answer) - n, 0)) > 0)
		n += (size_t)k;
	return n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
}

static bool until(uint16_t port, const char *request)
{
	uint64_t end = now_ns() + PATIENCE_NS;

	while (now_ns() < end) {
		if (asks_well(port, request))
			return true;
		usleep(ASK_AGAIN_US);
	}
	return false;
}

static int measure_start(uint16_t port, char **argv)
{
	uint64_t start = now_ns(), took, cpu;
	pid_t pid = fork();
	bool good;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null >= 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 && chdir(argv[0]) == 0)
			execv(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0)
		return wrong("cannot fork");
	good = until(port, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	took = now_ns() - start;
	cpu = cpu_ns(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!good)
		return wrong("it does not become healthy");
	printf("%" PRIu64 " %" PRIu64 "\n", took, cpu);
	return 0;
}

static int measure_outage(uint16_t port, pid_t pid)
{
	static const char body[] = "{\"model\":\"bench\",\"prompt\":\"hello\",\"max_tokens\":1}";
	char request[512];
	uint64_t start;

	snprintf(request, sizeof(request),
		 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
		 "application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	if (!until(port, request))
		return wrong("it answers nothing before");
	start = now_ns();
	if (kill(pid, SIGKILL))
		return wrong("cannot kill it");
	if (!until(port, request))
		return wrong("it does not come back");
	printf("%" PRIu64 "\n", now_ns() - start);
	return 0;
}

static int find_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	own_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) ||
	    getsockname(fd, (struct sockaddr *)&a, &n))
		return wrong("no port");
	printf("%u\n", ntohs(a.sin_port));
	return 0;
}

static uint32_t number(const char *text)
{
	uint64_t v;

	if (text_parse_u64(text, &v) || v > UINT32_MAX) {
		fprintf(stderr, "serve: %s is not a number\n", text);
		exit(2);
	}
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	if (argc == 11 && strcmp(argv[1], "load") == 0) {
		struct load l = { .port = (uint16_t)number(argv[2]),
				  .pid = (pid_t)number(argv[3]),
				  .clients = number(argv[4]),
				  .requests = number(argv[5]),
				  .prompt = number(argv[6]),
				  .tokens = number(argv[7]),
				  .vocab = number(argv[8]),
				  .random = (uint64_t)number(argv[9]) << 32,
				  .again = strcmp(argv[10], "again") == 0 };

		if (l.clients >= 1 && l.clients <= CLIENTS_MAX && l.requests >= 1 &&
		    l.vocab > FIRST_TOKEN)
			return measure_load(&l);
	}
	if (argc >= 5 && strcmp(argv[1], "start") == 0)
		return measure_start((uint16_t)number(argv[2]), argv + 3);
	if (argc == 4 && strcmp(argv[1], "outage") == 0)
		return measure_outage((uint16_t)number(argv[2]), (pid_t)number(argv[3]));
	if (argc == 2 && strcmp(argv[1], "port") == 0)
		return find_port();
	fprintf(stderr, "serve: load, start, port or outage; see tests/bench/serve.c\n");
	return 2;
}

/* SPDX-License-Identifier: MIT */
#include "tui/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/recording.h"

#define NOT_FOUND 127 /* what a shell ends with that knows no such command */

extern char **environ;

struct ssh {
	char host[64];
	pid_t pid;
	int out, complaints; /* its standard output and error; -1: ended */
	struct player *player;
	bool begun; /* a moment has come */
	uint32_t interval_ms;
	uint64_t heard_ns;   /* when a line came last */
	char last_word[160]; /* of its standard error */
	char refused[160];   /* why its lines are not taken; empty: they are */
	size_t n;            /* bytes of a line that has no end yet */
	char line[RECORDING_LINE_MAX];
};

bool ssh_is_host(const char *s)
{
	if (!*s || *s == '-' || strlen(s) >= sizeof(((struct ssh *)0)->host))
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int start(struct ssh *r, const int out[2], const int complaints[2])
{
	const char *program = getenv("BERTH_SSH");
	char command[96];
	char *argv[] = { (char *)(program && *program ? program : "ssh"),
			 (char *)"-T",
			 (char *)"--",
			 r->host,
			 command,
			 NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, pipe;
	int rc;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	snprintf(command, sizeof(command), "berth top --record - --interval %u.%03u",
		 (unsigned)(r->interval_ms / 1000), (unsigned)(r->interval_ms % 1000));
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, complaints[1], STDERR_FILENO);
	/* The monitor's signals come as data: what is blocked or ignored here must end ssh all the same. */
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipe);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(&r->pid, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (rc)
		r->pid = 0;
	return -rc;
}

static int connect_to(struct ssh *r, struct err *e)
{
	int out[2] = { -1, -1 }, complaints[2] = { -1, -1 };
	int rc = pipe2(out, O_CLOEXEC) || pipe2(complaints, O_CLOEXEC) ? -errno : 0;

	if (!rc)
		rc = start(r, out, complaints);
	own_close_fd(&out[1]);
	own_close_fd(&complaints[1]);
	r->out = out[0];
	r->complaints = complaints[0];
	if (rc)
		return err_set(e, rc, "ssh cannot be started: %s", strerror(-rc));
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	fcntl(r->complaints, F_SETFL, O_NONBLOCK);
	return 0;
}

/* --- what comes --- */

static void take_line(struct ssh *r, const char *line, size_t n)
{
	struct err e = { 0 };
	int kind = player_line(r->player, line, n, &e);

	r->heard_ns = telem_now_ns();
	r->begun = r->begun || kind == FRAME_MOMENT;
	/* Before the header anything may come: a shell that greets. After it, a bad line is left out. */
	if (kind < 0 && !r->begun)
		text_copy(r->refused, sizeof(r->refused), e.text);
	if (kind == FRAME_HEADER)
		r->refused[0] = '\0';
}

static void take_lines(struct ssh *r)
{
	char *from = r->line, *end = r->line + r->n, *next;

	for (; (next = memchr(from, '\n', (size_t)(end - from))); from = next + 1)
		take_line(r, from, (size_t)(next - from));
	r->n = (size_t)(end - from);
	memmove(r->line, from, r->n);
	if (r->n == sizeof(r->line))
		r->n = 0; /* no recording's: leave it out */
}

/* One read. false: there is nothing now. */
static bool read_out(struct ssh *r)
{
	ssize_t n = r->out < 0 ? -1 : read(r->out, r->line + r->n, sizeof(r->line) - r->n);

	if (n > 0) {
		r->n += (size_t)n;
		take_lines(r);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		own_close_fd(&r->out);
	return false;
}

/* The last line that is not empty. */
static void read_complaints(struct ssh *r)
{
	char buf[1024];
	ssize_t n;

	while (r->complaints >= 0 && (n = read(r->complaints, buf, sizeof(buf) - 1)) != 0) {
		if (n < 0)
			return;
		buf[n] = '\0';
		for (char *save, *l = strtok_r(buf, "\r\n", &save); l;
		     l = strtok_r(NULL, "\r\n", &save))
			text_copy(r->last_word, sizeof(r->last_word), l);
		text_clean(r->last_word);
	}
	own_close_fd(&r->complaints);
}

/* What is wrong with what came last; nothing: that it came in time. */
static void trouble(const struct ssh *r, uint64_t silent_ms, char *to, size_t size)
{
	if (r->out < 0)
		snprintf(to, size, "%s has ended%s%.90s", r->host, r->last_word[0] ? ": " : "",
			 r->last_word);
	else if (silent_ms)
		snprintf(to, size,
			 "nothing came from %s for %" PRIu64 " s; these are its last numbers",
			 r->host, silent_ms / 1000);
}

/* --- opening --- */

/* Waits for half a second at most: who has closed both its ends has little left to do. -1: it has not ended. */
static int exit_status(struct ssh *r)
{
	int status;

	for (int i = 0; i < 50; i++) {
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			r->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		poll(NULL, 0, 10);
	}
	return -1;
}

static int wait_for_moment(struct ssh *r, struct err *e)
{
	while (!r->begun && (r->out >= 0 || r->complaints >= 0)) {
		struct pollfd fds[] = { { .fd = r->out, .events = POLLIN },
					{ .fd = r->complaints, .events = POLLIN } };

		if (poll(fds, 2, -1) < 0 && errno == EINTR)
			continue;
		while (read_out(r))
			;
		read_complaints(r);
	}
	if (r->begun)
		return 0;
	return err_set(e, -EHOSTUNREACH, "nothing came from %s: %s%s", r->host,
		       r->last_word[0] ? r->last_word
		       : r->refused[0] ? r->refused
				       : "it ended without a word",
		       exit_status(r) == NOT_FOUND
			       ? "; berth has to be installed there, in the PATH that ssh gives"
			       : "");
}

int ssh_open(struct ssh **out, const char *host, uint32_t interval_ms, struct err *e)
{
	struct ssh *r;
	int rc;

	if (!ssh_is_host(host))
		return err_set(e, -EINVAL, "'%.60s' is no host: USER@HOST, as ssh takes it", host);
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	text_copy(r->host, sizeof(r->host), host);
	r->interval_ms = interval_ms;
	r->out = r->complaints = -1;
	r->player = player_new();
	rc = r->player ? connect_to(r, e) : err_set(e, -ENOMEM, "out of memory");
	if (!rc)
		rc = wait_for_moment(r, e);
	if (rc)
		ssh_close(r);
	else
		*out = r;
	return rc;
}

/* Asked to, and after half a second made to. */
static void end_child(pid_t pid)
{
	kill(pid, SIGTERM);
	for (int i = 0; i < 50; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		poll(NULL, 0, 10);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void ssh_close(struct ssh *r)
{
	if (!r)
		return;
	own_close_fd(&r->out);
	own_close_fd(&r->complaints);
	if (r->pid > 0)
		end_child(r->pid);
	player_free(r->player);
	free(r);
}

/* --- the feed --- */

static void next(void *ctx, struct snapshot *s)
{
	struct ssh *r = ctx;
	uint64_t age;

	while (read_out(r))
		;
	read_complaints(r);
	age = (telem_now_ns() - r->heard_ns) / 1000000;
	player_snapshot(r->player, s);
	s->origin = ORIGIN_REMOTE;
	text_copy(s->origin_name, sizeof(s->origin_name), r->host);
	s->device_age_ms = age > r->interval_ms + SNAP_OLD_MS ? age : 0;
	trouble(r, s->device_age_ms, s->device_error, sizeof(s->device_error));
}

struct feed ssh_feed(struct ssh *r)
{
	return (struct feed) { .next = next, .ctx = r };
}

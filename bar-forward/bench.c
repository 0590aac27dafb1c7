/* SPDX-License-Identifier: MIT */
/*
 * The device is served by a child, as `serve` does it, and driven from here. Only what has no effect is done to it: its
 * configuration space is read, and a register of which that is known (quirks.h); maps are of memory of our own, that no
 * device is told of. The echo is a process that does nothing but answer, and the rounds of all take turns, so that what else
 * the machine does falls on each alike.
 */
#include "bar-forward/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/backends.h"
#include "bar-forward/client.h"
#include "bar-forward/device.h"
#include "bar-forward/grants.h"
#include "bar-forward/quirks.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"

#define ROUNDS    40
#define BATCH     250
#define MAPS      500
#define MAP_BYTES (UINT64_C(2) << 20)
#define STARTS_MS 60000 /* a card that has to be woken, reset and opened */

enum what { ECHO, REGISTER, CONFIG, MAP, UNMAP, N_WHAT };

static const char *const whats[] = { "echo", "register", "config", "map", "unmap" };

/* What was measured: times, of which the middle and the 99th of a hundred are told. */
struct series {
	uint64_t *ns;
	size_t n, room;
};

struct bench {
	char dir[512], socket[544];
	pid_t server, peer;
	int fd, echo;
	char device[128];
	const struct quirk *safe; /* a register that may be read; NULL: none is known */
	struct series series[N_WHAT];
	struct err no_maps; /* why there are none; rc 0: there are */
};

/* --- the two that answer --- */

/* The server, as the command line would start it; what goes wrong is said by it. */
static pid_t start_server(const struct ask *a, const char *socket)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	struct options o = *a->o;
	struct ask mine = *a;
	struct log log = *a->log;
	struct err e = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	o.sockets = (struct opt_list) { .n = 1, .v = { socket } };
	o.mode = GRANT_TRAP;
	o.once = true;
	log.level = a->o->verbose ? log.level : LOG_QUIET;
	mine.o = &o;
	mine.log = &log;
	int rc = serve_verb(&mine, &e);

	_exit(rc < 0 ? (int)err_report("bridge", rc, &e) : rc);
}

static pid_t start_echo(int *to)
{
	uint8_t bytes[CLIENT_READ_ANSWERS] = { 0 };
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		while (recv(pair[1], bytes, CLIENT_READ_ASKS, MSG_WAITALL) == CLIENT_READ_ASKS)
			if (send(pair[1], bytes, sizeof(bytes), MSG_NOSIGNAL) < 0)
				break;
		_exit(0);
	}
	close(pair[1]);
	*to = pair[0];
	return pid;
}

/* Not yet there, or not any more. */
static bool may_come(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EIO;
}

/* A client of the server, as soon as that listens. A server that has ended said why: its exit code, positive. */
static int meet(struct bench *b, struct err *e)
{
	const struct timespec soon = { .tv_nsec = 10000000 };
	int status;

	for (int64_t late = clock_ms() + STARTS_MS; clock_ms() < late; nanosleep(&soon, NULL)) {
		b->fd = client_open(b->socket, e);
		if (b->fd >= 0)
			return 0;
		if (!may_come(b->fd))
			return b->fd;
		if (waitpid(b->server, &status, WNOHANG) == b->server) {
			b->server = -1;
			return WIFEXITED(status) && WEXITSTATUS(status)
				       ? WEXITSTATUS(status)
				       : err_set(e, -EIO, "the bridge ended before it served");
		}
	}
	return err_set(e, -ETIMEDOUT, "the bridge does not listen after %d s", STARTS_MS / 1000);
}

/* --- what may be read --- */

static int know_device(struct bench *b, struct err *e)
{
	uint64_t ids, class_, command, size[DEV_BAR5 + 1];
	struct quirk_set q;
	uint32_t next = 0;
	int rc = client_read(b->fd, DEV_CONFIG, 0, 4, &ids, e);

	if (!rc)
		rc = client_read(b->fd, DEV_CONFIG, 8, 4, &class_, e);
	if (!rc)
		rc = client_read(b->fd, DEV_CONFIG, 4, 2, &command, e);
	for (uint32_t i = 0; !rc && i <= DEV_BAR5; i++)
		rc = client_region(b->fd, i, &size[i], e);
	if (rc)
		return rc;
	quirks_find(&q, (uint16_t)ids, (uint16_t)(ids >> 16), (uint32_t)(class_ >> 8), size);
	b->safe = quirks_next(&q, QUIRK_ORDER, &next);
	/* Its registers answer while memory is decoded; the server takes that back when we go. */
	return b->safe ? client_write(b->fd, DEV_CONFIG, 4, 2, command | 2, e) : 0;
}

/* --- the measurement --- */

static int note(struct series *s, uint64_t began)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 4096;
		uint64_t *ns = reallocarray(s->ns, room, sizeof(*ns));

		if (!ns)
			return -ENOMEM;
		s->ns = ns;
		s->room = room;
	}
	s->ns[s->n++] = clock_ns() - began;
	return 0;
}

static int trip_echo(struct bench *b, struct err *e)
{
	uint8_t bytes[CLIENT_READ_ANSWERS] = { 0 };

	if (send(b->echo, bytes, CLIENT_READ_ASKS, MSG_NOSIGNAL) != CLIENT_READ_ASKS ||
	    recv(b->echo, bytes, sizeof(bytes), MSG_WAITALL) != sizeof(bytes))
		return err_set(e, -EIO, "the echo is gone");
	return 0;
}

static int trip(struct bench *b, enum what what, struct err *e)
{
	uint64_t value;

	if (what == ECHO)
		return trip_echo(b, e);
	if (what == CONFIG)
		return client_read(b->fd, DEV_CONFIG, 0, 4, &value, e);
	return client_read(b->fd, b->safe->bar, b->safe->at, 4, &value, e);
}

static int batch(struct bench *b, enum what what, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < BATCH && !rc; i++) {
		uint64_t began = clock_ns();

		rc = trip(b, what, e);
		if (!rc && note(&b->series[what], began))
			rc = err_set(e, -ENOMEM, "out of memory");
	}
	return rc;
}

static int measure_trips(struct bench *b, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < ROUNDS && !rc; i++) {
		rc = batch(b, ECHO, e);
		if (!rc)
			rc = batch(b, CONFIG, e);
		if (!rc && b->safe)
			rc = batch(b, REGISTER, e);
	}
	return rc;
}

/* A device without DMA, or memory that may not be locked, is no failure: it is told. */
static int measure_maps(struct bench *b, struct err *e)
{
	own_fd int memory = memfd_create("berth-bench", MFD_CLOEXEC);
	int rc = memory < 0 || ftruncate(memory, MAP_BYTES) ? err_set(e, -errno, "no memory") : 0;

	for (uint64_t i = 0; i < MAPS && !rc; i++) {
		uint64_t began = clock_ns();

		rc = client_map(b->fd, memory, i * MAP_BYTES, MAP_BYTES, &b->no_maps);
		if (!rc)
			rc = note(&b->series[MAP], began);
	}
	for (uint64_t i = 0; i < b->series[MAP].n && rc != -EIO; i++) {
		uint64_t began = clock_ns();

		rc = client_unmap(b->fd, i * MAP_BYTES, MAP_BYTES, e);
		if (!rc)
			rc = note(&b->series[UNMAP], began);
	}
	return b->no_maps.rc ? 0 : rc;
}

/* --- the answer --- */

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t part(const struct series *s, size_t percent)
{
	return s->ns[s->n * percent / 100];
}

static void show(struct bench *b, const char *device)
{
	char names[N_WHAT][64] = { "a bare echo", "", "configuration space", "", "its unmap" };
	char size[32];

	if (b->safe)
		snprintf(names[REGISTER], sizeof(names[0]), "register 0x%" PRIx32 " of BAR %u",
			 b->safe->at, b->safe->bar);
	snprintf(names[MAP], sizeof(names[0]), "a DMA map of %s", text_size(size, MAP_BYTES));
	printf("%s, every access trapped\n%-26s %10s %10s\n", device, "", "median", "99 of 100");
	for (enum what w = 0; w < N_WHAT; w++) {
		const struct series *s = &b->series[w];

		if (!s->n)
			continue;
		printf("%-26s %7.1f us %7.1f us", names[w], (double)part(s, 50) / 1000,
		       (double)part(s, 99) / 1000);
		if (w == REGISTER || w == CONFIG)
			printf("  %.2f of the echo",
			       (double)part(s, 50) / (double)part(&b->series[ECHO], 50));
		putchar('\n');
	}
	if (!b->safe)
		puts("No register of it is known that may be read without effect: none was.");
	if (b->no_maps.rc)
		printf("No map: %s.\n", b->no_maps.text);
}

static int show_json(struct bench *b, const char *device)
{
	json_t *o = json_answer("berth.bridge.bench/1"), *list = json_object();

	json_put_text(o, "device", device);
	for (enum what w = 0; w < N_WHAT; w++) {
		const struct series *s = &b->series[w];
		json_t *row = s->n ? json_object() : json_null();

		if (s->n) {
			json_put_int(row, "n", (int64_t)s->n);
			json_put_int(row, "median_ns", (int64_t)part(s, 50));
			json_put_int(row, "p99_ns", (int64_t)part(s, 99));
		}
		json_object_set_new(list, whats[w], row);
	}
	json_object_set_new(o, "took", list);
	json_put_text_or_null(o, "no_maps", b->no_maps.rc ? b->no_maps.text : "");
	int rc = json_print(o, stdout);

	json_decref(o);
	return rc;
}

static int answer(const struct ask *a, struct bench *b, struct err *e)
{
	for (enum what w = 0; w < N_WHAT; w++)
		if (b->series[w].n)
			qsort(b->series[w].ns, b->series[w].n, sizeof(uint64_t), by_size);
	if (!a->o->json) {
		show(b, a->words[0]);
		return 0;
	}
	return show_json(b, a->words[0]) ? err_set(e, -EACCES, "cannot write the answer") : 0;
}

/* --- from beginning to end --- */

static int measure(const struct ask *a, struct bench *b, struct err *e)
{
	int rc;

	b->peer = start_echo(&b->echo);
	b->server = b->peer > 0 ? start_server(a, b->socket) : -1;
	if (b->server < 0) {
		rmdir(b->dir);
		return err_set(e, -errno, "cannot start the bridge: %s", strerror(errno));
	}
	rc = meet(b, e);
	/* They served their purpose; so nothing is left, however we end. */
	unlink(b->socket);
	rmdir(b->dir);
	if (!rc)
		rc = know_device(b, e);
	if (!rc)
		rc = measure_trips(b, e);
	if (!rc)
		rc = measure_maps(b, e);
	return rc;
}

static void end(pid_t pid, int fd)
{
	if (fd >= 0)
		close(fd);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

int bench_verb(const struct ask *a, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct bench b = { .server = -1, .peer = -1, .fd = -1, .echo = -1 };
	int rc;

	snprintf(b.dir, sizeof(b.dir), "%s/berth-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(b.dir))
		return err_set(e, -EACCES, "cannot make a folder below %s: %s",
			       tmp && *tmp ? tmp : "/tmp", strerror(errno));
	snprintf(b.socket, sizeof(b.socket), "%s/socket", b.dir);
	rc = measure(a, &b, e);
	if (!rc)
		rc = answer(a, &b, e);
	if (rc && b.fd < 0 && b.server > 0)
		kill(b.server, SIGTERM);
	end(b.server, b.fd);
	end(b.peer, b.echo);
	for (enum what w = 0; w < N_WHAT; w++)
		free(b.series[w].ns);
	return rc;
}

/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user client that costs little beside the server it measures, and a bare peer of that server; bridge.sh takes the
 * runs and compares. It wants bar-forward/devices/gpu.json to be served. Numbers are in nanoseconds.
 *
 *   bridge echo PATH
 *     The peer: answers each message that wants an answer with as many bytes as a read of four gets, and knows nothing.
 *
 *   bridge read SOCKET PEER ROUNDS
 *     Reads of a register, those of either in turn: the medians of both, and of writes that are waited for.
 *
 *   bridge posted SOCKET PEER ROUNDS
 *     What one write takes of many that nobody waits for, the peer's of the same bytes, and in WRITE_MULTI of 200 each.
 *     It fails when the server has counted another number of writes.
 *
 *   bridge maps SOCKET N
 *     What one DMA map takes, and one unmap, while up to N stand.
 *
 *   bridge mapped SOCKET
 *     A read of four bytes in a mapped BAR 1, and in memory of our own. It fails when the BAR cannot be mapped.
 *
 *   bridge storm SOCKET SECONDS
 *     Reads without a pause, and writes that are counted: the longest that any took, one a line, longest first. It fails
 *     when a write was lost or done twice.
 *
 *   bridge once SOCKET ROUNDS
 *     Reads of a register: the median.
 *
 *   bridge two SOCKET SOCKET ROUNDS
 *     Reads of a register of two servers in turn: the medians of both.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/wire.h"
#include "base/own.h"

#define SCRATCH   0x24
#define WRITES    0x40
#define BATCH     500 /* accesses of one side before it is the other's turn */
#define MULTI     200 /* writes in one message: what QEMU sends at most */
#define MAP_BYTES (UINT64_C(2) << 20)
#define TOP       200
#define ANSWER    36 /* bytes: a read of four gets so many */

struct access_message {
	struct vu_header h;
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[8];
};

static int wrong(const char *what)
{
	fprintf(stderr, "bridge: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	return 1;
}

static void stop(const char *what)
{
	exit(wrong(what));
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint64_t median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path))
		stop("a path that is too long");
	memcpy(a.sun_path, path, strlen(path) + 1);
	return a;
}

/* --- messages --- */

static void send_all(int fd, const void *bytes, size_t n)
{
	for (const uint8_t *at = bytes; n;) {
		ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

		if (done <= 0)
			stop("the server is gone");
		at += done;
		n -= (size_t)done;
	}
}

/* A whole answer, and a descriptor that came with it (-1: none did). Its size. */
static size_t take(int fd, void *to, size_t room, int *with)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control;
	size_t have = 0, size = sizeof(struct vu_header);

	if (with)
		*with = -1;
	while (have < size) {
		struct iovec v = { (uint8_t *)to + have, room - have };
		struct msghdr m = { .msg_iov = &v,
				    .msg_iovlen = 1,
				    .msg_control = with ? &control : NULL,
				    .msg_controllen = with ? sizeof(control) : 0 };
		ssize_t n = recvmsg(fd, &m, 0);

		if (n <= 0)
			stop("no answer");
		if (with && m.msg_controllen && CMSG_FIRSTHDR(&m))
			memcpy(with, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*with));
		have += (size_t)n;
		if (have >= sizeof(struct vu_header))
			size = ((struct vu_header *)to)->size;
	}
	if (((struct vu_header *)to)->flags & VU_ERROR) {
		errno = (int)((struct vu_header *)to)->error;
		stop("the server refuses");
	}
	return have;
}

static struct access_message access_of(uint16_t command, uint64_t offset, uint32_t count)
{
	struct access_message m = {
		.h = { .command = command }, .offset = offset, .region = 0, .count = count
	};

	m.h.size = (uint32_t)(offsetof(struct access_message, data) +
			      (command == VU_REGION_WRITE ? count : 0));
	return m;
}

static uint64_t ask_access(int fd, struct access_message *m)
{
	struct access_message reply;
	uint64_t value = 0;

	send_all(fd, m, m->h.size);
	take(fd, &reply, sizeof(reply), NULL);
	memcpy(&value, reply.data, m->h.command == VU_REGION_READ ? m->count : 0);
	return value;
}

static int connect_to(const char *path)
{
	const struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)))
		stop(path);
	return fd;
}

static int client_of(const char *path)
{
	static const char caps[] =
		"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":1048576,"
		"\"pgsizes\":4096,\"max_dma_maps\":65535,\"write_multiple\":true}}";
	struct {
		struct vu_header h;
		uint16_t major, minor;
		char caps[sizeof(caps)];
	} hello = { .h = { .command = VU_VERSION } };
	uint8_t reply[1024];
	int fd = connect_to(path);

	memcpy(hello.caps, caps, sizeof(caps));
	hello.h.size = (uint32_t)(sizeof(hello.h) + 2 * sizeof(hello.major) + sizeof(caps));
	send_all(fd, &hello, hello.h.size);
	take(fd, reply, sizeof(reply), NULL);
	return fd;
}

/* --- the peer --- */

static int echo(const char *path)
{
	const struct sockaddr_un a = address(path);
	own_fd int at = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static uint8_t bytes[1 << 16];

	if (at < 0 || bind(at, (const struct sockaddr *)&a, sizeof(a)) || listen(at, 1))
		return wrong(path);
	for (;;) {
		own_fd int fd = accept4(at, NULL, NULL, SOCK_CLOEXEC);
		size_t have = 0, done;
		ssize_t n;

		while ((n = recv(fd, bytes + have, sizeof(bytes) - have, 0)) > 0) {
			struct vu_header h = { 0 };

			have += (size_t)n;
			for (done = 0; have - done >= sizeof(h); done += h.size) {
				memcpy(&h, bytes + done, sizeof(h));
				if (h.size < sizeof(h) || h.size > have - done)
					break;
				if (!(h.flags & VU_NO_REPLY) &&
				    send(fd, bytes + done, ANSWER, MSG_NOSIGNAL) < 0)
					break;
			}
			have -= done;
			memmove(bytes, bytes + done, have);
		}
	}
}

/* --- round trips --- */

static void peer_trip(int fd, struct access_message *m)
{
	uint8_t reply[64];
	size_t have = 0;

	send_all(fd, m, m->h.size);
	while (have < ANSWER) {
		ssize_t n = recv(fd, reply + have, ANSWER - have, 0);

		if (n <= 0)
			stop("the peer is gone");
		have += (size_t)n;
	}
}

static int measure_read(const char *path, const char *peer_path, size_t rounds)
{
	own_free uint64_t *ours = calloc(rounds, BATCH * sizeof(*ours));
	own_free uint64_t *theirs = calloc(rounds, BATCH * sizeof(*theirs));
	own_free uint64_t *writes = calloc(rounds, BATCH * sizeof(*writes));
	struct access_message read = access_of(VU_REGION_READ, SCRATCH, 4);
	struct access_message write = access_of(VU_REGION_WRITE, SCRATCH, 4);
	own_fd int fd = client_of(path), peer = connect_to(peer_path);
	size_t n = rounds * BATCH;

	if (!ours || !theirs || !writes)
		return wrong("memory");
	for (size_t i = 0; i < n; i += BATCH) {
		for (size_t k = i; k < i + BATCH; k++) {
			uint64_t began = now();

			ask_access(fd, &read);
			ours[k] = now() - began;
		}
		for (size_t k = i; k < i + BATCH; k++) {
			uint64_t began = now();

			peer_trip(peer, &read);
			theirs[k] = now() - began;
		}
		for (size_t k = i; k < i + BATCH; k++) {
			uint64_t began = now();

			ask_access(fd, &write);
			writes[k] = now() - began;
		}
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", median(ours, n), median(theirs, n),
	       median(writes, n));
	return 0;
}

static int measure_two(const char *path, const char *other, size_t rounds)
{
	own_free uint64_t *took = calloc(2 * rounds, BATCH * sizeof(*took));
	struct access_message read = access_of(VU_REGION_READ, SCRATCH, 4);
	own_fd int first = client_of(path), second = client_of(other);
	size_t n = rounds * BATCH;

	if (!took)
		return wrong("memory");
	for (size_t i = 0; i < 2 * n; i++) {
		bool is_second = i / BATCH % 2;
		uint64_t began = now();

		ask_access(is_second ? second : first, &read);
		took[is_second * n + i / (2 * BATCH) * BATCH + i % BATCH] = now() - began;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", median(took, n), median(took + n, n));
	return 0;
}

static int measure_once(const char *path, size_t rounds)
{
	own_free uint64_t *took = calloc(rounds, BATCH * sizeof(*took));
	struct access_message read = access_of(VU_REGION_READ, SCRATCH, 4);
	own_fd int fd = client_of(path);

	if (!took)
		return wrong("memory");
	for (size_t i = 0; i < rounds * BATCH; i++) {
		uint64_t began = now();

		ask_access(fd, &read);
		took[i] = now() - began;
	}
	printf("%" PRIu64 "\n", median(took, rounds * BATCH));
	return 0;
}

/* --- posted writes --- */

static uint64_t counted(int fd)
{
	struct access_message m = access_of(VU_REGION_READ, WRITES, 8);

	return ask_access(fd, &m);
}

static uint64_t post(int fd, bool peer, size_t n)
{
	struct access_message write = access_of(VU_REGION_WRITE, WRITES, 8);
	struct access_message fence = access_of(VU_REGION_READ, SCRATCH, 4);
	uint64_t began = now();

	write.h.flags = VU_NO_REPLY;
	for (size_t i = 0; i < n; i++)
		send_all(fd, &write, write.h.size);
	if (peer)
		peer_trip(fd, &fence);
	else
		ask_access(fd, &fence);
	return (now() - began) / n;
}

static uint64_t post_multi(int fd, size_t n)
{
	static struct {
		struct vu_header h;
		uint64_t n;
		struct {
			uint64_t offset;
			uint32_t region, count;
			uint8_t data[8];
		} write[MULTI];
	} m;
	struct access_message fence = access_of(VU_REGION_READ, SCRATCH, 4);
	uint64_t began = now();

	m.h = (struct vu_header) { .command = VU_REGION_WRITE_MULTI,
				   .size = sizeof(m),
				   .flags = VU_NO_REPLY };
	m.n = MULTI;
	for (size_t i = 0; i < MULTI; i++) {
		m.write[i].offset = WRITES;
		m.write[i].count = 8;
	}
	for (size_t i = 0; i < n; i += MULTI)
		send_all(fd, &m, sizeof(m));
	ask_access(fd, &fence);
	return (now() - began) / n;
}

static int measure_posted(const char *path, const char *peer_path, size_t rounds)
{
	const size_t n = 20 * MULTI;
	own_free uint64_t *ours = calloc(rounds, sizeof(*ours)),
			  *multi = calloc(rounds, sizeof(*multi));
	own_free uint64_t *theirs = calloc(rounds, sizeof(*theirs));
	own_fd int fd = client_of(path), peer = connect_to(peer_path);
	uint64_t before = counted(fd);

	if (!ours || !multi || !theirs)
		return wrong("memory");
	for (size_t i = 0; i < rounds; i++) {
		ours[i] = post(fd, false, n);
		theirs[i] = post(peer, true, n);
		multi[i] = post_multi(fd, n);
	}
	errno = 0;
	if (counted(fd) - before != 2 * n * rounds)
		return wrong("writes are lost, or done twice");
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", median(ours, rounds),
	       median(theirs, rounds), median(multi, rounds));
	return 0;
}

/* --- memory --- */

static void send_map(int fd, int memory, uint64_t iova)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags;
		uint64_t offset, iova, size;
	} m = { .h = { .command = VU_DMA_MAP, .size = sizeof(m) },
		.argsz = 32,
		.flags = 3,
		.iova = iova,
		.size = MAP_BYTES };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec v = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	uint8_t reply[64];

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &memory, sizeof(memory));
	if (sendmsg(fd, &h, MSG_NOSIGNAL) != (ssize_t)sizeof(m))
		stop("a map");
	take(fd, reply, sizeof(reply), NULL);
}

static void send_unmap(int fd, uint64_t iova)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags;
		uint64_t iova, size;
	} m = { .h = { .command = VU_DMA_UNMAP, .size = sizeof(m) },
		.argsz = 24,
		.iova = iova,
		.size = MAP_BYTES };
	uint8_t reply[64];

	send_all(fd, &m, sizeof(m));
	take(fd, reply, sizeof(reply), NULL);
}

static int measure_maps(const char *path, size_t n)
{
	own_fd int fd = client_of(path), memory = memfd_create("guest", MFD_CLOEXEC);
	own_free uint64_t *maps = calloc(n + 1, sizeof(*maps));
	own_free uint64_t *unmaps = calloc(n + 1, sizeof(*unmaps));

	if (memory < 0 || ftruncate(memory, MAP_BYTES) || !maps || !unmaps)
		return wrong("memory");
	for (size_t i = 0; i < n; i++) {
		uint64_t began = now();

		send_map(fd, memory, (uint64_t)i * MAP_BYTES);
		maps[i] = now() - began;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t began = now();

		send_unmap(fd, (uint64_t)i * MAP_BYTES);
		unmaps[i] = now() - began;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", median(maps, n), median(unmaps, n));
	return 0;
}

/* What a read takes in a window that caches hold: each of the first 4 KiB's words, often. */
static uint64_t touch(const volatile uint32_t *at)
{
	uint64_t began = now();

	for (int round = 0; round < 1000; round++)
		for (int i = 0; i < 1024; i++)
			(void)at[i];
	return (now() - began) / 1024;
}

static int measure_mapped(const char *path)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags, index, cap;
		uint64_t size, offset;
	} m = { .h = { .command = VU_GET_REGION_INFO, .size = sizeof(m) },
		.argsz = 32,
		.index = 1 };
	own_fd int fd = client_of(path);
	int with = -1;
	void *bar, *own;
	uint64_t ours[64], native[64];

	send_all(fd, &m, sizeof(m));
	take(fd, &m, sizeof(m), &with);
	errno = 0;
	if (with < 0)
		return wrong("BAR 1 is not to be mapped");
	bar = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, with, (off_t)m.offset);
	own = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	close(with);
	if (bar == MAP_FAILED || own == MAP_FAILED)
		return wrong("it cannot be mapped");
	for (int i = 0; i < 64; i++) {
		ours[i] = touch(bar);
		native[i] = touch(own);
	}
	/* picoseconds, since a thousand rounds were one */
	printf("%" PRIu64 " %" PRIu64 "\n", median(ours, 64), median(native, 64));
	return 0;
}

/* --- while workers die --- */

static int storm(const char *path, uint64_t seconds)
{
	struct access_message write = access_of(VU_REGION_WRITE, WRITES, 8);
	struct access_message read = access_of(VU_REGION_READ, SCRATCH, 4);
	own_fd int fd = client_of(path);
	uint64_t top[TOP + 1] = { 0 }, end = now() + seconds * 1000000000, before = counted(fd),
			   n = 0;

	while (now() < end) {
		uint64_t began = now();

		if (n % 2)
			ask_access(fd, &write);
		else
			ask_access(fd, &read);
		top[0] = now() - began; /* takes the place of the least */
		n++;
		if (top[0] > top[1]) {
			top[1] = top[0];
			qsort(top + 1, TOP, sizeof(*top), by_size);
		}
	}
	errno = 0;
	if (counted(fd) - before != n / 2)
		return wrong("writes are lost, or done twice");
	for (int i = TOP; i > 0 && top[i]; i--)
		printf("%" PRIu64 "\n", top[i]);
	return 0;
}

int main(int argc, char **argv)
{
	size_t n = argc > 3 ? strtoul(argv[argc - 1], NULL, 10) : 0;

	if (argc == 3 && !strcmp(argv[1], "echo"))
		return echo(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "read"))
		return measure_read(argv[2], argv[3], n);
	if (argc == 5 && !strcmp(argv[1], "posted"))
		return measure_posted(argv[2], argv[3], n);
	if (argc == 4 && !strcmp(argv[1], "maps"))
		return measure_maps(argv[2], n);
	if (argc == 3 && !strcmp(argv[1], "mapped"))
		return measure_mapped(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "storm"))
		return storm(argv[2], n);
	if (argc == 4 && !strcmp(argv[1], "once"))
		return measure_once(argv[2], n);
	if (argc == 5 && !strcmp(argv[1], "two"))
		return measure_two(argv[2], argv[3], n);
	errno = 0;
	return wrong(
		"echo PATH, read SOCKET PEER ROUNDS, posted SOCKET PEER ROUNDS, maps SOCKET N, mapped SOCKET, storm SOCKET "
		"SECONDS, once SOCKET ROUNDS, two SOCKET SOCKET ROUNDS");
}

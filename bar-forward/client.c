/* SPDX-License-Identifier: MIT */
#include "bar-forward/client.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "bar-forward/wire.h"

struct access_message {
	struct vu_header h;
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[8];
};

_Static_assert(offsetof(struct access_message, data) == CLIENT_READ_ASKS, "a read's question");
_Static_assert(offsetof(struct access_message, data) + 4 == CLIENT_READ_ANSWERS, "its answer");

/* --- bytes; a call of a socket that has a timeout is not restarted after a stop, as of Ctrl-Z --- */

static int send_all(int fd, struct msghdr *m, size_t n, struct err *e)
{
	ssize_t done;

	do
		done = sendmsg(fd, m, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done == (ssize_t)n)
		return 0;
	return err_set(e, -EIO, "the bridge takes no message: %s",
		       done < 0 ? strerror(errno) : "it is full");
}

/* A whole answer of at most `room` bytes; how many is in its header. */
static int take(int fd, void *to, size_t room, struct err *e)
{
	struct vu_header *h = to;
	size_t have = 0, size = sizeof(*h);

	while (have < size) {
		ssize_t n = recv(fd, (uint8_t *)to + have, size - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, -EIO, "the bridge does not answer: %s",
				       n < 0 ? strerror(errno) : "it has hung up");
		have += (size_t)n;
		if (have == sizeof(*h))
			size = h->size;
		if (size < sizeof(*h) || size > room)
			return err_set(e, -EPROTO, "the bridge answers %zu bytes", size);
	}
	if (h->flags & VU_ERROR)
		return err_set(e, h->error && h->error < 4096 ? -(int)h->error : -EIO,
			       "the bridge refuses %s: %s", vu_command_name(h->command),
			       strerror((int)(h->error & 0xfff)));
	return 0;
}

/* A message of n bytes, its header's size among them, and its answer, of just `wants` bytes. */
static int ask(int fd, void *message, size_t n, int with, void *answer, size_t wants, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec v = { message, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct vu_header *h = message;
	int rc;

	if (with >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr) { .cmsg_level = SOL_SOCKET,
							.cmsg_type = SCM_RIGHTS,
							.cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &with, sizeof(with));
	}
	h->size = (uint32_t)n;
	rc = send_all(fd, &m, n, e);
	if (!rc)
		rc = take(fd, answer, wants, e);
	if (!rc && ((struct vu_header *)answer)->size != wants)
		rc = err_set(e, -EPROTO, "the bridge answers %s with %u bytes, not %zu",
			     vu_command_name(h->command), ((struct vu_header *)answer)->size,
			     wants);
	return rc;
}

/* --- the beginning --- */

static int agree(int fd, struct err *e)
{
	static const char caps[] =
		"{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":4096}}";
	struct {
		struct vu_header h;
		uint16_t major, minor;
		char caps[sizeof(caps)];
	} hello = { .h = { .command = VU_VERSION } };
	uint8_t answer[1024];
	struct iovec v = { &hello,
			   offsetof(__typeof__(hello), caps) + sizeof(caps) }; /* no padding */
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int rc;

	memcpy(hello.caps, caps, sizeof(caps));
	hello.h.size = (uint32_t)v.iov_len;
	rc = send_all(fd, &m, v.iov_len, e);
	return rc ? rc : take(fd, answer, sizeof(answer), e);
}

int client_open(const char *path, struct err *e)
{
	const struct timeval most = { .tv_sec = CLIENT_S };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -EINVAL, "%s is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	rc = connect(fd, (const struct sockaddr *)&a, sizeof(a))
		     ? err_set(e, -errno, "cannot connect to %s: %s", path, strerror(errno))
		     : agree(fd, e);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* --- what is asked --- */

int client_region(int fd, uint32_t region, uint64_t *size, struct err *e)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags, index, cap;
		uint64_t size, offset;
	} m = { .h = { .command = VU_GET_REGION_INFO }, .argsz = 32, .index = region };
	int rc = ask(fd, &m, sizeof(m), -1, &m, sizeof(m), e);

	*size = m.size;
	return rc;
}

int client_read(int fd, uint32_t region, uint64_t offset, uint32_t width, uint64_t *value,
		struct err *e)
{
	struct access_message m = { .h = { .command = VU_REGION_READ },
				    .offset = offset,
				    .region = region,
				    .count = width };
	int rc = ask(fd, &m, offsetof(struct access_message, data), -1, &m,
		     offsetof(struct access_message, data) + width, e);

	*value = 0;
	memcpy(value, m.data, rc ? 0 : width);
	return rc;
}

int client_write(int fd, uint32_t region, uint64_t offset, uint32_t width, uint64_t value,
		 struct err *e)
{
	struct access_message m = { .h = { .command = VU_REGION_WRITE },
				    .offset = offset,
				    .region = region,
				    .count = width };

	memcpy(m.data, &value, width);
	return ask(fd, &m, offsetof(struct access_message, data) + width, -1, &m,
		   offsetof(struct access_message, data), e);
}

int client_map(int fd, int memory, uint64_t iova, uint64_t size, struct err *e)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags;
		uint64_t offset, iova, size;
	} m = { .h = { .command = VU_DMA_MAP },
		.argsz = 32,
		.flags = 3, /* read, write */
		.iova = iova,
		.size = size };
	struct vu_header answer;

	return ask(fd, &m, sizeof(m), memory, &answer, sizeof(answer), e);
}

int client_unmap(int fd, uint64_t iova, uint64_t size, struct err *e)
{
	struct {
		struct vu_header h;
		uint32_t argsz, flags;
		uint64_t iova, size;
	} m = { .h = { .command = VU_DMA_UNMAP }, .argsz = 24, .iova = iova, .size = size };

	return ask(fd, &m, sizeof(m), -1, &m, sizeof(m), e);
}

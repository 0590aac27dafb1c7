/* SPDX-License-Identifier: MIT */
/*
 * All that a client sends, over a device in memory: nothing crashes, no descriptor stays, nothing grows. The bytes are
 * pieces: a length of two bytes, then that much of a message; its own size is made true. A length's upper bit gives a
 * descriptor with it, the next one below has the device do what it wants to do by itself.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bar-forward/dev_memory.h"
#include "bar-forward/session.h"
#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define MESSAGES 64
#define MEMORY   65536

static const char description[] =
	"{\"schema\":\"berth.pcidevice/1\",\"name\":\"small\",\"vendor\":4660,\"device\":48711,\"class\":\"0x030000\","
	"\"pin\":\"A\",\"rom\":\"2K\",\"bars\":[{\"bar\":0,\"kind\":\"registers\",\"size\":\"4K\"},"
	"{\"bar\":1,\"kind\":\"memory\",\"size\":\"64K\"},{\"bar\":2,\"kind\":\"ports\",\"size\":32}],"
	"\"capabilities\":[{\"kind\":\"pm\"},{\"kind\":\"pcie\",\"flr\":true,\"speed\":1,\"width\":1},"
	"{\"kind\":\"msi\",\"vectors\":4,\"bits\":64},"
	"{\"kind\":\"msix\",\"vectors\":4,\"bar\":1,\"table\":0,\"pba\":\"0x8000\"}],"
	"\"registers\":[{\"name\":\"plain\",\"bar\":0,\"at\":0,\"width\":4},"
	"{\"name\":\"interrupt\",\"bar\":0,\"at\":\"0x10\",\"behaviour\":\"w1c\"},"
	"{\"name\":\"raise\",\"bar\":0,\"at\":\"0x14\",\"behaviour\":\"raise\",\"status\":\"interrupt\"},"
	"{\"name\":\"fault\",\"bar\":0,\"at\":\"0x18\",\"behaviour\":\"fault\"},"
	"{\"name\":\"from\",\"bar\":0,\"at\":\"0x20\",\"width\":8},{\"name\":\"to\",\"bar\":0,\"at\":\"0x28\",\"width\":8},"
	"{\"name\":\"length\",\"bar\":0,\"at\":\"0x30\",\"width\":8},"
	"{\"name\":\"copy\",\"bar\":0,\"at\":\"0x38\",\"behaviour\":\"doorbell\",\"source\":\"from\",\"destination\":\"to\","
	"\"length\":\"length\",\"status\":\"interrupt\",\"bits\":1,\"vector\":1,\"memory_bar\":1}]}";

static uint32_t descriptors(void)
{
	own_dir DIR *d = opendir("/proc/self/fd");
	uint32_t n = 0;

	while (d && readdir(d))
		n++;
	return n;
}

static uint64_t tick(void)
{
	static uint64_t t;

	return t += 1000;
}

static struct device *make_device(void)
{
	struct pcidesc *desc = NULL;
	struct device *d = NULL;

	if (pcidesc_parse(&desc, description, sizeof(description) - 1, NULL) ||
	    memory_device_make(&d, desc, NULL))
		abort();
	return d;
}

static void check_answer(const struct answer *a)
{
	struct vu_header h;

	if (a->fd >= 0 && close(a->fd))
		abort();
	if (!a->size)
		return;
	memcpy(&h, a->bytes, sizeof(h));
	if (h.size != a->size || h.size > VU_MESSAGE_MAX)
		abort();
}

static int descriptor(uint16_t command)
{
	int fd = command == VU_DMA_MAP ? memfd_create("fuzz", MFD_CLOEXEC)
				       : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd >= 0 && command == VU_DMA_MAP && ftruncate(fd, MEMORY))
		abort();
	return fd;
}

/* One message, from a copy of just its size, so that whoever reads beyond it is found. */
static int tell(struct session *s, const uint8_t *bytes, uint32_t size, bool with_fd)
{
	own_free uint8_t *copy = malloc(size);
	struct incoming in = { .bytes = copy, .size = size };
	struct answer a;
	struct vu_header h;
	struct err e = { 0 };
	int rc;

	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	memcpy(&h, copy, sizeof(h));
	h.size = size;
	memcpy(copy, &h, sizeof(h));
	if (vu_check_header(&h, NULL))
		return 0;
	if (with_fd)
		in.fds[in.n_fds++] = descriptor(h.command);
	rc = session_message(s, &in, &a, &e);
	check_answer(&a);
	stream_drop(&in);
	return rc;
}

static void attend(struct session *s)
{
	struct answer a;

	session_attend(s, &a);
	check_answer(&a);
	session_tick(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint8_t hello[20] = { 0, 0, VU_VERSION, 0, 20 };
	static struct telem_bridge counts;
	static struct session s;
	struct session_opts o = { .ops = &memory_device_ops, .count = &counts, .now = tick };
	uint32_t before = descriptors();
	struct device *d = make_device();

	if (session_open(&s, &o, d, NULL) || tell(&s, hello, sizeof(hello), false))
		abort();
	for (uint32_t i = 0; i < MESSAGES && size >= 2; i++) {
		uint32_t length = bytes[0] | (bytes[1] & 0x3fu) << 8;
		bool fd = bytes[1] & 0x80, own = bytes[1] & 0x40;

		bytes += 2;
		size -= 2;
		if (length > size)
			length = (uint32_t)size;
		if (own)
			attend(&s);
		if (length >= sizeof(struct vu_header) && tell(&s, bytes, length, fd))
			break;
		bytes += length;
		size -= length;
	}
	d = session_close(&s);
	if (d)
		memory_device_ops.close(d);
	if (descriptors() != before)
		abort();
	return 0;
}

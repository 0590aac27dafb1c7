/* SPDX-License-Identifier: MIT */
/*
 * Does with a function what a virtual machine monitor does, a command of standard input at a time:
 *
 *   prog_vfio_bar group GROUP ADDRESS     by /dev/vfio/GROUP and a container
 *   prog_vfio_bar cdev NAME               by /dev/vfio/devices/NAME and an iommufd
 *
 *   info REGION                  its flags and its size
 *   read REGION OFFSET WIDTH     the value, of up to eight bytes
 *   write REGION OFFSET WIDTH VALUE
 *   repeat N COMMAND...          one of these two, N times; the last answer
 *   bulk REGION OFFSET COUNT     a read of any size
 *   mmap REGION OFFSET LENGTH    and unmap nothing: later peeks and pokes are of these pages
 *   peek OFFSET, poke OFFSET VALUE   of four bytes
 *   pages BAR FLAGS [OFFSET LENGTH]...   a descriptor that only maps (kmod/uapi.h), for the commands below
 *   sized SIZE N                 the same request, which says that it has this size and so many ranges
 *   wild                         the same request, where there is no memory
 *   pmap OFFSET LENGTH PROT      a map by it, of PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4, for peeks and pokes
 *   pforeign                     whatever else than mmap one may do with it
 *   revoke                       of how many descriptors the pages were taken back
 *   fades OFFSET                 waits until there are ones again
 *   race N OFFSET VALUE          while memory is switched off and on N times, another program sees VALUE or ones
 *   sleep, wake                  low power, as a monitor asks for it when its guest sleeps
 *   close                        the function, while what is mapped stays
 *   ioeventfd REGION OFFSET
 *   dmabuf REGION
 *   foreign                      an ioctl that nobody knows, and known ones of foreign sizes
 *   reset
 *
 * Each command is answered by a line: numbers, "ok", or the name of the errno. "open" comes first, or why it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmod/uapi.h"
#include "tests/fake/prog_vfio.h"

#define FEATURE_DMA_BUF 11

static int pages_fd = -1;

static int do_info(int fd, const uint64_t *n)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = (uint32_t)n[0] };

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return why(-1);
	/* Capabilities and write combining are no matter of ours. */
	printf("0x%x 0x%llx\n", info.flags & 7, (unsigned long long)info.size);
	return 0;
}

static int do_bulk(int fd, const uint64_t *n)
{
	void *room = malloc(n[2] ? n[2] : 1);
	ssize_t got = room ? pread(fd, room, n[2], (off_t)AT(n[0], n[1])) : -1;

	free(room);
	if (got < 0)
		return why(-1);
	printf("%zd\n", got);
	return 0;
}

static int do_mmap(int fd, const uint64_t *n)
{
	void *at = mmap(NULL, n[2], PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)AT(n[0], n[1]));

	if (at == MAP_FAILED)
		return why(-1);
	pages = at;
	return said("ok");
}

static int do_pages(int fd, const uint64_t *n)
{
	union {
		struct berth_vfio_pages head;
		uint8_t room[sizeof(struct berth_vfio_pages) + 2 * sizeof(struct berth_vfio_range)];
	} ask = { .head = {
			  .argsz = sizeof(ask), .bar = (uint32_t)n[0], .flags = (uint32_t)n[1] } };
	int got;

	memcpy(ask.head.ranges, n + 2, 2 * sizeof(struct berth_vfio_range));
	ask.head.n = n[5] ? 2 : n[3] ? 1 : 0;
	got = ioctl(fd, BERTH_VFIO_PAGES, &ask);
	if (got < 0)
		return why(-1);
	if (pages_fd >= 0)
		close(pages_fd);
	pages_fd = got;
	return said("ok");
}

static int do_sized(int fd, const uint64_t *n)
{
	static union {
		struct berth_vfio_pages head;
		uint8_t room[4096];
	} ask;

	memset(&ask, 0, sizeof(ask));
	ask.head.argsz = (uint32_t)n[0];
	ask.head.flags = BERTH_VFIO_PAGES_READ;
	ask.head.n = (uint32_t)n[1];
	ask.head.ranges[0].length = 4096;
	return why(ioctl(fd, BERTH_VFIO_PAGES, &ask));
}

static int do_wild(int fd, const uint64_t *n)
{
	(void)n;
	return why(ioctl(fd, BERTH_VFIO_PAGES, (void *)16));
}

static int do_pmap(int fd, const uint64_t *n)
{
	void *at = mmap(NULL, n[1], (int)n[2], MAP_SHARED, pages_fd, (off_t)n[0]);

	(void)fd;
	if (at == MAP_FAILED)
		return why(-1);
	pages = at;
	return said("ok");
}

/* What is not a map is no use of it. */
static int do_pforeign(int fd, const uint64_t *n)
{
	char path[32], byte = 0;
	int again, accepted = 0;

	(void)fd, (void)n;
	accepted += pread(pages_fd, &byte, 1, 0) >= 0;
	accepted += pwrite(pages_fd, &byte, 1, 0) >= 0;
	accepted += ioctl(pages_fd, VFIO_DEVICE_RESET) == 0;
	accepted += ioctl(pages_fd, BERTH_VFIO_REVOKE, 0) == 0;
	accepted += ftruncate(pages_fd, 4096) == 0;
	accepted += mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, pages_fd, 0) != MAP_FAILED;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pages_fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	accepted += again >= 0;
	if (again >= 0)
		close(again);
	printf("%d\n", accepted);
	return 0;
}

static int do_revoke(int fd, const uint64_t *n)
{
	int got = ioctl(fd, BERTH_VFIO_REVOKE, n[0]);

	if (got < 0)
		return why(-1);
	printf("%d\n", got);
	return 0;
}

static int do_fades(int fd, const uint64_t *n)
{
	int i;

	(void)fd;
	for (i = 0; i < 60000 && *(volatile uint32_t *)(pages + n[0]) != UINT32_MAX; i++)
		usleep(1000);
	return said(i < 60000 ? "ok" : "never");
}

static void watch(uint64_t offset, uint32_t value)
{
	uint32_t got;

	do
		got = *(volatile uint32_t *)(pages + offset);
	while (got == value || got == UINT32_MAX);
	fprintf(stderr, "0x%x\n", got);
	_exit(1);
}

static int do_race(int fd, const uint64_t *n)
{
	const off_t command = (off_t)AT(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND);
	uint16_t off = 0, on = PCI_COMMAND_MEMORY;
	int status, ok = 1;
	pid_t child = fork();
	uint64_t i;

	if (!child)
		watch(n[1], (uint32_t)n[2]);
	for (i = 0; i < n[0]; i++) {
		ok &= pwrite(fd, &off, 2, command) == 2;
		usleep(i % 7 * 500);
		ok &= pwrite(fd, &on, 2, command) == 2;
		usleep(i % 5 * 500);
	}
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	if (!ok || !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM) {
		printf("wrote: %d, status 0x%x\n", ok, status);
		return 0;
	}
	return said("ok");
}

static int do_close(int fd, const uint64_t *n)
{
	(void)n;
	close(fd);
	close(held[0]);
	close(held[1]);
	return said("ok");
}

static int do_ioeventfd(int fd, const uint64_t *n)
{
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io),
					    .flags = VFIO_DEVICE_IOEVENTFD_32 };
	int rc;

	io.offset = AT(n[0], n[1]);
	io.data = 1;
	io.fd = eventfd(0, EFD_CLOEXEC);
	rc = ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io);
	why(rc);
	close(io.fd);
	return 0;
}

static int do_dmabuf(int fd, const uint64_t *n)
{
	const struct {
		uint32_t region, open_flags, flags, n_ranges;
		uint64_t offset, length;
	} buf = { .region = (uint32_t)n[0],
		  .open_flags = O_RDWR | O_CLOEXEC,
		  .n_ranges = 1,
		  .length = 4096 };
	union {
		struct vfio_device_feature head;
		uint8_t room[sizeof(struct vfio_device_feature) + sizeof(buf)];
	} f = { .head = { .argsz = sizeof(f),
			  .flags = VFIO_DEVICE_FEATURE_GET | FEATURE_DMA_BUF } };

	memcpy(f.head.data, &buf, sizeof(buf));
	return why(ioctl(fd, VFIO_DEVICE_FEATURE, &f));
}

/* Nothing of it may do more than fail. */
static int do_foreign(int fd, const uint64_t *n)
{
	static const uint32_t sizes[] = { 0, 4, 8, 31, 4096, UINT32_MAX };
	unsigned int nr, i, accepted = 0;
	uint32_t room[1024];

	(void)n;
	for (nr = 64; nr < 256; nr++)
		accepted += ioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + nr), room) == 0;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(room, 0xff, sizeof(room));
		room[0] = sizes[i];
		accepted += ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, room) == 0;
		accepted += ioctl(fd, VFIO_DEVICE_IOEVENTFD, room) == 0;
		accepted += ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, (void *)(uintptr_t)sizes[i]) ==
			    0;
	}
	printf("%u\n", accepted);
	return 0;
}

static const struct command {
	const char *name;
	int n;
	int (*run)(int fd, const uint64_t *n);
} commands[] = {
	{ "info", 1, do_info },           { "read", 3, do_read },
	{ "write", 4, do_write },         { "bulk", 3, do_bulk },
	{ "mmap", 3, do_mmap },           { "peek", 1, do_peek },
	{ "poke", 2, do_poke },           { "dmabuf", 1, do_dmabuf },
	{ "ioeventfd", 2, do_ioeventfd }, { "foreign", 0, do_foreign },
	{ "reset", 0, do_reset },         { "pages", -1, do_pages },
	{ "pmap", 3, do_pmap },           { "pforeign", 0, do_pforeign },
	{ "revoke", -1, do_revoke },      { "fades", 1, do_fades },
	{ "race", 3, do_race },           { "close", 0, do_close },
	{ "sleep", 0, do_sleep },         { "wake", 0, do_wake },
	{ "sized", 2, do_sized },         { "wild", 0, do_wild },
};

static const struct command *command_of(const char *name)
{
	size_t i;

	for (i = 0; name && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Repeated, the same is done without a word in between. */
static int repeat(int fd, const struct command *c, const uint64_t *n, uint64_t times)
{
	uint64_t value;
	off_t at = (off_t)AT(n[0], n[1]);

	for (; times > 1; times--) {
		value = n[3];
		if (c->run == do_read ? pread(fd, &value, n[2], at) < 0
				      : pwrite(fd, &value, n[2], at) < 0)
			return why(-1);
	}
	return c->run(fd, n);
}

static int run(int fd, char *line)
{
	uint64_t n[6] = { 0 }, times = 1;
	char *save, *name = strtok_r(line, " \n", &save), *word;
	const struct command *c;
	int i = 0;

	if (name && !strcmp(name, "repeat")) {
		times = strtoull(strtok_r(NULL, " \n", &save), NULL, 0);
		name = strtok_r(NULL, " \n", &save);
	}
	c = command_of(name);
	while (i < 6 && (word = strtok_r(NULL, " \n", &save)))
		n[i++] = strtoull(word, NULL, 0);
	if (!c || (c->n >= 0 && i != c->n) ||
	    (times != 1 && c->run != do_read && c->run != do_write))
		return said("what?");
	return repeat(fd, c, n, times);
}

int main(int argc, char **argv)
{
	char line[256];
	int fd = device_open(argc, argv);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fd < 0)
		return why(-1), 1;
	puts("open");
	while (fgets(line, sizeof(line), stdin))
		run(fd, line);
	return 0;
}

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
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Not in the headers of all systems that build this. */
struct cdev_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
#define CDEV_BIND          _IO(VFIO_TYPE, VFIO_BASE + 18)
#define FEATURE_DMA_BUF    11
#define REGION_SHIFT       40
#define AT(region, offset) (((uint64_t)(region) << REGION_SHIFT) + (offset))

static volatile unsigned char *pages;

static int said(const char *what)
{
	puts(what);
	return 0;
}

static int why(int rc)
{
	return said(rc < 0 ? strerrorname_np(errno) : "ok");
}

static int by_group(const char *group, const char *address)
{
	char path[64];
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), fd;

	snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0 || fd < 0 || ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, (unsigned long)VFIO_TYPE1v2_IOMMU))
		return -1;
	return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, address);
}

static int by_cdev(const char *name)
{
	struct cdev_bind bind = { .argsz = sizeof(bind) };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (fd < 0 || bind.iommufd < 0 || ioctl(fd, CDEV_BIND, &bind))
		return -1;
	return fd;
}

static int do_info(int fd, const uint64_t *n)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = (uint32_t)n[0] };

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return why(-1);
	/* Capabilities and write combining are no matter of ours. */
	printf("0x%x 0x%llx\n", info.flags & 7, (unsigned long long)info.size);
	return 0;
}

static int do_read(int fd, const uint64_t *n)
{
	uint64_t value = 0;
	ssize_t got = pread(fd, &value, n[2] <= 8 ? n[2] : 8, (off_t)AT(n[0], n[1]));

	if (got < 0)
		return why(-1);
	printf("0x%" PRIx64 "\n", value);
	return 0;
}

static int do_write(int fd, const uint64_t *n)
{
	return why(pwrite(fd, &n[3], n[2] <= 8 ? n[2] : 8, (off_t)AT(n[0], n[1])) < 0 ? -1 : 0);
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

static int do_peek(int fd, const uint64_t *n)
{
	(void)fd;
	if (!pages)
		return said("nothing is mapped");
	printf("0x%x\n", *(volatile uint32_t *)(pages + n[0]));
	return 0;
}

static int do_poke(int fd, const uint64_t *n)
{
	(void)fd;
	if (!pages)
		return said("nothing is mapped");
	*(volatile uint32_t *)(pages + n[0]) = (uint32_t)n[1];
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
	struct {
		struct vfio_device_feature head;
		uint32_t region, open_flags, flags, n_ranges;
		uint64_t offset, length;
	} f = { .head = { .argsz = sizeof(f),
			  .flags = VFIO_DEVICE_FEATURE_GET | FEATURE_DMA_BUF } };

	f.region = (uint32_t)n[0];
	f.open_flags = O_RDWR | O_CLOEXEC;
	f.n_ranges = 1;
	f.length = 4096;
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

static int do_reset(int fd, const uint64_t *n)
{
	(void)n;
	return why(ioctl(fd, VFIO_DEVICE_RESET));
}

static const struct command {
	const char *name;
	int n;
	int (*run)(int fd, const uint64_t *n);
} commands[] = {
	{ "info", 1, do_info },       { "read", 3, do_read },     { "write", 4, do_write },
	{ "bulk", 3, do_bulk },       { "mmap", 3, do_mmap },     { "peek", 1, do_peek },
	{ "poke", 2, do_poke },       { "dmabuf", 1, do_dmabuf }, { "ioeventfd", 2, do_ioeventfd },
	{ "foreign", 0, do_foreign }, { "reset", 0, do_reset },
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
	uint64_t n[4] = { 0 }, times = 1;
	char *save, *name = strtok_r(line, " \n", &save), *word;
	const struct command *c;
	int i = 0;

	if (name && !strcmp(name, "repeat")) {
		times = strtoull(strtok_r(NULL, " \n", &save), NULL, 0);
		name = strtok_r(NULL, " \n", &save);
	}
	c = command_of(name);
	while (i < 4 && (word = strtok_r(NULL, " \n", &save)))
		n[i++] = strtoull(word, NULL, 0);
	if (!c || i != c->n || (times != 1 && c->run != do_read && c->run != do_write))
		return said("what?");
	return repeat(fd, c, n, times);
}

int main(int argc, char **argv)
{
	char line[256];
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && !strcmp(argv[1], "group"))
		fd = by_group(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "cdev"))
		fd = by_cdev(argv[2]);
	else
		return 2;
	if (fd < 0)
		return why(-1), 1;
	puts("open");
	while (fgets(line, sizeof(line), stdin))
		run(fd, line);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the programs that hold a function as a monitor does have in common; an answer is a line. */
#ifndef BERTH_TESTS_PROG_VFIO_H
#define BERTH_TESTS_PROG_VFIO_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Not in the headers of all systems that build this. */
struct cdev_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
#define CDEV_BIND          _IO(VFIO_TYPE, VFIO_BASE + 18)
#define FEATURE_SLEEP      3
#define FEATURE_DOZE       4
#define FEATURE_WAKE       5
#define REGION_SHIFT       40
#define AT(region, offset) (((uint64_t)(region) << REGION_SHIFT) + (offset))

/* What the function is held open by, beside its own descriptor: a container and a group, or an iommufd. */
static int held[2] = { -1, -1 };

static inline int said(const char *what)
{
	puts(what);
	return 0;
}

static inline int why(int rc)
{
	return said(rc < 0 ? strerrorname_np(errno) : "ok");
}

static inline int by_group(const char *group, const char *address)
{
	char path[64];
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), fd;

	snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	held[0] = container;
	held[1] = fd;
	if (container < 0 || fd < 0 || ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, (unsigned long)VFIO_TYPE1v2_IOMMU))
		return -1;
	return ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, address);
}

static inline int by_cdev(const char *name)
{
	struct cdev_bind bind = { .argsz = sizeof(bind) };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	held[0] = bind.iommufd;
	if (fd >= 0 && bind.iommufd >= 0 && !ioctl(fd, CDEV_BIND, &bind))
		return fd;
	/* Open but not bound it would hold up the function's removal. */
	if (fd >= 0)
		close(fd);
	return -1;
}

static inline int do_read(int fd, const uint64_t *n)
{
	uint64_t value = 0;
	ssize_t got = pread(fd, &value, n[2] <= 8 ? n[2] : 8, (off_t)AT(n[0], n[1]));

	if (got < 0)
		return why(-1);
	printf("0x%" PRIx64 "\n", value);
	return 0;
}

static inline int do_write(int fd, const uint64_t *n)
{
	return why(pwrite(fd, &n[3], n[2] <= 8 ? n[2] : 8, (off_t)AT(n[0], n[1])) < 0 ? -1 : 0);
}

/* What is mapped just now; NULL: nothing. */
static volatile unsigned char *pages;

static inline int do_peek(int fd, const uint64_t *n)
{
	(void)fd;
	if (!pages)
		return said("nothing is mapped");
	printf("0x%x\n", *(volatile uint32_t *)(pages + n[0]));
	return 0;
}

static inline int do_poke(int fd, const uint64_t *n)
{
	(void)fd;
	if (!pages)
		return said("nothing is mapped");
	*(volatile uint32_t *)(pages + n[0]) = (uint32_t)n[1];
	return said("ok");
}

static inline int do_reset(int fd, const uint64_t *n)
{
	(void)n;
	return why(ioctl(fd, VFIO_DEVICE_RESET));
}

static inline int power(int fd, uint32_t feature)
{
	struct vfio_device_feature f = { .argsz = sizeof(f),
					 .flags = VFIO_DEVICE_FEATURE_SET | feature };

	return why(ioctl(fd, VFIO_DEVICE_FEATURE, &f));
}

static inline int do_sleep(int fd, const uint64_t *n)
{
	(void)n;
	return power(fd, FEATURE_SLEEP);
}

static inline int do_wake(int fd, const uint64_t *n)
{
	(void)n;
	return power(fd, FEATURE_WAKE);
}

static inline int device_open(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "group"))
		return by_group(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "cdev"))
		return by_cdev(argv[2]);
	errno = EINVAL;
	return -1;
}

#endif

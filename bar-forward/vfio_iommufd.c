/* SPDX-License-Identifier: MIT */
/*
 * Address spaces by an iommufd and a descriptor for each device, Linux 6.6 and newer where they are built in. The requests are
 * here in our own words, since the headers of older systems have none; include/uapi/linux/iommufd.h and vfio.h say the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bar-forward/vfio_iommufd.h"
#include "bar-forward/vfio_priv.h"
#include "base/own.h"

/* "vfio0": how the device is called in /dev/vfio/devices. Empty: it is not there. */
static void name_of(const struct vfio_kernel *kernel, const char *pci, char name[64])
{
	own_free char **names = NULL;
	struct machine m;
	char path[128];

	name[0] = '\0';
	if (machine_open(&m, kernel->root, NULL))
		return;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%.23s/vfio-dev", pci);
	/* "noiommu-vfio0" is a device whose DMA nothing confines */
	if (machine_list(&m, path, &names) > 0 && strncmp(names[0], "vfio", 4) == 0 &&
	    strlen(names[0]) < 64)
		snprintf(name, 64, "%s", names[0]);
	machine_close(&m);
}

static int open_device(const struct vfio_space *s, const char *pci)
{
	char name[64], path[128];

	name_of(s->kernel, pci, name);
	if (!name[0])
		return -ENOENT;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	return s->kernel->open(path);
}

static void iommufd_close(struct vfio_space *s)
{
	own_close_fd(&s->fd);
}

/* All that this process has open go by one iommufd, so that one device's reset may reach another. */
static int open_iommufd(const struct vfio_space *s)
{
	for (const struct vfio_space *o = s->next; o != s; o = o->next)
		if (o->kind == &space_iommufd)
			return dup(o->fd);
	return s->kernel->open("/dev/iommu");
}

static int iommufd_open(struct vfio_space *s, const char *pci, struct err *e)
{
	struct ioas_alloc alloc = { .size = sizeof(alloc) };
	own_fd int try = open_device(s, pci);
	int rc;

	if (try < 0)
		return err_set(e, try, "%s cannot be opened by itself: %s", pci, strerror(-try));
	s->fd = open_iommufd(s);
	if (s->fd < 0)
		return err_set(e, s->fd, "cannot open /dev/iommu: %s", strerror(-s->fd));
	rc = s->kernel->ioctl(s->fd, IOAS_ALLOC, &alloc);
	if (rc) {
		iommufd_close(s);
		return err_set(e, rc, "/dev/iommu gives no address space: %s", strerror(-rc));
	}
	s->ioas = alloc.id;
	return 0;
}

static int iommufd_device(struct vfio_space *s, const char *pci, int *to, struct err *e)
{
	struct cdev_bind bind = { .argsz = sizeof(bind), .iommufd = s->fd };
	struct cdev_attach attach = { .argsz = sizeof(attach), .id = s->ioas };
	own_fd int fd = open_device(s, pci);
	int rc;

	if (fd < 0)
		return vfio_why(e, fd, pci, "its descriptor");
	rc = s->kernel->ioctl(fd, CDEV_BIND, &bind);
	if (rc == -EBUSY || rc == -EINVAL)
		return err_set(e, -EBUSY,
			       "another program has %s, or its IOMMU group %" PRId32 ", open", pci,
			       s->group);
	if (rc)
		return vfio_why(e, rc, pci, "to take it");
	rc = s->kernel->ioctl(fd, CDEV_ATTACH, &attach);
	if (rc)
		return vfio_why(e, rc, pci, "it an address space");
	*to = take_fd(&fd);
	return 0;
}

static uint32_t flags_of(const struct map *row)
{
	return IOAS_FIXED | (row->read ? IOAS_READ : 0) | (row->write ? IOAS_WRITE : 0);
}

/* Older kernels take an address alone, which they need no more once the pages are pinned: as with type 1. */
static int map_address(struct vfio_space *s, const struct map *row)
{
	struct ioas_map map = { .size = sizeof(map),
				.flags = flags_of(row),
				.ioas = s->ioas,
				.length = row->size,
				.iova = row->iova };
	void *at;
	int rc = s->kernel->mmap(&at, row->size, PROT_READ | (row->write ? PROT_WRITE : 0), row->fd,
				 row->offset);

	if (rc)
		return rc;
	map.address = (uintptr_t)at;
	rc = s->kernel->ioctl(s->fd, IOAS_MAP, &map);
	s->kernel->munmap(at, row->size);
	return rc;
}

static int iommufd_map(struct vfio_space *s, const struct map *row)
{
	struct ioas_map_file map = { .size = sizeof(map),
				     .flags = flags_of(row),
				     .ioas = s->ioas,
				     .fd = row->fd,
				     .start = row->offset,
				     .length = row->size,
				     .iova = row->iova };
	int rc = s->kernel->ioctl(s->fd, IOAS_MAP_FILE, &map);

	return rc == -ENOTTY || rc == -EOPNOTSUPP ? map_address(s, row) : rc;
}

static int iommufd_unmap(struct vfio_space *s, uint64_t iova, uint64_t size)
{
	struct ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas = s->ioas, .iova = iova, .length = size
	};
	int rc = s->kernel->ioctl(s->fd, IOAS_UNMAP, &unmap);

	return rc ? rc : unmap.length == size ? 0 : -EIO;
}

const struct space_kind space_iommufd = {
	.name = "iommufd",
	.open = iommufd_open,
	.close = iommufd_close,
	.device = iommufd_device,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
};

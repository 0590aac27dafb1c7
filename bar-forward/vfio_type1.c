/* SPDX-License-Identifier: MIT */
/* Address spaces by a group and a container with type 1's IOMMU: every kernel with VFIO, until groups are left out of one. */
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bar-forward/vfio_priv.h"
#include "base/own.h"

static int ask(const struct vfio_space *s, int fd, unsigned long request, void *arg)
{
	return s->kernel->ioctl(fd, request, arg);
}

static int open_container(struct vfio_space *s, struct err *e)
{
	int fd = s->kernel->open("/dev/vfio/vfio");

	if (fd < 0)
		return err_set(e, fd, "cannot open /dev/vfio/vfio: %s", strerror(-fd));
	s->fd = fd;
	if (ask(s, fd, VFIO_GET_API_VERSION, NULL) != VFIO_API_VERSION ||
	    ask(s, fd, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU) != 1)
		return err_set(e, -ENOTSUP, "this kernel has no IOMMU of type 1 for programs");
	return 0;
}

/* A group without an IOMMU behind it has another name, /dev/vfio/noiommu-N, and is never opened. */
static int open_group(struct vfio_space *s, struct err *e)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/dev/vfio/%" PRId32, s->group);
	s->group_fd = s->kernel->open(path);
	if (s->group_fd == -EBUSY)
		return err_set(e, -EBUSY,
			       "another program has IOMMU group %" PRId32
			       " open, which one program can have, once",
			       s->group);
	if (s->group_fd < 0)
		return err_set(e, s->group_fd, "cannot open %s: %s", path, strerror(-s->group_fd));
	rc = ask(s, s->group_fd, VFIO_GROUP_GET_STATUS, &status);
	if (rc)
		return err_set(e, rc, "IOMMU group %" PRId32 ": %s", s->group, strerror(-rc));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return err_set(e, -EPERM,
			       "IOMMU group %" PRId32
			       " is not viable: a device in it has a driver that is not vfio's",
			       s->group);
	rc = ask(s, s->group_fd, VFIO_GROUP_SET_CONTAINER, &s->fd);
	if (rc)
		return err_set(e, rc, "IOMMU group %" PRId32 " takes no container: %s", s->group,
			       strerror(-rc));
	rc = ask(s, s->fd, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	return rc ? err_set(e, rc, "IOMMU group %" PRId32 " gets no IOMMU of type 1: %s", s->group,
			    strerror(-rc))
		  : 0;
}

static void read_limit(struct vfio_space *s)
{
	struct machine m;

	if (machine_open(&m, s->kernel->root, NULL))
		return;
	machine_read_u64(&m, "sys/module/vfio_iommu_type1/parameters/dma_entry_limit", &s->entries);
	machine_close(&m);
}

static void type1_close(struct vfio_space *s)
{
	own_close_fd(&s->group_fd);
	own_close_fd(&s->fd);
}

static int type1_open(struct vfio_space *s, const char *pci, struct err *e)
{
	int rc = open_container(s, e);

	(void)pci;
	if (!rc)
		rc = open_group(s, e);
	if (rc) {
		type1_close(s);
		return rc;
	}
	read_limit(s);
	return 0;
}

static int type1_device(struct vfio_space *s, const char *pci, int *fd, struct err *e)
{
	char name[24];

	snprintf(name, sizeof(name), "%s", pci);
	int rc = ask(s, s->group_fd, VFIO_GROUP_GET_DEVICE_FD, name);

	/* What left by a removal comes back in a new group, which the descriptor from before is none of. */
	if (rc == -ENODEV && s->gathered)
		return err_set(
			e, rc,
			"%s is no longer in the group that this bridge has open: start the bridge anew",
			pci);
	if (rc < 0)
		return vfio_why(e, rc, pci, "its descriptor");
	*fd = rc;
	return 0;
}

/*
 * The kernel wants an address of ours, and pins what is there. That done, it needs the address no more, and neither do we:
 * the guest's memory is not kept where a mistake could reach it.
 */
static int type1_map(struct vfio_space *s, const struct map *row)
{
	int prot = PROT_READ | (row->write ? PROT_WRITE : 0);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (row->read ? VFIO_DMA_MAP_FLAG_READ : 0) |
			 (row->write ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.iova = row->iova,
		.size = row->size,
	};
	void *at;
	int rc = s->kernel->mmap(&at, row->size, prot, row->fd, row->offset);

	if (rc)
		return rc;
	map.vaddr = (uintptr_t)at;
	rc = ask(s, s->fd, VFIO_IOMMU_MAP_DMA, &map);
	s->kernel->munmap(at, row->size);
	return rc;
}

static int type1_unmap(struct vfio_space *s, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
						    .iova = iova,
						    .size = size };
	int rc = ask(s, s->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	return rc ? rc : unmap.size == size ? 0 : -EIO;
}

const struct space_kind space_type1 = {
	.name = "vfio",
	.open = type1_open,
	.close = type1_close,
	.device = type1_device,
	.map = type1_map,
	.unmap = type1_unmap,
};

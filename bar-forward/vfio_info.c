/* SPDX-License-Identifier: MIT */
/* What the kernel tells of a device: regions, interrupts, and how it can be reset. */
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "bar-forward/ready_priv.h"
#include "bar-forward/vfio_priv.h"
#include "base/own.h"
#include "base/text.h"

#define INFO_MOST 65536

/* --- regions --- */

static bool take(const uint8_t *info, uint32_t size, uint64_t at, void *to, size_t n)
{
	if (at > size || n > size - at)
		return false;
	memcpy(to, info + at, n);
	return true;
}

/* Of more areas than can be told on, and of none that are sound, nothing is mapped. */
static void take_areas(const uint8_t *info, uint32_t size, uint64_t at, struct dev_region *r)
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;

	r->map = false;
	if (!take(info, size, at, &sparse, sizeof(sparse)) || !sparse.nr_areas ||
	    sparse.nr_areas > VU_AREAS_MAX)
		return;
	for (uint32_t i = 0; i < sparse.nr_areas; i++) {
		if (!take(info, size, at + sizeof(sparse) + i * sizeof(area), &area,
			  sizeof(area)) ||
		    area.offset > r->size || area.size > r->size - area.offset)
			return;
		r->areas[i] = (struct vu_area) { .offset = area.offset, .size = area.size };
	}
	r->n_areas = sparse.nr_areas;
	r->map = true;
}

void vfio_read_areas(const uint8_t *info, uint32_t size, struct dev_region *r)
{
	struct vfio_region_info head;
	struct vfio_info_cap_header cap;

	if (!r->map || !take(info, size, 0, &head, sizeof(head)) ||
	    !(head.flags & VFIO_REGION_INFO_FLAG_CAPS))
		return;
	/* Each capability lies behind the one before, so the chain has an end. */
	for (uint64_t at = head.cap_offset, before = 0; at > before; before = at, at = cap.next) {
		if (!take(info, size, at, &cap, sizeof(cap)))
			return;
		if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			take_areas(info, size, at, r);
	}
}

/* The kernel's answer, with all its capabilities. NULL: there is no such region. */
static uint8_t *ask_region(const struct device *d, uint32_t index, uint32_t *size)
{
	uint32_t room = sizeof(struct vfio_region_info);

	for (int turn = 0; turn < 2; turn++) {
		own_free uint8_t *info = calloc(1, room);
		struct vfio_region_info head = { .argsz = room, .index = index };

		if (!info)
			return NULL;
		memcpy(info, &head, sizeof(head));
		if (d->kernel->ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, info))
			return NULL;
		memcpy(&head, info, sizeof(head));
		*size = room;
		if (head.argsz <= room || head.argsz > INFO_MOST || turn)
			return take_ptr(&info);
		room = head.argsz;
	}
	return NULL;
}

static void read_region(struct device *d, uint32_t index)
{
	struct dev_region *r = &d->facts.region[index];
	uint32_t size;
	own_free uint8_t *info = ask_region(d, index, &size);
	struct vfio_region_info head;

	if (!info)
		return;
	memcpy(&head, info, sizeof(head));
	if (!head.size)
		return;
	*r = (struct dev_region) { .size = head.size,
				   .read = head.flags & VFIO_REGION_INFO_FLAG_READ,
				   .write = head.flags & VFIO_REGION_INFO_FLAG_WRITE,
				   .map = head.flags & VFIO_REGION_INFO_FLAG_MMAP &&
					  index <= DEV_BAR5,
				   .offset = head.offset };
	vfio_read_areas(info, size, r);
}

/* Which BARs are ports the kernel does not say; their registers do. */
static int read_ports(struct device *d, struct err *e)
{
	for (uint32_t i = 0; i <= DEV_BAR5; i++) {
		const struct dev_region *config = &d->facts.region[DEV_CONFIG];
		uint32_t bar;
		uint64_t at = config->offset + 0x10 + 4 * i;

		if (!d->facts.region[i].size)
			continue;
		if (d->kernel->pread(d->fd, &bar, sizeof(bar), at) != sizeof(bar))
			return err_set(e, -EIO, "%s: its configuration space cannot be read",
				       d->facts.name);
		d->facts.region[i].io = bar & 1;
	}
	return 0;
}

/* --- interrupts --- */

static void read_irq(struct device *d, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	/* One that a device has not, such as ERR of one that is not PCI Express, is refused. */
	if (d->kernel->ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info))
		return;
	d->facts.irq[index] = (struct dev_irq) {
		.count = info.count,
		.eventfd = info.flags & VFIO_IRQ_INFO_EVENTFD,
		.maskable = info.flags & VFIO_IRQ_INFO_MASKABLE,
		.automasked = info.flags & VFIO_IRQ_INFO_AUTOMASKED,
		.noresize = info.flags & VFIO_IRQ_INFO_NORESIZE,
	};
}

/* --- the device --- */

static bool kernel_makes_wide(const struct vfio_kernel *kernel)
{
	char release[64];
	struct machine m;
	bool wide = false;

	if (machine_open(&m, kernel->root, NULL))
		return false;
	if (machine_read(&m, "proc/sys/kernel/osrelease", release, sizeof(release)) > 0)
		wide = kernel_is_wide(release) == 1;
	machine_close(&m);
	return wide;
}

int vfio_read_facts(struct device *d, struct err *e)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct dev_facts *f = &d->facts;
	int rc = d->kernel->ioctl(d->fd, VFIO_DEVICE_GET_INFO, &info);

	if (rc)
		return vfio_why(e, rc, f->name, "to tell what it is");
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return err_set(e, -EBADMSG, "%s is no PCI device for the kernel's VFIO", f->name);
	/* The old VGA addresses are never a guest's, so DEV_VGA stays as it is: none. */
	for (uint32_t i = 0; i < info.num_regions && i < DEV_VGA; i++)
		read_region(d, i);
	for (uint32_t i = 0; i < info.num_irqs && i < DEV_IRQS; i++)
		read_irq(d, i);
	if (f->region[DEV_CONFIG].size < 256)
		return err_set(e, -EBADMSG, "%s has no configuration space for the kernel's VFIO",
			       f->name);
	rc = read_ports(d, e);
	if (rc)
		return rc;
	d->own_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	vfio_read_hot_reset(d);
	f->reset = d->own_reset || d->n_hot;
	f->wide = kernel_makes_wide(d->kernel);
	f->by_fd = f->hands_over = true;
	text_copy(f->backend, sizeof(f->backend), d->space->kind->name);
	return 0;
}

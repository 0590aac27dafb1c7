/* SPDX-License-Identifier: MIT */
/* Address spaces: one for each IOMMU group, since the kernel gives a group one. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar-forward/vfio_priv.h"
#include "base/own.h"
#include "base/text.h"

#define SEATS 64

int vfio_why(struct err *e, int rc, const char *pci, const char *what)
{
	return err_set(e, rc, "%s: the kernel refuses %s: %s", pci, what, strerror(-rc));
}

/* --- which one --- */

static int group_of(const struct vfio_kernel *kernel, const char *pci, int32_t *group,
		    struct err *e)
{
	char path[128], text[256];
	struct machine m;
	int rc = machine_open(&m, kernel->root, e);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%.23s/iommu_group", pci);
	rc = machine_link(&m, path, text, sizeof(text));
	machine_close(&m);
	if (rc || !strrchr(text, '/') || sscanf(strrchr(text, '/'), "/%" SCNd32, group) != 1)
		return err_set(e, rc ? rc : -EINVAL,
			       "%s has no IOMMU group: nothing would confine the guest's DMA", pci);
	return 0;
}

static void link_after(struct vfio_space *s, struct vfio_space *other)
{
	s->next = s->before = s;
	if (!other)
		return;
	s->next = other->next;
	s->before = other;
	other->next->before = s;
	other->next = s;
}

static uint64_t may_lock(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_MEMLOCK, &r) || r.rlim_cur == RLIM_INFINITY ? UINT64_MAX
									    : r.rlim_cur;
}

/* The newer way where the kernel and the files' permissions have it. */
static int open_any(struct vfio_space *s, const char *pci, struct err *e)
{
	static const struct space_kind *const kinds[] = { &space_iommufd, &space_type1 };
	int rc = -ENOENT;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc; i++) {
		s->kind = kinds[i];
		s->fd = s->group_fd = -1;
		rc = s->kind->open(s, pci, e);
		if (rc && rc != -ENOENT && rc != -EACCES && rc != -EPERM)
			break;
	}
	return rc;
}

static int make(struct vfio_space **to, const struct vfio_kernel *kernel, int32_t group,
		const char *pci, struct vfio_space *other, struct err *e)
{
	struct vfio_space *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->kernel = kernel;
	s->group = group;
	s->locked = may_lock();
	link_after(s, other);
	rc = open_any(s, pci, e);
	if (rc) {
		vfio_space_put(s);
		return rc;
	}
	*to = s;
	return 0;
}

int vfio_space_of(struct vfio_space **to, const struct vfio_kernel *kernel, const char *pci,
		  struct device *beside, struct err *e)
{
	struct vfio_space *first = beside ? beside->space : NULL, *s = first;
	int32_t group;
	int rc = group_of(kernel, pci, &group, e);

	if (rc)
		return rc;
	for (; s; s = s->next == first ? NULL : s->next)
		if (s->group == group) {
			*to = s;
			return 0;
		}
	return make(to, kernel, group, pci, first, e);
}

void vfio_space_put(struct vfio_space *s)
{
	if (s->seats)
		return;
	s->next->before = s->before;
	s->before->next = s->next;
	s->kind->close(s);
	vmaps_free(&s->maps);
	free(s);
}

/* --- who is in it --- */

int vfio_space_enter(struct vfio_space *s, struct device *d, struct err *e)
{
	for (uint64_t seat = 1; seat; seat <<= 1) {
		if (s->seats & seat)
			continue;
		s->seats |= seat;
		d->seat = seat;
		d->space = s;
		d->next = s->devices;
		s->devices = d;
		return 0;
	}
	return err_set(e, -EMFILE, "%d functions of IOMMU group %" PRId32 " are open already",
		       SEATS, s->group);
}

static void unlink_device(struct vfio_space *s, const struct device *d)
{
	for (struct device **at = &s->devices; *at; at = &(*at)->next)
		if (*at == d) {
			*at = d->next;
			return;
		}
}

void vfio_space_leave(struct vfio_space *s, struct device *d)
{
	const struct vmap *row;
	uint64_t at = 0;

	while ((row = vmaps_next(&s->maps, at, d->seat))) {
		uint64_t iova = row->iova, size = row->size;

		if (vmaps_release(&s->maps, iova, size, d->seat) == 1) {
			/* The last one's maps go with the space. */
			if (s->seats != d->seat)
				s->kind->unmap(s, iova, size);
			vmaps_drop(&s->maps, iova);
		}
		if (iova + size == 0)
			break;
		at = iova + size;
	}
	unlink_device(s, d);
	s->seats &= ~d->seat;
	d->space = NULL;
	vfio_space_put(s);
}

/* --- maps --- */

static int why_not(const struct vfio_space *s, const struct map *row, int rc, struct err *e)
{
	char has[TEXT_SIZE_MAX], needs[TEXT_SIZE_MAX];

	switch (rc) {
	case -ENOMEM:
		if (s->locked == UINT64_MAX)
			break;
		return err_set(
			e, rc,
			"%s may be locked (RLIMIT_MEMLOCK), and with this map %s would be: "
			"sudo prlimit --pid %d --memlock=unlimited, and start the guest anew",
			text_size(has, s->locked), text_size(needs, s->maps.bytes), (int)getpid());
	case -ENOSPC:
		return err_set(
			e, rc,
			"the kernel takes %" PRIu64 " DMA maps (dma_entry_limit): echo %" PRIu64
			" | sudo tee /sys/module/vfio_iommu_type1/parameters/dma_entry_limit, and "
			"start the bridge anew",
			s->entries, 2 * s->entries);
	case -EEXIST:
	case -EADDRINUSE:
		rc = -EBUSY; /* none of the client's doing */
		break;
	default:
		break;
	}
	return err_set(e, rc,
		       "the kernel does not map %" PRIu64 " bytes at DMA address 0x%" PRIx64 ": %s",
		       row->size, row->iova, strerror(-rc));
}

/* Kernels name it differently, and mmap() not at all. */
static int check_size(const struct map *row, const struct stat *st, struct err *e)
{
	uint64_t size = st->st_size < 0 ? 0 : (uint64_t)st->st_size;

	if (row->offset > size || row->size > size - row->offset)
		return err_set(e, -EFAULT,
			       "the guest's memory at DMA address 0x%" PRIx64 " has %" PRIu64
			       " bytes at 0x%" PRIx64 " of a file of %" PRIu64,
			       row->iova, row->size, row->offset, size);
	return 0;
}

/* What a program may do that maps the descriptor, the device may, and no more. */
static int check_rights(const struct map *row, struct err *e)
{
	int mode = fcntl(row->fd, F_GETFL), seals = fcntl(row->fd, F_GET_SEALS);

	if (mode < 0)
		return err_set(e, -errno, "the guest's memory: %s", strerror(errno));
	mode &= O_ACCMODE;
	if (mode == O_WRONLY || (row->write && mode == O_RDONLY))
		return err_set(e, -EACCES, "the descriptor of the guest's memory may not be %s",
			       mode == O_WRONLY ? "read" : "written");
	if (row->write && seals > 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return err_set(e, -EPERM, "the guest's memory is sealed against writing");
	return 0;
}

int vfio_space_map(struct device *d, const struct map *row, struct err *e)
{
	struct vfio_space *s = d->space;
	struct vmap add = { .iova = row->iova,
			    .size = row->size,
			    .offset = row->offset,
			    .read = row->read,
			    .write = row->write,
			    .holders = d->seat };
	struct stat st;
	int rc;

	/* ROMs, and what else of a guest is not shared: no device's DMA goes there. */
	if (row->fd < 0)
		return 0;
	rc = check_rights(row, e);
	if (rc)
		return rc;
	if (fstat(row->fd, &st))
		return err_set(e, -errno, "the guest's memory: %s", strerror(errno));
	rc = check_size(row, &st, e);
	if (rc)
		return rc;
	add.device = st.st_dev;
	add.inode = st.st_ino;
	rc = vmaps_add(&s->maps, &add, e);
	if (rc <= 0)
		return rc;
	rc = s->kind->map(s, row);
	if (!rc)
		return 0;
	rc = why_not(s, row, rc, e);
	vmaps_drop(&s->maps, row->iova);
	return rc;
}

int vfio_space_unmap(struct device *d, const struct map *row, struct err *e)
{
	struct vfio_space *s = d->space;
	int rc;

	if (row->fd < 0)
		return 0;
	rc = vmaps_release(&s->maps, row->iova, row->size, d->seat);
	if (rc <= 0)
		return rc ? err_set(e, rc, "nothing is mapped at DMA address 0x%" PRIx64, row->iova)
			  : 0;
	rc = s->kind->unmap(s, row->iova, row->size);
	if (rc)
		return err_set(e, rc, "the kernel does not unmap DMA address 0x%" PRIx64 ": %s",
			       row->iova, strerror(-rc));
	vmaps_drop(&s->maps, row->iova);
	return 0;
}

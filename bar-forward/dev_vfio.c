/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bar-forward/ready.h"
#include "bar-forward/vfio_priv.h"
#include "base/own.h"
#include "base/text.h"

/* --- the running kernel --- */

static int kernel_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	int rc = ioctl(fd, request, arg);

	return rc < 0 ? -errno : rc;
}

static ssize_t kernel_pread(int fd, void *bytes, size_t n, uint64_t offset)
{
	ssize_t got = pread(fd, bytes, n, (off_t)offset);

	return got < 0 ? -errno : got;
}

static ssize_t kernel_pwrite(int fd, const void *bytes, size_t n, uint64_t offset)
{
	ssize_t put = pwrite(fd, bytes, n, (off_t)offset);

	return put < 0 ? -errno : put;
}

static int kernel_mmap(void **at, size_t size, int prot, int fd, uint64_t offset)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	*at = p;
	return 0;
}

static void kernel_munmap(void *at, size_t size)
{
	munmap(at, size);
}

const struct vfio_kernel vfio_running_kernel = {
	.patience_ms = 2000,
	.open = kernel_open,
	.ioctl = kernel_ioctl,
	.pread = kernel_pread,
	.pwrite = kernel_pwrite,
	.mmap = kernel_mmap,
	.munmap = kernel_munmap,
};

/* --- accesses --- */

static bool is_access(const struct device *d, uint32_t region, uint64_t at, uint32_t width)
{
	const struct dev_region *r = region < DEV_REGIONS ? &d->facts.region[region] : NULL;

	return r && at < r->size && width <= r->size - at;
}

/*
 * One call is one access of the device. The kernel answers EIO while the guest has memory decode off, where a processor would
 * read all-ones; that is for who asked.
 */
static int outcome(ssize_t moved, uint32_t width)
{
	if (moved == (ssize_t)width)
		return 0;
	return moved == -ENODEV || moved == -ENXIO ? -ENODEV : -EIO;
}

int vfio_read(struct device *d, uint32_t region, uint64_t offset, void *bytes, uint32_t width)
{
	if (!is_access(d, region, offset, width))
		return -EIO;
	return outcome(
		d->kernel->pread(d->fd, bytes, width, d->facts.region[region].offset + offset),
		width);
}

int vfio_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
	       uint32_t width)
{
	if (!is_access(d, region, offset, width))
		return -EIO;
	return outcome(
		d->kernel->pwrite(d->fd, bytes, width, d->facts.region[region].offset + offset),
		width);
}

/* --- whether it is there --- */

/* Its ids are all-ones when nothing answers, and never otherwise; a register that reads all-ones may mean anything. */
int vfio_look(struct device *d)
{
	uint32_t ids = 0;
	int rc = vfio_read(d, DEV_CONFIG, 0, &ids, sizeof(ids));

	return rc == -ENODEV || (!rc && ids == UINT32_MAX) ? -ENODEV : 0;
}

int vfio_wanted(struct device *d)
{
	return vfio_wanted_back(d) ? -ESHUTDOWN : 0;
}

int vfio_present(struct device *d)
{
	int rc = vfio_wanted(d);

	return rc ? rc : vfio_look(d);
}

int vfio_poll_fd(const struct device *d)
{
	return d->poll;
}

int vfio_attend(struct device *d, struct dev_dma *dma)
{
	bool erred = vfio_erred(d);
	int rc = vfio_wanted(d);

	(void)dma;
	return rc ? rc : erred ? DEV_ATTEND_ERROR : 0;
}

int vfio_returned(const char *what)
{
	char path[128], target[256];
	struct machine m;
	int rc = machine_open(&m, NULL, NULL);

	if (rc)
		return -ENODEV;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%.23s/driver", what);
	rc = machine_link(&m, path, target, sizeof(target));
	machine_close(&m);
	return !rc && driver_is_vfio(target) ? 0 : -ENODEV;
}

/* --- the beginning and the end --- */

struct device *vfio_new_device(const struct vfio_kernel *kernel, const char *what)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->kernel = kernel;
	d->fd = d->request = d->error = d->poll = d->client_request = -1;
	text_copy(d->facts.name, sizeof(d->facts.name), what);
	return d;
}

/* The kernel takes the interrupts down with the descriptor; the maps go with the space, or before it. */
void vfio_close(struct device *d)
{
	if (!d)
		return;
	own_close_fd(&d->fd);
	vfio_irqs_close(d);
	if (d->seat)
		vfio_space_leave(d);
	if (d->space)
		vfio_space_put(d->space);
	vfio_space_put_all(d->gathered);
	free(d);
}

int vfio_open_in(const struct vfio_kernel *kernel, struct device **to, const char *what,
		 struct device *beside, struct err *e)
{
	struct device *d = vfio_new_device(kernel, what);
	int rc;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	rc = vfio_space_of(&d->space, kernel, what, beside, e);
	/* The table of several is theirs who meet guests: who opens for them may have more rights, and looks into none of it. */
	if (!rc && !d->space->gathered)
		rc = vfio_space_enter(d, e);
	if (!rc)
		rc = d->space->kind->device(d->space, what, &d->fd, e);
	if (!rc)
		rc = vfio_read_facts(d, e);
	if (!rc)
		rc = vfio_irqs_open(d, e);
	if (!rc && vfio_look(d))
		rc = err_set(e, -ENODEV, "%s does not answer", what);
	if (rc) {
		vfio_close(d);
		return rc;
	}
	*to = d;
	return 0;
}

int vfio_gather_in(const struct vfio_kernel *kernel, struct device **all, const char *const *what,
		   uint32_t n, struct err *e)
{
	struct device *d = vfio_new_device(kernel, what[0]);
	int rc = d ? vfio_space_gather(&d->gathered, kernel, what, n, e)
		   : err_set(e, -ENOMEM, "out of memory");

	if (rc) {
		free(d);
		return rc;
	}
	*all = d;
	return 0;
}

int vfio_gather(struct device **all, const char *const *what, uint32_t n, struct err *e)
{
	return vfio_gather_in(&vfio_running_kernel, all, what, n, e);
}

static int vfio_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	return vfio_open_in(&vfio_running_kernel, d, what, beside, e);
}

/* --- the rest of the contract --- */

const struct dev_facts *vfio_facts(const struct device *d)
{
	return &d->facts;
}

/* The whole device: stock VFIO has no descriptor of less. */
static int vfio_region_fd(struct device *d, uint32_t region, const struct vu_area *areas,
			  uint32_t n, uint64_t *offset)
{
	int fd;

	(void)areas, (void)n;
	if (region > DEV_BAR5 || !d->facts.region[region].map)
		return -EINVAL;
	*offset = d->facts.region[region].offset;
	fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

uint32_t vfio_share(const struct device *d, int fds[DEV_FDS_MAX])
{
	fds[0] = d->fd;
	return 1;
}

int vfio_join(struct device **to, const char *what, const struct dev_facts *facts, const int *fds,
	      uint32_t n, struct err *e)
{
	struct device *d = n == 1 ? vfio_new_device(&vfio_running_kernel, what) : NULL;

	if (!d) {
		for (uint32_t i = 0; i < n; i++)
			close(fds[i]);
		return err_set(e, n == 1 ? -ENOMEM : -EINVAL, "%" PRIu32 " descriptors for %s", n,
			       what);
	}
	d->facts = *facts;
	d->fd = fds[0];
	*to = d;
	return 0;
}

const struct device_ops vfio_device_ops = {
	.name = "vfio",
	.gather = vfio_gather,
	.open = vfio_open,
	.close = vfio_close,
	.hand = vfio_hand,
	.take = vfio_take,
	.facts = vfio_facts,
	.read = vfio_read,
	.write = vfio_write,
	.region_fd = vfio_region_fd,
	.reset = vfio_reset,
	.irqs = vfio_irqs,
	.map = vfio_space_map,
	.unmap = vfio_space_unmap,
	.present = vfio_present,
	.wanted = vfio_wanted,
	.returned = vfio_returned,
	.poll_fd = vfio_poll_fd,
	.attend = vfio_attend,
	.share = vfio_share,
	.join = vfio_join,
};

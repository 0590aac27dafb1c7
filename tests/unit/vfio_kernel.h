/* SPDX-License-Identifier: MIT */
/* For tests of a device by VFIO: a kernel that keeps to the kernel's rules and writes down what it is told, and its files. */
#ifndef BERTH_TESTS_VFIO_KERNEL_H
#define BERTH_TESTS_VFIO_KERNEL_H

#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar-forward/vfio_iommufd.h"
#include "bar-forward/vfio_priv.h"
#include "tests/unit/harness.h"

#define GPU   "0000:01:00.0"
#define AUDIO "0000:01:00.1"
#define BYTES 65536

enum role { NONE, CONTAINER, GROUP, IOMMUFD, CDEV, DEVICE };

static char root[] = "/tmp/berth-vfio.XXXXXX";

/* The kernel. Zeroed but for what a test wants otherwise: a container, groups, and no iommufd. */
static struct {
	enum role role[256]; /* by descriptor */
	bool iommufd, files; /* /dev/iommu; maps of files */
	bool shut;           /* nothing may be opened */
	int group_rc, cdev_rc, map_rc;
	bool not_viable, no_reset;
	uint32_t reached; /* functions that a hot reset reaches; 0: none is possible */
	uint32_t reached_group;
	bool reached_owned;
	int gone; /* what accesses answer */
	uint32_t ids;
	int request, error; /* eventfds for REQ and ERR */
	uint32_t maps;
	struct {
		uint64_t iova, size;
	} map[16];
	uint64_t mapped; /* bytes of ours, mapped now */
	char log[1024];
} k;

static inline void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void note(const char *fmt, ...)
{
	size_t n = strlen(k.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k.log + n, sizeof(k.log) - n, fmt, ap);
	va_end(ap);
}

/* What it was told since; then it begins anew. */
static inline const char *told(void)
{
	static char last[sizeof(k.log)];

	memcpy(last, k.log, sizeof(last));
	k.log[0] = '\0';
	return last;
}

static inline int new_fd(enum role role)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_in_range(fd, 0, 255);
	k.role[fd] = role;
	return fd;
}

static inline int fake_open(const char *path)
{
	assert_false(k.shut);
	if (strcmp(path, "/dev/vfio/vfio") == 0)
		return new_fd(CONTAINER);
	if (strcmp(path, "/dev/vfio/7") == 0 || strcmp(path, "/dev/vfio/8") == 0)
		return k.group_rc ? k.group_rc : new_fd(GROUP);
	if (strcmp(path, "/dev/iommu") == 0)
		return k.iommufd ? new_fd(IOMMUFD) : -ENOENT;
	if (strcmp(path, "/dev/vfio/devices/vfio3") == 0 ||
	    strcmp(path, "/dev/vfio/devices/vfio4") == 0)
		return k.cdev_rc ? k.cdev_rc : new_fd(CDEV);
	return -ENOENT;
}

static inline int add_map(uint64_t iova, uint64_t size)
{
	if (k.map_rc)
		return k.map_rc;
	for (uint32_t i = 0; i < k.maps; i++)
		if (iova <= k.map[i].iova + (k.map[i].size - 1) &&
		    k.map[i].iova <= iova + (size - 1))
			return -EEXIST;
	k.map[k.maps].iova = iova;
	k.map[k.maps++].size = size;
	return 0;
}

static inline int drop_map(uint64_t iova, uint64_t size)
{
	for (uint32_t i = 0; i < k.maps; i++)
		if (k.map[i].iova == iova && k.map[i].size == size) {
			k.map[i] = k.map[--k.maps];
			return 0;
		}
	return -EINVAL;
}

static inline int container(unsigned long request, void *arg)
{
	struct vfio_iommu_type1_dma_map *map = arg;
	struct vfio_iommu_type1_dma_unmap *unmap = arg;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return arg == (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU;
	case VFIO_SET_IOMMU:
		note("type %d;", (int)(uintptr_t)arg);
		return 0;
	case VFIO_IOMMU_MAP_DMA:
		assert_true(map->vaddr && k.mapped == map->size);
		note("map %s%s 0x%llx+0x%llx;", map->flags & 1 ? "r" : "",
		     map->flags & 2 ? "w" : "", (unsigned long long)map->iova,
		     (unsigned long long)map->size);
		return add_map(map->iova, map->size);
	case VFIO_IOMMU_UNMAP_DMA:
		note("unmap 0x%llx;", (unsigned long long)unmap->iova);
		return drop_map(unmap->iova, unmap->size);
	default:
		return -ENOTTY;
	}
}

static inline int group(unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		status->flags = k.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		assert_int_equal(k.role[*(int *)arg], CONTAINER);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		note("device %s;", (char *)arg);
		return new_fd(DEVICE);
	default:
		return -ENOTTY;
	}
}

static inline int iommufd(unsigned long request, void *arg)
{
	struct ioas_alloc *alloc = arg;
	struct ioas_map *map = arg;
	struct ioas_map_file *file = arg;
	struct ioas_unmap *unmap = arg;

	switch (request) {
	case IOAS_ALLOC:
		alloc->id = 5;
		return 0;
	case IOAS_MAP:
		assert_true(map->ioas == 5 && map->address && k.mapped == map->length);
		note("address %u 0x%" PRIx64 "+0x%" PRIx64 ";", map->flags, map->iova, map->length);
		return add_map(map->iova, map->length);
	case IOAS_MAP_FILE:
		if (!k.files)
			return -ENOTTY;
		assert_true(file->ioas == 5 && k.mapped == 0);
		note("file %u 0x%" PRIx64 "+0x%" PRIx64 " at 0x%" PRIx64 ";", file->flags,
		     file->iova, file->length, file->start);
		return add_map(file->iova, file->length);
	case IOAS_UNMAP:
		note("unmap 0x%" PRIx64 ";", unmap->iova);
		return drop_map(unmap->iova, unmap->length);
	default:
		return -ENOTTY;
	}
}

/* BAR 0 of 64 KiB, but for a page in the middle; BAR 2 of ports; a space of 4096 bytes; the old VGA addresses. */
static inline int region_info(void *arg)
{
	struct vfio_region_info *r = arg;
	struct vfio_region_info_cap_sparse_mmap *sparse = (void *)(r + 1);
	const uint32_t whole = sizeof(*r) + sizeof(*sparse) +
			       2 * sizeof(struct vfio_region_sparse_mmap_area);
	static const uint64_t sizes[] = { BYTES, 0, 32, 0, 0, 0, 2048, 4096, 0xc0000 };
	uint32_t index = r->index, room = r->argsz;

	if (index >= COUNT(sizes))
		return -EINVAL;
	r->flags = VFIO_REGION_INFO_FLAG_READ | (index == 6 ? 0 : VFIO_REGION_INFO_FLAG_WRITE);
	r->size = sizes[index];
	r->offset = (uint64_t)index << 40;
	if (index)
		return 0;
	r->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	r->argsz = whole;
	if (room < whole)
		return 0;
	r->cap_offset = sizeof(*r);
	sparse->header = (struct vfio_info_cap_header) { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
							 .version = 1 };
	sparse->nr_areas = 2;
	sparse->areas[0] = (struct vfio_region_sparse_mmap_area) { .size = 0x2000 };
	sparse->areas[1] = (struct vfio_region_sparse_mmap_area) { .offset = 0x3000,
								   .size = BYTES - 0x3000 };
	return 0;
}

static inline int irq_info(struct vfio_irq_info *info)
{
	static const uint32_t counts[] = { 1, 1, 8, 1, 1 };

	if (info->index >= COUNT(counts))
		return -EINVAL;
	info->count = counts[info->index];
	info->flags = VFIO_IRQ_INFO_EVENTFD |
		      (info->index ? VFIO_IRQ_INFO_NORESIZE
				   : VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED);
	return 0;
}

static inline int set_irqs(const struct vfio_irq_set *set)
{
	int32_t fd = -1;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD && set->count)
		memcpy(&fd, set->data, sizeof(fd));
	if (set->index == DEV_REQ)
		k.request = fd;
	else if (set->index == DEV_ERR)
		k.error = fd;
	else
		note("irqs %u 0x%x %u+%u%s;", set->index, set->flags, set->start, set->count,
		     set->flags & VFIO_IRQ_SET_DATA_EVENTFD && fd < 0 ? " none" : "");
	return 0;
}

static inline int hot_reset_info(void *arg)
{
	struct vfio_pci_hot_reset_info *r = arg;

	if (!k.reached)
		return -ENODEV;
	r->count = k.reached;
	r->flags = k.iommufd ? (uint32_t)(HOT_BY_ID | (k.reached_owned ? HOT_OWNED : 0)) : 0;
	for (uint32_t i = 0; i < k.reached; i++) {
		r->devices[i].group_id = i ? k.reached_group : 7;
		r->devices[i].bus = 1;
		r->devices[i].devfn = (uint8_t)i;
	}
	return 0;
}

static inline int device(unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;
	struct vfio_pci_hot_reset *hot = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = VFIO_DEVICE_FLAGS_PCI | (k.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		info->num_regions = 9;
		info->num_irqs = 5;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return irq_info(arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	case VFIO_DEVICE_RESET:
		note("reset;");
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		note("hot reset by %u;", hot->count);
		return 0;
	case CDEV_BIND:
		note("bind;");
		return 0;
	case CDEV_ATTACH:
		note("attach %u;", ((struct cdev_attach *)arg)->id);
		return 0;
	default:
		return -ENOTTY;
	}
}

static inline int fake_ioctl(int fd, unsigned long request, void *arg)
{
	switch (k.role[fd]) {
	case CONTAINER:
		return container(request, arg);
	case GROUP:
		return group(request, arg);
	case IOMMUFD:
		return iommufd(request, arg);
	case CDEV:
	case DEVICE:
		return device(request, arg);
	default:
		return -EBADF;
	}
}

static inline ssize_t fake_pread(int fd, void *bytes, size_t n, uint64_t offset)
{
	uint32_t region = (uint32_t)(offset >> 40), at = (uint32_t)offset;
	uint64_t value = 0x1122334455667788;

	assert_true(k.role[fd] == DEVICE || k.role[fd] == CDEV);
	if (k.gone)
		return k.gone;
	if (region == DEV_CONFIG)
		value = at == 0 ? k.ids : at == 0x18 ? 0xe001 : 0;
	else
		note("read %u 0x%x %zu;", region, at, n);
	memcpy(bytes, &value, n);
	return (ssize_t)n;
}

static inline ssize_t fake_pwrite(int fd, const void *bytes, size_t n, uint64_t offset)
{
	(void)fd;
	(void)bytes;
	if (k.gone)
		return k.gone;
	note("write %u 0x%x %zu;", (unsigned)(offset >> 40), (unsigned)offset, n);
	return (ssize_t)n;
}

static inline int fake_mmap(void **at, size_t size, int prot, int fd, uint64_t offset)
{
	(void)fd;
	(void)offset;
	assert_false(prot & PROT_EXEC);
	k.mapped += size;
	*at = &k;
	return 0;
}

static inline void fake_munmap(void *at, size_t size)
{
	(void)at;
	k.mapped -= size;
}

static const struct vfio_kernel kernel = {
	.root = root,
	.patience_ms = 10,
	.open = fake_open,
	.ioctl = fake_ioctl,
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
};

/* --- its files --- */

static inline void put(const char *path, const char *text)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", root, path);
	for (char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(name, 0700);
		*slash = '/';
	}
	if (strncmp(text, "->", 2) == 0) {
		assert_int_equal(symlink(text + 2, name), 0);
		return;
	}
	f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static inline int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	put("sys/bus/pci/devices/" GPU "/iommu_group", "->../../../../kernel/iommu_groups/7");
	put("sys/bus/pci/devices/" GPU "/vfio-dev/vfio3/dev", "510:0\n");
	put("sys/bus/pci/devices/" AUDIO "/iommu_group", "->../../../../kernel/iommu_groups/7");
	put("sys/bus/pci/devices/" AUDIO "/vfio-dev/vfio4/dev", "510:1\n");
	put("sys/bus/pci/devices/0000:02:00.0/class", "0x030000\n");
	put("sys/bus/pci/devices/0000:03:00.0/iommu_group", "->../../../../kernel/iommu_groups/9");
	put("sys/bus/pci/devices/0000:03:00.0/vfio-dev/noiommu-vfio9/dev", "510:2\n");
	put("sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "4\n");
	put("proc/sys/kernel/osrelease", "6.14.0\n");
	return 0;
}

static inline int remove_files(void **state)
{
	char words[64];

	(void)state;
	snprintf(words, sizeof(words), "rm -rf %s", root);
	return system(words);
}

static inline int fresh(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	k.ids = 0x220410de;
	k.request = -1;
	return 0;
}

static const struct device_ops *ops = &vfio_device_ops;

static inline struct device *opened(const char *what, struct device *beside)
{
	struct device *d = NULL;
	struct err e = { 0 };

	if (vfio_open_in(&kernel, &d, what, beside, &e))
		fail_msg("%s", e.text);
	return d;
}

static inline void refused(const char *what, int rc, const char *why)
{
	struct device *d = NULL;
	struct err e = { 0 };

	assert_int_equal(vfio_open_in(&kernel, &d, what, NULL, &e), rc);
	if (!strstr(e.text, why))
		fail_msg("'%s' says nothing of '%s'", e.text, why);
	assert_null(d);
}

static inline int guest(uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

#endif

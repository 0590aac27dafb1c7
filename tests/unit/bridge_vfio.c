/* SPDX-License-Identifier: MIT */
/* A device by VFIO, against a kernel that keeps to the kernel's rules and writes down what it is told. */
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

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	size_t n = strlen(k.log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k.log + n, sizeof(k.log) - n, fmt, ap);
	va_end(ap);
}

/* What it was told since; then it begins anew. */
static const char *told(void)
{
	static char last[sizeof(k.log)];

	memcpy(last, k.log, sizeof(last));
	k.log[0] = '\0';
	return last;
}

static int new_fd(enum role role)
{
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	assert_in_range(fd, 0, 255);
	k.role[fd] = role;
	return fd;
}

static int fake_open(const char *path)
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

static int add_map(uint64_t iova, uint64_t size)
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

static int drop_map(uint64_t iova, uint64_t size)
{
	for (uint32_t i = 0; i < k.maps; i++)
		if (k.map[i].iova == iova && k.map[i].size == size) {
			k.map[i] = k.map[--k.maps];
			return 0;
		}
	return -EINVAL;
}

static int container(unsigned long request, void *arg)
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

static int group(unsigned long request, void *arg)
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

static int iommufd(unsigned long request, void *arg)
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
static int region_info(void *arg)
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

static int irq_info(struct vfio_irq_info *info)
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

static int set_irqs(const struct vfio_irq_set *set)
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

static int hot_reset_info(void *arg)
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

static int device(unsigned long request, void *arg)
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

static int fake_ioctl(int fd, unsigned long request, void *arg)
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

static ssize_t fake_pread(int fd, void *bytes, size_t n, uint64_t offset)
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

static ssize_t fake_pwrite(int fd, const void *bytes, size_t n, uint64_t offset)
{
	(void)fd;
	(void)bytes;
	if (k.gone)
		return k.gone;
	note("write %u 0x%x %zu;", (unsigned)(offset >> 40), (unsigned)offset, n);
	return (ssize_t)n;
}

static int fake_mmap(void **at, size_t size, int prot, int fd, uint64_t offset)
{
	(void)fd;
	(void)offset;
	assert_false(prot & PROT_EXEC);
	k.mapped += size;
	*at = &k;
	return 0;
}

static void fake_munmap(void *at, size_t size)
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

static void put(const char *path, const char *text)
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

static int make_files(void **state)
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

static int remove_files(void **state)
{
	char words[64];

	(void)state;
	snprintf(words, sizeof(words), "rm -rf %s", root);
	return system(words);
}

static int fresh(void **state)
{
	(void)state;
	memset(&k, 0, sizeof(k));
	k.ids = 0x220410de;
	k.request = -1;
	return 0;
}

static const struct device_ops *ops = &vfio_device_ops;

static struct device *opened(const char *what, struct device *beside)
{
	struct device *d = NULL;
	struct err e = { 0 };

	if (vfio_open_in(&kernel, &d, what, beside, &e))
		fail_msg("%s", e.text);
	return d;
}

static void refused(const char *what, int rc, const char *why)
{
	struct device *d = NULL;
	struct err e = { 0 };

	assert_int_equal(vfio_open_in(&kernel, &d, what, NULL, &e), rc);
	if (!strstr(e.text, why))
		fail_msg("'%s' says nothing of '%s'", e.text, why);
	assert_null(d);
}

/* --- tests --- */

static void opens_by_group(void **state)
{
	struct device *d = opened(GPU, NULL);
	const struct dev_facts *f = ops->facts(d);

	(void)state;
	assert_string_equal(told(), "type 3;device " GPU ";");
	assert_string_equal(f->backend, "vfio");
	assert_string_equal(f->name, GPU);
	assert_true(f->by_fd && f->hands_over && f->wide && f->reset);
	assert_int_equal(f->region[0].size, BYTES);
	assert_true(f->region[0].map && !f->region[0].io);
	assert_int_equal(f->region[0].n_areas, 2);
	assert_int_equal(f->region[0].areas[1].offset, 0x3000);
	assert_true(f->region[2].io && !f->region[2].map);
	assert_true(f->region[DEV_ROM].read && !f->region[DEV_ROM].write);
	assert_int_equal(f->region[DEV_VGA].size, 0);
	assert_int_equal(f->irq[DEV_MSIX].count, 8);
	assert_true(f->irq[DEV_MSIX].noresize && f->irq[DEV_INTX].automasked);
	ops->close(d);
}

static void opens_by_iommufd(void **state)
{
	struct device *d;

	(void)state;
	k.iommufd = true;
	d = opened(GPU, NULL);
	assert_string_equal(told(), "bind;attach 5;");
	assert_string_equal(ops->facts(d)->backend, "iommufd");
	ops->close(d);
	/* a file that may not be opened: by the group, if that may */
	k.cdev_rc = -EACCES;
	d = opened(GPU, NULL);
	assert_string_equal(ops->facts(d)->backend, "vfio");
	ops->close(d);
}

static void refuses(void **state)
{
	(void)state;
	refused("0000:02:00.0", -ENOENT, "no IOMMU group");
	refused("0000:03:00.0", -ENOENT, "/dev/vfio/9");
	k.iommufd = true;
	refused("0000:03:00.0", -ENOENT, "/dev/vfio/9");
	k.iommufd = false;
	k.group_rc = -EBUSY;
	refused(GPU, -EBUSY, "another program has IOMMU group 7 open");
	k.group_rc = 0;
	k.not_viable = true;
	refused(GPU, -EPERM, "not viable");
	k.not_viable = false;
	k.ids = UINT32_MAX;
	refused(GPU, -ENODEV, "does not answer");
}

static void accesses(void **state)
{
	struct device *d = opened(GPU, NULL);
	uint64_t value = 0;

	(void)state;
	told();
	for (uint32_t width = 1; width <= 8; width *= 2) {
		assert_int_equal(ops->read(d, 0, 0x40, &value, width), 0);
		assert_int_equal(ops->write(d, 2, 8, &value, width), 0);
	}
	assert_string_equal(told(), "read 0 0x40 1;write 2 0x8 1;read 0 0x40 2;write 2 0x8 2;"
				    "read 0 0x40 4;write 2 0x8 4;read 0 0x40 8;write 2 0x8 8;");
	assert_int_equal(value, 0x1122334455667788);
	assert_int_equal(ops->read(d, 0, BYTES - 4, &value, 8), -EIO);
	assert_int_equal(ops->read(d, 1, 0, &value, 4), -EIO);
	assert_int_equal(ops->read(d, DEV_VGA, 0, &value, 4), -EIO);
	assert_int_equal(ops->read(d, DEV_REGIONS, 0, &value, 4), -EIO);
	assert_string_equal(told(), "");
	k.gone = -EIO; /* memory decode is off */
	assert_int_equal(ops->read(d, 0, 0, &value, 4), -EIO);
	assert_int_equal(ops->present(d), 0);
	k.gone = -ENODEV;
	assert_int_equal(ops->read(d, 0, 0, &value, 4), -ENODEV);
	assert_int_equal(ops->write(d, 0, 0, &value, 4), -ENODEV);
	assert_int_equal(ops->present(d), -ENODEV);
	k.gone = 0;
	k.ids = UINT32_MAX;
	assert_int_equal(ops->present(d), -ENODEV);
	ops->close(d);
}

/* For another process: its descriptor and the facts, and no ioctl. */
static void joins(void **state)
{
	struct device *d = opened(GPU, NULL), *mine = NULL;
	int fds[DEV_FDS_MAX];

	(void)state;
	assert_int_equal(ops->share(d, fds), 1);
	fds[0] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	assert_int_equal(ops->join(&mine, GPU, ops->facts(d), fds, 1, NULL), 0);
	assert_memory_equal(ops->facts(mine), ops->facts(d), sizeof(struct dev_facts));
	ops->close(mine);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	ops->close(d);
}

static int guest(uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* Another process's: descriptors of its own, and nothing opened. */
static struct device *handed_on(struct device *d, struct device *beside)
{
	struct dev_handed to = { .facts = *ops->facts(d) };
	struct device *mine = NULL;
	int fds[DEV_FDS_MAX], n = ops->hand(d, &to, fds);

	assert_in_range(n, 1, DEV_FDS_MAX);
	for (int i = 0; i < n; i++) {
		enum role role = k.role[fds[i]];

		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		k.role[fds[i]] = role;
	}
	told();
	k.shut = true;
	assert_int_equal(vfio_take_in(&kernel, &mine, GPU, beside, &to, fds, (uint32_t)n, NULL), 0);
	assert_string_equal(told(), "");
	assert_memory_equal(ops->facts(mine), ops->facts(d), sizeof(struct dev_facts));
	return mine;
}

static void goes_on(struct device *d, const char *says)
{
	struct pollfd p = { .fd = ops->poll_fd(d), .events = POLLIN };
	int fd = guest(0x10000);
	struct map row = { 0x1000, 0x2000, 0, fd, true, true };
	uint32_t value;

	assert_int_equal(ops->read(d, 0, 0x40, &value, 4), 0);
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_int_equal(ops->unmap(d, &row, NULL), 0);
	assert_int_equal(ops->reset(d, NULL), 0);
	assert_string_equal(told(), says);
	assert_int_equal(eventfd_write(k.request, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(ops->attend(d, NULL), -ESHUTDOWN);
	close(fd);
}

/* Who opened it resets it and looks, and does not take from the other what the host wishes. */
static void handed_over(void **state)
{
	static const char *const both[] = { GPU, AUDIO };
	struct device *d, *mine, *all;

	(void)state;
	k.no_reset = true;
	k.reached = 2;
	k.reached_group = 7;
	for (int i = 0; i < 3; i++) {
		k.shut = false;
		k.iommufd = k.reached_owned = k.files = i == 1;
		all = NULL;
		if (i == 2)
			assert_int_equal(vfio_gather_in(&kernel, &all, both, 2, NULL), 0);
		d = opened(GPU, all);
		mine = handed_on(d, all);
		assert_int_equal(ops->present(d), 0);
		assert_int_equal(ops->reset(d, NULL), 0);
		assert_int_equal(poll(&(struct pollfd) { .fd = k.request, .events = POLLIN }, 1, 0),
				 0);
		told();
		goes_on(mine, i == 1 ? "read 0 0x40 4;file 7 0x1000+0x2000 at 0x0;unmap 0x1000;"
				       "hot reset by 0;"
				     : "read 0 0x40 4;map rw 0x1000+0x2000;unmap 0x1000;"
				       "hot reset by 1;");
		assert_int_equal(ops->present(d), 0);
		assert_int_equal(ops->wanted(mine), -ESHUTDOWN);
		ops->close(mine);
		ops->close(d);
		if (all)
			ops->close(all);
	}
}

static void not_handed_over(void **state)
{
	struct dev_handed to = { .size = 3 };
	struct device *d = NULL;
	struct err e = { 0 };
	int fd = memfd_create("other", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(vfio_take_in(&kernel, &d, GPU, NULL, &to, &fd, 1, &e), -EPROTO);
	assert_non_null(strstr(e.text, "was not handed over"));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(d);
}

static void map_refused(struct device *d, const struct map *row, int rc, const char *why)
{
	struct err e = { 0 };

	assert_int_equal(ops->map(d, row, &e), rc);
	if (!strstr(e.text, why))
		fail_msg("'%s' says nothing of '%s'", e.text, why);
}

static void maps_by_type1(void **state)
{
	struct device *d = opened(GPU, NULL);
	int fd = guest(0x10000), reading;
	struct map row = { 0x1000, 0x2000, 0x4000, fd, true, true };
	struct map rom = { 0xfffc0000, 0x40000, 0, -1, true, false };
	char path[64];

	(void)state;
	told();
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_int_equal(ops->map(d, &rom, NULL), 0);
	assert_string_equal(told(), "map rw 0x1000+0x2000;");
	assert_int_equal(k.mapped, 0); /* nothing of the guest stays where we could reach it */
	assert_int_equal(ops->unmap(d, &row, NULL), 0);
	assert_int_equal(ops->unmap(d, &rom, NULL), 0);
	assert_string_equal(told(), "unmap 0x1000;");
	assert_int_equal(ops->unmap(d, &row, NULL), -ENOENT);

	/* a failure leaves nothing behind */
	k.map_rc = -ENOSPC;
	map_refused(d, &row, -ENOSPC, "4 DMA maps (dma_entry_limit): echo 8 |");
	k.map_rc = -EINVAL;
	map_refused(d, &row, -EINVAL, "0x1000");
	k.map_rc = 0;
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_int_equal(k.maps, 1);
	assert_int_equal(ops->unmap(d, &row, NULL), 0);

	/* more than the file has; more than its client may */
	row.size = 0x10000;
	map_refused(d, &row, -EFAULT, "0x4000 of a file of 65536");
	row.size = 0x2000;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	row.fd = reading;
	map_refused(d, &row, -EACCES, "may not be written");
	row.write = false;
	told();
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_string_equal(told(), "map r 0x1000+0x2000;");
	row.fd = fd;
	row.iova = 0x8000;
	row.write = true;
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	map_refused(d, &row, -EPERM, "sealed");
	close(reading);
	close(fd);
	ops->close(d);
}

static void maps_by_iommufd(void **state)
{
	int fd = guest(0x10000);
	struct map row = { 0x1000, 0x2000, 0x4000, fd, true, true };
	struct device *d;

	(void)state;
	k.iommufd = k.files = true;
	d = opened(GPU, NULL);
	told();
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_int_equal(ops->unmap(d, &row, NULL), 0);
	assert_string_equal(told(), "file 7 0x1000+0x2000 at 0x4000;unmap 0x1000;");
	k.files = false;
	row.write = false;
	assert_int_equal(ops->map(d, &row, NULL), 0);
	assert_string_equal(told(), "address 5 0x1000+0x2000;");
	assert_int_equal(k.mapped, 0);
	ops->close(d);
	close(fd);
}

static int set(struct device *d, uint32_t index, uint32_t start, uint32_t count, int data,
	       int action, const int *fds)
{
	struct vu_irqs ask = { .index = index, .start = start, .count = count };

	ask.data = data;
	ask.action = action;
	return ops->irqs(d, &ask, fds, NULL);
}

static void interrupts(void **state)
{
	struct device *d = opened(GPU, NULL);
	int fds[8];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	told();
	assert_int_equal(set(d, DEV_MSIX, 0, 8, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, fds), 0);
	assert_int_equal(set(d, DEV_MSIX, 2, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, NULL), 0);
	assert_int_equal(set(d, DEV_MSIX, 0, 0, VU_IRQ_NONE, VU_IRQ_TRIGGER, NULL), 0);
	assert_string_equal(told(), "irqs 2 0x24 0+8;irqs 2 0x24 2+1 none;irqs 2 0x21 0+0;");
	/* what is not up is down already, which the kernel calls an error */
	assert_int_equal(set(d, DEV_MSIX, 0, 0, VU_IRQ_NONE, VU_IRQ_TRIGGER, NULL), 0);
	assert_string_equal(told(), "");
	/* without a descriptor it is up, too */
	assert_int_equal(set(d, DEV_MSIX, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, NULL), 0);
	assert_int_equal(set(d, DEV_MSIX, 0, 0, VU_IRQ_NONE, VU_IRQ_TRIGGER, NULL), 0);
	assert_string_equal(told(), "irqs 2 0x24 0+1 none;irqs 2 0x21 0+0;");
	assert_int_equal(set(d, DEV_INTX, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, fds), 0);
	assert_int_equal(set(d, DEV_INTX, 0, 1, VU_IRQ_NONE, VU_IRQ_MASK, NULL), 0);
	assert_int_equal(set(d, DEV_INTX, 0, 1, VU_IRQ_NONE, VU_IRQ_UNMASK, NULL), 0);
	assert_int_equal(set(d, DEV_INTX, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_UNMASK, fds), 0);
	assert_string_equal(told(),
			    "irqs 0 0x24 0+1;irqs 0 0x9 0+1;irqs 0 0x11 0+1;irqs 0 0x14 0+1;");
	assert_int_equal(set(d, DEV_ERR, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, fds), -EINVAL);
	assert_int_equal(set(d, DEV_MSI, 0, 2, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, fds), -EINVAL);
	assert_string_equal(told(), "");
	for (uint32_t i = 0; i < 8; i++)
		close(fds[i]);
	ops->close(d);
}

static void wanted_back(void **state)
{
	struct device *d = opened(GPU, NULL);
	struct pollfd p = { .fd = ops->poll_fd(d), .events = POLLIN };
	int client = eventfd(0, EFD_CLOEXEC), other = memfd_create("other", MFD_CLOEXEC);
	uint64_t n;

	(void)state;
	assert_int_equal(ops->present(d), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(set(d, DEV_REQ, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, &client), 0);
	assert_int_equal(set(d, DEV_REQ, 0, 1, VU_IRQ_NONE, VU_IRQ_TRIGGER, NULL), -EINVAL);
	assert_int_equal(set(d, DEV_REQ, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, &other), -EINVAL);

	/* an error is told of once, and what was told of is over */
	assert_int_equal(eventfd_write(k.error, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(ops->attend(d, NULL), DEV_ATTEND_ERROR);
	assert_int_equal(ops->attend(d, NULL), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(eventfd_write(k.request, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(ops->attend(d, NULL), -ESHUTDOWN);
	assert_int_equal(read(client, &n, sizeof(n)), sizeof(n));
	assert_int_equal(ops->present(d), -ESHUTDOWN);

	/* a client that does not read holds up nobody */
	assert_int_equal(eventfd_write(client, UINT64_MAX - 1), 0);
	assert_int_equal(set(d, DEV_REQ, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_TRIGGER, &client), 0);
	close(client);
	close(other);
	ops->close(d);
}

static void resets(void **state)
{
	struct device *d = opened(GPU, NULL);

	(void)state;
	told();
	assert_int_equal(ops->reset(d, NULL), 0);
	assert_string_equal(told(), "reset;");
	ops->close(d);

	/* by the slot, where all of it is of one group that is ours */
	k.no_reset = true;
	k.reached = 2;
	k.reached_group = 7;
	d = opened(GPU, NULL);
	told();
	assert_true(ops->facts(d)->reset);
	assert_int_equal(ops->reset(d, NULL), 0);
	assert_string_equal(told(), "hot reset by 1;");
	ops->close(d);
	k.reached_group = 8;
	d = opened(GPU, NULL);
	told();
	assert_false(ops->facts(d)->reset);
	assert_int_equal(ops->reset(d, NULL), -ENOTTY);
	assert_string_equal(told(), "");
	ops->close(d);

	/* or where the iommufd says so */
	k.iommufd = true;
	d = opened(GPU, NULL);
	assert_false(ops->facts(d)->reset);
	ops->close(d);
	k.reached_owned = true;
	d = opened(GPU, NULL);
	told();
	assert_int_equal(ops->reset(d, NULL), 0);
	assert_string_equal(told(), "hot reset by 0;");
	k.ids = UINT32_MAX;
	k.gone = -ENODEV;
	ops->close(d);
}

static void two_of_a_group(void **state)
{
	static const char *const both[] = { GPU, AUDIO };
	int fd = guest(0x10000), other = guest(0x10000);
	struct map row = { 0x1000, 0x2000, 0, fd, true, true };
	struct map strange = { 0x2000, 0x1000, 0, other, true, true };
	struct device *all = NULL, *gpu, *audio;

	(void)state;
	k.no_reset = true;
	k.reached = 2;
	k.reached_group = 7;
	assert_int_equal(vfio_gather_in(&kernel, &all, both, 2, NULL), 0);
	gpu = opened(GPU, all);
	audio = opened(AUDIO, all);
	assert_string_equal(told(), "type 3;device " GPU ";device " AUDIO ";");
	assert_int_equal(ops->map(gpu, &row, NULL), 0);
	assert_int_equal(ops->map(audio, &row, NULL), 0);
	assert_string_equal(told(), "map rw 0x1000+0x2000;");
	assert_int_equal(ops->reset(gpu, NULL), -EBUSY);
	assert_int_equal(ops->unmap(gpu, &row, NULL), 0);
	assert_int_equal(ops->unmap(gpu, &row, NULL), -ENOENT);
	assert_string_equal(told(), "");
	map_refused(gpu, &strange, -EBUSY, "one virtual machine");
	map_refused(gpu, &strange, -EBUSY, "one virtual machine");
	assert_int_equal(ops->unmap(audio, &row, NULL), 0);
	assert_string_equal(told(), "unmap 0x1000;");
	assert_int_equal(ops->map(gpu, &strange, NULL), 0);
	assert_int_equal(ops->reset(gpu, NULL), 0);

	/* what one leaves behind goes with it; what one that died has left, before its place is taken */
	ops->close(gpu);
	assert_string_equal(told(), "map rw 0x2000+0x1000;hot reset by 1;unmap 0x2000;");
	assert_int_equal(ops->map(audio, &row, NULL), 0);
	told();
	gpu = opened(AUDIO, all);
	assert_string_equal(told(), "unmap 0x1000;device " AUDIO ";");
	ops->close(gpu);
	ops->close(audio);
	ops->close(all);
	close(fd);
	close(other);
}

static void areas(void **state)
{
	struct {
		struct vfio_region_info info;
		struct { /* struct vfio_region_info_cap_sparse_mmap */
			struct vfio_info_cap_header header;
			uint32_t nr_areas, reserved;
		} sparse;
		struct vfio_region_sparse_mmap_area area[1];
	} r = { .info = { .flags = VFIO_REGION_INFO_FLAG_CAPS, .cap_offset = sizeof(r.info) },
		.sparse = { .header = { .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP }, .nr_areas = 1 },
		.area = { { 0x1000, 0x1000 } } };
	struct dev_region to = { .size = 0x4000, .map = true };

	(void)state;
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	assert_int_equal(to.n_areas, 1);
	r.area[0].size = 0x3001; /* beyond its end */
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	assert_false(to.map);
	to.map = true;
	r.sparse.nr_areas = UINT32_MAX;
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	assert_false(to.map);
	/* a chain that comes back to itself, one that leads out of it, and what is cut off */
	to = (struct dev_region) { .size = 0x4000, .map = true };
	r.sparse.header.id = 77;
	r.sparse.header.next = sizeof(r.info);
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	r.sparse.header.next = sizeof(r) - 2;
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	r.info.cap_offset = UINT32_MAX;
	vfio_read_areas((const uint8_t *)&r, sizeof(r), &to);
	vfio_read_areas((const uint8_t *)&r, 8, &to);
	assert_true(to.map && to.n_areas == 0);
}

static void table(void **state)
{
	struct vmaps *m = calloc(1, sizeof(*m) + 3 * sizeof(m->map[0]));
	struct vmap top = { .iova = UINT64_MAX - 0xfff, .size = 0x1000, .holders = 1 };
	struct vmap low = { .iova = 0, .size = 0x1000, .inode = 3, .holders = 1 };
	struct vmap more = { .iova = 0x5000, .size = 0x1000, .holders = 2 };

	(void)state;
	m->room = 3;
	assert_int_equal(vmaps_add(m, &top), 1);
	assert_int_equal(vmaps_add(m, &low), 1);
	assert_int_equal(vmaps_add(m, &more), 1);
	low.holders = 2;
	assert_int_equal(vmaps_add(m, &low), 0);
	low.write = true; /* the same memory with other rights is another map */
	assert_int_equal(vmaps_add(m, &low), -EBUSY);
	more.iova = 0x9000;
	assert_int_equal(vmaps_add(m, &more), -ENOSPC);
	assert_int_equal(m->bytes, 0x3000);
	assert_int_equal(vmaps_next(m, 0, 1)->iova, 0);
	assert_int_equal(vmaps_next(m, 1, 1)->iova, top.iova);
	assert_null(vmaps_next(m, 0x5001, 2));
	assert_int_equal(vmaps_release(m, 0, 0x1000, 1), 0);
	assert_int_equal(vmaps_release(m, 0, 0x1000, 1), -ENOENT);
	assert_int_equal(vmaps_release(m, 0, 0x800, 2), -ENOENT);
	assert_int_equal(vmaps_release(m, 0, 0x1000, 2), 1);
	vmaps_drop(m, 0);
	vmaps_drop(m, 0);
	assert_int_equal(m->n, 2);
	assert_int_equal(vmaps_release(m, top.iova, 0x1000, 1), 1);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(opens_by_group, fresh),
		cmocka_unit_test_setup(opens_by_iommufd, fresh),
		cmocka_unit_test_setup(refuses, fresh),
		cmocka_unit_test_setup(accesses, fresh),
		cmocka_unit_test_setup(joins, fresh),
		cmocka_unit_test_setup(handed_over, fresh),
		cmocka_unit_test_setup(not_handed_over, fresh),
		cmocka_unit_test_setup(maps_by_type1, fresh),
		cmocka_unit_test_setup(maps_by_iommufd, fresh),
		cmocka_unit_test_setup(interrupts, fresh),
		cmocka_unit_test_setup(wanted_back, fresh),
		cmocka_unit_test_setup(resets, fresh),
		cmocka_unit_test_setup(two_of_a_group, fresh),
		cmocka_unit_test(areas),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}

/* SPDX-License-Identifier: MIT */
/* A device by VFIO is opened, reached, and handed over from one process to another. */
#include "tests/unit/vfio_kernel.h"

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
		/* who has the rights to open it looks into nothing that those share who meet guests */
		assert_int_equal(!d->seat, i == 2);
		mine = handed_on(d, all);
		assert_true(mine->seat);
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
		cmocka_unit_test(areas),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}

/* SPDX-License-Identifier: MIT */
/* A device by VFIO at work: guests' memory, interrupts, resets, and several of one group. */
#include "tests/unit/vfio_kernel.h"

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

/* As who is handed it does. */
static struct device *entered(const char *what, struct device *all)
{
	struct device *d = opened(what, all);

	assert_int_equal(d->seat, 0);
	assert_int_equal(vfio_space_enter(d, NULL), 0);
	return d;
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
	gpu = entered(GPU, all);
	audio = entered(AUDIO, all);
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
	gpu = entered(AUDIO, all);
	assert_string_equal(told(), "device " AUDIO ";unmap 0x1000;");
	ops->close(gpu);
	ops->close(audio);
	ops->close(all);
	close(fd);
	close(other);
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
		cmocka_unit_test_setup(maps_by_type1, fresh),
		cmocka_unit_test_setup(maps_by_iommufd, fresh),
		cmocka_unit_test_setup(interrupts, fresh),
		cmocka_unit_test_setup(wanted_back, fresh),
		cmocka_unit_test_setup(resets, fresh),
		cmocka_unit_test_setup(two_of_a_group, fresh),
		cmocka_unit_test(table),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}

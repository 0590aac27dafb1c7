/* SPDX-License-Identifier: MIT */
/* The device of memory: what its registers do at every width, resets, faults at every access. */
#include <signal.h>

#include "tests/unit/memdev.h"

static uint64_t done(struct device *d)
{
	struct memory_status s;

	memory_device_status(d, &s);
	return s.done;
}

/* --- registers --- */

static void behaviours_at_every_width(void **state)
{
	struct device *d = opened(GPU);

	(void)state;
	assert_int_equal(get(d, 0, 0x0, 4), 0xbe471234);
	assert_int_equal(get(d, 0, 0x2, 2), 0xbe47);
	put(d, 0, 0x4, 99, 4); /* read only */
	assert_int_equal(get(d, 0, 0x4, 4), 1);
	put(d, 0, 0x8, 0x12345678, 4);
	assert_int_equal(get(d, 0, 0x8, 4), 0xedcba987);
	assert_int_equal(get(d, 0, 0x10, 8), 256 << 20);

	put(d, 0, 0x20, 0xa5, 1);
	put(d, 0, 0x22, 0xbeef, 2);
	put(d, 0, 0x24, 0xdeadbeef, 4);
	put(d, 0, 0x28, UINT64_C(0x0123456789abcdef), 8);
	assert_int_equal(get(d, 0, 0x20, 1), 0xa5);
	assert_int_equal(get(d, 0, 0x22, 2), 0xbeef);
	/* across three registers and a hole */
	assert_int_equal(get(d, 0, 0x20, 8), UINT64_C(0xdeadbeefbeef00a5));
	put(d, 0, 0x20, UINT64_C(0x4433221166557788), 8);
	assert_int_equal(get(d, 0, 0x20, 8), UINT64_C(0x4433221166550088));
	/* a part of one, and an odd place */
	put(d, 0, 0x2c, 0xffffffff, 4);
	put(d, 0, 0x29, 0, 2);
	assert_int_equal(get(d, 0, 0x28, 8), UINT64_C(0xffffffff890000ef));
	assert_int_equal(get(d, 0, 0x29, 4), 0xff890000);
	/* where there is nothing */
	put(d, 0, 0x800000, 1, 4);
	assert_int_equal(get(d, 0, 0x800000, 8), 0);
	ops->close(d);
}

static void counters(void **state)
{
	struct device *d = opened(GPU);
	struct memory_status last;

	(void)state;
	for (uint32_t width = 1; width <= 8; width *= 2)
		put(d, 0, 0x40, 0, width);
	assert_int_equal(get(d, 0, 0x40, 8), 4);
	put(d, 0, 0x48, 1000, 8);
	put(d, 0, 0x48, 7, 1);
	assert_int_equal(get(d, 0, 0x48, 8), 1007);
	/* one access, two registers: each once */
	put(d, 0, 0x44, UINT64_C(0x500000000), 8);
	assert_int_equal(get(d, 0, 0x40, 8), 5);
	assert_int_equal(get(d, 0, 0x48, 8), 1012);
	assert_int_equal(done(d), 11);
	memory_device_status(d, &last);
	assert_int_equal(last.result, 1012); /* of the last read, for whoever could not tell it any more */
	put(d, 5, 0, 0, 2);
	assert_int_equal(get(d, 5, 0, 4), 1);
	ops->close(d);
}

static void out_of_bounds(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t at;
		uint32_t width;
	} rows[] = {
		{ 0, 16 << 20, 1 },
		{ 0, (16 << 20) - 3, 4 },
		{ 0, UINT64_MAX, 1 },
		{ 0, UINT64_MAX - 3, 8 },
		{ 0, 0, 3 },
		{ 0, 0, 0 },
		{ 0, 0, 16 },
		{ 2, 0, 4 },
		{ 5, 128, 1 },
		{ 5, 0, 8 },
		{ DEV_VGA, 0, 1 },
		{ DEV_REGIONS, 0, 4 },
		{ UINT32_MAX, 0, 4 },
		{ DEV_CONFIG, 4096, 1 },
		{ DEV_CONFIG, 4093, 4 },
		{ DEV_ROM, 65536, 1 },
	};
	struct device *d = opened(GPU);
	uint8_t bytes[16] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ops->read(d, rows[i].region, rows[i].at, bytes, rows[i].width),
				 -EIO);
		assert_int_equal(ops->write(d, rows[i].region, rows[i].at, bytes, rows[i].width),
				 -EIO);
	}
	assert_int_equal(done(d), 0);
	ops->close(d);
}

static void memory_and_rom(void **state)
{
	struct device *d = opened(GPU);
	const struct dev_facts *f = ops->facts(d);
	uint64_t offset;
	uint8_t sum = 0, *p;
	int fd = ops->region_fd(d, 1, NULL, 0, &offset);

	(void)state;
	assert_true(fd >= 0 && f->region[1].map && f->region[1].n_areas == 0);
	/* the table and the pending bits of MSI-X are never mapped */
	assert_int_equal(f->region[3].n_areas, 2);
	assert_int_equal(f->region[3].areas[0].offset, 0x1000);
	assert_int_equal(f->region[3].areas[0].size, 0x7000);
	assert_int_equal(f->region[3].areas[1].offset, 0x9000);
	assert_int_equal(f->region[3].areas[1].size, 0x7000);
	assert_int_equal(ops->region_fd(d, 0, NULL, 0, &offset), -EINVAL);
	assert_int_equal(ops->region_fd(d, DEV_CONFIG, NULL, 0, &offset), -EINVAL);

	/* who has the descriptor can neither cut the memory short nor make it grow */
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), -1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset + (255 << 20));
	assert_true(p != MAP_FAILED);
	for (uint32_t width = 1; width <= 8; width *= 2) {
		put(d, 1, (255 << 20) + 3 * width, UINT64_C(0x1122334455667788), width);
		assert_memory_equal(p + 3 * width, "\x88\x77\x66\x55\x44\x33\x22\x11", width);
	}
	memcpy(p + 100, "hello", 5);
	assert_int_equal(get(d, 1, (255 << 20) + 101, 4), 0x6f6c6c65);
	munmap(p, 4096);
	close(fd);

	assert_int_equal(get(d, DEV_ROM, 0, 2), 0xaa55);
	assert_int_equal(get(d, DEV_ROM, get(d, DEV_ROM, 0x18, 2) + 4, 4), 0xbe471234);
	for (uint32_t i = 0; i < 512; i++)
		sum = (uint8_t)(sum + get(d, DEV_ROM, i, 1));
	assert_int_equal(sum, 0);
	put(d, DEV_ROM, 0, 0, 4);
	assert_int_equal(get(d, DEV_ROM, 0, 2), 0xaa55);
	assert_int_equal(get(d, DEV_ROM, 65535, 1), 0);
	ops->close(d);
}

static void config_space(void **state)
{
	struct device *d = opened(GPU);

	(void)state;
	assert_int_equal(get(d, DEV_CONFIG, 0, 4), 0xbe471234);
	put(d, DEV_CONFIG, 0, 0, 4);
	assert_int_equal(get(d, DEV_CONFIG, 0, 4), 0xbe471234);
	/* BARs tell their size */
	for (uint32_t at = 0x10; at <= 0x24; at += 4)
		put(d, DEV_CONFIG, at, 0xffffffff, 4);
	assert_int_equal(get(d, DEV_CONFIG, 0x10, 4), 0xff000000);
	assert_int_equal(get(d, DEV_CONFIG, 0x14, 8), UINT64_C(0xfffffffff000000c));
	assert_int_equal(get(d, DEV_CONFIG, 0x1c, 8), UINT64_C(0xffffffffffff000c));
	assert_int_equal(get(d, DEV_CONFIG, 0x24, 4), 0xffffff81);
	put(d, DEV_CONFIG, 0x30, 0xffffffff, 4);
	assert_int_equal(get(d, DEV_CONFIG, 0x30, 4), 0xffff0001);
	put(d, DEV_CONFIG, 4, 0xffff, 2);
	assert_int_equal(get(d, DEV_CONFIG, 4, 2), 0x0547);
	/* the size of a resizable BAR stays; byte for byte is as good as a word */
	put(d, DEV_CONFIG, 0x108, 0x00000621, 4);
	assert_int_equal(get(d, DEV_CONFIG, 0x108, 4), 0x00000821);
	put(d, DEV_CONFIG, 0x3c, 11, 1);
	assert_int_equal(get(d, DEV_CONFIG, 0x3c, 2), 0x010b);
	ops->close(d);
}

static void reset(void **state)
{
	struct device *d = opened(GPU);
	struct memory_status s;
	struct err e = { 0 };

	(void)state;
	for (int by_flr = 0; by_flr < 2; by_flr++) {
		put(d, 0, 0x40, 0, 4);
		put(d, 0, 0x24, 5, 4);
		put(d, 1, 64, 7, 4);
		put(d, 3, 8, 7, 4);
		put(d, DEV_CONFIG, 4, 6, 2);
		assert_int_equal(get(d, 3, 8, 4), 7);
		if (by_flr)
			put(d, DEV_CONFIG, 0x48 + 8, 0x8000, 2);
		else
			assert_int_equal(ops->reset(d, &e), 0);
		assert_int_equal(get(d, 0, 0x40, 8), 0);
		assert_int_equal(get(d, 0, 0x24, 4), 0);
		assert_int_equal(get(d, 3, 8, 4), 0);
		assert_int_equal(get(d, 3, 12, 4), 1); /* masked */
		assert_int_equal(get(d, DEV_CONFIG, 4, 2), 0);
		assert_int_equal(get(d, 1, 64, 4), 7); /* memory stays */
	}
	memory_device_status(d, &s);
	assert_int_equal(s.resets, 2);
	ops->close(d);

	d = made("{\"schema\":\"berth.pcidevice/1\",\"vendor\":1,\"device\":1,\"class\":0}");
	assert_int_equal(ops->reset(d, &e), -ENOTTY);
	assert_int_equal(ops->facts(d)->region[DEV_CONFIG].size, 256);
	ops->close(d);
}

/* --- faults --- */

#define FAULTY                                                                                      \
	"{\"schema\":\"berth.pcidevice/1\",\"vendor\":1,\"device\":1,\"class\":0,"                  \
	"\"bars\":[{\"bar\":0,\"size\":4096}],\"capabilities\":[{\"kind\":\"pcie\",\"flr\":true}]," \
	"\"registers\":[{\"name\":\"n\",\"bar\":0,\"at\":0,\"behaviour\":\"counter\"},"             \
	"{\"name\":\"fault\",\"bar\":0,\"at\":8,\"behaviour\":\"fault\"}],\"faults\":[%s]}"

static struct device *faulty(const char *faults)
{
	char text[1024];

	assert_true(snprintf(text, sizeof(text), FAULTY, faults) < (int)sizeof(text));
	return made(text);
}

/* Gone at the Nth access, for every N: the accesses before it happen, that one does not, and nothing answers any more. */
static void gone_at_every(void **state)
{
	struct memory_status s;
	char row[64];
	uint32_t v = 0;

	(void)state;
	for (uint32_t n = 1; n <= 40; n++) {
		snprintf(row, sizeof(row), "{\"at\":%u,\"fault\":\"gone\"}", n);
		struct device *d = faulty(row);
		int req = eventfd(0, EFD_NONBLOCK);

		assert_int_equal(irqs(d, DEV_REQ, 0, 1, &req), 0);
		for (uint32_t i = 1; i < n; i++) {
			put(d, 0, 0, 0, 4);
			get(d, DEV_CONFIG, 0, 4); /* does not count */
			assert_int_equal(ops->present(d), 0);
		}
		assert_int_equal(taken(req), 0);
		assert_int_equal(ops->write(d, 0, 0, &v, 4), -ENODEV);
		assert_int_equal(taken(req), 1);
		assert_int_equal(ops->present(d), -ENODEV);
		assert_int_equal(ops->read(d, 0, 0, &v, 4), -ENODEV);
		assert_int_equal(ops->read(d, DEV_CONFIG, 0, &v, 4), -ENODEV);
		assert_int_equal(ops->reset(d, NULL), -ENODEV);
		assert_int_equal(taken(req), 0);
		memory_device_status(d, &s);
		assert_int_equal(s.done, 2 * (n - 1));
		assert_int_equal(s.fault, FAULT_GONE);
		/* it comes back as after a reset */
		memory_device_fault(d, FAULT_NONE, 0, 0);
		assert_int_equal(ops->present(d), 0);
		assert_int_equal(get(d, 0, 0, 4), 0);
		close(req);
		ops->close(d);
	}
}

static void wrong_values(void **state)
{
	struct device *d = faulty("{\"at\":3,\"fault\":\"flip\",\"value\":\"0x8001\",\"count\":2},"
				  "{\"at\":6,\"fault\":\"ones\",\"count\":3},"
				  "{\"at\":9,\"fault\":\"slow\",\"value\":1,\"count\":1}");

	(void)state;
	put(d, 0, 0, 0, 4);
	assert_int_equal(get(d, 0, 0, 4), 1);
	assert_int_equal(get(d, 0, 0, 4), 0x8000); /* 3 */
	assert_int_equal(get(d, 0, 0, 2), 0x8000);
	assert_int_equal(get(d, 0, 0, 4), 1);
	put(d, 0, 0, 0, 4); /* 6: lost */
	assert_int_equal(get(d, 0, 0, 8), UINT64_MAX);
	assert_int_equal(get(d, DEV_CONFIG, 0, 4), 0x00010001);
	assert_int_equal(get(d, 0, 0, 1), 0xff);
	assert_int_equal(get(d, 0, 0, 4), 1); /* 9 */
	assert_int_equal(get(d, 0, 0, 4), 1);
	/* on command, and off again */
	put(d, 0, 8, FAULT_FLIP | 0xff << 8, 4);
	assert_int_equal(get(d, 0, 0, 4), 0xfe);
	put(d, 0, 8, FAULT_NONE, 4);
	assert_int_equal(get(d, 0, 0, 4), 1);
	put(d, 0, 8, 0x77, 4); /* no such fault */
	assert_int_equal(get(d, 0, 8, 4), FAULT_NONE);
	put(d, 0, 8, FAULT_GONE, 4);
	assert_int_equal(ops->present(d), -ENODEV);
	ops->close(d);
}

static void wait_for(struct device *d, struct memory_status *s, uint64_t waited)
{
	do {
		usleep(1000);
		memory_device_status(d, s);
	} while (s->waited < waited);
}

/* An access that hangs waits, is seen to wait, has not happened, and happens once the device answers again. */
static void hangs(void **state)
{
	struct device *d = faulty("{\"at\":2,\"fault\":\"hang\"}");
	struct memory_status s = { 0 };
	int status;

	(void)state;
	put(d, 0, 0, 0, 4);
	pid_t pid = fork();

	if (pid == 0) {
		uint32_t v = 0;

		_exit(ops->write(d, 0, 0, &v, 4) == 0 ? 7 : 8);
	}
	wait_for(d, &s, 1);
	assert_int_equal(s.fault, FAULT_HANG);
	assert_int_equal(s.done, 1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);

	/* a reset is no way out of it: it hangs as well, and who asks for it can be killed */
	pid_t resets = fork();

	if (resets == 0)
		_exit(ops->reset(d, NULL) ? 8 : 7);
	wait_for(d, &s, 2);
	assert_int_equal(s.resets, 0);
	kill(resets, SIGKILL);
	assert_int_equal(waitpid(resets, &status, 0), resets);
	assert_true(WIFSIGNALED(status));
	memory_device_fault(d, FAULT_NONE, 0, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(get(d, 0, 0, 4), 2);
	ops->close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaviours_at_every_width),
		cmocka_unit_test(counters),
		cmocka_unit_test(out_of_bounds),
		cmocka_unit_test(memory_and_rom),
		cmocka_unit_test(config_space),
		cmocka_unit_test(reset),
		cmocka_unit_test(gone_at_every),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

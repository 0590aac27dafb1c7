/* SPDX-License-Identifier: MIT */
/* The device of memory: its interrupts by VFIO's rules, its transfers, and two processes that have it. */
#include "tests/unit/memdev.h"

/* --- interrupts --- */

static int intx(struct device *d, int action)
{
	struct vu_irqs set = { .index = DEV_INTX, .count = 1, .data = VU_IRQ_NONE };

	set.action = action;
	return ops->irqs(d, &set, NULL, NULL);
}

static void a_level(void **state)
{
	struct device *d = opened(GPU);
	int fd = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
	struct vu_irqs by_fd = { DEV_INTX, 0, 1, VU_IRQ_EVENTFD, VU_IRQ_UNMASK, NULL };
	uint64_t one = 1;

	(void)state;
	attend(d);
	assert_int_equal(irqs(d, DEV_INTX, 0, 1, &fd), 0);
	put(d, 0, 0x104, 0x10, 4);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(get(d, DEV_CONFIG, 6, 2) & 8, 8);
	put(d, 0, 0x104, 0x20, 4); /* it masked itself */
	assert_int_equal(taken(fd), 0);
	assert_int_equal(intx(d, VU_IRQ_UNMASK), 0); /* and is still there */
	assert_int_equal(taken(fd), 1);
	put(d, 0, 0x100, 0x10, 4);
	assert_int_equal(intx(d, VU_IRQ_UNMASK), 0);
	assert_int_equal(taken(fd), 1);
	put(d, 0, 0x100, 0x20, 4); /* both causes are gone */
	assert_int_equal(intx(d, VU_IRQ_UNMASK), 0);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(get(d, DEV_CONFIG, 6, 2) & 8, 0);
	assert_int_equal(intx(d, VU_IRQ_MASK), 0);
	put(d, 0, 0x104, 1, 4);
	assert_int_equal(taken(fd), 0);

	/* unmasked by a descriptor, as KVM does; what has been taken back does nothing */
	assert_int_equal(ops->irqs(d, &by_fd, &resample, NULL), 0);
	assert_false(wakes(d));
	assert_int_equal(write(resample, &one, 8), 8);
	assert_true(wakes(d));
	attend(d);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(ops->irqs(d, &by_fd, (int[]) { -1 }, NULL), 0);
	assert_int_equal(write(resample, &one, 8), 8);
	assert_false(wakes(d));
	by_fd.action = VU_IRQ_MASK;
	assert_int_equal(ops->irqs(d, &by_fd, &resample, NULL), -ENOTTY);

	/* the command register can keep it off */
	put(d, DEV_CONFIG, 4, 0x400, 2);
	assert_int_equal(intx(d, VU_IRQ_UNMASK), 0);
	assert_int_equal(taken(fd), 0);
	put(d, DEV_CONFIG, 4, 0, 2);
	assert_int_equal(taken(fd), 1);
	close(fd);
	close(resample);
	ops->close(d);
}

static void vectors(void **state)
{
	struct device *d = opened(GPU);
	int fd[9];

	(void)state;
	for (int i = 0; i < 9; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK);
	put(d, 0, 0x108, 2, 4); /* before they are on: lost */
	assert_int_equal(irqs(d, DEV_MSIX, 0, 3, fd), 0);
	assert_int_equal(taken(fd[2]), 0);
	put(d, 0, 0x108, 2, 4);
	put(d, 0, 0x108, 2, 4);
	put(d, 0, 0x108, 0, 4);
	put(d, 0, 0x108, 9, 4); /* there is none */
	put(d, 0, 0x108, UINT32_MAX, 4);
	assert_int_equal(taken(fd[2]), 2);
	assert_int_equal(taken(fd[0]), 1);
	/* a vector without a descriptor stays pending until it has one; the device has duplicates of its own */
	put(d, 0, 0x108, 8, 4);
	assert_int_equal(get(d, 3, 0x8000, 8), 0x100);
	put(d, 3, 0x8000, 0, 8);
	assert_int_equal(irqs(d, DEV_MSIX, 3, 6, fd + 3), 0);
	assert_int_equal(get(d, 3, 0x8000, 8), 0);
	assert_int_equal(taken(fd[8]), 1);
	assert_int_equal(irqs(d, DEV_MSIX, 2, 1, (int[]) { -1 }), 0);
	put(d, 0, 0x108, 2, 4);
	assert_int_equal(taken(fd[2]), 0);
	assert_int_equal(get(d, 3, 0x8000, 4), 4);

	/* VFIO's rules */
	assert_int_equal(irqs(d, DEV_MSIX, 8, 2, fd), -EINVAL);
	assert_int_equal(irqs(d, DEV_IRQS, 0, 1, fd), -EINVAL);
	assert_int_equal(irqs(d, DEV_MSI, 0, 1, fd), -EINVAL);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 0, NULL), 0);
	assert_int_equal(irqs(d, DEV_MSI, 0, 1, fd), 0);
	put(d, 0, 0x104, 1, 4);
	assert_int_equal(taken(fd[0]), 1);
	assert_int_equal(intx(d, VU_IRQ_UNMASK), -EINVAL);
	assert_int_equal(irqs(d, DEV_MSI, 0, 0, NULL), 0);
	for (int i = 0; i < 9; i++)
		close(fd[i]);
	ops->close(d);
}

/* Whatever a client hands over. */
static void no_eventfds(void **state)
{
	struct device *d = opened(GPU);
	int fd = eventfd(0, EFD_NONBLOCK), pipes[2];
	struct vu_irqs fire = {
		DEV_MSIX, 1, 2, VU_IRQ_BOOL, VU_IRQ_TRIGGER, (const uint8_t[]) { 0, 1 }
	};
	uint64_t full = UINT64_MAX - 1;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 2, (int[]) { fd, pipes[1] }), -EINVAL);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 1, (int[]) { 9999 }), -EINVAL);
	assert_int_equal(ops->irqs(d, &fire, NULL, NULL), -EINVAL); /* nothing is on */
	assert_int_equal(irqs(d, DEV_MSIX, 0, 3, (int[]) { -1, -1, fd }), 0);
	assert_int_equal(ops->irqs(d, &fire, NULL, NULL), 0);
	assert_int_equal(taken(fd), 1);
	/* a counter that is full does not hold the device up */
	assert_int_equal(write(fd, &full, 8), 8);
	put(d, 0, 0x108, 2, 4);
	assert_int_equal(taken(fd), full);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
	ops->close(d);
}

static void no_resize(void **state)
{
	struct device *d = made(
		"{\"schema\":\"berth.pcidevice/1\",\"vendor\":1,\"device\":1,\"class\":0,"
		"\"bars\":[{\"bar\":0,\"size\":4096}],\"capabilities\":[{\"kind\":\"msix\","
		"\"vectors\":4,\"bar\":0,\"table\":0,\"pba\":1024,\"noresize\":true}]}");
	int fd[4] = { -1, -1, -1, -1 };

	(void)state;
	assert_true(ops->facts(d)->irq[DEV_MSIX].noresize);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 2, fd), 0);
	assert_int_equal(irqs(d, DEV_MSIX, 2, 2, fd), -EINVAL);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 0, NULL), 0);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 4, fd), 0);
	ops->close(d);
}

/* --- transfers --- */

#define IOVA UINT64_C(0x100000)

static int guest(uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void start(struct device *d, uint64_t source, uint64_t destination, uint64_t length,
		  uint64_t command)
{
	put(d, 0, 0x1000, source, 8);
	put(d, 0, 0x1008, destination, 8);
	put(d, 0, 0x1010, length, 8);
	put(d, 0, 0x1018, command, 4);
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
}

/* Across two maps, one of which begins in the middle of its file, there and back, in several pieces. */
static void there_and_back(void **state)
{
	static uint8_t bytes[300000], back[300000];
	struct device *d = opened(GPU);
	int fd = guest(1 << 20), irq = eventfd(0, EFD_NONBLOCK);
	struct map low = { IOVA, 131072, 4096, fd, true, true };
	struct map high = { IOVA + 131072, 524288, 262144, fd, true, true };

	(void)state;
	fill(bytes, sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, 131072 - 3, 4096 + 3), 131072 - 3);
	assert_int_equal(pwrite(fd, bytes + 131072 - 3, sizeof(bytes) - 131072 + 3, 262144),
			 (ssize_t)sizeof(bytes) - 131072 + 3);
	assert_int_equal(ops->map(d, &low, NULL), 0);
	assert_int_equal(ops->map(d, &high, NULL), 0);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 2, (int[]) { -1, irq }), 0);
	put(d, DEV_CONFIG, 4, 4, 2);

	start(d, IOVA + 3, 1000, sizeof(bytes), DMA_START | DMA_INTERRUPT);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_START | DMA_INTERRUPT);
	put(d, 0, 0x1018, DMA_START | DMA_TO_CLIENT, 4); /* lost: it is busy */
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_INTERRUPT);
	assert_int_equal(get(d, 0, 0x100, 4), 0x100);
	assert_int_equal(taken(irq), 1);
	assert_int_equal(get(d, 0, 0x1020, 4), memdma_crc(0, bytes, sizeof(bytes)));
	for (uint32_t i = 0; i < sizeof(bytes); i += 4999)
		assert_int_equal(get(d, 1, 1000 + i, 1), bytes[i]);

	start(d, 1000, IOVA + 200000, sizeof(bytes), DMA_START | DMA_TO_CLIENT);
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_TO_CLIENT);
	assert_int_equal(taken(irq), 0);
	assert_int_equal(pread(fd, back, sizeof(back), 262144 + 200000 - 131072),
			 (ssize_t)sizeof(back));
	assert_memory_equal(bytes, back, sizeof(back));

	start(d, 0, IOVA, 0, DMA_START); /* nothing */
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), 0);
	assert_int_equal(get(d, 0, 0x1020, 4), 0);
	assert_int_equal(ops->unmap(d, &low, NULL), 0);
	close(irq);
	ops->close(d);
	close(fd);
}

static void crc(void **state)
{
	(void)state;
	assert_int_equal(memdma_crc(0, (const uint8_t *)"123456789", 9), 0xcbf43926);
	assert_int_equal(
		memdma_crc(memdma_crc(0, (const uint8_t *)"1234", 4), (const uint8_t *)"56789", 5),
		0xcbf43926);
}

static void refused_transfers(void **state)
{
	static const struct {
		uint64_t source, destination, length, command;
	} rows[] = {
		{ IOVA + 8192 - 4, 0, 8, 0 },              /* across the end of the map */
		{ IOVA - 1, 0, 8, 0 },                     /* before it */
		{ UINT64_MAX - 3, 0, 8, 0 },               /* beyond all addresses */
		{ IOVA, 256 << 20, 1, 0 },                 /* behind the device's memory */
		{ IOVA, (256 << 20) - 1, 2, 0 },           /* across its end */
		{ IOVA, UINT64_MAX, 2, 0 },                /* around it */
		{ IOVA, 0, UINT64_MAX, 0 },                /* more than it */
		{ 0, IOVA + 8192, 1, DMA_TO_CLIENT },      /* not mapped */
		{ 0, IOVA + (1 << 20), 1, DMA_TO_CLIENT }, /* read only */
		{ IOVA + (2 << 20), 0, 4096, 0 },          /* the file was cut short */
	};
	struct device *d = opened(GPU);
	int fd = guest(8192);
	const struct map maps[] = {
		{ IOVA, 8192, 0, fd, true, true },
		{ IOVA + (1 << 20), 4096, 0, fd, true, false },
		{ IOVA + (2 << 20), 1 << 16, 4096 + 2048, fd, true, true },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ops->map(d, &maps[i], NULL), 0);
	start(d, IOVA, 0, 8, DMA_START); /* no bus mastering */
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_FAILED);
	put(d, DEV_CONFIG, 4, 4, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(d, rows[i].source, rows[i].destination, rows[i].length,
		      DMA_START | rows[i].command);
		attend(d);
		assert_int_equal(get(d, 0, 0x1018, 4), DMA_FAILED | rows[i].command);
	}
	start(d, IOVA, 0, 8192, DMA_START);
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), 0);
	ops->close(d);
	close(fd);
}

/* A map without a descriptor, and one whose descriptor does not do it. */
static void by_message(void **state)
{
	static uint8_t bytes[100000];
	struct device *d = opened(GPU);
	struct dev_dma ask;
	int sealed = guest(1 << 17);
	struct map maps[] = { { IOVA, 1 << 17, 0, -1, true, true },
			      { IOVA + (1 << 20), 1 << 17, 0, sealed, true, true } };

	(void)state;
	fill(bytes, sizeof(bytes));
	sealed = open("/proc/self/exe", O_RDONLY);
	close(maps[1].fd);
	maps[1].fd = sealed;
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(ops->map(d, &maps[i], NULL), 0);
	put(d, DEV_CONFIG, 4, 4, 2);
	attend(d);

	start(d, IOVA, 0, sizeof(bytes), DMA_START);
	for (uint32_t at = 0; at < sizeof(bytes); at += ask.count) {
		assert_true(wakes(d));
		assert_int_equal(ops->attend(d, &ask), 1);
		assert_false(ask.write);
		assert_int_equal(ask.iova, IOVA + at);
		assert_true(ask.count && ask.count <= sizeof(bytes) - at);
		ops->dma_done(d, 0, bytes + at);
	}
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), 0);
	assert_int_equal(get(d, 0, 0x1020, 4), memdma_crc(0, bytes, sizeof(bytes)));

	start(d, 5, IOVA + (1 << 20), 4096, DMA_START | DMA_TO_CLIENT);
	assert_int_equal(ops->attend(d, &ask), 1);
	assert_true(ask.write && ask.count == 4096);
	assert_memory_equal(ask.bytes, bytes + 5, 4096);
	ops->dma_done(d, 0, NULL);
	attend(d);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_TO_CLIENT);

	/* the client refuses; and a reset meanwhile ends it all */
	start(d, IOVA, 0, 4096, DMA_START);
	assert_int_equal(ops->attend(d, &ask), 1);
	ops->dma_done(d, -EINVAL, NULL);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_FAILED);
	start(d, IOVA, 0, 4096, DMA_START);
	assert_int_equal(ops->attend(d, &ask), 1);
	assert_int_equal(ops->reset(d, NULL), 0);
	start(d, 1, 2, 3, 0);
	ops->dma_done(d, 0, bytes);
	assert_int_equal(get(d, 0, 0x1018, 4), 0);
	assert_int_equal(get(d, 0, 0x1020, 4), 0);
	ops->close(d);
	close(sealed);
}

static void as_edu(void **state)
{
	struct device *d = opened(EDU);
	int fd = guest(8192), irq = eventfd(0, EFD_NONBLOCK);
	struct map map = { IOVA, 8192, 0, fd, true, true };

	(void)state;
	assert_int_equal(get(d, 0, 0, 4), 0x010000ed);
	put(d, 0, 4, 0x5555, 4);
	assert_int_equal(get(d, 0, 4, 4), 0xffffaaaa);
	assert_int_equal(irqs(d, DEV_MSI, 0, 1, &irq), 0);
	put(d, 0, 0x60, 0x42, 4);
	assert_int_equal(taken(irq), 1);
	assert_int_equal(get(d, 0, 0x24, 4), 0x42);
	put(d, 0, 0x64, 0x42, 4);
	assert_int_equal(get(d, 0, 0x24, 4), 0);

	assert_int_equal(ops->map(d, &map, NULL), 0);
	assert_int_equal(pwrite(fd, "edu!", 4, 16), 4);
	put(d, DEV_CONFIG, 4, 4, 2);
	put(d, 0, 0x80, IOVA + 16, 4);
	put(d, 0, 0x88, 0x40000 + 100, 4);
	put(d, 0, 0x90, 4, 4);
	put(d, 0, 0x98, DMA_START, 4);
	attend(d);
	put(d, 0, 0x80, 0x40000 + 100, 4);
	put(d, 0, 0x88, IOVA + 4096, 4);
	put(d, 0, 0x98, DMA_START | DMA_TO_CLIENT | DMA_INTERRUPT, 4);
	attend(d);
	assert_int_equal(get(d, 0, 0x24, 4), 0x100);
	assert_int_equal(taken(irq), 1);
	char back[5] = "";
	assert_int_equal(pread(fd, back, 4, 4096), 4);
	assert_string_equal(back, "edu!");
	/* 28 bits of addresses */
	put(d, 0, 0x88, UINT64_C(0xffffffe), 8);
	put(d, 0, 0x98, DMA_START | DMA_TO_CLIENT, 4);
	attend(d);
	assert_int_equal(get(d, 0, 0x98, 4), DMA_TO_CLIENT | DMA_FAILED);
	close(irq);
	ops->close(d);
	close(fd);
}

/* --- processes --- */

/* One that joins rings the doorbell; this one, which has the maps and the eventfds, is woken and does it. */
static void two_processes(void **state)
{
	struct device *d = opened(GPU);
	int fd = guest(8192), irq = eventfd(0, EFD_NONBLOCK), fds[DEV_FDS_MAX], status;
	struct map map = { IOVA, 8192, 0, fd, true, true };
	pid_t pid;

	(void)state;
	assert_int_equal(ops->map(d, &map, NULL), 0);
	assert_int_equal(irqs(d, DEV_MSIX, 0, 2, (int[]) { irq, irq }), 0);
	put(d, DEV_CONFIG, 4, 4, 2);
	attend(d);
	uint32_t n = ops->share(d, fds);

	assert_true(n > 3);
	pid = fork();
	if (pid == 0) {
		struct device *mine;

		for (uint32_t i = 0; i < n; i++)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (ops->join(&mine, GPU, ops->facts(d), fds, n, NULL))
			_exit(1);
		put(mine, 0, 0x108, 0, 4);
		start(mine, IOVA, 0, 8192, DMA_START | DMA_INTERRUPT);
		ops->close(mine);
		ops->close(d);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	attend(d);
	assert_int_equal(taken(irq), 2);
	assert_int_equal(get(d, 0, 0x1018, 4), DMA_INTERRUPT);

	/* descriptors of something else are refused, and closed */
	struct device *no = NULL;
	struct pcidesc *desc;

	for (int i = 0; i < MEMORY_DEVICE_FDS; i++)
		fds[i] = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(pcidesc_read(&desc, GPU, NULL), 0);
	assert_int_equal(memory_device_join(&no, desc, fds, NULL), -EINVAL);
	for (int i = 0; i < MEMORY_DEVICE_FDS; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	close(irq);
	ops->close(d);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_level),
		cmocka_unit_test(vectors),
		cmocka_unit_test(no_eventfds),
		cmocka_unit_test(no_resize),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(crc),
		cmocka_unit_test(refused_transfers),
		cmocka_unit_test(by_message),
		cmocka_unit_test(as_edu),
		cmocka_unit_test(two_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

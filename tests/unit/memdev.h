/* SPDX-License-Identifier: MIT */
/* For tests of the device of memory. */
#ifndef BERTH_TESTS_MEMDEV_H
#define BERTH_TESTS_MEMDEV_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bar-forward/dev_memory.h"
#include "bar-forward/memdma.h"
#include "tests/unit/harness.h"

#define GPU "bar-forward/devices/gpu.json"
#define EDU "bar-forward/devices/edu.json"

static const struct device_ops *const ops = &memory_device_ops;

static inline struct device *opened(const char *path)
{
	struct device *d = NULL;
	struct err e = { 0 };

	if (ops->open(&d, path, NULL, &e))
		fail_msg("%s", e.text);
	return d;
}

static inline struct device *made(const char *text)
{
	struct pcidesc *desc;
	struct device *d = NULL;
	struct err e = { 0 };

	if (pcidesc_parse(&desc, text, strlen(text), &e) || memory_device_make(&d, desc, &e))
		fail_msg("%s", e.text);
	return d;
}

static inline uint64_t get(struct device *d, uint32_t region, uint64_t at, uint32_t width)
{
	uint64_t v = 0;

	assert_int_equal(ops->read(d, region, at, &v, width), 0);
	return v;
}

static inline void put(struct device *d, uint32_t region, uint64_t at, uint64_t v, uint32_t width)
{
	assert_int_equal(ops->write(d, region, at, &v, width), 0);
}

static inline uint64_t taken(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static inline int irqs(struct device *d, uint32_t index, uint32_t start, uint32_t count,
		       const int *fds)
{
	struct vu_irqs set = { index,          start, count, fds ? VU_IRQ_EVENTFD : VU_IRQ_NONE,
			       VU_IRQ_TRIGGER, NULL };

	return ops->irqs(d, &set, fds, NULL);
}

static inline bool wakes(struct device *d)
{
	struct pollfd p = { .fd = ops->poll_fd(d), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static inline void attend(struct device *d)
{
	struct dev_dma ask;

	for (int i = 0; wakes(d) && i < 1000000; i++)
		assert_int_equal(ops->attend(d, &ask), 0);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A bridge to a device that cannot be asked what happened to it, as real ones cannot: what is written to its registers is
 * appended to DIR/log, what is read is taken from DIR/numbers, each byte once. Only the kernel's counts of a dead worker's
 * bytes say whether its last access ran. prog_bridge_file DIR SOCKET.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar-forward/serve.h"
#include "bar-forward/worker.h"
#include "base/own.h"

#define BAR 0x10000

struct device {
	struct dev_facts facts;
	int config, log, numbers;
};

static void file_close(struct device *d)
{
	own_close_fd(&d->config);
	own_close_fd(&d->log);
	own_close_fd(&d->numbers);
	free(d);
}

static struct device *make(int config, int log, int numbers)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	*d = (struct device) { .config = config, .log = log, .numbers = numbers };
	d->facts.region[DEV_BAR0] =
		(struct dev_region) { .size = BAR, .read = true, .write = true };
	d->facts.region[DEV_CONFIG] =
		(struct dev_region) { .size = 256, .read = true, .write = true };
	d->facts.wide = true;
	snprintf(d->facts.backend, sizeof(d->facts.backend), "file");
	return d;
}

static int file_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	static const uint8_t header[256] = { 0x34, 0x12, 0x78, 0x56, 0, 0, 0, 0, 0, 0, 0, 0xff };
	char path[512];

	(void)beside;
	*d = make(memfd_create("config", MFD_CLOEXEC), -1, -1);
	snprintf(path, sizeof(path), "%s/log", what);
	(*d)->log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	snprintf(path, sizeof(path), "%s/numbers", what);
	(*d)->numbers = open(path, O_RDONLY | O_CLOEXEC);
	if ((*d)->log >= 0 && (*d)->numbers >= 0 &&
	    pwrite((*d)->config, header, sizeof(header), 0) == (ssize_t)sizeof(header))
		return 0;
	file_close(*d);
	return err_set(e, -ENODEV, "no files in %s", what);
}

static const struct dev_facts *file_facts(const struct device *d)
{
	return &d->facts;
}

static int whole(ssize_t n, uint32_t width)
{
	return n == (ssize_t)width ? 0 : -EIO;
}

static int file_read(struct device *d, uint32_t region, uint64_t offset, void *bytes,
		     uint32_t width)
{
	return whole(region == DEV_CONFIG ? pread(d->config, bytes, width, (off_t)offset)
					  : read(d->numbers, bytes, width),
		     width);
}

static int file_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
		      uint32_t width)
{
	return whole(region == DEV_CONFIG ? pwrite(d->config, bytes, width, (off_t)offset)
					  : pwrite(d->log, bytes, width, 0),
		     width);
}

static int nothing(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	(void)d;
	(void)set;
	(void)fds;
	(void)e;
	return 0;
}

static int no_map(struct device *d, const struct map *row, struct err *e)
{
	(void)d;
	(void)row;
	(void)e;
	return 0;
}

static int file_reset(struct device *d, struct err *e)
{
	(void)d;
	return err_set(e, -ENOTTY, "there is no reset");
}

static int file_present(struct device *d)
{
	(void)d;
	return 0;
}

static uint32_t file_share(const struct device *d, int fds[DEV_FDS_MAX])
{
	fds[0] = d->config;
	fds[1] = d->log;
	fds[2] = d->numbers;
	return 3;
}

static int file_join(struct device **d, const char *what, const struct dev_facts *facts,
		     const int *fds, uint32_t n, struct err *e)
{
	(void)what;
	(void)facts;
	if (n != 3)
		return err_set(e, -EPROTO, "%u descriptors", n);
	*d = make(fds[0], fds[1], fds[2]);
	return 0;
}

static const struct device_ops file_ops = {
	.name = "file",
	.open = file_open,
	.close = file_close,
	.facts = file_facts,
	.read = file_read,
	.write = file_write,
	.reset = file_reset,
	.irqs = nothing,
	.map = no_map,
	.unmap = no_map,
	.present = file_present,
	.share = file_share,
	.join = file_join,
};

int main(int argc, char **argv)
{
	static const struct device_ops *const backends[] = { &file_ops, NULL };
	struct serve_opts o = { .ops = &file_ops };
	struct err e = { 0 };
	struct log log;

	if (worker_asked(argc, argv))
		return worker_run(backends);
	if (argc != 3)
		return 2;
	o.what = argv[1];
	o.socket = argv[2];
	log_init(&log, "prog_bridge_file", 0, 1);
	if (!serve_run(&o, &log, &e))
		return 0;
	fprintf(stderr, "%s\n", e.text);
	return 1;
}

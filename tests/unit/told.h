/* SPDX-License-Identifier: MIT */
/* For tests of a session: a device that writes down what it was told, and the end of a client. */
#ifndef BERTH_TESTS_TOLD_H
#define BERTH_TESTS_TOLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bar-forward/session.h"
#include "tests/unit/harness.h"

#define BAR0_SIZE 0x4000
#define BAR0_ROOM 0x100000 /* for devices that need a larger one */

/* A device that writes down what it was told, and fails when it should. */
struct device {
	struct dev_facts facts;
	uint8_t bar[BAR0_ROOM], config[CFG_SIZE], rom[0x800];
	char log[4096];
	int fail;     /* what the next access answers */
	int fail_map; /* what every map answers */
	int fail_unmap;
	bool gone, closed;
	bool wants, erred;
	struct dev_dma dma;
	int done_rc;
	uint8_t done[16];
	int irq_fds;
};

static inline void told(struct device *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline void told(struct device *d, const char *fmt, ...)
{
	size_t n = strlen(d->log);
	va_list args;

	va_start(args, fmt);
	vsnprintf(d->log + n, sizeof(d->log) - n, fmt, args);
	va_end(args);
}

static inline void op_close(struct device *d)
{
	d->closed = true;
}

static inline const struct dev_facts *op_facts(const struct device *d)
{
	return &d->facts;
}

static inline int failure(struct device *d)
{
	int rc = d->gone ? -ENODEV : d->fail;

	d->fail = 0;
	return rc;
}

static inline uint8_t *place(struct device *d, uint32_t region)
{
	return region == DEV_CONFIG ? d->config : region == DEV_ROM ? d->rom : d->bar;
}

static inline int op_read(struct device *d, uint32_t region, uint64_t offset, void *bytes,
			  uint32_t width)
{
	int rc = failure(d);

	if (region != DEV_CONFIG || width != 4)
		told(d, "r%u+%llx/%u;", region, (unsigned long long)offset, width);
	if (!rc)
		memcpy(bytes, place(d, region) + offset, width);
	return rc;
}

static inline int op_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
			   uint32_t width)
{
	int rc = failure(d);

	told(d, "w%u+%llx/%u;", region, (unsigned long long)offset, width);
	if (!rc)
		memcpy(place(d, region) + offset, bytes, width);
	return rc;
}

static inline int op_region_fd(struct device *d, uint32_t region, const struct vu_area *areas,
			       uint32_t n, uint64_t *offset)
{
	(void)areas;
	(void)n;
	told(d, "fd%u;", region);
	*offset = 0x100000;
	return d->fail ? d->fail : dup(1);
}

static inline int op_reset(struct device *d, struct err *e)
{
	told(d, "reset;");
	return d->gone ? err_set(e, -ENODEV, "gone") : 0;
}

static inline int op_irqs(struct device *d, const struct vu_irqs *set, const int *fds,
			  struct err *e)
{
	told(d, "irq%u:%u+%u;", set->index, set->start, set->count);
	d->irq_fds = fds ? fds[0] : -1;
	return d->gone ? err_set(e, -ENODEV, "gone") : 0;
}

static inline int op_map(struct device *d, const struct map *row, struct err *e)
{
	told(d, "map %llx+%llx%s;", (unsigned long long)row->iova, (unsigned long long)row->size,
	     row->fd < 0 ? " by message" : "");
	return d->gone ? -ENODEV : d->fail_map ? err_set(e, d->fail_map, "no room") : 0;
}

static inline int op_unmap(struct device *d, const struct map *row, struct err *e)
{
	told(d, "unmap %llx;", (unsigned long long)row->iova);
	return d->gone ? -ENODEV : d->fail_unmap ? err_set(e, d->fail_unmap, "stuck") : 0;
}

static inline int op_present(struct device *d)
{
	return d->gone ? -ENODEV : 0;
}

static inline int op_poll_fd(const struct device *d)
{
	(void)d;
	return 99;
}

static inline int op_attend(struct device *d, struct dev_dma *dma)
{
	if (d->gone)
		return -ENODEV;
	if (d->erred) {
		d->erred = false;
		return DEV_ATTEND_ERROR;
	}
	if (!d->wants)
		return 0;
	d->wants = false;
	*dma = d->dma;
	return 1;
}

static inline void op_dma_done(struct device *d, int rc, const uint8_t *bytes)
{
	told(d, "done;");
	d->done_rc = rc;
	if (bytes)
		memcpy(d->done, bytes, d->dma.count);
}

static const struct device_ops ops = { .name = "told",
				       .close = op_close,
				       .facts = op_facts,
				       .read = op_read,
				       .write = op_write,
				       .region_fd = op_region_fd,
				       .reset = op_reset,
				       .irqs = op_irqs,
				       .map = op_map,
				       .unmap = op_unmap,
				       .present = op_present,
				       .poll_fd = op_poll_fd,
				       .attend = op_attend,
				       .dma_done = op_dma_done };

/* --- one of each, and a client's end --- */

static struct device d;
static struct session s;
static struct telem_bridge counts;
static struct policy policy;
static uint64_t clock_now;
static char said[2048];
static struct answer a;
static struct err why;

static inline uint64_t now(void)
{
	return clock_now += 10;
}

static inline void say(void *arg, enum session_said how, const char *sentence)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%d:%s\n", how, sentence);
}

static inline void make_device(void)
{
	static const uint8_t header[] = { 0x34, 0x12, 0x78, 0x56, 0, 0, 0, 0, 0, 0, 0, 0xff };

	memset(&d, 0, sizeof(d));
	memcpy(d.config, header, sizeof(header));
	d.facts.region[DEV_BAR0] =
		(struct dev_region) { .size = BAR0_SIZE, .read = true, .write = true };
	d.facts.region[1] =
		(struct dev_region) { .size = 0x20, .read = true, .write = true, .io = true };
	d.config[0x14] = 1;
	d.facts.region[DEV_ROM] = (struct dev_region) { .size = sizeof(d.rom), .read = true };
	d.facts.region[DEV_CONFIG] =
		(struct dev_region) { .size = CFG_SIZE, .read = true, .write = true };
	d.facts.region[DEV_VGA] =
		(struct dev_region) { .size = 0xc0000, .read = true, .write = true };
	d.facts.irq[DEV_MSIX] = (struct dev_irq) { .count = 4, .eventfd = true, .noresize = true };
	d.facts.irq[DEV_ERR] = (struct dev_irq) { .count = 1, .eventfd = true };
	d.facts.reset = true;
}

/* Takes a message of a client, and looks whether its descriptors were kept. */
static inline int tell_with(uint16_t command, uint32_t flags, const void *body, uint32_t size,
			    int fd, bool *kept)
{
	static uint8_t bytes[VU_MESSAGE_MAX];
	struct vu_header h = { .id = 7, .command = command, .size = 16 + size, .flags = flags };
	struct incoming in = { .bytes = bytes, .size = h.size };

	memcpy(bytes, &h, sizeof(h));
	if (size)
		memcpy(bytes + 16, body, size);
	if (fd >= 0)
		in.fds[in.n_fds++] = fd;
	why = (struct err) { 0 };
	int rc = session_message(&s, &in, &a, &why);

	if (kept)
		*kept = in.n_fds && in.fds[0] < 0;
	return rc;
}

static inline int tell(uint16_t command, const void *body, uint32_t size)
{
	return tell_with(command, 0, body, size, -1, NULL);
}

static inline struct vu_header head(void)
{
	struct vu_header h;

	assert_true(a.size >= sizeof(h));
	memcpy(&h, a.bytes, sizeof(h));
	assert_int_equal(h.size, a.size);
	assert_int_equal(h.id, 7);
	assert_int_equal(h.flags & VU_TYPE_MASK, VU_TYPE_REPLY);
	return h;
}

#define refused_with(errno_)                                                                       \
	do {                                                                                       \
		assert_true(head().flags &VU_ERROR);                                               \
		assert_int_equal(head().error, errno_);                                            \
	} while (0)
#define agreed() assert_int_equal(head().flags, VU_TYPE_REPLY)

static inline void version(void)
{
	static const char body[] =
		"\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true,"
		"\"max_data_xfer_size\":4096}}";

	assert_int_equal(tell(VU_VERSION, body, sizeof(body)), 0);
	agreed();
	assert_true(a.size <= 16 + sizeof(body));
}

static inline void info(void)
{
	const uint32_t body[4] = { 16 };

	assert_int_equal(tell(VU_DEVICE_GET_INFO, body, 16), 0);
}

/* New client of a new device. */
static inline void begin(void)
{
	const struct session_opts o = {
		.ops = &ops, .policy = &policy, .count = &counts, .now = now, .say = say
	};

	make_device();
	memset(&counts, 0, sizeof(counts));
	memset(&policy, 0, sizeof(policy));
	said[0] = '\0';
	assert_int_equal(session_open(&s, &o, &d, &why), 0);
	d.log[0] = '\0';
	version();
}

static inline void end(void)
{
	session_close(&s);
}

struct access {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[16];
};

static inline void read_of(uint32_t region, uint64_t offset, uint32_t count)
{
	const struct access r = { .offset = offset, .region = region, .count = count };

	assert_int_equal(tell(VU_REGION_READ, &r, 16), 0);
}

static inline uint64_t value(void)
{
	uint64_t v = 0;

	agreed();
	memcpy(&v, a.bytes + VU_READ_HEAD, a.size - VU_READ_HEAD < 8 ? a.size - VU_READ_HEAD : 8);
	return v;
}

static inline void write_of(uint32_t region, uint64_t offset, uint32_t count, uint64_t v,
			    uint32_t flags)
{
	struct access w = { .offset = offset, .region = region, .count = count };

	memcpy(w.data, &v, 8);
	assert_int_equal(tell_with(VU_REGION_WRITE, flags, &w, 16 + count, -1, NULL), 0);
}

/* --- its pages, and the guest's memory --- */

static struct shape shape;

static inline void begin_shaped(const char *rules)
{
	const struct session_opts o = { .ops = &ops,
					.policy = &policy,
					.shape = &shape,
					.count = &counts,
					.now = now,
					.say = say };

	memset(&counts, 0, sizeof(counts));
	assert_int_equal(policy_parse(&policy, rules, &why), 0);
	said[0] = '\0';
	if (session_open(&s, &o, &d, &why))
		fail_msg("%s", why.text);
	d.log[0] = '\0';
	version();
}

struct dma {
	uint32_t argsz, flags;
	uint64_t a, b, c;
};

static inline int memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, 0x10000) == 0);
	return fd;
}

static inline bool map(uint64_t iova, uint64_t size, int fd)
{
	const struct dma m = { 32, 3, 0, iova, size };
	bool kept;

	assert_int_equal(tell_with(VU_DMA_MAP, 0, &m, 32, fd, &kept), 0);
	if (!kept && fd >= 0)
		close(fd);
	return kept;
}

static inline void unmap(uint64_t iova, uint64_t size, uint32_t flags)
{
	const struct dma u = { 24, flags, iova, size, 0 };

	assert_int_equal(tell(VU_DMA_UNMAP, &u, 24), 0);
}

#endif

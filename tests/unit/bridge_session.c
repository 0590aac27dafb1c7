/* SPDX-License-Identifier: MIT */
/* A client's messages, what they do to a device, and what is answered: each command, and each way in which it can fail. */
#include <fcntl.h>
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

static void told(struct device *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void told(struct device *d, const char *fmt, ...)
{
	size_t n = strlen(d->log);
	va_list args;

	va_start(args, fmt);
	vsnprintf(d->log + n, sizeof(d->log) - n, fmt, args);
	va_end(args);
}

static void op_close(struct device *d)
{
	d->closed = true;
}

static const struct dev_facts *op_facts(const struct device *d)
{
	return &d->facts;
}

static int failure(struct device *d)
{
	int rc = d->gone ? -ENODEV : d->fail;

	d->fail = 0;
	return rc;
}

static uint8_t *place(struct device *d, uint32_t region)
{
	return region == DEV_CONFIG ? d->config : region == DEV_ROM ? d->rom : d->bar;
}

static int op_read(struct device *d, uint32_t region, uint64_t offset, void *bytes, uint32_t width)
{
	int rc = failure(d);

	if (region != DEV_CONFIG || width != 4)
		told(d, "r%u+%llx/%u;", region, (unsigned long long)offset, width);
	if (!rc)
		memcpy(bytes, place(d, region) + offset, width);
	return rc;
}

static int op_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
		    uint32_t width)
{
	int rc = failure(d);

	told(d, "w%u+%llx/%u;", region, (unsigned long long)offset, width);
	if (!rc)
		memcpy(place(d, region) + offset, bytes, width);
	return rc;
}

static int op_region_fd(struct device *d, uint32_t region, const struct vu_area *areas, uint32_t n,
			uint64_t *offset)
{
	(void)areas;
	(void)n;
	told(d, "fd%u;", region);
	*offset = 0x100000;
	return d->fail ? d->fail : dup(1);
}

static int op_reset(struct device *d, struct err *e)
{
	told(d, "reset;");
	return d->gone ? err_set(e, -ENODEV, "gone") : 0;
}

static int op_irqs(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	told(d, "irq%u:%u+%u;", set->index, set->start, set->count);
	d->irq_fds = fds ? fds[0] : -1;
	return d->gone ? err_set(e, -ENODEV, "gone") : 0;
}

static int op_map(struct device *d, const struct map *row, struct err *e)
{
	told(d, "map %llx+%llx%s;", (unsigned long long)row->iova, (unsigned long long)row->size,
	     row->fd < 0 ? " by message" : "");
	return d->gone ? -ENODEV : d->fail_map ? err_set(e, d->fail_map, "no room") : 0;
}

static int op_unmap(struct device *d, const struct map *row, struct err *e)
{
	told(d, "unmap %llx;", (unsigned long long)row->iova);
	return d->gone ? -ENODEV : d->fail_unmap ? err_set(e, d->fail_unmap, "stuck") : 0;
}

static int op_present(struct device *d)
{
	return d->gone ? -ENODEV : 0;
}

static int op_poll_fd(const struct device *d)
{
	(void)d;
	return 99;
}

static int op_attend(struct device *d, struct dev_dma *dma)
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

static void op_dma_done(struct device *d, int rc, const uint8_t *bytes)
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

static uint64_t now(void)
{
	return clock_now += 10;
}

static void say(void *arg, enum session_said how, const char *sentence)
{
	size_t n = strlen(said);

	(void)arg;
	snprintf(said + n, sizeof(said) - n, "%d:%s\n", how, sentence);
}

static void make_device(void)
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
static int tell_with(uint16_t command, uint32_t flags, const void *body, uint32_t size, int fd,
		     bool *kept)
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

static int tell(uint16_t command, const void *body, uint32_t size)
{
	return tell_with(command, 0, body, size, -1, NULL);
}

static struct vu_header head(void)
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

static void version(void)
{
	static const char body[] =
		"\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true,"
		"\"max_data_xfer_size\":4096}}";

	assert_int_equal(tell(VU_VERSION, body, sizeof(body)), 0);
	agreed();
	assert_true(a.size <= 16 + sizeof(body));
}

static void info(void)
{
	const uint32_t body[4] = { 16 };

	assert_int_equal(tell(VU_DEVICE_GET_INFO, body, 16), 0);
}

/* New client of a new device. */
static void begin(void)
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

static void end(void)
{
	session_close(&s);
}

struct access {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[16];
};

static void read_of(uint32_t region, uint64_t offset, uint32_t count)
{
	const struct access r = { .offset = offset, .region = region, .count = count };

	assert_int_equal(tell(VU_REGION_READ, &r, 16), 0);
}

static uint64_t value(void)
{
	uint64_t v = 0;

	agreed();
	memcpy(&v, a.bytes + VU_READ_HEAD, a.size - VU_READ_HEAD < 8 ? a.size - VU_READ_HEAD : 8);
	return v;
}

static void write_of(uint32_t region, uint64_t offset, uint32_t count, uint64_t v, uint32_t flags)
{
	struct access w = { .offset = offset, .region = region, .count = count };

	memcpy(w.data, &v, 8);
	assert_int_equal(tell_with(VU_REGION_WRITE, flags, &w, 16 + count, -1, NULL), 0);
}

/* Who makes accesses for the session. */
static int made_elsewhere(void *arg, struct device *dev, const struct session_access *one)
{
	told(dev, "%c", one->write ? 'W' : 'R');
	if (arg != &counts)
		return -EIO;
	return one->write ? op_write(dev, one->region, one->offset, one->bytes, one->width)
			  : op_read(dev, one->region, one->offset, one->bytes, one->width);
}

/* --- tests --- */

static void a_version_comes_first(void **state)
{
	const uint32_t body[4] = { 16 };
	const struct session_opts o = { .ops = &ops, .count = &counts, .now = now };

	(void)state;
	make_device();
	assert_int_equal(session_open(&s, &o, &d, &why), 0);
	assert_int_equal(tell(VU_DEVICE_GET_INFO, body, 16), -EPROTO);
	refused_with(EINVAL);
	end();
	assert_int_equal(session_open(&s, &o, &d, &why), 0);
	assert_int_equal(tell(VU_VERSION, "\1\0\0\0", 4), -EPROTO);
	refused_with(EINVAL);
	assert_non_null(strstr(why.text, "we speak 0.0"));
	end();
	begin();
	assert_int_equal(tell(VU_VERSION, "\0\0\0\0", 4), 0);
	refused_with(EINVAL);
	info();
	agreed();
	end();
}

static void a_device_is_told(void **state)
{
	uint32_t ask[8] = { 32 }, got[8];
	static const uint64_t sizes[DEV_REGIONS] = {
		BAR0_SIZE, 0x20, 0, 0, 0, 0, 0x800, CFG_SIZE, 0
	};

	(void)state;
	begin();
	info();
	memcpy(got, a.bytes + 16, 16);
	assert_int_equal(got[1], 3);
	assert_int_equal(got[2], DEV_REGIONS);
	assert_int_equal(got[3], DEV_IRQS);
	for (uint32_t i = 0; i < DEV_REGIONS; i++) {
		uint64_t size;

		ask[2] = i;
		assert_int_equal(tell(VU_GET_REGION_INFO, ask, 32), 0);
		agreed();
		assert_int_equal(a.size, 48);
		memcpy(&size, a.bytes + 32, 8);
		memcpy(got, a.bytes + 16, 32);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(got[1], !sizes[i] ? 0 : i == DEV_ROM ? 1 : 3);
	}
	ask[2] = DEV_REGIONS;
	tell(VU_GET_REGION_INFO, ask, 32);
	refused_with(EINVAL);
	ask[0] = 16;
	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		ask[2] = i;
		tell(VU_GET_IRQ_INFO, ask, 16);
		memcpy(got, a.bytes + 16, 16);
		assert_int_equal(got[3], i == DEV_MSIX ? 4 : 0); /* errors stay with us */
	}
	ask[2] = DEV_IRQS;
	tell(VU_GET_IRQ_INFO, ask, 16);
	refused_with(EINVAL);
	tell(VU_GET_REGION_IO_FDS, ask, 16);
	refused_with(ENOTSUP);
	ask[1] = 0x10000;
	tell(VU_DEVICE_FEATURE, ask, 8);
	refused_with(ENOTTY);
	tell(VU_MIG_DATA_READ, ask, 8);
	refused_with(ENOTSUP);
	end();
}

/* --- what is mapped, and how it is told --- */

struct region_reply {
	uint32_t argsz, flags, index, cap;
	uint64_t size, offset;
	uint16_t id, version;
	uint32_t next, n, reserved;
	struct vu_area areas[4];
};

static struct shape shape;

static void begin_shaped(const char *rules)
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

static struct region_reply region_of(uint32_t index, uint32_t room)
{
	const uint32_t ask[8] = { room, 0, index };
	struct region_reply r = { 0 };

	assert_int_equal(tell(VU_GET_REGION_INFO, ask, 32), 0);
	agreed();
	memcpy(&r, a.bytes + 16, a.size - 16 < sizeof(r) ? a.size - 16 : sizeof(r));
	return r;
}

static void pages_are_offered_with_a_descriptor(void **state)
{
	struct region_reply r;

	(void)state;
	make_device();
	d.facts.region[0].map = true;
	shape = (struct shape) { .mode = GRANT_HYBRID };
	begin_shaped("bar0 0x1000+0x1000 map\nbar0 0x3000+0x1000 map\n");
	assert_int_equal(counts.regions[0].mapped_bytes, 0x2000);
	assert_int_equal(counts.mode, TELEM_MODE_HYBRID);
	r = region_of(0, 32); /* no room for the areas: what they need, and no descriptor */
	assert_int_equal(r.argsz, 32 + 16 + 32);
	assert_int_equal(a.fd, -1);
	r = region_of(0, 80);
	assert_true(a.fd >= 0);
	assert_int_equal(close(a.fd), 0);
	assert_int_equal(r.flags, 15);
	assert_int_equal(r.offset, 0x100000);
	assert_int_equal(r.id, 1);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.areas[1].offset, 0x3000);
	r = region_of(1, 80);
	assert_int_equal(a.fd, -1);
	assert_int_equal(r.flags, 3);
	d.fail = -EMFILE;
	r = region_of(0, 80);
	assert_int_equal(r.flags, 3);
	assert_non_null(strstr(said, "bar0 cannot be mapped, and is trapped"));
	d.fail = 0;
	end();
	assert_int_equal(counts.regions[0].mapped_bytes, 0);
	shape.mode = GRANT_MAP;
	begin_shaped("");
	r = region_of(0, 80);
	assert_int_equal(close(a.fd), 0);
	assert_int_equal(r.flags, 7); /* all of it: no areas */
	tell_with(VU_GET_REGION_INFO, VU_NO_REPLY, &(uint32_t[8]) { 80 }, 32, -1, NULL);
	assert_int_equal(a.fd, -1);
	end();
}

static void what_is_mapped_stays(void **state)
{
	static struct policy fresh;

	(void)state;
	make_device();
	d.facts.region[0].map = true;
	shape = (struct shape) { .mode = GRANT_HYBRID };
	begin_shaped("bar0 0x1000+0x1000 map\nbar0 0x0+4 deny\n");
	assert_int_equal(policy_parse(&fresh, "bar0 0x1000+0x1000 map\nbar0 0x8+4 log\n", &why), 0);
	assert_int_equal(session_rules(&s, &fresh, &why), 0);
	assert_int_equal(policy_parse(&fresh, "bar0 0x1000+0x2000 map\n", &why), 0);
	assert_int_equal(session_rules(&s, &fresh, &why), -EBUSY);
	assert_non_null(strstr(why.text, "unplug the device from it first"));
	assert_int_equal(policy_parse(&fresh, "", &why), 0);
	assert_int_equal(session_rules(&s, &fresh, &why), -EBUSY);
	end();
	assert_int_equal(policy_parse(&fresh, "bar1 all map\n", &why), 0);
	assert_int_equal(
		session_check(&(struct session_opts) { .ops = &ops, .policy = &fresh }, &d, &why),
		-EINVAL);
}

static void denied_writes_are_told_for_a_while(void **state)
{
	const char *at = said;
	uint32_t n = 0;

	(void)state;
	make_device();
	shape = (struct shape) { 0 };
	begin_shaped("bar0 0x0+8 deny 0x5a\n");
	for (uint32_t i = 0; i < 20; i++)
		write_of(DEV_BAR0, 0, 4, i, 0);
	read_of(DEV_BAR0, 0, 8);
	assert_true(value() == UINT64_C(0x5a5a5a5a5a5a5a5a));
	assert_string_equal(d.log, "");
	assert_int_equal(counts.regions[0].denied, 21);
	for (; (at = strstr(at, "0:the rule of line 1 denies a write of 4 bytes at 0x0 of BAR0"));
	     at++)
		n++;
	assert_int_equal(n, SESSION_SAID);
	end();
}

/* --- what is known of single devices --- */

static void make_nvidia(void)
{
	make_device();
	d.config[0] = 0xde;
	d.config[1] = 0x10;
	d.config[0x0b] = 0x03;
	d.facts.region[5] =
		(struct dev_region) { .size = 0x80, .read = true, .write = true, .io = true };
	d.config[0x24] = 1;
	shape = (struct shape) { 0 };
}

static void a_mirror_is_configuration_space(void **state)
{
	(void)state;
	make_nvidia();
	begin_shaped("bar0 0x1840+4 deny 0\n");
	memset(d.bar, 0xee, sizeof(d.bar));
	read_of(DEV_BAR0, 0x1800, 4);
	assert_int_equal(value(), 0x567810de);
	write_of(DEV_BAR0, 0x1810, 4, 0xffffffff, 0); /* sizing, from the side */
	read_of(DEV_CONFIG, 0x10, 4);
	assert_int_equal(value(), 0xffffc000);
	write_of(DEV_BAR0, 0x1800, 4, 0x12345678, 0);
	assert_int_equal(d.config[0], 0xde);
	assert_null(strstr(d.log, "w0+")); /* nothing of this has reached the BAR */
	read_of(DEV_BAR0, 0x1840, 4);      /* rules hold there, too */
	assert_int_equal(value(), 0);
	read_of(DEV_BAR0, 0x1900, 4);
	assert_int_equal(value(), 0xeeeeeeee);
	end();
}

static void an_acknowledgement_goes_through_the_mirror(void **state)
{
	(void)state;
	make_nvidia();
	d.facts.region[0].size = BAR0_ROOM;
	begin_shaped("");
	write_of(DEV_BAR0, 0x88068, 1, 0xff, 0);
	write_of(DEV_BAR0, 0x88704, 4, 0xff, 0);
	assert_string_equal(d.log, "w0+88068/1;w0+88704/4;");
	d.log[0] = '\0';
	write_of(DEV_BAR0, 0x88068, 4, 0xffffffff, 0); /* what is beside it is configuration */
	write_of(DEV_BAR0, 0x88700, 8, 0, 0);
	assert_null(strstr(d.log, "w0+"));
	end();
}

static void a_window_is_where_its_index_points(void **state)
{
	uint32_t index = 0x88010;

	(void)state;
	make_nvidia();
	begin_shaped("");
	write_of(5, 8, 4, index, 0);
	write_of(5, 12, 4, 0xffffffff, 0);
	read_of(5, 12, 4);
	assert_int_equal(value(), 0xffffc000);
	write_of(5, 8, 4, 0x1802, 0);
	read_of(5, 12, 2);
	assert_int_equal(value(), 0x5678);
	d.log[0] = '\0';
	write_of(5, 8, 4, 0x100, 0);
	write_of(5, 12, 4, 0xabcd, 0);
	assert_string_equal(d.log, "w5+8/4;r5+8/4;w5+c/4;");
	end();
}

static void writes_stay_behind_mapped_ones(void **state)
{
	(void)state;
	make_nvidia();
	d.facts.region[0].map = true;
	shape.order = true;
	begin_shaped("");
	write_of(DEV_BAR0, 0x40, 4, 1, 0);
	assert_string_equal(d.log, "w0+40/4;"); /* nothing is mapped */
	end();
	begin_shaped("bar0 0x2000+0x1000 map\n");
	write_of(DEV_BAR0, 0x40, 8, 1, 0);
	assert_string_equal(d.log, "r0+0/4;w0+40/8;");
	end();
}

static void an_access_keeps_its_width(void **state)
{
	(void)state;
	begin();
	for (uint32_t w = 1; w <= 8; w *= 2) {
		char want[64];

		d.log[0] = '\0';
		write_of(DEV_BAR0, 0x40, w, 0x8877665544332211, 0);
		agreed();
		read_of(DEV_BAR0, 0x40, w);
		assert_true(value() ==
			    UINT64_C(0x8877665544332211) << (64 - 8 * w) >> (64 - 8 * w));
		snprintf(want, sizeof(want), "w0+40/%u;r0+40/%u;", w, w);
		assert_string_equal(d.log, want);
	}
	assert_int_equal(counts.regions[0].reads, 4);
	assert_int_equal(counts.regions[0].writes, 4);
	assert_int_equal(counts.regions[0].posted, 0);
	end();
}

static void what_is_no_access_never_reaches_the_device(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t offset;
		uint32_t count;
	} rows[] = {
		{ 0, 0, 3 },
		{ 0, 0, 16 },
		{ 0, 0, 4096 },
		{ 0, 2, 4 },
		{ 0, 1, 2 },
		{ 0, 4, 8 },
		{ 0, BAR0_SIZE, 1 },
		{ 0, BAR0_SIZE - 4, 8 },
		{ 0, UINT64_MAX - 8, 4 },
		{ 1, 0, 8 },
		{ 1, 0x20, 1 },
		{ 2, 0, 4 },
		{ DEV_VGA, 0, 1 },
		{ DEV_REGIONS, 0, 1 },
		{ UINT32_MAX, 0, 1 },
		{ DEV_CONFIG, 4096, 1 },
		{ DEV_CONFIG, 4, 4096 },
		{ DEV_ROM, 0x7fe, 4 },
	};

	(void)state;
	begin();
	for (size_t i = 0; i < COUNT(rows); i++) {
		read_of(rows[i].region, rows[i].offset, rows[i].count);
		refused_with(EINVAL);
		if (rows[i].count <= 8) {
			write_of(rows[i].region, rows[i].offset, rows[i].count, 0, 0);
			refused_with(EINVAL);
		}
	}
	write_of(DEV_ROM, 0, 4, 0, 0);
	refused_with(EINVAL);
	read_of(DEV_CONFIG, 0, VU_DATA_MAX + 1);
	refused_with(E2BIG);
	assert_string_equal(d.log, "");
	assert_int_equal(counts.regions[0].reads, 0);
	assert_true(counts.counts.refused > COUNT(rows));
	assert_non_null(strstr(said, "counted, not told"));
	end();
}

/* Another one makes the accesses, and may end in the middle of several: the next goes on where it was. */
static void who_makes_accesses_may_change(void **state)
{
	struct {
		uint64_t count;
		struct {
			uint64_t offset;
			uint32_t region, count;
			uint64_t data;
		} write[4];
	} multi = { 4, { { 0, 0, 4, 1 }, { 4, 0, 4, 2 }, { 8, 0, 4, 3 }, { 12, 0, 4, 4 } } };
	uint64_t done = 0;

	(void)state;
	begin();
	s.o.access = made_elsewhere;
	s.o.arg = &counts;
	s.o.say = NULL;
	s.o.multi_done = &done;
	read_of(DEV_BAR0, 8, 4);
	write_of(DEV_BAR0, 8, 4, 1, 0);
	assert_string_equal(d.log, "Rr0+8/4;Ww0+8/4;");
	d.log[0] = '\0';
	assert_int_equal(tell(VU_REGION_WRITE_MULTI, &multi, sizeof(multi)), 0);
	assert_int_equal(done, 4);
	d.log[0] = '\0';
	done = 2;
	assert_int_equal(tell(VU_REGION_WRITE_MULTI, &multi, sizeof(multi)), 0);
	agreed();
	assert_string_equal(d.log, "Ww0+8/4;Ww0+c/4;");
	assert_int_equal(done, 4);
	end();
}

/* All that was told of how long accesses took. */
static uint64_t took_in_all(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < TELEM_LATENCY; i++)
		n += counts.latency[i];
	return n;
}

static void what_an_access_took_ends_with_its_reply(void **state)
{
	struct {
		uint64_t count;
		struct {
			uint64_t offset;
			uint32_t region, count;
			uint64_t data;
		} w[2];
	} multi = { 2, { { 0x20, 0, 4, 1 }, { 0x24, 0, 4, 2 } } };

	(void)state;
	begin();
	read_of(0, 0x10, 4);
	assert_int_equal(counts.regions[0].reads, 1); /* who has the reply finds it counted */
	assert_int_equal(took_in_all(), 0);
	clock_now += 5000; /* the client is slow to take it */
	session_answered(&s);
	session_answered(&s);
	assert_int_equal(took_in_all(), 1);
	assert_in_range(counts.counts.latency_max_ns, 5000, 5100);
	write_of(0, 0x10, 4, 1, 0);
	clock_now += 7000;
	session_answered(&s);
	assert_int_equal(took_in_all(), 2);
	assert_in_range(counts.counts.latency_max_ns, 7000, 7100);
	write_of(0, 0x10, 4, 1, VU_NO_REPLY); /* to its end */
	assert_int_equal(took_in_all(), 3);
	tell(VU_REGION_WRITE_MULTI, &multi, sizeof(multi));
	assert_int_equal(took_in_all(), 5);
	clock_now += 9000;
	session_answered(&s);
	assert_int_equal(took_in_all(), 5);
	assert_in_range(counts.counts.latency_ns, 12000, 12300);
	read_of(0, 0x10, 4); /* its client is gone before the reply */
	info();
	session_answered(&s);
	assert_int_equal(took_in_all(), 5);
	end();
}

static void nobody_waits_for_a_posted_write(void **state)
{
	struct {
		uint64_t count;
		struct {
			uint64_t offset;
			uint32_t region, count;
			uint8_t data[8];
		} w[3];
	} m = { 3, { { 0, 0, 4, { 1 } }, { 8, 0, 8, { 2 } }, { 4, 0, 2, { 3 } } } };
	uint64_t done;

	(void)state;
	begin();
	write_of(DEV_BAR0, 0x10, 4, 0x55, VU_NO_REPLY);
	assert_int_equal(a.size, 0);
	assert_int_equal(d.bar[0x10], 0x55);
	write_of(DEV_BAR0, 0x11, 4, 0x55, VU_NO_REPLY); /* nor for its error */
	assert_int_equal(a.size, 0);
	assert_int_equal(counts.regions[0].posted, 1);
	d.log[0] = '\0';
	tell_with(VU_REGION_WRITE_MULTI, VU_NO_REPLY, &m, sizeof(m), -1, NULL);
	assert_int_equal(a.size, 0);
	assert_string_equal(d.log, "w0+0/4;w0+8/8;w0+4/2;");
	assert_int_equal(counts.regions[0].posted, 4);
	m.w[1].count = 3; /* up to the first that cannot be */
	tell(VU_REGION_WRITE_MULTI, &m, sizeof(m));
	agreed();
	memcpy(&done, a.bytes + 16, 8);
	assert_int_equal(done, 1);
	m.w[0].count = 9;
	tell(VU_REGION_WRITE_MULTI, &m, sizeof(m));
	refused_with(EINVAL);
	end();
}

static void rules_hold(void **state)
{
	(void)state;
	begin();
	assert_int_equal(
		policy_parse(&policy,
			     "bar0 0x0+0x100 deny 0x5a\nbar0 0x100+4 mask 0xff\nbar0 0x200+4 log\n",
			     &why),
		0);
	read_of(DEV_BAR0, 0x10, 4);
	assert_int_equal(value(), 0x5a5a5a5a);
	write_of(DEV_BAR0, 0x10, 4, 1, 0);
	agreed();
	assert_string_equal(d.log, "");
	assert_int_equal(counts.regions[0].denied, 2);
	write_of(DEV_BAR0, 0x100, 4, 0x11223344, 0);
	assert_int_equal(d.bar[0x100], 0x44);
	assert_int_equal(d.bar[0x101], 0);
	write_of(DEV_BAR0, 0x200, 4, 0x11223344, 0);
	read_of(DEV_BAR0, 0x200, 4);
	assert_int_equal(value(), 0x11223344);
	assert_int_equal(counts.regions[0].logged, 2);
	assert_non_null(strstr(said, "write of 4 bytes at 0x200 of BAR0"));
	end();
}

static void config_is_shaped(void **state)
{
	(void)state;
	begin();
	read_of(DEV_CONFIG, 0, 4);
	assert_int_equal(value(), 0x56781234);
	write_of(DEV_CONFIG, 0x10, 4, 0xffffffff, 0); /* sizing */
	read_of(DEV_CONFIG, 0x10, 4);
	assert_int_equal(value(), 0xffffc000);
	assert_int_equal(d.config[0x10], 0); /* it stays here */
	write_of(DEV_CONFIG, 4, 2, 0x0406, 0);
	assert_int_equal(d.config[4], 6);
	write_of(DEV_CONFIG, 0, 4, 0xdeadbeef, 0);
	assert_int_equal(d.config[0], 0x34);
	d.log[0] = '\0';
	read_of(DEV_CONFIG, 0, CFG_SIZE);
	agreed();
	assert_int_equal(a.size, VU_READ_HEAD + CFG_SIZE);
	read_of(DEV_CONFIG, 1, 7); /* in pieces as wide as their place allows */
	assert_string_equal(d.log, "r7+1/1;r7+2/2;");
	memset(d.rom, 0xab, sizeof(d.rom));
	read_of(DEV_ROM, 0, sizeof(d.rom));
	agreed();
	assert_int_equal(a.bytes[a.size - 1], 0xab);
	end();
	assert_int_equal(d.config[4] & 4, 0); /* no bus master without a client */
}

static void errors_of_the_device_are_the_guests(void **state)
{
	(void)state;
	begin();
	d.fail = -EIO;
	read_of(DEV_BAR0, 0, 4);
	refused_with(EIO);
	d.fail = -EIO;
	write_of(DEV_CONFIG, 4, 2, 6, 0);
	refused_with(EIO);
	assert_int_equal(counts.counts.errors, 2);
	assert_int_equal(counts.counts.refused, 0);
	end();
}

struct dma {
	uint32_t argsz, flags;
	uint64_t a, b, c;
};

static int memory(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, 0x10000) == 0);
	return fd;
}

static bool map(uint64_t iova, uint64_t size, int fd)
{
	const struct dma m = { 32, 3, 0, iova, size };
	bool kept;

	assert_int_equal(tell_with(VU_DMA_MAP, 0, &m, 32, fd, &kept), 0);
	if (!kept && fd >= 0)
		close(fd);
	return kept;
}

static void unmap(uint64_t iova, uint64_t size, uint32_t flags)
{
	const struct dma u = { 24, flags, iova, size, 0 };

	assert_int_equal(tell(VU_DMA_UNMAP, &u, 24), 0);
}

static void memory_is_mapped(void **state)
{
	(void)state;
	begin();
	assert_true(map(0x1000, 0x2000, memory()));
	agreed();
	assert_int_equal(a.size, 16);
	map(0x10000, 0x1000, -1);
	agreed();
	assert_int_equal(counts.counts.dma_maps, 2);
	assert_int_equal(counts.counts.dma_bytes, 0x3000);
	assert_false(map(0x2000, 0x1000, memory())); /* there already */
	refused_with(EEXIST);
	unmap(0x1000, 0x1000, 0); /* half of one */
	refused_with(EINVAL);
	unmap(0x100000, 0x1000, 0); /* of nothing */
	agreed();
	assert_string_equal(d.log, "map 1000+2000;map 10000+1000 by message;");
	unmap(0, 0x4000, 0);
	agreed();
	assert_int_equal(a.size, 40);
	assert_int_equal(counts.counts.dma_maps, 1);
	map(0x1000, 0x1000, memory());
	d.log[0] = '\0';
	unmap(0, 0, 2);
	agreed();
	assert_string_equal(d.log, "unmap 1000;unmap 10000;");
	assert_int_equal(counts.counts.dma_bytes, 0);
	assert_int_equal(counts.counts.dma_refused, 2);
	info(); /* none of this was the end of anything */
	agreed();
	map(0x1000, 0x1000, memory());
	d.fail_unmap = -EBUSY; /* what is still mapped stays known */
	unmap(0x1000, 0x1000, 0);
	refused_with(EBUSY);
	assert_int_equal(counts.counts.dma_maps, 1);
	end();
}

static void memory_that_cannot_be_mapped(void **state)
{
	(void)state;
	begin();
	d.fail_map = -ENOMEM;
	assert_true(map(0x1000, 0x1000, memory()));
	refused_with(ENOMEM);
	assert_int_equal(counts.counts.dma_maps, 0);
	info();
	refused_with(ENOMEM);
	assert_non_null(strstr(said, "the guest's memory cannot be mapped: no room"));
	end();
	assert_false(d.closed);
	begin();
	info();
	d.fail_map = -ENOMEM;
	map(0x1000, 0x1000, memory());
	refused_with(ENOMEM);
	assert_true(d.closed);
	assert_int_equal(counts.state, TELEM_BRIDGE_LOST);
	assert_string_equal(counts.trouble, "no room");
	end();
}

static void interrupts_go_to_the_device(void **state)
{
	const uint32_t set[5] = { 20, 0x24, DEV_MSIX, 0, 1 },
		       down[5] = { 20, 0x21, DEV_MSIX, 0, 0 },
		       far[5] = { 20, 0x24, DEV_MSIX, 4, 1 };
	int fd = eventfd(0, EFD_CLOEXEC);
	bool kept;

	(void)state;
	begin();
	tell_with(VU_SET_IRQS, 0, set, 20, fd, &kept);
	agreed();
	assert_true(kept);
	assert_int_equal(d.irq_fds, fd);
	tell(VU_SET_IRQS, down, 20);
	agreed();
	assert_string_equal(d.log, "irq2:0+1;irq2:0+0;");
	fd = eventfd(0, EFD_CLOEXEC);
	tell_with(VU_SET_IRQS, 0, far, 20, fd, &kept);
	refused_with(EINVAL);
	assert_false(kept);
	close(fd);
	end();
}

static void a_reset_begins_anew(void **state)
{
	(void)state;
	begin();
	write_of(DEV_CONFIG, 0x3c, 1, 0x42, 0);
	tell(VU_DEVICE_RESET, NULL, 0);
	agreed();
	read_of(DEV_CONFIG, 0x3c, 1);
	assert_int_equal(value(), 0);
	end();
	begin();
	s.facts.reset = false;
	tell(VU_DEVICE_RESET, NULL, 0);
	refused_with(ENOTTY);
	end();
}

static void a_device_that_goes_is_a_state(void **state)
{
	const uint32_t set[5] = { 20, 0x24, DEV_MSIX, 0, 1 };
	int fd = eventfd(0, EFD_CLOEXEC);
	bool kept;

	(void)state;
	begin();
	info();
	map(0x1000, 0x1000, memory());
	d.gone = true;
	read_of(DEV_BAR0, 0, 8);
	assert_true(value() == UINT64_MAX);
	assert_true(d.closed);
	assert_int_equal(counts.state, TELEM_BRIDGE_LOST);
	d.log[0] = '\0';
	read_of(DEV_CONFIG, 0, 4);
	assert_int_equal(value(), 0xffffffff);
	read_of(DEV_ROM, 0, 0x800);
	assert_int_equal(value(), UINT64_MAX);
	write_of(DEV_BAR0, 0, 4, 1, 0);
	agreed();
	write_of(DEV_CONFIG, 4, 2, 1, 0);
	agreed();
	read_of(DEV_BAR0, 0, 3); /* what is wrong stays wrong */
	refused_with(EINVAL);
	map(0x4000, 0x1000, memory());
	agreed();
	unmap(0x1000, 0x1000, 0);
	agreed();
	tell_with(VU_SET_IRQS, 0, set, 20, fd, &kept);
	agreed();
	close(fd);
	tell(VU_DEVICE_RESET, NULL, 0);
	refused_with(ENODEV);
	session_tick(&s);
	assert_int_equal(session_poll_fd(&s), -1);
	assert_null(session_close(&s));
	assert_string_equal(d.log, "");
	assert_non_null(strstr(said, "is lost (does not answer)"));
	assert_null(strstr(strstr(said, "is lost") + 1, "is lost")); /* told once */
}

static void not_yet_closed(void *arg)
{
	(void)arg;
	assert_false(d.closed);
	told(&d, "lost ");
}

static void who_else_knows_it_is_told_before(void **state)
{
	(void)state;
	begin();
	s.o.lost = not_yet_closed;
	info();
	read_of(DEV_BAR0, 0, 8);
	d.log[0] = '\0';
	d.gone = true;
	read_of(DEV_BAR0, 0, 8);
	assert_true(d.closed);
	read_of(DEV_BAR0, 0, 8);
	assert_string_equal(d.log, "r0+0/8;lost ");
	assert_null(session_close(&s));
}

/* In the middle of a config read, by a reset, by interrupts, by a look. */
static void it_may_go_anywhere(void **state)
{
	const uint32_t set[5] = { 20, 0x21, DEV_MSIX, 0, 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		begin();
		map(0x1000, 0x1000, memory());
		d.gone = true;
		if (i == 0)
			read_of(DEV_CONFIG, 0, CFG_SIZE);
		else if (i == 1)
			tell(VU_DEVICE_RESET, NULL, 0);
		else if (i == 2)
			tell(VU_SET_IRQS, set, 20);
		else if (i == 3)
			session_tick(&s);
		else if (i == 4)
			unmap(0, 0, 2);
		else
			session_attend(&s, &a);
		assert_true(d.closed);
		assert_null(session_close(&s));
	}
}

static void a_client_that_goes_leaves_nothing(void **state)
{
	const uint32_t set[5] = { 20, 0x24, DEV_MSIX, 0, 1 };
	bool kept;

	(void)state;
	begin();
	map(0x1000, 0x1000, memory());
	map(0x3000, 0x1000, memory());
	tell_with(VU_SET_IRQS, 0, set, 20, eventfd(0, EFD_CLOEXEC), &kept);
	write_of(DEV_CONFIG, 4, 2, 6, 0);
	d.log[0] = '\0';
	assert_ptr_equal(session_close(&s), &d);
	assert_string_equal(d.log, "r7+4/2;w7+4/2;unmap 3000;unmap 1000;irq2:0+0;reset;");
	assert_false(d.closed);
	assert_int_equal(counts.counts.dma_maps, 0);
}

static void dma_by_message(void **state)
{
	struct {
		uint64_t iova, count;
		uint8_t data[8];
	} reply = { 0x1000, 8, "sevenfl" };
	struct vu_header h;

	(void)state;
	begin();
	assert_int_equal(session_poll_fd(&s), 99);
	session_attend(&s, &a);
	assert_int_equal(a.size, 0);
	d.wants = true;
	d.dma = (struct dev_dma) { .iova = 0x1000, .count = 8 };
	session_attend(&s, &a);
	assert_int_equal(a.size, VU_DMA_HEAD);
	memcpy(&h, a.bytes, sizeof(h));
	assert_int_equal(h.command, VU_DMA_READ);
	assert_int_equal(session_poll_fd(&s), -1); /* one at a time */
	read_of(DEV_BAR0, 0, 4);                   /* meanwhile all goes on */
	agreed();
	tell_with(VU_DMA_READ, VU_TYPE_REPLY, &reply, sizeof(reply), -1,
		  NULL); /* id 7: of nothing */
	assert_null(strstr(d.log, "done"));
	assert_int_equal(counts.counts.refused, 1);
	s.dma.id = 7;
	tell_with(VU_DMA_READ, VU_TYPE_REPLY, &reply, sizeof(reply), -1, NULL);
	assert_int_equal(a.size, 0);
	assert_non_null(strstr(d.log, "done"));
	assert_int_equal(d.done_rc, 0);
	assert_memory_equal(d.done, "sevenfl", 8);
	/* More than the client takes, no answer, and a client that goes */
	d.wants = true;
	d.dma.count = 4097;
	session_attend(&s, &a);
	assert_int_equal(a.size, 0);
	assert_int_equal(d.done_rc, -E2BIG);
	d.wants = true;
	d.dma = (struct dev_dma) {
		.write = true, .iova = 0x1000, .count = 4, .bytes = (const uint8_t *)"abc"
	};
	session_attend(&s, &a);
	assert_int_equal(a.size, VU_DMA_HEAD + 4);
	assert_memory_equal(a.bytes + VU_DMA_HEAD, "abc", 4);
	session_tick(&s);
	assert_true(s.dma.asked);
	clock_now += SESSION_DMA_NS;
	session_tick(&s);
	assert_int_equal(d.done_rc, -ETIMEDOUT);
	d.wants = true;
	session_attend(&s, &a);
	end();
	assert_int_equal(d.done_rc, -ECANCELED);
}

/* It is no loss, and no client hears of it: QEMU would stop its machine. */
static void an_error_is_told(void **state)
{
	(void)state;
	begin();
	for (int i = 1; i <= SESSION_SAID + 2; i++) {
		d.erred = true;
		said[0] = '\0';
		session_attend(&s, &a);
		assert_int_equal(a.size, 0);
		assert_int_equal(strstr(said, "could not correct") != NULL, i <= SESSION_SAID);
	}
	assert_int_equal(s.errors, SESSION_SAID + 2);
	assert_non_null(strstr(counts.trouble, "10 of them; it still answers"));
	assert_int_not_equal(counts.state, TELEM_BRIDGE_LOST);
	read_of(DEV_BAR0, 0, 4);
	agreed();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_comes_first),
		cmocka_unit_test(a_device_is_told),
		cmocka_unit_test(pages_are_offered_with_a_descriptor),
		cmocka_unit_test(what_is_mapped_stays),
		cmocka_unit_test(denied_writes_are_told_for_a_while),
		cmocka_unit_test(a_mirror_is_configuration_space),
		cmocka_unit_test(an_acknowledgement_goes_through_the_mirror),
		cmocka_unit_test(a_window_is_where_its_index_points),
		cmocka_unit_test(writes_stay_behind_mapped_ones),
		cmocka_unit_test(an_access_keeps_its_width),
		cmocka_unit_test(what_is_no_access_never_reaches_the_device),
		cmocka_unit_test(who_makes_accesses_may_change),
		cmocka_unit_test(what_an_access_took_ends_with_its_reply),
		cmocka_unit_test(nobody_waits_for_a_posted_write),
		cmocka_unit_test(rules_hold),
		cmocka_unit_test(config_is_shaped),
		cmocka_unit_test(errors_of_the_device_are_the_guests),
		cmocka_unit_test(memory_is_mapped),
		cmocka_unit_test(memory_that_cannot_be_mapped),
		cmocka_unit_test(interrupts_go_to_the_device),
		cmocka_unit_test(a_reset_begins_anew),
		cmocka_unit_test(a_device_that_goes_is_a_state),
		cmocka_unit_test(who_else_knows_it_is_told_before),
		cmocka_unit_test(it_may_go_anywhere),
		cmocka_unit_test(a_client_that_goes_leaves_nothing),
		cmocka_unit_test(dma_by_message),
		cmocka_unit_test(an_error_is_told),
	};

	return cmocka_run_group_tests_name("bridge session", tests, NULL, NULL);
}

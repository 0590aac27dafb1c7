/* SPDX-License-Identifier: MIT */
/* What a client reads and writes of a device: registers, rules for them, and what is known of single devices. */
#include "tests/unit/told.h"

/* --- widths --- */

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

/* --- who makes them, and how long they take --- */

struct one_of_several {
	uint64_t offset;
	uint32_t region, count;
	uint64_t data;
};

/* Who makes accesses for the session. */
static int made_elsewhere(void *arg, struct device *dev, const struct session_access *one)
{
	told(dev, "%c", one->write ? 'W' : 'R');
	if (arg != &counts)
		return -EIO;
	return one->write ? op_write(dev, one->region, one->offset, one->bytes, one->width)
			  : op_read(dev, one->region, one->offset, one->bytes, one->width);
}

/* Another one makes the accesses, and may end in the middle of several: the next goes on where it was. */
static void who_makes_accesses_may_change(void **state)
{
	struct {
		uint64_t count;
		struct one_of_several write[4];
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
		struct one_of_several w[2];
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

/* --- rules --- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("bridge session", tests, NULL, NULL);
}

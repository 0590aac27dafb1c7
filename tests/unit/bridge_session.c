/* SPDX-License-Identifier: MIT */
/* A client's messages, what they do to a device, and what is answered: each command, and each way in which it can fail. */
#include "tests/unit/told.h"

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
		cmocka_unit_test(config_is_shaped),
		cmocka_unit_test(errors_of_the_device_are_the_guests),
		cmocka_unit_test(interrupts_go_to_the_device),
		cmocka_unit_test(a_reset_begins_anew),
		cmocka_unit_test(a_device_that_goes_is_a_state),
		cmocka_unit_test(who_else_knows_it_is_told_before),
		cmocka_unit_test(it_may_go_anywhere),
		cmocka_unit_test(a_client_that_goes_leaves_nothing),
		cmocka_unit_test(an_error_is_told),
	};

	return cmocka_run_group_tests_name("bridge session", tests, NULL, NULL);
}

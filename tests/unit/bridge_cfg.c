/* SPDX-License-Identifier: MIT */
/* What a guest sees of a configuration space, and what of its writes reaches the device. */
#include <string.h>

#include "bar-forward/cfg.h"
#include "tests/unit/harness.h"

static uint8_t real[CFG_SIZE];
static struct cfg c;

static void put(uint32_t at, uint32_t bytes, uint32_t v)
{
	for (uint32_t i = 0; i < bytes; i++)
		real[at + i] = (uint8_t)(v >> 8 * i);
}

/* What the guest reads. */
static uint32_t see(uint32_t at, uint32_t width)
{
	uint8_t bytes[4];
	uint32_t v = 0;

	memcpy(bytes, &real[at], width);
	cfg_read(&c, at, width, bytes);
	for (uint32_t i = 0; i < width; i++)
		v |= (uint32_t)bytes[i] << 8 * i;
	return v;
}

/* What the device gets of a guest's write; -1: nothing. */
static int64_t give(uint32_t at, uint32_t width, uint32_t v)
{
	uint8_t bytes[4];
	int64_t got = 0;

	for (uint32_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(v >> 8 * i);
	if (!cfg_write(&c, at, width, bytes, &real[at]))
		return -1;
	for (uint32_t i = 0; i < width; i++)
		got |= (int64_t)bytes[i] << 8 * i;
	return got;
}

/* A card: PM 0x40, MSI 0x50 (64 bit, with masks), PCIe 0x70, vendor 0xb0; AER 0x100, ATS 0x150, Resizable BAR 0x200, SR-IOV 0x240. */
static void card(void)
{
	memset(real, 0, sizeof(real));
	put(0x00, 4, 0x268410de);
	put(0x04, 4, 0x00100006);
	put(0x08, 4, 0x030000a1);
	put(0x0e, 1, 0x80);
	put(0x10, 4, 0xf6000000);
	put(0x14, 4, 0xe000000c);
	put(0x24, 4, 0xe001);
	put(0x34, 1, 0x40);
	put(0x3c, 2, 0x010b);
	put(0x40, 4, 0x00035001);
	put(0x44, 2, 0x8008);
	put(0x50, 4, 0x01807005);
	put(0x70, 4, 0x0012b010);
	put(0x78, 2, 0x2910);
	put(0xb0, 4, 0x00140009);
	put(0x100, 4, 0x15020001);
	put(0x150, 4, 0x2001000f);
	put(0x200, 4, 0x24010015);
	put(0x204, 4, 0x0007fff0);
	put(0x208, 4, 0x00000e21);
	put(0x240, 4, 0x00010010);
}

static const uint64_t sizes[CFG_BARS] = { 16 << 20, 256 << 20, 0, 0, 0, 128 };

static void open_card(uint64_t bar1)
{
	struct cfg_shape shape;

	cfg_own_shape(sizes, real, 512 << 10, &shape);
	if (bar1)
		shape.bar[1].size = bar1;
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &shape, NULL), 0);
}

static void bars_are_sized_and_placed_here(void **state)
{
	(void)state;
	card();
	open_card(0);
	assert_int_equal(see(0x10, 4), 0);
	assert_int_equal(give(0x10, 4, 0xffffffff), -1); /* never the device's */
	assert_int_equal(see(0x10, 4), 0xff000000);
	assert_int_equal(give(0x14, 4, 0xffffffff), -1);
	assert_int_equal(give(0x18, 4, 0xffffffff), -1);
	assert_int_equal(see(0x14, 4), 0xf000000c);
	assert_int_equal(see(0x18, 4), 0xffffffff);
	give(0x14, 4, 0x80000000);
	give(0x18, 4, 0x00000012);
	assert_int_equal(see(0x14, 4), 0x8000000c);
	assert_int_equal(see(0x18, 4), 0x12);
	give(0x24, 4, 0xffffffff);
	assert_int_equal(see(0x24, 4), 0xffffff81);
	give(0x1c, 4, 0xffffffff);
	assert_int_equal(see(0x1c, 4), 0); /* none there */
	give(0x30, 4, 0xffffffff);
	assert_int_equal(see(0x30, 4), 0xfff80001);
	give(0x11, 1, 0x12); /* below the size */
	assert_int_equal(see(0x10, 4), 0xff000000);
	cfg_reset(&c);
	assert_int_equal(see(0x14, 4), 0xc);
	assert_int_equal(see(0x18, 4), 0);
}

static void a_quirk_opens_bytes(void **state)
{
	(void)state;
	card();
	open_card(0);
	assert_int_equal(give(0xb4, 4, 0xffffffff), -1);
	cfg_let(&c, 0xb4, 4);
	assert_int_equal(give(0xb4, 4, 0xa5a5a5a5), 0xa5a5a5a5);
	assert_int_equal(give(0xb8, 4, 0xffffffff), -1);
	cfg_let(&c, 0x00, 0x40); /* never the header */
	assert_int_equal(give(0x00, 4, 0xffffffff), -1);
	cfg_let(&c, 0xffc, 64);
	assert_int_equal(give(0xffc, 4, 1), 1);
}

static void msix_can_be_hidden(void **state)
{
	struct cfg_shape shape;

	(void)state;
	card();
	put(0x71, 1, 0xc0); /* PCI Express, then MSI-X, then the vendor's */
	put(0xc0, 4, 0x0008b011);
	open_card(0);
	assert_int_equal(see(0x70, 2), 0xc010);
	assert_int_equal(give(0xc2, 2, 0x8000), 0x8008);
	cfg_own_shape(sizes, real, 0, &shape);
	shape.hide_msix = true;
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &shape, NULL), 0);
	assert_int_equal(see(0x70, 2), 0xb010);
	assert_int_equal(see(0xc0, 4), 0);
	assert_int_equal(give(0xc2, 2, 0x8000), -1);
}

static void a_bar_can_be_shown_smaller(void **state)
{
	(void)state;
	card();
	open_card(64 << 20);
	give(0x14, 4, 0xffffffff);
	assert_int_equal(see(0x14, 4), 0xfc00000c);
	assert_int_equal(see(0x204, 4), 1 << (4 + 6)); /* and 64 MiB is the only size it can have */
	assert_int_equal(see(0x208, 4), 0x21 | 6 << 8);
	assert_int_equal(give(0x208, 4, 0xffffffff), -1);
}

static void commands_pass_and_status_is_cleared_by_ones(void **state)
{
	(void)state;
	card();
	open_card(0);
	put(0x06, 2, 0xf910);
	assert_int_equal(give(0x04, 2, 0xffff), 0x0547);
	/* nothing that the guest did not write is cleared */
	assert_int_equal(give(0x04, 4, 0x08000006), 0x08100006);
	assert_int_equal(give(0x06, 2, 0), 0x0010);
	assert_int_equal(see(0x0e, 1), 0x00); /* one function, alone */
	assert_int_equal(give(0x3c, 1, 0x05), -1);
	assert_int_equal(see(0x3c, 2), 0x0105);
	assert_int_equal(give(0x00, 4, 0x12345678), -1);
	assert_int_equal(see(0x00, 4), 0x268410de);
}

static void fields_of_capabilities(void **state)
{
	(void)state;
	card();
	open_card(0);
	assert_int_equal(give(0x44, 2, 0xffff),
			 0x010b); /* D3, PME on; its status stays unwritten */
	assert_int_equal(give(0x52, 2, 0x0001), 0x0181);         /* MSI on */
	assert_int_equal(give(0x60, 4, 0x0000ffff), 0x0000ffff); /* its masks */
	assert_int_equal(give(0x64, 4, 0x0000ffff), -1);         /* what waits is read-only */
	assert_int_equal(give(0x78, 2, 0xffff),
			 0xfd1f | 0x0000);           /* FLR passes, the maximum payload does not */
	assert_int_equal(give(0x80, 2, 0x0020), -1); /* link control */
	assert_int_equal(give(0xb4, 4, 1), -1);      /* a vendor's own */
	assert_int_equal(give(0x104, 4, 0x10), 0x10);
}

static void capabilities_that_are_hidden(void **state)
{
	(void)state;
	card();
	open_card(0);
	assert_int_equal(see(0x100, 4), 0x20020001); /* past ATS */
	assert_int_equal(see(0x150, 4), 0);
	assert_int_equal(give(0x154, 4, 0x80000000), -1);
	assert_int_equal(see(0x200, 4), 0x00010015); /* the last */
	assert_int_equal(see(0x240, 4), 0);
	/* a hidden first one leaves an empty one in its place */
	put(0x100, 4, 0x2001000f);
	open_card(0);
	assert_int_equal(see(0x100, 4), 0x20000000);
}

static void a_capability_ends_where_the_next_begins(void **state)
{
	(void)state;
	card();
	put(0x50, 4, 0x01805805); /* MSI of 24 bytes, with a vendor's 8 bytes behind */
	put(0x58, 4, 0x00080009);
	put(0x58 + 1, 1, 0x70);
	open_card(0);
	assert_int_equal(give(0x54, 4, 0xfee00000), 0xfee00000);
	assert_int_equal(give(0x58, 4, 0xffffffff), -1);
}

static void what_is_no_function_is_refused(void **state)
{
	const struct cfg_shape none = { 0 };
	struct err e = { 0 };

	(void)state;
	memset(real, 0xff, sizeof(real));
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &none, &e), -EBADMSG);
	card();
	put(0x0e, 1, 1);
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &none, &e), -EBADMSG);
	assert_string_equal(e.text, "it is a bridge (header type 1), not a device");
	card();
	put(0x71, 1, 0x40);
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &none, &e), -EBADMSG);
	assert_string_equal(e.text, "the capabilities go in circles at 0x40");
	card();
	put(0x71, 1, 0x20);
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &none, &e), -EBADMSG);
	card();
	put(0x240, 4, 0x10010010);
	assert_int_equal(cfg_open(&c, real, CFG_SIZE, &none, &e), -EBADMSG);
	card();
	assert_int_equal(cfg_open(&c, real, 256, &none, &e), 0); /* no extended ones to be read */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars_are_sized_and_placed_here),
		cmocka_unit_test(a_bar_can_be_shown_smaller),
		cmocka_unit_test(msix_can_be_hidden),
		cmocka_unit_test(a_quirk_opens_bytes),
		cmocka_unit_test(commands_pass_and_status_is_cleared_by_ones),
		cmocka_unit_test(fields_of_capabilities),
		cmocka_unit_test(capabilities_that_are_hidden),
		cmocka_unit_test(a_capability_ends_where_the_next_begins),
		cmocka_unit_test(what_is_no_function_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

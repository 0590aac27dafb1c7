/* SPDX-License-Identifier: MIT */
/* The walker of the configuration space over spaces built here: sound, cut and hostile ones. */
#include <errno.h>
#include <string.h>

#include "probe/config.h"
#include "tests/unit/harness.h"

struct space {
	uint8_t b[CONFIG_MAX];
};

static void put(struct space *s, size_t at, unsigned size, uint64_t v)
{
	for (unsigned i = 0; i < size; i++)
		s->b[at + i] = (uint8_t)(v >> 8 * i);
}

static void header(struct space *s, uint8_t first)
{
	*s = (struct space) { { 0 } };
	put(s, 0x00, 2, 0x1002);
	put(s, 0x02, 2, 0x744c);
	put(s, 0x04, 2, 0x0406);
	put(s, 0x06, 2, 0x0010);
	put(s, 0x34, 1, first);
}

static void cap(struct space *s, uint8_t at, uint8_t id, uint8_t next)
{
	put(s, at, 1, id);
	put(s, at + 1, 1, next);
}

static void extended(struct space *s, uint16_t at, uint16_t id, uint16_t next)
{
	put(s, at, 4, id | 1u << 16 | (uint32_t)next << 20);
}

/* Express at 0x60, as a link of 32 GT/s x16 that runs at 8 GT/s x4 with L1. */
static void express(struct space *s, uint8_t next, unsigned type)
{
	cap(s, 0x60, 0x10, next);
	put(s, 0x62, 2, 2 | type << 4);
	put(s, 0x6c, 4, 5 | 16 << 4);
	put(s, 0x70, 2, 2);
	put(s, 0x72, 2, 3 | 4 << 4 | 0x1000);
}

static void sound(void **state)
{
	struct space s;
	struct config c;

	(void)state;
	header(&s, 0x43); /* the two low bits are reserved */
	cap(&s, 0x40, 0x01, 0x60);
	express(&s, 0, 0);
	extended(&s, 0x100, 0x0001, 0x200);
	put(&s, 0x104, 4, 0x00100000);
	extended(&s, 0x200, 0x0015, 0x300);
	put(&s, 0x204, 4, UINT32_C(1) << 4 | 1u << 31);              /* 1 MiB and 128 TiB */
	put(&s, 0x208, 4, 2 | 2 << 5 | 27 << 8 | UINT32_C(1) << 16); /* BAR 2, and 256 TiB */
	put(&s, 0x20c, 4, 1u << 12);
	put(&s, 0x210, 4, 0 | 8 << 8);
	extended(&s, 0x300, 0x0003, 0);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.vendor, 0x1002);
	assert_int_equal(c.device, 0x744c);
	assert_int_equal(c.command, 0x0406);
	assert_int_equal(c.n_caps, 5);
	assert_int_equal(c.caps[1].id, 0x10);
	assert_int_equal(c.caps[1].at, 0x60);
	assert_int_equal(c.caps[4].id, 0x0003);
	assert_int_equal(c.speed_mts, 8000);
	assert_int_equal(c.width, 4);
	assert_int_equal(c.max_speed_mts, 32000);
	assert_int_equal(c.max_width, 16);
	assert_int_equal(c.aspm, 2);
	assert_true(c.aer);
	assert_int_equal(c.aer_uncorrectable, 0x00100000);
	assert_true(c.rebar && config_is_whole(&c));
	assert_int_equal(c.sizes[2], 1 | UINT64_C(1) << 27 | UINT64_C(1) << 28);
	assert_int_equal(c.rebar_now[2], 27);
	assert_int_equal(c.sizes[0], 1 << 8);
	assert_int_equal(c.sizes[1], 0);
}

/* Without root the space ends at 64 bytes; an old device has 256. */
static void short_spaces(void **state)
{
	struct space s;
	struct config c;

	(void)state;
	header(&s, 0x60);
	express(&s, 0, 0);
	extended(&s, 0x100, 0x0015, 0);
	assert_int_equal(config_parse(s.b, 63, &c), -EBADMSG);
	assert_int_equal(config_parse(s.b, 64, &c), 0);
	assert_int_equal(c.n_caps, 0);
	assert_int_equal(c.max_width, 0);
	assert_false(config_is_whole(&c));
	/* The capability begins, and its registers are not there. */
	for (size_t n = 0x61; n < 0x74; n++) {
		assert_int_equal(config_parse(s.b, n, &c), 0);
		assert_int_equal(c.max_width, 0);
	}
	assert_int_equal(config_parse(s.b, 256, &c), 0);
	assert_int_equal(c.max_width, 16);
	assert_int_equal(c.n_caps, 1);
	assert_false(config_is_whole(&c) || c.rebar);
	s.b[0x06] = 0; /* no list */
	assert_int_equal(config_parse(s.b, 256, &c), 0);
	assert_int_equal(c.n_caps, 0);
}

static void hostile(void **state)
{
	struct space s;
	struct config c;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), -ENODEV);
	put(&s, 0, 2, 0x1002);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.n_caps, 0);
	/* A virtual function */
	header(&s, 0x60);
	express(&s, 0, 0);
	put(&s, 0, 4, UINT32_MAX);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.n_caps, 1);
	/* Chains that turn in a circle. */
	header(&s, 0x40);
	cap(&s, 0x40, 0x01, 0x50);
	cap(&s, 0x50, 0x05, 0x40);
	extended(&s, 0x100, 0x0001, 0x200);
	extended(&s, 0x200, 0x0002, 0x200);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.n_caps, 4);
	/* A chain that leads back into the header. */
	cap(&s, 0x50, 0x05, 0x30);
	extended(&s, 0x200, 0x0002, 0x040);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.n_caps, 4);
	/* More capabilities than we keep. */
	for (uint16_t at = 0x100; at < 0xff0; at += 8)
		extended(&s, at, 0x000b, at + 8);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.n_caps, CONFIG_CAPS_MAX);
	/* Six resizable BARs that the space has no room for, and one that no function has. */
	header(&s, 0);
	extended(&s, 0x100, 0x0015, 0xff0);
	put(&s, 0x104, 4, 0x10);
	put(&s, 0x108, 4, 7 | 1 << 5);
	extended(&s, 0xff0, 0x0015, 0);
	put(&s, 0xff4, 4, 0x20);
	put(&s, 0xff8, 4, 1 | 6 << 5);
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.sizes[1], 2);
	for (int i = 0; i < 6; i++)
		assert_true(i == 1 || c.sizes[i] == 0);
}

static void inside_the_root(void **state)
{
	struct space s;
	struct config c;

	(void)state;
	header(&s, 0x60);
	express(&s, 0, 9); /* an endpoint of the root complex has registers, and no link */
	assert_int_equal(config_parse(s.b, sizeof(s.b), &c), 0);
	assert_int_equal(c.max_width, 0);
}

static void scrub(void **state)
{
	struct space s, before;

	(void)state;
	header(&s, 0x40);
	cap(&s, 0x40, 0x03, 0);
	put(&s, 0x42, 2, 0x8123);
	put(&s, 0x44, 4, 0x41424344);
	extended(&s, 0x100, 0x0003, 0xff8);
	put(&s, 0x104, 8, UINT64_C(0x1122334455667788));
	put(&s, 0x10c, 4, 0x55555555);
	extended(&s, 0xff8, 0x0003, 0); /* cut by the end */
	put(&s, 0xffc, 4, 0x66666666);
	before = s;
	config_scrub(s.b, sizeof(s.b));
	put(&before, 0x44, 4, 0);
	put(&before, 0x104, 8, 0);
	put(&before, 0xffc, 4, 0);
	assert_memory_equal(s.b, before.b, sizeof(s.b));
	put(&s, 0x44, 4, 0x41424344);
	config_scrub(s.b, 0x46); /* half of the data is all that was read */
	assert_int_equal(s.b[0x44] | s.b[0x45], 0);
	assert_int_equal(s.b[0x46], 0x42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound),   cmocka_unit_test(short_spaces),
		cmocka_unit_test(hostile), cmocka_unit_test(inside_the_root),
		cmocka_unit_test(scrub),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

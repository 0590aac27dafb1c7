/* SPDX-License-Identifier: MIT */
/* vfio-user's messages, byte by byte as the specification draws them. */
#include <string.h>

#include "bar-forward/wire.h"
#include "tests/unit/harness.h"

static uint8_t message[4096];

/* A message from a client: the words of a payload behind a header. Its request, or the errno. */
static int parse(uint16_t command, const void *payload, size_t n, uint32_t n_fds,
		 struct vu_request *r)
{
	struct vu_header h = { .id = 7, .command = command, .size = (uint32_t)(sizeof(h) + n) };

	memcpy(message, &h, sizeof(h));
	memcpy(message + sizeof(h), payload, n);
	assert_int_equal(vu_check_header(&h, NULL), 0);
	return vu_parse(message, n_fds, r, NULL);
}

static uint32_t word(const uint8_t *reply, size_t i)
{
	uint32_t v;

	memcpy(&v, reply + 4 * i, 4);
	return v;
}

static void headers_that_are_none_end_it(void **state)
{
	static const struct vu_header bad[] = {
		{ .size = 15 },
		{ .size = VU_MESSAGE_MAX + 1 },
		{ .size = 16, .flags = 2 },
		{ .size = 16, .flags = 0x40 },
	};
	const struct vu_header good = { .size = 16, .flags = VU_NO_REPLY };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vu_check_header(&bad[i], NULL), -EPROTO);
	assert_int_equal(vu_check_header(&good, NULL), 0);
}

static int version(const char *json, struct vu_request *r)
{
	uint8_t p[512] = { 0 };
	size_t n = strlen(json);

	memcpy(p + 4, json, n + 1);
	return parse(VU_VERSION, p, n ? 4 + n + 1 : 4, 0, r);
}

static void versions_and_capabilities(void **state)
{
	uint8_t reply[VU_REPLY_MAX];
	struct vu_request r;

	(void)state;
	assert_int_equal(version("", &r), 0);
	assert_int_equal(r.version.max_fds, 1);
	assert_int_equal(r.version.max_data, 1048576);
	assert_int_equal(vu_reply_version(&r, reply), 16 + 4); /* no larger than the request */
	assert_int_equal(
		version("{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true,\"new\":[]}}",
			&r),
		0);
	assert_int_equal(r.version.max_fds, 16);
	assert_true(r.version.write_multiple);
	assert_true(vu_reply_version(&r, reply) <= 16 + r.room);
	assert_string_equal((char *)reply + 20,
			    "{\"capabilities\":{\"max_msg_fds\":16,\"write_multiple\":true}}");
	assert_int_equal(version("{\"capabilities\":{\"max_msg_fds\":0}}", &r), -EINVAL);
	assert_int_equal(version("{\"capabilities\":{\"pgsizes\":\"many\"}}", &r), -EINVAL);
	assert_int_equal(version("{\"capabilities\":", &r), -EINVAL);
	assert_int_equal(parse(VU_VERSION, "\0\0\0\0{}", 6, 0, &r), -EINVAL); /* no NUL */
	assert_int_equal(parse(VU_VERSION, "\1\0\0\0", 4, 0, &r), -EINVAL);   /* 1.0 */
}

static void maps_and_unmaps(void **state)
{
	static const struct {
		uint32_t argsz, flags;
		uint64_t offset, iova, size;
		int rc;
	} maps[] = {
		{ 32, 3, 0, 0x100000, 0x40000000, 0 },
		{ 32, 1, 0x1000, UINT64_MAX - 0xfff, 0x1000, 0 }, /* up to the last byte */
		{ 31, 3, 0, 0, 0x1000, -EINVAL },
		{ 32, 4, 0, 0, 0x1000, -EINVAL },
		{ 32, 3, 0x10, 0, 0x1000, -EINVAL },
		{ 32, 3, INT64_MAX & ~UINT64_C(0xfff), 0, 0x1000, -EINVAL },
		{ 32, 3, 0, 0, 0, -EINVAL },
		{ 32, 3, 0, 0x800, 0x1000, -EINVAL },
		{ 32, 3, 0, UINT64_MAX - 0xfff, 0x2000, -EINVAL },
	};
	struct vu_request r;
	uint8_t reply[64];

	(void)state;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		assert_int_equal(parse(VU_DMA_MAP, &maps[i], 32, 1, &r), maps[i].rc);
	assert_int_equal(parse(VU_DMA_MAP, &maps[0], 32, 2, &r), -EINVAL);
	assert_int_equal(parse(VU_DMA_MAP, &maps[0], 31, 1, &r), -EINVAL);
	const uint64_t unmap[] = { 24, 0x100000, 0x40000000 },
		       all[] = { 24 | UINT64_C(2) << 32, 0, 0 };

	assert_int_equal(parse(VU_DMA_UNMAP, unmap, 24, 0, &r), 0);
	assert_int_equal(vu_reply_unmap(&r, reply), 40);
	assert_memory_equal(reply + 16, unmap, 24);
	assert_int_equal(parse(VU_DMA_UNMAP, all, 24, 0, &r), 0);
	assert_true(r.dma.all);
}

static void interrupts(void **state)
{
	static const struct {
		uint32_t argsz, flags, index, start, count, fds;
		int rc;
	} sets[] = {
		{ 20, 4 | 32, 2, 0, 3, 3, 0 },
		{ 20, 4 | 32, 2, 0, 3, 0, 0 }, /* taken away */
		{ 20, 4 | 32, 2, 0, 3, 2, -EINVAL },
		{ 20, 1 | 32, 2, 0, 0, 0, 0 }, /* the whole index off */
		{ 20, 1 | 8, 0, 0, 0, 0, -EINVAL },
		{ 20, 1 | 32, 2, 0, 0, 1, -EINVAL },
		{ 20, 3 | 32, 2, 0, 1, 0, -EINVAL },
		{ 20, 1 | 24, 2, 0, 1, 0, -EINVAL },
		{ 20, 1, 2, 0, 1, 0, -EINVAL },
		{ 20, 1 | 32 | 64, 2, 0, 1, 0, -EINVAL },
		{ 20, 1 | 32, 2, UINT32_MAX, 1, 0, -EINVAL },
		{ 20, 1 | 32, 2, 1, UINT32_MAX, 0, -EINVAL },
		{ 20, 2 | 32, 2, 0, 1, 0, -EINVAL }, /* no bool behind it */
		{ 19, 1 | 32, 2, 0, 1, 0, -EINVAL },
	};
	struct vu_request r;

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		assert_int_equal(parse(VU_SET_IRQS, &sets[i], 20, sets[i].fds, &r), sets[i].rc);
}

static void accesses(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t region, count, rest;
		int rc;
	} reads[] = {
		{ 0x10, 0, 4, 0, 0 },
		{ 0x10, 99, VU_DATA_MAX, 0, 0 },
		{ 0x10, 0, VU_DATA_MAX + 1, 0, -E2BIG },
		{ 0x10, 0, 0, 0, -EINVAL },
		{ UINT64_MAX - 3, 0, 8, 0, -EINVAL },
	};
	struct vu_request r;
	uint8_t reply[64];

	(void)state;
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		assert_int_equal(parse(VU_REGION_READ, &reads[i], 16, 0, &r), reads[i].rc);
	assert_int_equal(parse(VU_REGION_WRITE, &reads[0], 20, 0, &r), 0);
	assert_int_equal(vu_reply_write(&r, reply), 32);
	assert_int_equal(word(reply, 3), 0);
	assert_int_equal(parse(VU_REGION_WRITE, &reads[0], 19, 0, &r), -EINVAL);
	assert_int_equal(parse(VU_REGION_READ, &reads[0], 16, 0, &r), 0);
	assert_int_equal(vu_reply_read(&r, reply), 36);
	assert_int_equal(vu_reply_error(&r, -EIO, reply), 16);
	assert_int_equal(word(reply, 0), 7 | VU_REGION_READ << 16);
	assert_int_equal(word(reply, 2), VU_TYPE_REPLY | VU_ERROR);
	assert_int_equal(word(reply, 3), EIO);
}

static void several_writes_in_one(void **state)
{
	const uint64_t two[] = {
		2, 0x10, UINT64_C(4) << 32, 0x1234, 0x18, 1 | UINT64_C(9) << 32, 0
	};
	struct vu_request r;
	struct vu_access w;

	(void)state;
	assert_int_equal(parse(VU_REGION_WRITE_MULTI, two, sizeof(two), 0, &r), 0);
	assert_int_equal(vu_multi_write(&r, 0, &w), 0);
	assert_int_equal(w.offset, 0x10);
	assert_int_equal(w.count, 4);
	assert_int_equal(w.data[0], 0x34);
	assert_int_equal(vu_multi_write(&r, 1, &w), -EINVAL); /* nine bytes */
	assert_int_equal(parse(VU_REGION_WRITE_MULTI, two, sizeof(two) - 1, 0, &r), -EINVAL);
	const uint64_t lie[] = { UINT64_MAX / 8 };

	assert_int_equal(parse(VU_REGION_WRITE_MULTI, lie, 8, 0, &r), -EINVAL);
}

static void areas_to_map(void **state)
{
	const uint32_t ask[8] = { 32 + 16 + 32, 0, 1 }, little[8] = { 32, 0, 1 };
	const struct vu_region info = { .index = 1,
					.read = true,
					.map = true,
					.size = 1 << 20,
					.n_areas = 2,
					.areas = { { 0, 4096 }, { 8192, 4096 } } };
	struct vu_request r;
	uint8_t reply[VU_REPLY_MAX];
	bool fits;

	(void)state;
	assert_int_equal(parse(VU_GET_REGION_INFO, ask, 32, 0, &r), 0);
	assert_int_equal(vu_reply_region(&r, &info, reply, &fits), 16 + 80);
	assert_true(fits);
	assert_int_equal(word(reply, 5), 1 | 4 | 8);
	assert_int_equal(word(reply, 7), 32); /* where the capability is */
	assert_int_equal(word(reply, 4 + 8), 1 | 1 << 16);
	assert_int_equal(word(reply, 4 + 8 + 2), 2); /* areas */
	assert_int_equal(word(reply, 4 + 8 + 6), 4096);
	assert_int_equal(parse(VU_GET_REGION_INFO, little, 32, 0, &r), 0);
	assert_int_equal(vu_reply_region(&r, &info, reply, &fits), 16 + 32);
	assert_false(fits);
	assert_int_equal(word(reply, 4), 80); /* what it would take */
	assert_int_equal(word(reply, 5), 1);  /* QEMU gives up on flags without a place */
	assert_int_equal(word(reply, 7), 0);
}

static void what_nobody_serves_is_said_so(void **state)
{
	struct vu_request r;

	(void)state;
	assert_int_equal(parse(VU_MIG_DATA_READ, "", 0, 0, &r), -ENOTSUP);
	assert_int_equal(parse(VU_DMA_READ, "", 0, 0, &r), -ENOTSUP);
	assert_int_equal(parse(14, "", 0, 0, &r), -ENOTSUP);
	assert_int_equal(parse(0xffff, "", 0, 0, &r), -ENOTSUP);
	assert_int_equal(r.id, 7);
	assert_int_equal(parse(VU_DEVICE_RESET, "", 0, 1, &r),
			 -EINVAL); /* a descriptor nobody wants */
	assert_int_equal(parse(VU_DEVICE_RESET, "", 0, 0, &r), 0);
	assert_string_equal(vu_command_name(VU_REGION_WRITE_MULTI), "REGION_WRITE_MULTI");
	assert_string_equal(vu_command_name(14), "a message");
}

static void dma_by_message(void **state)
{
	const uint8_t *data;
	uint64_t reply[5] = { 0 };
	struct vu_header h = { .size = 40, .flags = VU_TYPE_REPLY };
	uint8_t ask[VU_DMA_HEAD];

	(void)state;
	assert_int_equal(vu_ask_dma(3, true, 0x1000, 8, ask), VU_DMA_HEAD);
	assert_int_equal(word(ask, 1), VU_DMA_HEAD + 8);
	assert_int_equal(vu_ask_dma(3, false, 0x1000, 8, ask), VU_DMA_HEAD);
	assert_int_equal(word(ask, 1), VU_DMA_HEAD);
	memcpy(reply, &h, sizeof(h));
	reply[2] = 0x1000;
	reply[3] = 8;
	reply[4] = 42;
	assert_int_equal(vu_check_dma_reply((uint8_t *)reply, false, 0x1000, 8, &data, NULL), 0);
	assert_int_equal(data[0], 42);
	assert_int_equal(vu_check_dma_reply((uint8_t *)reply, false, 0x2000, 8, &data, NULL),
			 -EPROTO);
	assert_int_equal(vu_check_dma_reply((uint8_t *)reply, false, 0x1000, 16, &data, NULL),
			 -EPROTO);
	h.flags |= VU_ERROR;
	memcpy(reply, &h, sizeof(h));
	assert_int_equal(vu_check_dma_reply((uint8_t *)reply, false, 0x1000, 8, &data, NULL), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_that_are_none_end_it),
		cmocka_unit_test(versions_and_capabilities),
		cmocka_unit_test(maps_and_unmaps),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(accesses),
		cmocka_unit_test(several_writes_in_one),
		cmocka_unit_test(areas_to_map),
		cmocka_unit_test(what_nobody_serves_is_said_so),
		cmocka_unit_test(dma_by_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

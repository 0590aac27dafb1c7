/* SPDX-License-Identifier: MIT */
/* What a client maps of a device, and a device of its guest. */
#include "tests/unit/told.h"

/* --- what is mapped, and how it is told --- */

struct region_reply {
	uint32_t argsz, flags, index, cap;
	uint64_t size, offset;
	uint16_t id, version;
	uint32_t next, n, reserved;
	struct vu_area areas[4];
};

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

/* --- the guest's memory --- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_offered_with_a_descriptor),
		cmocka_unit_test(what_is_mapped_stays),
		cmocka_unit_test(memory_is_mapped),
		cmocka_unit_test(memory_that_cannot_be_mapped),
		cmocka_unit_test(dma_by_message),
	};

	return cmocka_run_group_tests_name("bridge session", tests, NULL, NULL);
}

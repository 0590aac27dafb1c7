/* SPDX-License-Identifier: MIT */
/* A client's DMA maps: one row each, whole or not at all. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bar-forward/maps.h"
#include "tests/unit/harness.h"

#define PAGE UINT64_C(0x1000)

static int add(struct maps *m, uint64_t iova, uint64_t size)
{
	return maps_add(m, &(struct map) { .iova = iova, .size = size, .fd = -1, .read = true },
			NULL);
}

static void rows_lie_in_order_and_never_overlap(void **state)
{
	struct maps m = { 0 };

	(void)state;
	assert_int_equal(add(&m, 4 * PAGE, PAGE), 0);
	assert_int_equal(add(&m, 0, 2 * PAGE), 0);
	assert_int_equal(add(&m, 2 * PAGE, 2 * PAGE), 0); /* neighbours stay two */
	assert_int_equal(add(&m, UINT64_MAX - PAGE + 1, PAGE), 0);
	assert_int_equal(m.n, 4);
	assert_int_equal(m.bytes, 6 * PAGE);
	assert_int_equal(add(&m, PAGE, PAGE), -EEXIST);
	assert_int_equal(add(&m, 3 * PAGE, 9 * PAGE), -EEXIST);
	assert_int_equal(add(&m, 5 * PAGE, UINT64_MAX - 5 * PAGE + 1), -EEXIST);
	for (uint32_t i = 1; i < m.n; i++)
		assert_true(m.map[i - 1].iova < m.map[i].iova);
	maps_free(&m);
}

static void an_unmap_takes_whole_rows_or_none(void **state)
{
	struct maps m = { 0 };
	uint32_t first;

	(void)state;
	assert_int_equal(add(&m, 0, 2 * PAGE), 0);
	assert_int_equal(add(&m, 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(add(&m, 8 * PAGE, 2 * PAGE), 0);
	assert_int_equal(maps_covered(&m, 2 * PAGE, 2 * PAGE, &first, NULL),
			 0); /* nothing there is fine */
	assert_int_equal(maps_covered(&m, 3 * PAGE, 13 * PAGE, &first, NULL), 2);
	assert_int_equal(first, 1);
	assert_int_equal(maps_covered(&m, 0, PAGE, &first, NULL), -EINVAL);
	assert_int_equal(maps_covered(&m, 3 * PAGE, 2 * PAGE, &first, NULL), -EINVAL);
	assert_int_equal(maps_covered(&m, 5 * PAGE, 9 * PAGE, &first, NULL), -EINVAL);
	assert_int_equal(maps_covered(&m, 0, UINT64_MAX, &first, NULL), 3);
	maps_drop(&m, 0, 2);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.bytes, 2 * PAGE);
	assert_int_equal(m.map[0].iova, 8 * PAGE);
	maps_free(&m);
}

static void dma_finds_the_row_that_holds_all_of_it(void **state)
{
	struct maps m = { 0 };

	(void)state;
	assert_int_equal(add(&m, 0, 2 * PAGE), 0);
	assert_int_equal(add(&m, 2 * PAGE, PAGE), 0);
	assert_ptr_equal(maps_find(&m, PAGE, PAGE), &m.map[0]);
	assert_ptr_equal(maps_find(&m, 2 * PAGE, 1), &m.map[1]);
	assert_null(maps_find(&m, 2 * PAGE - 1, 2)); /* two rows */
	assert_null(maps_find(&m, 3 * PAGE, 1));
	assert_null(maps_find(&m, PAGE, UINT64_MAX));
	assert_null(maps_find(&m, PAGE, 0));
	maps_free(&m);
}

static void descriptors_are_closed_with_their_rows(void **state)
{
	struct maps m = { .most = 1 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct map one = { .iova = 0, .size = PAGE, .fd = fd };

	(void)state;
	assert_int_equal(maps_add(&m, &one, NULL), 0);
	assert_int_equal(add(&m, PAGE, PAGE), -ENOSPC);
	maps_drop(&m, 0, 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	maps_free(&m);
}

/* Against a table of pages that says for each to which map it belongs. */
static void as_a_slow_table_does(void **state)
{
	enum { PAGES = 64 };
	int belongs[PAGES] = { 0 }, next = 1;
	struct maps m = { 0 };
	uint32_t first;

	(void)state;
	srandom(7);
	for (int turn = 0; turn < 20000; turn++) {
		uint32_t from = (uint32_t)random() % PAGES,
			 n = 1 + (uint32_t)random() % (PAGES - from), used = 0;
		bool cut = (from && belongs[from] && belongs[from - 1] == belongs[from]) ||
			   (from + n < PAGES && belongs[from + n] &&
			    belongs[from + n - 1] == belongs[from + n]);
		uint32_t maps = 0;

		for (uint32_t i = from; i < from + n; i++) {
			used += belongs[i] != 0;
			maps += belongs[i] && (i == from || belongs[i] != belongs[i - 1]);
		}
		if (turn % 2) {
			assert_int_equal(add(&m, from * PAGE, n * PAGE), used ? -EEXIST : 0);
			for (uint32_t i = from; !used && i < from + n; i++)
				belongs[i] = next;
			next++;
			continue;
		}
		assert_int_equal(maps_covered(&m, from * PAGE, n * PAGE, &first, NULL),
				 cut ? -EINVAL : (int)maps);
		if (cut)
			continue;
		maps_drop(&m, first, maps);
		for (uint32_t i = from; i < from + n; i++)
			belongs[i] = 0;
	}
	maps_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_lie_in_order_and_never_overlap),
		cmocka_unit_test(an_unmap_takes_whole_rows_or_none),
		cmocka_unit_test(dma_finds_the_row_that_holds_all_of_it),
		cmocka_unit_test(descriptors_are_closed_with_their_rows),
		cmocka_unit_test(as_a_slow_table_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* How long a draft's guesses should be: the times are told here, none is measured. */
#include "core/spec.h"
#include "tests/unit/harness.h"

#define MOST 8

/* A model whose pass takes base + n * row, and a draft whose pass takes guess. */
static struct spec_costs costs(uint64_t base, uint64_t row, uint64_t guess)
{
	struct spec_costs c = { 0 };

	for (uint32_t i = 0; i < 60; i++)
		spec_pass(&c, 1 + i % 6, base + (1 + i % 6) * row);
	spec_guess(&c, guess);
	return c;
}

static struct spec of_rate(uint32_t right_of_eight)
{
	struct spec s;

	spec_begin(&s);
	for (int i = 0; i < 30; i++)
		spec_learn(&s, 8, right_of_eight);
	return s;
}

static void nothing_known(void **state)
{
	struct spec_costs c = { 0 };
	struct spec s;

	(void)state;
	spec_begin(&s);
	assert_int_equal(spec_length(&s, &c, 1, MOST), MOST);
	assert_int_equal(spec_length(&s, &c, 1, 0), 0);
}

static void pays(void **state)
{
	struct spec_costs cheap = costs(1000, 1, 60), dear = costs(1000, 1, 900);
	struct spec good = of_rate(8), fair = of_rate(2), bad = of_rate(0);

	(void)state;
	assert_int_equal(spec_length(&good, &cheap, 1, MOST), MOST);
	assert_in_range(spec_length(&fair, &cheap, 1, MOST), 1, MOST - 1);
	assert_int_equal(spec_length(&bad, &cheap, 1, MOST), 0);
	/* Never wrong, but nearly as dear as the model: the rows of one pass are what is saved */
	assert_int_equal(spec_length(&good, &dear, 1, MOST), MOST);
	assert_int_equal(spec_length(&fair, &dear, 1, MOST), 0);
}

/* Where each token of a pass costs as much as the pass, checking guesses saves nothing. */
static void busy_device(void **state)
{
	struct spec_costs c = costs(10, 1000, 20);
	struct spec fair = of_rate(4);

	(void)state;
	assert_int_equal(spec_length(&fair, &c, 1, MOST), 0);
}

/* Many texts share a pass: a guess more for each is dearer beside that. */
static void shared(void **state)
{
	struct spec_costs c = costs(1000, 40, 60);
	struct spec s = of_rate(4);
	uint32_t alone = spec_length(&s, &c, 1, MOST), many = spec_length(&s, &c, 64, MOST);

	(void)state;
	assert_true(alone > many);
}

static void tries_again(void **state)
{
	struct spec_costs c = costs(1000, 1, 2000);
	struct spec s = of_rate(1);
	uint32_t tries = 0;

	(void)state;
	for (int i = 0; i < 640; i++) {
		uint32_t n = spec_length(&s, &c, 1, MOST);

		assert_true(n == 0 || n == 2);
		tries += n == 2;
	}
	assert_int_equal(tries, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_known), cmocka_unit_test(pays),
		cmocka_unit_test(busy_device),   cmocka_unit_test(shared),
		cmocka_unit_test(tries_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The market's cards: what people and drivers call them, and rows that are sound. */
#include <string.h>

#include "tests/unit/harness.h"
#include "vram-planner/cards.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static void people_find_cards(void **state)
{
	static const struct {
		const char *name;
		uint64_t memory;
		const char *card; /* NULL: none */
		const char *says;
	} cases[] = {
		{ "RTX 3090", 0, "RTX 3090", NULL },
		{ "3090", 0, "RTX 3090", NULL },
		{ "rtx3090ti", 0, "RTX 3090 Ti", NULL },
		{ "NVIDIA GeForce RTX 3090", 0, "RTX 3090", NULL },
		{ "rx 7900 xtx", 0, "RX 7900 XTX", NULL },
		{ "7900XTX", 0, "RX 7900 XTX", NULL },
		{ "Radeon RX 7900 XT", 0, "RX 7900 XT", NULL },
		{ "A770", 16 * GIB, "A770 16GB", NULL },
		{ "A770", 0, NULL, "A770 8GB (8 GiB), A770 16GB (16 GiB)" },
		{ "arc a770 16gb", 0, "A770 16GB", NULL },
		{ "H100 80GB", 0, "H100 PCIe", NULL },
		{ "h100 sxm", 0, "H100 SXM", NULL },
		{ "Strix Halo", 0, "Ryzen AI Max 395 Strix Halo 8060S", NULL },
		{ "4060 ti", 0, NULL, "RTX 4060 Ti 8GB (8 GiB), RTX 4060 Ti 16GB" },
		{ "4060 Ti 16GB", 0, "RTX 4060 Ti 16GB", NULL },
		{ "L4", 0, "L4", NULL },
		{ "mi50", 32 * GIB, "MI50 32GB", NULL },
		{ "RTX 3090", 12 * GIB, NULL, "no card is known" },
		{ "Voodoo 2", 0, NULL, "no card is known as 'Voodoo 2'" },
		{ "nvidia", 0, NULL, "no card is known" },
		{ "X", 12 * GIB, NULL, "no card is known" },
		{ "gpu4", 16 * GIB, NULL, "no card is known" },
		{ "", 0, NULL, "no card is known" },
		{ "9999999999999999999999999999999999999999999999999999999999999999999999999999999999"
		  "9999999999999999999999999999999999999999999999999999999999999999999999999999999999"
		  "99999999999999999999999",
		  0, NULL, "no card" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct card *c;
		struct err e = { 0 };
		int rc = card_find(&c, cases[i].name, cases[i].memory, &e);

		if (cases[i].card && (rc || strcmp(c->name, cases[i].card) != 0))
			fail_msg("%s: %s", cases[i].name, rc ? e.text : c->name);
		if (!cases[i].card && (!rc || !strstr(e.text, cases[i].says)))
			fail_msg("%s: '%s' lacks '%s'", cases[i].name, e.text, cases[i].says);
	}
}

static void a_changed_card_is_still_one(void **state)
{
	(void)state;
	assert_string_equal(card_like("RTX 3060")->name, "RTX 3060 8GB");
	assert_string_equal(card_like("2080 ti")->name, "RTX 2080 Ti");
	assert_null(card_like("Voodoo 2"));
	assert_null(card_like("X"));
}

static void drivers_names_are_known(void **state)
{
	static const struct {
		const char *name;
		uint64_t memory;
		const char *card;
	} cases[] = {
		{ "GA102 [GeForce RTX 3090]", 24268 * MIB, "RTX 3090" },
		{ "NVIDIA GeForce RTX 4090", 24564 * MIB, "RTX 4090" },
		{ "AD103M / GN21-X11 [GeForce RTX 4090 Laptop GPU]", 16376 * MIB,
		  "RTX 4090 Laptop" },
		{ "NVIDIA GeForce RTX 4060 Ti", 16380 * MIB, "RTX 4060 Ti 16GB" },
		{ "NVIDIA A100-PCIE-40GB", 40960 * MIB, "A100 PCIe 40GB" },
		{ "NVIDIA A100-SXM4-80GB", 81920 * MIB, "A100 SXM 80GB" },
		{ "DG2 [Arc A770]", 16288 * MIB, "A770 16GB" },
		{ "Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]", 24560 * MIB,
		  "RX 7900 XTX" },
		{ "Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]", 20464 * MIB,
		  "RX 7900 XT" },
		{ "Vega 10 XL/XT [Radeon RX Vega 56/64]", 8176 * MIB, NULL },
		{ "Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]", 0, NULL },
		{ "NVIDIA RTX 6000 Ada Generation", 49140 * MIB, "RTX 6000 Ada" },
		{ "NVIDIA H100 80GB HBM3", 81559 * MIB, NULL },
		{ "TU104GL [Tesla T4]", 15360 * MIB, "Tesla T4" },
		{ "GK208B [GeForce GT 710]", 2048 * MIB, NULL },
		{ "", 8 * GIB, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct card *c = card_of_device(cases[i].name, cases[i].memory);
		const char *got = c ? c->name : "none";

		if (strcmp(got, cases[i].card ? cases[i].card : "none") != 0)
			fail_msg("%s: %s", cases[i].name, got);
	}
}

/* No card is slower than a DIMM or faster than HBM; each is found by its own name. */
static void rows_are_sound(void **state)
{
	const struct card *c, *found;

	(void)state;
	for (size_t i = 0; (c = card_at(i)); i++) {
		struct err e = { 0 };

		assert_in_range(c->bandwidth_gb_s, 70, 9000);
		assert_in_range(c->power_w, 20, 1500);
		assert_in_range(c->memory_gib, 0, 512);
		assert_non_null(c->source);
		assert_int_equal(c->memory_gib == 0, c->link_gen == 0);
		if (c->link_gen)
			assert_in_range(card_link_bytes_s(c), 7000000000, 64000000000);
		if (card_find(&found, c->name, 0, &e) || found->memory_gib != c->memory_gib)
			fail_msg("%s: %s", c->name, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(people_find_cards),
		cmocka_unit_test(a_changed_card_is_still_one),
		cmocka_unit_test(drivers_names_are_known),
		cmocka_unit_test(rows_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

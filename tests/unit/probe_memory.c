/* SPDX-License-Identifier: MIT */
/* Memory pools and the largest allocation, decided from facts alone; and the texts of KFD's files. */
#include <stdlib.h>
#include <string.h>

#include "probe/ioctl_priv.h"
#include "probe/kfd_priv.h"
#include "probe/section.h"
#include "tests/unit/harness.h"

#define GIB (INT64_C(1) << 30)
#define MIB (INT64_C(1) << 20)

static struct report *machine(int64_t ram, int64_t available)
{
	struct report *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->n_gpus = 1;
	r->cpu.ram_total = fact_of(ram, SRC_PROC);
	r->cpu.ram_available = fact_of(available, SRC_PROC);
	return r;
}

static struct gpu *card(struct report *r, const char *driver, int64_t total, int64_t used)
{
	struct gpu *g = &r->gpus[0];

	g->driver = fact_text_of(driver, SRC_SYSFS);
	g->vram_total = fact_of(total, SRC_SYSFS);
	g->vram_used = fact_of(used, SRC_SYSFS);
	g->vram_free = fact_of(total - used, SRC_SYSFS);
	return g;
}

static const struct pool *pool(const struct gpu *g, enum pool_kind k)
{
	for (uint32_t i = 0; i < g->memory.n_pools; i++)
		if (g->memory.pools[i].kind == k)
			return &g->memory.pools[i];
	return NULL;
}

static void small_window(void **state)
{
	(void)state;
	struct report *r = machine(64 * GIB, 60 * GIB);
	struct gpu *g = card(r, "amdgpu", 24 * GIB, 2 * GIB);

	g->memory.visible_total = fact_of(256 * MIB, SRC_SYSFS);
	g->memory.visible_used = fact_of(6 * MIB, SRC_SYSFS);
	g->gtt_total = fact_of(32 * GIB, SRC_SYSFS);
	g->gtt_used = fact_of(1 * GIB, SRC_SYSFS);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.n_pools, 3);
	assert_int_equal(pool(g, POOL_VISIBLE)->free.v, 250 * MIB);
	assert_string_equal(pool(g, POOL_VISIBLE)->inside, "vram");
	assert_int_equal(pool(g, POOL_GTT)->free.v, 31 * GIB);
	/* The window limits mappings, not allocations; and no sum is made with GTT. */
	assert_int_equal(g->memory.largest_alloc.v, 22 * GIB);
	free(r);
}

/* An APU with little carved out: GTT decides, and what GTT itself cannot exceed. */
static void apu(void **state)
{
	(void)state;
	struct report *r = machine(124 * GIB, 116 * GIB);
	struct gpu *g = card(r, "amdgpu", 512 * MIB, 100 * MIB);

	g->kind = GPU_INTEGRATED;
	g->gtt_total = fact_of(108 * GIB, SRC_SYSFS);
	g->gtt_used = fact_of(1 * GIB, SRC_SYSFS);
	g->kfd.n_nodes = 1;
	g->kfd.bytes = g->gtt_total;
	section_memory.decide(r, g);
	assert_true(fact_known(&g->memory.integrated) && g->memory.integrated.v == 1);
	assert_null(pool(g, POOL_VRAM));
	assert_int_equal(pool(g, POOL_CARVEOUT)->total.v, 512 * MIB);
	assert_string_equal(pool(g, POOL_KFD)->inside, "gtt");
	assert_int_equal(g->memory.largest_alloc.v, 107 * GIB);
	assert_int_equal(g->memory.largest_alloc.src, SRC_GUESS);

	g->memory.page_limit = fact_of(96 * GIB, SRC_SYSFS);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.largest_alloc.v, 96 * GIB);
	assert_non_null(strstr(g->memory.largest_alloc_how, "ttm.pages_limit"));

	/* Without the used part, all of GTT is the bound, not all of RAM. */
	g->memory.page_limit = fact_unknown(WHY_NOT_EXPORTED);
	g->gtt_used = fact_unknown(WHY_GARBLED);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.largest_alloc.v, 108 * GIB);

	r->cpu.ram_available = fact_of(20 * GIB, SRC_PROC);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.largest_alloc.v, 20 * GIB);
	assert_non_null(strstr(g->memory.largest_alloc_how, "available now"));
	free(r);
}

/* The owner gave the firmware 96 GiB to set aside: the look of a card, but not its kind. */
static void apu_with_much_set_aside(void **state)
{
	(void)state;
	struct report *r = machine(31 * GIB, 20 * GIB);
	struct gpu *g = card(r, "amdgpu", 96 * GIB, 1 * GIB);

	g->gtt_total = fact_of(16 * GIB, SRC_SYSFS);
	g->gtt_used = fact_of(0, SRC_SYSFS);
	g->integrated = fact_of(1, SRC_DRM);
	section_memory.decide(r, g);
	assert_non_null(pool(g, POOL_CARVEOUT));
	assert_int_equal(g->memory.largest_alloc.v, 95 * GIB);
	assert_non_null(strstr(g->memory.largest_alloc_how, "carve-out"));
	free(r);
}

static void intel(void **state)
{
	(void)state;
	struct report *r = machine(32 * GIB, 25 * GIB);
	struct gpu *g = &r->gpus[0];

	g->driver = fact_text_of("i915", SRC_SYSFS);
	g->kind = GPU_INTEGRATED;
	g->vram_total = g->vram_used = g->vram_free = fact_unknown(WHY_NOT_APPLICABLE);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.n_pools, 1);
	assert_int_equal(pool(g, POOL_UNIFIED)->free.v, 25 * GIB);
	assert_int_equal(g->memory.largest_alloc.v, 25 * GIB);

	/* xe offers half of the RAM: no more of it is free than there is. */
	g->memory = (struct gpu_memory) { .system_total = fact_of(16 * GIB, SRC_DRM) };
	section_memory.decide(r, g);
	assert_int_equal(pool(g, POOL_UNIFIED)->total.v, 16 * GIB);
	assert_int_equal(pool(g, POOL_UNIFIED)->free.v, 16 * GIB);
	assert_false(fact_known(&pool(g, POOL_UNIFIED)->used));
	assert_int_equal(g->memory.largest_alloc.v, 16 * GIB);
	/* i915 offers all of it; of a container's part the rest is not ours. */
	g->memory = (struct gpu_memory) { .system_total = fact_of(64 * GIB, SRC_DRM) };
	section_memory.decide(r, g);
	assert_int_equal(pool(g, POOL_UNIFIED)->total.v, 32 * GIB);
	assert_int_equal(pool(g, POOL_UNIFIED)->used.v, 7 * GIB);
	assert_int_equal(pool(g, POOL_UNIFIED)->free.v, 25 * GIB);

	/* A card whose free memory only root is told. */
	g->kind = GPU_DISCRETE;
	g->memory = (struct gpu_memory) { 0 };
	g->vram_total = fact_of(16 * GIB, SRC_DRM);
	g->vram_used = g->vram_free = fact_unknown(WHY_NEEDS_ROOT);
	section_memory.decide(r, g);
	assert_int_equal(pool(g, POOL_VRAM)->total.v, 16 * GIB);
	assert_false(fact_known(&g->memory.largest_alloc));
	assert_int_equal(g->memory.largest_alloc.why, WHY_NEEDS_ROOT);
	free(r);
}

static void partitions(void **state)
{
	(void)state;
	struct report *r = machine(512 * GIB, 500 * GIB);
	struct gpu *g = card(r, "amdgpu", 192 * GIB, 0);

	g->kind = GPU_DISCRETE;
	g->kfd = (struct kfd) { .n_nodes = 8,
				.bytes = fact_of(192 * GIB, SRC_SYSFS),
				.node_bytes = fact_of(24 * GIB, SRC_SYSFS) };
	section_memory.decide(r, g);
	assert_int_equal(g->memory.largest_alloc.v, 24 * GIB);
	assert_string_equal(pool(g, POOL_KFD)->inside, "vram");
	free(r);
}

static void nobody_drives_it(void **state)
{
	(void)state;
	struct report *r = machine(32 * GIB, 25 * GIB);
	struct gpu *g = &r->gpus[0];

	g->driver = fact_text_unknown(WHY_NO_DRIVER);
	g->vram_total = g->vram_used = g->vram_free = fact_unknown(WHY_NO_DRIVER);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.n_pools, 1);
	assert_int_equal(g->memory.largest_alloc.why, WHY_NO_DRIVER);
	g->driver = fact_text_of("vfio-pci", SRC_SYSFS);
	section_memory.decide(r, g);
	assert_int_equal(g->memory.largest_alloc.why, WHY_NOT_APPLICABLE);
	free(r);
}

static void kfd_texts(void **state)
{
	(void)state;
	struct kfd_node n;
	char arch[16];

	assert_true(kfd_node_parse("simd_count 24\ngfx_target_version 110003\nlocation_id 25600\n"
				   "domain 0\n",
				   &n));
	assert_string_equal(n.pci, "0000:64:00.0");
	assert_string_equal(n.arch, "gfx1103");
	/* A partition's number is in the upper bits; the domain may have 32. */
	assert_true(kfd_node_parse("simd_count 1\nlocation_id 1879081216\ndomain 65537", &n));
	assert_string_equal(n.pci, "10001:81:00.0");
	assert_string_equal(n.arch, "");
	assert_false(kfd_node_parse("simd_count 0\nlocation_id 25600\n", &n));
	assert_false(kfd_node_parse("simd_count 4\n", &n));
	assert_false(kfd_node_parse("", &n));
	kfd_arch(90010, arch);
	assert_string_equal(arch, "gfx90a");
	kfd_arch(100300, arch);
	assert_string_equal(arch, "gfx1030");
	kfd_arch(UINT64_MAX, arch);
	assert_string_equal(arch, "");
	kfd_arch(0, arch);
	assert_string_equal(arch, "");
}

static void kfd_banks(void **state)
{
	(void)state;
	assert_int_equal(kfd_bank_bytes("heap_type 1\nsize_in_bytes 31433977856\nflags 0"),
			 INT64_C(31433977856));
	assert_int_equal(kfd_bank_bytes("heap_type 2\nsize_in_bytes 4096"), 4096);
	assert_int_equal(kfd_bank_bytes("heap_type 0\nsize_in_bytes 4096"), 0); /* RAM */
	assert_int_equal(kfd_bank_bytes("heap_type 4\nsize_in_bytes 4096"), 0); /* LDS */
	assert_int_equal(kfd_bank_bytes("size_in_bytes 4096"), 0);
	assert_int_equal(kfd_bank_bytes("heap_type 1\nsize_in_bytes 18446744073709551615"), 0);
	assert_int_equal(kfd_bank_bytes("heap_type 1\nsize_in_bytes 99999999999999999999999"), 0);
}

static void regions(void **state)
{
	(void)state;
	struct drm_memory m = { .n = 3 };
	struct ioctl_fn f;

	/* Two tiles and RAM: sums over the tiles, and the larger one for a single buffer. */
	m.regions[0] = (struct drm_region) { .kind = REGION_SYSTEM, .total = 64u * GIB };
	m.regions[1] = (struct drm_region) { .kind = REGION_VRAM,
					     .used_known = true,
					     .visible_known = true,
					     .total = 32u * GIB,
					     .used = 2u * GIB,
					     .visible = 32u * GIB };
	m.regions[2] = m.regions[1];
	m.regions[2].total = 48u * GIB;
	ioctl_facts(&m, &f);
	assert_int_equal(f.vram_total.v, 80 * GIB);
	assert_int_equal(f.vram_used.v, 4 * GIB);
	assert_int_equal(f.vram_free.v, 76 * GIB);
	assert_int_equal(f.vram_regions.v, 2);
	assert_int_equal(f.vram_region.v, 48 * GIB);
	assert_int_equal(f.system_total.v, 64 * GIB);
	assert_int_equal(f.integrated.v, 0);
	assert_int_equal(f.vram_total.src, SRC_DRM);
	/* What one tile does not tell, the sum does not pretend. */
	m.regions[1].used_known = false;
	ioctl_facts(&m, &f);
	assert_int_equal(f.vram_total.v, 80 * GIB);
	assert_false(fact_known(&f.vram_used));
	assert_int_equal(f.vram_free.why, WHY_NEEDS_ROOT);
	m.regions[1].used_known = true;
	m.regions[2].used_known = false;
	ioctl_facts(&m, &f);
	assert_false(fact_known(&f.vram_used));
}

static void absurd_regions(void **state)
{
	(void)state;
	struct drm_memory m = { .n = 2 };
	struct ioctl_fn f;

	m.regions[0] = (struct drm_region) { .kind = REGION_VRAM,
					     .used_known = true,
					     .visible_known = true,
					     .total = UINT64_MAX,
					     .used = 5,
					     .visible = 1 };
	m.regions[1] = m.regions[0];
	ioctl_facts(&m, &f);
	assert_false(fact_known(&f.vram_total));
	assert_int_equal(f.vram_total.why, WHY_GARBLED);
	m.regions[0].total = m.regions[1].total = INT64_MAX;
	ioctl_facts(&m, &f);
	assert_false(fact_known(&f.vram_total));
	/* More used than there is, and a window larger than the card. */
	m.n = 1;
	m.regions[0].total = 4;
	m.regions[0].visible = 8;
	ioctl_facts(&m, &f);
	assert_int_equal(f.vram_total.v, 4);
	assert_int_equal(f.vram_used.why, WHY_GARBLED);
	assert_false(fact_known(&f.visible_total));
	/* No regions at all say nothing, not that it works in RAM. */
	m.n = 0;
	ioctl_facts(&m, &f);
	assert_false(fact_known(&f.integrated));
	m.kind_known = m.integrated = true;
	ioctl_facts(&m, &f);
	assert_int_equal(f.integrated.v, 1);
	/* radeon's answer on an APU: a carve-out that it calls VRAM. */
	m = (struct drm_memory) { .n = 2 };
	m.regions[0] = (struct drm_region) { .kind = REGION_VRAM, .total = 1u * GIB };
	m.regions[1] = (struct drm_region) { .kind = REGION_GTT, .total = 2u * GIB };
	ioctl_facts(&m, &f);
	assert_int_equal(f.vram_total.v, 1 * GIB);
	assert_false(fact_known(&f.integrated));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_window),
		cmocka_unit_test(apu),
		cmocka_unit_test(apu_with_much_set_aside),
		cmocka_unit_test(intel),
		cmocka_unit_test(partitions),
		cmocka_unit_test(nobody_drives_it),
		cmocka_unit_test(regions),
		cmocka_unit_test(absurd_regions),
		cmocka_unit_test(kfd_texts),
		cmocka_unit_test(kfd_banks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

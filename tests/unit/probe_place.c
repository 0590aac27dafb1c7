/* SPDX-License-Identifier: MIT */
/* Passthrough: isolation, resets, and every reason against it, from structs. */
#include <stdlib.h>
#include <string.h>

#include "probe/place_priv.h"
#include "tests/unit/harness.h"

static struct report *r;

static struct gpu *setup(void)
{
	struct gpu *g = &r->gpus[0];

	*g = (struct gpu) { .pci = "0000:03:00.0",
			    .driver = fact_text_of("amdgpu", SRC_SYSFS),
			    .iommu_group = fact_of(14, SRC_SYSFS) };
	r->kernel = fact_text_of("6.12.9", SRC_PROC);
	g->place.peers_known = true;
	g->place.reset_methods = fact_text_of("flr", SRC_SYSFS);
	g->place.d3cold_allowed = fact_of(1, SRC_SYSFS);
	return g;
}

static struct peer *add_peer(struct gpu *g, const char *pci, uint32_t class, const char *driver)
{
	struct peer *p = &g->place.peers[g->place.n_peers++];

	strcpy(p->pci, pci);
	p->class = class;
	p->driver = driver ? fact_text_of(driver, SRC_SYSFS) : fact_text_unknown(WHY_NO_DRIVER);
	p->in_group = true;
	return p;
}

static const struct passthrough *judge(struct gpu *g)
{
	place_decide(r, g);
	assert_int_equal(g->place.ready, g->place.n_reasons == 0);
	return &g->place;
}

/* One reason, and it says this. */
static void assert_reason(struct gpu *g, const char *part)
{
	const struct passthrough *p = judge(g);

	if (p->n_reasons != 1 || !strstr(p->reasons[0], part))
		fail_msg("%u reasons, the first '%s', not '%s'", p->n_reasons, p->reasons[0], part);
}

static void alone_is_ready(void **state)
{
	struct gpu *g = setup();

	(void)state;
	add_peer(g, "0000:00:01.0", 0x060400, "pcieport");
	assert_true(judge(g)->ready);
	assert_int_equal(g->place.isolation, ISOLATION_ALONE);
	assert_int_equal(g->place.reset_quality, RESET_GOOD);
}

static void a_strangers_driver_keeps_the_group(void **state)
{
	struct gpu *g = setup();
	struct peer *p = add_peer(g, "0000:02:00.0", 0x020000, "r8169");

	(void)state;
	assert_reason(g, "group 14 also holds 0000:02:00.0 (r8169)");
	assert_int_equal(g->place.isolation, ISOLATION_SHARED);
	/* Without a driver, or with one that waits for a guest, it is shared but in nobody's way. */
	p->driver = fact_text_unknown(WHY_NO_DRIVER);
	assert_true(judge(g)->ready);
	assert_int_equal(g->place.isolation, ISOLATION_SHARED);
	p->driver = fact_text_of("vfio-pci", SRC_SYSFS);
	assert_true(judge(g)->ready);
	p->driver = fact_text_of("xe-vfio-pci", SRC_SYSFS);
	assert_true(judge(g)->ready);
	/* Who cannot be looked at counts as used. */
	p->driver = fact_text_unknown(WHY_NEEDS_ROOT);
	assert_reason(g, "driver unknown");
	for (int i = 0; i < 3; i++)
		add_peer(g, "0000:02:00.1", 0x020000, "r8169");
	assert_reason(g, "and 2 more");
}

static void members_left_out_count(void **state)
{
	struct gpu *g = setup();

	(void)state;
	g->place.n_peers_left_out = 3;
	assert_reason(g, "group 14 also holds 3 devices");
	assert_int_equal(g->place.isolation, ISOLATION_SHARED);
}

static void a_card_goes_as_a_whole(void **state)
{
	struct gpu *g = setup();
	struct peer *p = add_peer(g, "0000:03:00.1", 0x040300, "snd_hda_intel");

	(void)state;
	p->same_slot = true;
	assert_true(judge(g)->ready); /* the host has both: whoever takes one takes both */
	assert_int_equal(g->place.isolation, ISOLATION_SLOT);
	g->driver = fact_text_of("vfio-pci", SRC_SYSFS);
	assert_reason(g, "0000:03:00.1 (snd_hda_intel)");
	p->driver = fact_text_of("vfio-pci", SRC_SYSFS);
	assert_true(judge(g)->ready);
	p->in_group = false;
	judge(g);
	assert_int_equal(g->place.isolation, ISOLATION_ALONE);
}

static void no_iommu_is_no_passthrough(void **state)
{
	struct gpu *g = setup();

	(void)state;
	g->iommu_group = fact_unknown(WHY_NOT_EXPORTED);
	g->place.peers_known = false;
	assert_reason(g, "its IOMMU group is unknown (not exported)");
	assert_int_equal(g->place.isolation, ISOLATION_UNKNOWN);
	g->place.no_iommu = true;
	assert_reason(g, "no IOMMU serves it");
	assert_int_equal(g->place.isolation, ISOLATION_NO_IOMMU);
	/* vfio's mode without an IOMMU has groups, which protect nobody. */
	g->iommu_group = fact_of(0, SRC_SYSFS);
	g->place.peers_known = true;
	assert_reason(g, "no IOMMU serves it");
	g->place.no_iommu = g->place.peers_known = false;
	assert_reason(g, "who else is in group 0 is unknown");
	assert_int_equal(g->place.isolation, ISOLATION_UNKNOWN);
}

static void resets_have_qualities(void **state)
{
	static const struct {
		const char *methods;
		bool shared_bus;
		enum reset_quality want;
	} rows[] = {
		{ "device_specific", true, RESET_GOOD },
		{ "flr bus", true, RESET_GOOD },
		{ "pm flr", false, RESET_GOOD },
		{ "af_flr", true, RESET_GOOD },
		{ "acpi", true, RESET_GOOD },
		{ "bus", false, RESET_GOOD },
		{ "bus", true, RESET_WEAK },
		{ "pm bus", true, RESET_WEAK },
		{ "pm", false, RESET_WEAK },
		{ "cxl_bus", true, RESET_WEAK },
		{ "", false, RESET_NONE },
		{ "from_the_future", false, RESET_UNKNOWN },
		{ "fl", false, RESET_UNKNOWN },
		{ "from_the_future pm", false, RESET_WEAK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gpu *g = setup();

		g->place.reset_methods = fact_text_of(rows[i].methods, SRC_SYSFS);
		if (rows[i].shared_bus)
			add_peer(g, "0000:03:00.1", 0x040300, NULL)->same_slot = true;
		judge(g);
		if (g->place.reset_quality != rows[i].want)
			fail_msg("'%s' is %s", rows[i].methods,
				 reset_quality_name(g->place.reset_quality));
		assert_int_equal(g->place.ready, rows[i].want != RESET_NONE);
	}
}

/* The file is missing of what nothing resets, of older kernels, and of folders that do not hold it. */
static void a_missing_method_is_judged_by_the_kernel(void **state)
{
	static const struct {
		const char *kernel;
		enum reset_quality want;
	} rows[] = {
		{ "5.15.0-130-generic", RESET_NONE },
		{ "6.1.0", RESET_NONE },
		{ "10.0", RESET_NONE },
		{ "5.14.21", RESET_UNKNOWN },
		{ "5.4", RESET_UNKNOWN },
		{ "5", RESET_UNKNOWN },
		{ "4.19.0", RESET_UNKNOWN },
		{ "unlike", RESET_UNKNOWN },
		{ "", RESET_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gpu *g = setup();

		g->place.reset_methods = fact_text_unknown(WHY_NOT_EXPORTED);
		r->kernel = fact_text_of(rows[i].kernel, SRC_PROC);
		judge(g);
		if (g->place.reset_quality != rows[i].want)
			fail_msg("kernel '%s': %s", rows[i].kernel,
				 reset_quality_name(g->place.reset_quality));
	}
	struct gpu *g = setup();

	g->place.reset_methods = fact_text_unknown(WHY_NOT_EXPORTED);
	assert_reason(g, "nothing resets it");
	g->place.d3cold_allowed = fact_unknown(WHY_NOT_EXPORTED);
	assert_true(judge(g)->ready);
	assert_int_equal(g->place.reset_quality, RESET_UNKNOWN);
	g = setup();
	g->place.reset_methods = fact_text_unknown(WHY_NEEDS_ROOT);
	judge(g);
	assert_int_equal(g->place.reset_quality, RESET_UNKNOWN);
}

static void users_keep_it(void **state)
{
	struct gpu *g = setup();
	struct display *d = &g->holders.displays[0];

	(void)state;
	g->boot_vga = fact_of(1, SRC_SYSFS);
	assert_reason(g, "boot display");
	g->driver = fact_text_unknown(WHY_NO_DRIVER);
	assert_reason(g, "boot display");
	g->driver = fact_text_of("amdgpu", SRC_SYSFS);
	g->boot_vga = fact_of(0, SRC_SYSFS);
	g->holders.n_displays = 1;
	strcpy(d->connector, "DP-1");
	assert_true(judge(g)->ready);
	d->connected = true;
	assert_true(judge(g)->ready);
	d->enabled = true;
	assert_reason(g, "it shows a picture on DP-1");
	g->holders.n_displays = 0;
	g->holders.n_procs = 1;
	g->holders.procs[0] = (struct gpu_proc) { .pid = 1234, .name = "llama-server" };
	assert_reason(g, "process 1234 (llama-server) uses it");
	g->holders.n_left_out = 4;
	assert_reason(g, "5 processes use it, among them 1234 (llama-server)");
	/* A guest's own use, and the firmware's choice, do not speak against a guest. */
	g->boot_vga = fact_of(1, SRC_SYSFS);
	g->driver = fact_text_of("vfio-pci", SRC_SYSFS);
	assert_true(judge(g)->ready);
	g = setup();
	g->vfs = fact_of(2, SRC_SYSFS);
	assert_reason(g, "2 virtual functions");
}

static void reasons_fit_and_stay_text(void **state)
{
	struct gpu *g = setup();

	(void)state;
	g->place.no_iommu = true;
	g->boot_vga = fact_of(1, SRC_SYSFS);
	g->vfs = fact_of(7, SRC_SYSFS);
	g->place.reset_methods = fact_text_of("", SRC_SYSFS);
	g->holders.n_displays = DISPLAYS_MAX;
	for (int i = 0; i < DISPLAYS_MAX; i++)
		g->holders.displays[i] =
			(struct display) { .connector = "\xc3\xa4\xc3\xa4-1234567890-1234",
					   .connected = true,
					   .enabled = true };
	g->holders.n_procs = 1;
	for (int i = 0; i < PEERS_MAX; i++)
		add_peer(g, "0000:ffffff:00.0", 0x020000,
			 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x");
	judge(g);
	assert_true(g->place.n_reasons >= 6 && g->place.n_reasons <= REASONS_MAX);
	for (uint32_t i = 0; i < g->place.n_reasons; i++) {
		json_t *text = json_string(g->place.reasons[i]); /* NULL for broken UTF-8 */

		assert_non_null(text);
		json_decref(text);
	}
}

static int make(void **state)
{
	(void)state;
	r = calloc(1, sizeof(*r));
	return r ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	free(r);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_is_ready),
		cmocka_unit_test(a_strangers_driver_keeps_the_group),
		cmocka_unit_test(members_left_out_count),
		cmocka_unit_test(a_card_goes_as_a_whole),
		cmocka_unit_test(no_iommu_is_no_passthrough),
		cmocka_unit_test(resets_have_qualities),
		cmocka_unit_test(a_missing_method_is_judged_by_the_kernel),
		cmocka_unit_test(users_keep_it),
		cmocka_unit_test(reasons_fit_and_stay_text),
	};

	return cmocka_run_group_tests(tests, make, drop);
}

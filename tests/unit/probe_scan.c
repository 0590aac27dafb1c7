/* SPDX-License-Identifier: MIT */
/* The scan over folders made on the spot: the awake walk, hostile folders, answers, selectors. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/section.h"
#include "tests/unit/harness.h"

#define GPU_DIR "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"

static char root[64];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void make_parents(const char *path)
{
	char dir[512];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(dir, 0755);
		*slash = '/';
	}
}

static void put_bytes(const char *name, const void *bytes, size_t n)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_parents(path);
	unlink(path);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void put_link(const char *name, const char *target)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_parents(path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

static void put_fifo(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_parents(path);
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
}

/* One awake amdgpu function below one awake bridge. */
static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/berth-scan-XXXXXX");
	assert_non_null(mkdtemp(root));
	put("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
	put_link("sys/bus/pci/devices/0000:01:00.0",
		 "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
	put("sys/devices/pci0000:00/0000:00:01.0/power/runtime_status", "active\n");
	put(GPU_DIR "/power/runtime_status", "active\n");
	put(GPU_DIR "/class", "0x030000\n");
	put(GPU_DIR "/vendor", "0x1002\n");
	put(GPU_DIR "/device", "0x744c\n");
	put_link(GPU_DIR "/driver", "../../../../bus/pci/drivers/amdgpu");
	put(GPU_DIR "/mem_info_vram_total", "1000\n");
	put(GPU_DIR "/mem_info_vram_used", "400\n");
	put(GPU_DIR "/gpu_busy_percent", "7\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct report *collect(bool wake)
{
	const struct probe_opts o = { .wake = wake };
	struct err e = { 0 };
	struct report *r;
	struct machine m;

	assert_int_equal(machine_open(&m, root, &e), 0);
	assert_int_equal(probe_collect(&m, &o, &r, &e), 0);
	machine_close(&m);
	assert_non_null(r);
	return r;
}

static void plain(void **state)
{
	(void)state;
	struct report *r = collect(false);

	assert_int_equal(r->n_gpus, 1);
	const struct gpu *g = &r->gpus[0];

	assert_string_equal(g->pci, "0000:01:00.0");
	assert_int_equal(g->awake, AWAKE_YES);
	assert_string_equal(g->driver.v, "amdgpu");
	assert_true(gpu_can_compute(g));
	assert_int_equal(g->vram_total.v, 1000);
	assert_int_equal(g->vram_free.v, 600);
	assert_int_equal(g->busy_percent.v, 7);
	assert_int_equal(r->cpu.ram_total.v, 1000 * 1024);
	probe_free(r);
}

static void sleeping_bridge(void **state)
{
	static const char bridge[] = "sys/devices/pci0000:00/0000:00:01.0/power/runtime_status";
	char path[512];

	(void)state;
	/* The function calls itself active, but to reach it the bridge above must resume. */
	put(bridge, "suspended\n");
	struct report *r = collect(false);

	assert_int_equal(r->gpus[0].awake, AWAKE_NO);
	assert_int_equal(r->gpus[0].vram_total.v, 1000); /* a counter in the driver */
	assert_false(fact_known(&r->gpus[0].busy_percent));
	assert_int_equal(r->gpus[0].busy_percent.why, WHY_ASLEEP);
	probe_free(r);
	r = collect(true);
	assert_int_equal(r->gpus[0].busy_percent.v, 7);
	probe_free(r);
	/* What cannot be told is not awake either. */
	snprintf(path, sizeof(path), "%s/%s", root, bridge);
	unlink(path);
	r = collect(false);
	assert_int_equal(r->gpus[0].awake, AWAKE_UNKNOWN);
	assert_false(fact_known(&r->gpus[0].busy_percent));
	probe_free(r);
}

static void no_real_path(void **state)
{
	char path[512];

	(void)state;
	/* A folder instead of a link tells nothing about bridges. */
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/0000:01:00.0", root);
	unlink(path);
	put("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n");
	put("sys/bus/pci/devices/0000:01:00.0/power/runtime_status", "active\n");
	struct report *r = collect(false);

	assert_int_equal(r->n_gpus, 1);
	assert_int_equal(r->gpus[0].awake, AWAKE_UNKNOWN);
	assert_int_equal(r->gpus[0].driver.why, WHY_NO_DRIVER);
	probe_free(r);
}

/* Each file in turn becomes a FIFO, a folder, a loop, a way out, huge, binary, empty; nothing hangs. */
static void hostile_files(void **state)
{
	static const char *const files[] = { "class",
					     "vendor",
					     "power/runtime_status",
					     "resource",
					     "numa_node",
					     "local_cpulist",
					     "mem_info_vram_total",
					     "boot_vga",
					     "gpu_busy_percent",
					     "driver",
					     "iommu_group",
					     "drm/card0/dev" };
	size_t huge_size = 1 << 20;
	char *huge = malloc(huge_size), name[256], target[512];

	(void)state;
	assert_non_null(huge);
	memset(huge, '0', huge_size);
	snprintf(target, sizeof(target), "%s-secret", root);
	FILE *f = fopen(target, "we");

	assert_non_null(f);
	fputs("31337\n", f);
	fclose(f);
	for (size_t i = 0; i < COUNT(files); i++) {
		for (int kind = 0; kind < 7; kind++) {
			snprintf(name, sizeof(name), GPU_DIR "/%s", files[i]);
			if (kind == 0)
				put_fifo(name);
			else if (kind == 1)
				put_link(name, name);
			else if (kind == 2)
				put_link(name, target);
			else if (kind == 3)
				put_bytes(name, huge, huge_size);
			else if (kind == 4)
				put_bytes(name, "\0\xff\x1b[2J\n\0", 8);
			else if (kind == 5)
				put(name, "");
			else
				put_link(name,
					 "../../../../../../../../../../../../proc/self/environ");
			struct report *r = collect(false);

			for (uint32_t k = 0; k < r->n_gpus; k++) {
				const struct gpu *g = &r->gpus[k];

				assert_true(!fact_known(&g->vram_total) || g->vram_total.v == 1000);
				assert_true(!fact_known(&g->busy_percent) ||
					    g->busy_percent.v <= 100);
				assert_null(strstr(g->driver.v, "\x1b"));
			}
			probe_free(r);
		}
		teardown(NULL);
		setup(NULL);
	}
	unlink(target);
	free(huge);
}

static void missing_everything(void **state)
{
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/" GPU_DIR, root);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	struct report *r = collect(false); /* the link dangles: no function, no error */

	assert_int_equal(r->n_gpus, 0);
	probe_free(r);
	put(GPU_DIR "/class", "0x030000\n");
	r = collect(false);
	assert_int_equal(r->n_gpus, 1);
	assert_int_equal(r->gpus[0].vendor, 0);
	assert_int_equal(r->gpus[0].bars[0].size_bytes, 0);
	probe_free(r);
}

static void too_many(void **state)
{
	char name[128];

	(void)state;
	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "sys/bus/pci/devices/0000:%02x:00.0/class", 0x40 + i);
		put(name, "0x030200\n");
	}
	struct report *r = collect(false);

	assert_int_equal(r->n_gpus, PROBE_GPUS_MAX);
	assert_int_equal(r->n_left_out, 71 - PROBE_GPUS_MAX);
	assert_string_equal(r->gpus[0].pci, "0000:01:00.0");
	probe_free(r);
}

static void garbage_answers(void **state)
{
	(void)state;
	put_link(GPU_DIR "/driver", "../../../../bus/pci/drivers/nvidia");
	put("answers/nvml.json",
	    "{\"asked\": true, \"why\": \"no such reason\", \"devices\": {\"0000:01:00.0\": {"
	    "\"vram_total_bytes\": -1, \"vram_total_bytes_src\": \"nvml\","
	    "\"vram_used_bytes\": 1e300, \"power_mw\": \"x\", \"uuid\": {}}, \"x\": [], \"y\": null}}");
	put("answers/hwloc.json", "{\"cpu\": [], \"devices\": 5}");
	put("answers/drm.json", "{\"devices\": {\"0000:01:00.0\": 7}}");
	put("answers/pci.json", "\xff\xfe");
	put("answers/errors.json", "{\"" GPU_DIR "/numa_node\": \"EACCES\", \"x\": 5}");
	struct report *r = collect(false);

	assert_false(fact_known(&r->gpus[0].vram_total));
	assert_int_equal(r->gpus[0].vram_total.why, WHY_GARBLED);
	assert_false(fact_known(&r->gpus[0].vram_used));
	assert_false(fact_known(&r->cpu.cores));
	/* A file that could not be read replays as such. */
	assert_int_equal(r->gpus[0].numa_node.why, WHY_NEEDS_ROOT);
	probe_free(r);
}

static void not_a_machine(void **state)
{
	struct report *r;
	struct machine m;
	struct err e = { 0 };
	char hollow[128];

	(void)state;
	snprintf(hollow, sizeof(hollow), "%s/hollow/sys", root);
	make_parents(hollow);
	mkdir(hollow, 0755);
	*strrchr(hollow, '/') = '\0';
	assert_int_equal(machine_open(&m, hollow, &e), 0);
	assert_int_equal(probe_collect(&m, NULL, &r, &e), -EBADMSG);
	assert_null(r);
	assert_non_null(strstr(e.text, "not a captured machine"));
	machine_close(&m);
}

static struct report *select_report(void)
{
	struct report *r = calloc(1, sizeof(*r));
	static const struct {
		const char *pci, *name, *uuid;
	} rows[] = {
		{ "0000:03:00.0", "AMD Radeon RX 7900 XTX", NULL },
		{ "0000:41:00.0", "NVIDIA GeForce RTX 3090", "GPU-11111111-aaaa" },
		{ "0000:61:00.0", "NVIDIA GeForce RTX 3090", "GPU-11111111-bbbb" },
		{ "10000:03:00.0", "NVIDIA H100", "GPU-22222222-cccc" },
	};

	assert_non_null(r);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct gpu *g = &r->gpus[r->n_gpus++];

		snprintf(g->pci, sizeof(g->pci), "%s", rows[i].pci);
		g->name = fact_text_of(rows[i].name, SRC_TABLE);
		if (rows[i].uuid)
			g->uuid = fact_text_of(rows[i].uuid, SRC_NVML);
	}
	return r;
}

static void selectors(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint32_t first;
	} rows[] = {
		{ "0000:41:00.0", 1, 1 },
		{ "41:00.0", 1, 1 },
		{ "00000000:41:00.0", 1, 1 },
		{ "0000:61:00.0,41:00.0", 2, 2 },
		{ "GPU-11111111-b", 1, 2 },
		{ "gpu-22222222", 1, 3 },
		{ "7900", 1, 0 },
		{ "h100", 1, 3 },
		{ "03:00.0", -EINVAL, 0 }, /* two domains have it */
		{ "GPU-11111111", -EINVAL, 0 },
		{ "3090", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "7900,", -EINVAL, 0 },
		{ ",7900", -EINVAL, 0 },
		{ "7900,7900", -EINVAL, 0 },
		{ "5090", -ENODEV, 0 },
		{ "GPU-3333", -ENODEV, 0 },
		{ "0000:99:00.0", -ENODEV, 0 },
		{ "%s%n", -ENODEV, 0 },
	};
	struct report *r = select_report();
	uint32_t index[PROBE_GPUS_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };

		assert_int_equal(probe_select(r, rows[i].text, index, &e), rows[i].rc);
		if (rows[i].rc > 0)
			assert_int_equal(index[0], rows[i].first);
		else
			assert_true(e.text[0]);
	}
	char wide[4096];

	memset(wide, 'x', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	assert_int_equal(probe_select(r, wide, index, NULL), -EINVAL);
	probe_free(r);
}

static void names(void **state)
{
	char buf[200];
	struct text t;
	struct gpu g = { .pci = "0000:01:00.0", .vendor = 0x10de, .device = 0x2684 };

	(void)state;
	text_init(&t, buf, sizeof(buf));
	gpu_title(&t, &g);
	assert_string_equal(buf, "0000:01:00.0  NVIDIA 10de:2684");
	g.driver = fact_text_of("vfio-pci", SRC_SYSFS);
	assert_false(gpu_can_compute(&g));
	g.driver = fact_text_of("nvidia", SRC_SYSFS);
	assert_true(gpu_can_compute(&g));
	g.driver = fact_text_of("ast", SRC_SYSFS);
	assert_false(gpu_can_compute(&g));
	g.driver = fact_text_of("never-heard-of", SRC_SYSFS);
	assert_false(gpu_can_compute(&g));
}

/* A subject that is read but not shown would be lost in silence. */
static void every_section_is_shown(void **state)
{
	(void)state;
	for (const struct section *const *p = sections; *p; p++) {
		bool shown = false;

		for (const struct section *const *q = sections_shown; *q; q++)
			shown |= *p == *q;
		assert_true(shown);
	}
}

int main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(plain),
		WITH_FOLDER(sleeping_bridge),
		WITH_FOLDER(no_real_path),
		WITH_FOLDER(hostile_files),
		WITH_FOLDER(missing_everything),
		WITH_FOLDER(too_many),
		WITH_FOLDER(garbage_answers),
		WITH_FOLDER(not_a_machine),
		cmocka_unit_test(selectors),
		cmocka_unit_test(names),
		cmocka_unit_test(every_section_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

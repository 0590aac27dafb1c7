/* SPDX-License-Identifier: MIT */
/* The numbers that interfaces give GPUs, and the lines made of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "probe/api_priv.h"
#include "probe/format.h"
#include "probe/section.h"
#include "tests/unit/harness.h"

static struct report r;

static struct gpu *add(const char *pci, const char *driver, enum gpu_kind kind)
{
	struct gpu *g = &r.gpus[r.n_gpus++];

	*g = (struct gpu) { .vendor = 0x10de, .device = 0x2684, .kind = kind };
	text_copy(g->pci, sizeof(g->pci), pci);
	g->driver = driver ? fact_text_of(driver, SRC_SYSFS) : fact_text_unknown(WHY_NO_DRIVER);
	return g;
}

static int setup(void **state)
{
	(void)state;
	r.n_gpus = 0;
	r.cpu = (struct cpu) { 0 };
	return 0;
}

static void decide(void)
{
	for (uint32_t i = 0; i < r.n_gpus; i++)
		section_index.decide(&r, &r.gpus[i]);
}

/* What a formatter prints; the caller frees it. */
static char *printed(void (*format)(FILE *, const struct report *))
{
	size_t size = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	format(f, &r);
	fclose(f);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	char buf[600];

	snprintf(buf, sizeof(buf), "\n%s\n", text);
	for (char *at = strtok(buf, "\n"); at; at = strtok(NULL, "\n"))
		if (strcmp(at, line) == 0)
			return;
	fail_msg("no line '%s' in:\n%s", line, text);
}

static void test_cuda_counts_by_address(void **state)
{
	(void)state;
	struct gpu *late = add("0000:c1:00.0", "nvidia", GPU_DISCRETE);
	struct gpu *early = add("0000:01:00.0", "nvidia", GPU_DISCRETE);
	struct gpu *vm = add("0000:02:00.0", "vfio-pci", GPU_DISCRETE);
	struct gpu *bare = add("0000:03:00.0", NULL, GPU_DISCRETE);

	decide();
	assert_int_equal(early->index.cuda.v, 0);
	assert_int_equal(early->index.cuda.src, SRC_TABLE);
	assert_int_equal(late->index.cuda.v, 1);
	assert_false(fact_known(&vm->index.cuda));
	assert_int_equal(vm->index.cuda.why, WHY_NOT_APPLICABLE);
	assert_int_equal(bare->index.cuda.why, WHY_NO_DRIVER);
	/* CUDA's own order follows no rule that we know. */
	assert_false(fact_known(&early->index.cuda_fastest));
	assert_int_equal(early->index.hip.why, WHY_NOT_APPLICABLE);
}

static void test_mig_makes_cuda_unclear(void **state)
{
	(void)state;
	add("0000:01:00.0", "nvidia", GPU_DISCRETE)->partition = fact_text_of("MIG 2 of 7",
									      SRC_NVML);
	add("0000:02:00.0", "nvidia", GPU_DISCRETE);
	decide();
	assert_false(fact_known(&r.gpus[0].index.cuda));
	assert_false(fact_known(&r.gpus[1].index.cuda));
}

static void test_hip_counts_nodes(void **state)
{
	(void)state;
	struct gpu *a = add("0000:03:00.0", "amdgpu", GPU_DISCRETE);
	struct gpu *unlisted = add("0000:04:00.0", "amdgpu", GPU_INTEGRATED);
	struct gpu *b = add("0000:83:00.0", "amdgpu", GPU_DISCRETE);

	a->kfd_node = fact_of(2, SRC_SYSFS);
	b->kfd_node = fact_of(1, SRC_SYSFS);
	decide();
	assert_int_equal(a->index.hip.v, 1);
	assert_int_equal(b->index.hip.v, 0);
	assert_false(fact_known(&unlisted->index.hip));

	b->partition = fact_text_of("CPX/NPS4", SRC_SYSFS);
	b->index = a->index = (struct index_map) { 0 };
	decide();
	assert_false(fact_known(&a->index.hip));
}

static void test_vulkan_sorts_by_kind(void **state)
{
	(void)state;
	struct gpu *inside = add("0000:00:02.0", "i915", GPU_INTEGRATED);
	struct gpu *egpu = add("0000:64:00.0", "amdgpu", GPU_EXTERNAL);
	struct gpu *card = add("0000:01:00.0", "nvidia", GPU_DISCRETE);

	add("0000:05:00.0", "ast", GPU_BMC);
	decide();
	assert_int_equal(card->index.vulkan.v, 0);
	assert_int_equal(egpu->index.vulkan.v, 1);
	assert_int_equal(inside->index.vulkan.v, 2);
	assert_int_equal(inside->index.vulkan.src, SRC_GUESS);
	/* Intel's alone, by its own count. */
	assert_int_equal(inside->index.level_zero.v, 0);

	card->kind = GPU_UNKNOWN;
	card->index = egpu->index = (struct index_map) { 0 };
	decide();
	assert_false(fact_known(&egpu->index.vulkan));
	assert_true(fact_known(&card->index.cuda));
}

static void test_nodes(void **state)
{
	(void)state;
	struct gpu *g = add("0000:03:00.0", "amdgpu", GPU_DISCRETE);

	g->drm_card = fact_text_of("/dev/dri/card12", SRC_DRM);
	g->drm_render = fact_text_of("/dev/dri/renderDx", SRC_DRM);
	decide();
	assert_int_equal(g->index.drm_card.v, 12);
	assert_int_equal(g->index.drm_card.src, SRC_DRM);
	assert_int_equal(g->index.drm_render.why, WHY_GARBLED);
}

static void test_env_prefers_uuids(void **state)
{
	(void)state;
	add("0000:01:00.0", "nvidia", GPU_DISCRETE)->uuid = fact_text_of("GPU-aa", SRC_NVML);
	add("0000:02:00.0", "nvidia", GPU_DISCRETE)->uuid = fact_text_of("GPU-bb", SRC_NVML);
	decide();
	own_free char *text = printed(format_env);

	assert_line(text, "CUDA_VISIBLE_DEVICES=GPU-aa,GPU-bb");
	assert_line(text, "CUDA_DEVICE_ORDER=PCI_BUS_ID");
	assert_line(text, "# GGML_VK_VISIBLE_DEVICES=0,1 would be a guess; --wake asks");
}

static void test_env_is_shell_safe(void **state)
{
	(void)state;
	struct gpu *g = add("0000:01:00.0", "nvidia", GPU_DISCRETE);

	g->uuid = fact_text_of("GPU-$(reboot)", SRC_NVML);
	g->name = fact_text_of("evil\nCUDA_VISIBLE_DEVICES=9", SRC_NVML);
	decide();
	own_free char *text = printed(format_env);

	assert_line(text, "CUDA_VISIBLE_DEVICES=0");
	assert_null(strstr(text, "reboot"));
	assert_line(text, "# 0000:01:00.0  evil?CUDA_VISIBLE_DEVICES=9");
}

static void test_env_layers(void **state)
{
	(void)state;
	struct gpu *g = add("0000:03:00.0", "amdgpu", GPU_DISCRETE);

	g->kfd_node = fact_of(1, SRC_SYSFS);
	g->drm_render = fact_text_of("/dev/dri/renderD128", SRC_SYSFS);
	add("0000:04:00.0", "amdgpu", GPU_DISCRETE)->kfd_node = fact_of(2, SRC_SYSFS);
	decide();
	r.gpus[0] = r.gpus[1]; /* as --device 04:00.0 leaves it */
	r.n_gpus = 1;
	r.gpus[0].drm_render = fact_text_of("/dev/dri/renderD129", SRC_SYSFS);
	own_free char *text = printed(format_env);

	assert_line(text, "ROCR_VISIBLE_DEVICES=1");
	assert_line(text, "HIP_VISIBLE_DEVICES=0"); /* counts what the runtime below leaves */
	assert_line(text, "DRI_PRIME=pci-0000_04_00_0");
}

static void test_env_says_what_is_unknown(void **state)
{
	(void)state;
	add("0000:03:00.0", "amdgpu", GPU_DISCRETE);
	decide();
	own_free char *text = printed(format_env);

	assert_line(text,
		    "# ROCR_VISIBLE_DEVICES: the index of 0000:03:00.0 is unknown (not exported)");
	assert_null(strstr(text, "\nROCR_VISIBLE_DEVICES="));
}

static void test_slurm(void **state)
{
	(void)state;
	struct gpu *a = add("0000:01:00.0", "nvidia", GPU_DISCRETE);
	struct gpu *b = add("0000:02:00.0", "amdgpu", GPU_DISCRETE);

	r.cpu.core_order = fact_text_of("0-6:2,1-7:2", SRC_HWLOC);
	a->name = fact_text_of("NVIDIA GeForce RTX 4090 (48 GB)", SRC_NVML);
	a->index.nvml = fact_of(3, SRC_NVML);
	a->cpus = fact_text_of("1,3,5,7,9,11,13,15", SRC_SYSFS);
	b->drm_render = fact_text_of("/dev/dri/renderD128", SRC_SYSFS);
	b->cpus = fact_text_of("0-15", SRC_SYSFS);
	add("0000:03:00.0", "vfio-pci", GPU_DISCRETE);
	decide();
	own_free char *text = printed(format_slurm);

	assert_line(text, "Name=gpu Type=nvidia_geforce_rtx_4090_48_gb File=/dev/nvidia3 Cores=4-7 "
			  "# 0000:01:00.0");
	/* Every core is near: no Cores=. */
	assert_line(text, "Name=gpu Type=gpu_10de_2684 File=/dev/dri/renderD128 # 0000:02:00.0");
	assert_line(text, "# left out: 0000:03:00.0  NVIDIA 10de:2684: no driver that can compute");
}

static struct api_list api;

static void lists(const char *pci, uint32_t type, uint32_t vendor, uint32_t driver_id,
		  uint32_t same)
{
	struct api_device *d = &api.devices[api.n++];

	*d = (struct api_device) {
		.type = type, .vendor = vendor, .driver_id = driver_id, .same = same
	};
	text_copy(d->pci, sizeof(d->pci), pci);
}

static void test_engine_chooses_devices(void **state)
{
	uint32_t chosen[API_DEVICES_MAX];

	(void)state;
	api.n = 0;
	lists("0000:01:00.0", 2, 0x10de, 4, 0);
	lists("0000:03:00.0", 2, 0x1002, 2, 1); /* AMDVLK */
	lists("0000:05:00.0", 2, 0x8086, 6, 2);
	lists("0000:03:00.0", 2, 0x1002, 3, 1); /* RADV shows the same card, and is preferred */
	lists("", 4, 0x10005, 13, 4);           /* llvmpipe */
	assert_int_equal(api_vulkan_choice(&api, chosen), 3);
	assert_int_equal(chosen[0], 0);
	assert_int_equal(chosen[1], 2);
	assert_int_equal(chosen[2], 3);

	api.devices[2].lacking = true;
	assert_int_equal(api_vulkan_choice(&api, chosen), 2);

	/* Software alone is no device; anything else is better than none. */
	api.n = 0;
	lists("", 4, 0x10005, 13, 0);
	assert_int_equal(api_vulkan_choice(&api, chosen), 0);
	lists("", 3, 0x1af4, 22, 1);
	assert_int_equal(api_vulkan_choice(&api, chosen), 1);
	assert_int_equal(chosen[0], 1);
}

static void test_interfaces_know_better(void **state)
{
	struct gpu *a = add("0000:01:00.0", "nvidia", GPU_DISCRETE);
	struct gpu *b = add("0000:02:00.0", "nvidia", GPU_DISCRETE);
	json_t *answer = json_object(), *o;

	(void)state;
	api = (struct api_list) { 0 };
	lists("0000:02:00.0", 0, 0, 0, 0);
	o = api_list_to_json(&api);
	json_object_set_new(answer, "cuda", o);
	api = (struct api_list) { .why = WHY_TIMEOUT };
	json_object_set_new(answer, "vulkan", api_list_to_json(&api));
	section_index.take(&r, answer);
	decide();
	assert_int_equal(b->index.cuda.v, 0);
	assert_int_equal(b->index.cuda.src, SRC_API);
	/* Not listed: the rule that gave it a number is refuted. */
	assert_false(fact_known(&a->index.cuda));
	/* Who did not answer refutes nothing. */
	assert_int_equal(b->index.vulkan.v, 1);
	assert_int_equal(b->index.vulkan.src, SRC_GUESS);
	json_decref(answer);
}

static void check_order(const char *list, int n, const unsigned *want)
{
	unsigned cpus[16];
	char buf[64];

	assert_int_equal(cpulist_order(list, cpus, 16), n);
	assert_memory_equal(cpus, want, (size_t)n * sizeof(*cpus));
	assert_true(cpulist_order_text(cpus, n, buf, sizeof(buf)));
	assert_string_equal(buf, list);
}

static void test_ordered_lists(void **state)
{
	unsigned cpus[16];
	char buf[8];

	(void)state;
	check_order("0-3", 4, (unsigned[]) { 0, 1, 2, 3 });
	check_order("0-6:2,1-7:2", 8, (unsigned[]) { 0, 2, 4, 6, 1, 3, 5, 7 });
	check_order("0-1,8-9", 4, (unsigned[]) { 0, 1, 8, 9 });
	check_order("5,0,2", 3, (unsigned[]) { 5, 0, 2 });
	check_order("3,0-2", 4, (unsigned[]) { 3, 0, 1, 2 });
	assert_int_equal(cpulist_order("0-16", cpus, 16), -ERANGE);
	assert_int_equal(cpulist_order("0-99999", cpus, 16), -ERANGE);
	assert_int_equal(cpulist_order("0-3:0", cpus, 16), -EINVAL);
	assert_int_equal(cpulist_order("0,", cpus, 16), -EINVAL);
	assert_int_equal(cpulist_order("0-", cpus, 16), -EINVAL);
	assert_false(cpulist_order_text((unsigned[]) { 100, 50, 20 }, 3, buf, sizeof(buf)));
	assert_string_equal(buf, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_cuda_counts_by_address, setup),
		cmocka_unit_test_setup(test_mig_makes_cuda_unclear, setup),
		cmocka_unit_test_setup(test_hip_counts_nodes, setup),
		cmocka_unit_test_setup(test_vulkan_sorts_by_kind, setup),
		cmocka_unit_test_setup(test_nodes, setup),
		cmocka_unit_test_setup(test_env_prefers_uuids, setup),
		cmocka_unit_test_setup(test_env_is_shell_safe, setup),
		cmocka_unit_test_setup(test_env_layers, setup),
		cmocka_unit_test_setup(test_env_says_what_is_unknown, setup),
		cmocka_unit_test_setup(test_slurm, setup),
		cmocka_unit_test_setup(test_engine_chooses_devices, setup),
		cmocka_unit_test_setup(test_interfaces_know_better, setup),
		cmocka_unit_test_setup(test_ordered_lists, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The core's pure parts: matching devices, adding up the account, events, whole characters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/account.h"
#include "core/device.h"
#include "core/energy.h"
#include "core/event.h"
#include "core/measure.h"
#include "core/utf8.h"
#include "tests/unit/harness.h"

static const struct engine_device devices[] = {
	{ "CPU", "a processor", "cpu", "", "cpu", 1000, 900 },
	{ "CUDA0", "a card", "cuda", "0000:01:00.0", "gpu", 100, 90 },
	{ "CUDA1", "a card", "cuda", "0000:c1:00.0", "gpu", 100, 90 },
	{ "Vulkan0", "a card", "vulkan", "0000:01:00.0", "gpu", 100, 90 },
	{ "Vulkan1", "llvmpipe", "vulkan", "", "gpu", 100, 90 },
};

static struct plan two(const char *a, const char *a_backend, const char *b, const char *b_backend)
{
	struct plan p = { .n_devices = 2 };

	strcpy(p.devices[0].pci, a);
	strcpy(p.devices[0].backend, a_backend);
	strcpy(p.devices[1].pci, b);
	strcpy(p.devices[1].backend, b_backend);
	return p;
}

static void match(void **state)
{
	uint32_t index[PLAN_DEVICES_MAX];
	struct err e = { 0 };
	struct plan p = two("0000:C1:00.0", "cuda", "0000:01:00.0", "vulkan");

	(void)state;
	/* the plan's order, not the engine's; the backend decides between two names of one card */
	assert_int_equal(device_match(&p, devices, COUNT(devices), index, &e), 0);
	assert_int_equal(index[0], 2);
	assert_int_equal(index[1], 3);
	/* by name only without an address */
	p = two("0000:01:00.0", "", "", "vulkan");
	strcpy(p.devices[1].engine_name, "Vulkan1");
	assert_int_equal(device_match(&p, devices, COUNT(devices), index, &e), 0);
	assert_int_equal(index[0], 1);
	assert_int_equal(index[1], 4);
	p = two("0000:c1:00.0", "vulkan", "0000:01:00.0", "cuda");
	assert_int_equal(device_match(&p, devices, COUNT(devices), index, &e), -ENODEV);
	assert_non_null(strstr(e.text, "0000:c1:00.0"));
	p = two("0000:01:00.0", "cuda", "0000:01:00.0", "cuda");
	assert_int_equal(device_match(&p, devices, COUNT(devices), index, &e), -ENODEV);
	assert_non_null(strstr(e.text, "twice"));
	p = two("", "cuda", "", "cuda");
	assert_int_equal(device_match(&p, devices, 0, index, &e), -ENODEV);
}

static void addresses(void **state)
{
	static const char *const rows[][2] = {
		{ "0000:C1:00.0", "0000:c1:00.0" },
		{ "0000:c1:00.0-v1", "0000:c1:00.0" },
		{ "10000:01:00.0", "10000:01:00.0" },
		{ "", "" },
		{ "c1:00.0", "" },
		{ "0000:c1:00.0 ", "" },
		{ "GPU-1234", "" },
		{ "0000:c1:00", "" },
		{ "123456789:c1:00.0", "" },
		{ "00000000:00000000:00000000.00000000", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char pci[24];

		device_pci(pci, rows[i][0]);
		assert_string_equal(pci, rows[i][1]);
	}
}

static void runnable(void **state)
{
	struct plan p = { .verdict = VERDICT_FITS,
			  .n_devices = 1,
			  .flags = { .n_ctx = 1,
				     .n_batch = 1,
				     .n_ubatch = 1,
				     .n_seq_max = 1,
				     .n_gpu_layers = 9 } };
	struct err e = { 0 };

	(void)state;
	p.devices[0].layers = 9;
	assert_int_equal(plan_runnable(&p, &e), 0);
	p.devices[0].layers = 8;
	assert_int_equal(plan_runnable(&p, &e), -EBADMSG);
	p.devices[0].layers = 9;
	p.flags.n_ubatch = 0;
	assert_int_equal(plan_runnable(&p, &e), -EBADMSG);
	p.flags.n_ubatch = 1;
	p.verdict = VERDICT_NO;
	assert_int_equal(plan_runnable(&p, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "\"no\""));
}

static void account(void **state)
{
	static const uint32_t index[] = { 2, 1 };
	struct enginelog *l = malloc(sizeof(*l));
	struct account *a = malloc(sizeof(*a));

	(void)state;
	assert_non_null(l);
	assert_non_null(a);
	enginelog_init(l);
	enginelog_feed(l, false,
		       "load_tensors: layer   0 assigned to device CPU, is_swa = 0\n"
		       "load_tensors: layer   1 assigned to device CUDA1, is_swa = 0\n"
		       "load_tensors: layer   2 assigned to device CUDA0, is_swa = 0\n"
		       "load_tensors: layer   3 assigned to device CUDA0, is_swa = 0\n"
		       "load_tensors:   CPU_Mapped model buffer size =     1.00 MiB\n"
		       "load_tensors:          AMX model buffer size =     2.00 MiB\n"
		       "load_tensors:        CUDA1 model buffer size =     3.00 MiB\n"
		       "load_tensors:        CUDA0 model buffer size =     4.00 MiB\n"
		       "load_tensors:        CUDA7 model buffer size =    64.00 MiB\n"
		       "llama_context:  CUDA_Host  output buffer size =     5.00 MiB\n"
		       "llama_kv_cache:      CUDA1 KV buffer size =     6.00 MiB\n"
		       "llama_kv_cache:      CUDA1 KV buffer size =     7.00 MiB\n"
		       "llama_memory_recurrent:      CUDA0 RS buffer size =     8.00 MiB\n"
		       "sched_reserve:      CUDA1 compute buffer size =     9.00 MiB\n");
	account_make(a, l, devices, index, 2);
	assert_int_equal(a->n_layers, 4);
	assert_int_equal(a->n_devices, 3);
	assert_string_equal(a->devices[0].name, "CUDA1");
	assert_string_equal(a->devices[0].pci, "0000:c1:00.0");
	assert_int_equal(a->devices[0].layers, 1);
	assert_int_equal(a->devices[1].layers, 2);
	assert_int_equal(a->devices[2].layers, 1);
	assert_int_equal(a->devices[0].bytes.weights, 3 << 20);
	assert_int_equal(a->devices[0].bytes.kv, 13 << 20);
	assert_int_equal(a->devices[0].bytes.compute, 9 << 20);
	assert_int_equal(a->devices[1].bytes.kv, 8 << 20);
	assert_int_equal(a->devices[2].bytes.weights, 3 << 20);
	assert_int_equal(a->devices[2].bytes.compute, 5 << 20);
	assert_int_equal(a->unplaced_bytes, 64 << 20);
	assert_int_equal(a->devices[0].rounding_bytes, 4 * ENGINELOG_ROUNDING);
	free(a);
	free(l);
}

static void other(void **state)
{
	struct telem_bytes b = { 10, 20, 30, TELEM_UNKNOWN };

	(void)state;
	assert_int_equal(account_other(&b, 1000, 900), 40);
	assert_int_equal(account_other(&b, 1000, 940), 0);
	assert_true(account_other(&b, 1000, 941) == TELEM_UNKNOWN);
	assert_true(account_other(&b, 1000, 1001) == TELEM_UNKNOWN);
}

static void characters(void **state)
{
	/* an umlaut, a broken byte, a smiley, split in every place */
	static const char text[] = "a\xc3\xa4\xff\xf0\x9f\x98\x80z\xe2\x82";
	size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct utf8 u = { .n_held = 0 };
		char out[64], all[64];
		size_t total = 0, k;

		for (size_t from = 0; from < n; from += k) {
			k = from < cut ? cut - from : 1;
			size_t got = utf8_pass(&u, text + from, k, out);

			assert_true(u.n_held <= 3);
			memcpy(all + total, out, got);
			total += got;
		}
		assert_int_equal(u.n_held, 2); /* the unfinished end */
		k = utf8_pass(&u, NULL, 0, out);
		memcpy(all + total, out, k);
		assert_int_equal(total + k, n);
		assert_memory_equal(all, text, n);
	}
}

static void events(void **state)
{
	json_t *o = event_failed(FAILURE_OOM, "no \xff memory");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "berth.core/1");
	assert_string_equal(json_string_value(json_object_get(o, "class")), "oom");
	assert_string_equal(json_string_value(json_object_get(o, "sentence")), "no ? memory");
	json_decref(o);
	assert_int_equal(failure_exit(FAILURE_PLAN), EXIT_BAD_INPUT);
	assert_int_equal(failure_exit(FAILURE_DEVICE), EXIT_LOST);
	assert_int_equal(failure_exit(FAILURE_OOM), EXIT_ENGINE);
}

/* What a child of measure_in_child() does; `arg` says which. */
static void behave(void *arg, struct measure *out)
{
	void *volatile much;

	switch (*(const int *)arg) {
	case 0:
		out->cache_bytes = 42;
		return;
	case 1:
		fprintf(stderr, "load\n./src/x.c:17: ASSERT(n > \xff) failed\n\n");
		abort();
	case 2:
		_exit(3);
	case 3:
		if (!(much = malloc(UINT64_C(512) << 20)) || MEASURE_UNLIMITED)
			fprintf(stderr, "std::bad_alloc\n");
		abort();
	default:
		out->end = MEASURE_REFUSED;
		strcpy(out->why, "no such model");
	}
}

static void children(void **state)
{
	static const struct {
		enum measure_end end;
		const char *why, *name;
	} rows[] = {
		{ MEASURE_DONE, "", "measured" },
		{ MEASURE_ABORTED, "./src/x.c:17: ASSERT(n > ?) failed", "aborted" },
		{ MEASURE_ABORTED, "it ended without a word", "aborted" },
		{ MEASURE_NO_MEMORY, "std::bad_alloc", "no memory" },
		{ MEASURE_REFUSED, "no such model", "refused" },
	};

	(void)state;
	for (int i = 0; i < (int)COUNT(rows); i++) {
		struct measure m;
		struct err e = { 0 };

		assert_int_equal(measure_in_child(behave, &i, UINT64_C(256) << 20, false, &m, &e),
				 0);
		assert_int_equal(m.end, rows[i].end);
		assert_string_equal(m.why, rows[i].why);
		json_t *o = measure_to_json(&m, "x");

		assert_string_equal(json_string_value(json_object_get(o, "end")), rows[i].name);
		assert_int_equal(json_object_get(o, "devices") != NULL, i == 0);
		if (i == 0)
			assert_int_equal(json_integer_value(json_object_get(o, "kv_bytes")), 42);
		json_decref(o);
	}
}

static void put_file(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static uint64_t energy_of(const char *root, const char *pci)
{
	int fd = energy_open(root, pci);
	uint64_t v = energy_read(fd);

	if (fd >= 0)
		close(fd);
	return v;
}

static void energy(void **state)
{
	char root[] = "/tmp/berth-energy.XXXXXX", dir[256], cmd[600];

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(dir, sizeof(dir), "%s/sys/bus/pci/devices/0000:03:00.0/hwmon/hwmon4", root);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s", dir);
	assert_int_equal(system(cmd), 0);
	assert_true(energy_of(root, "0000:03:00.0") == UINT64_MAX); /* amdgpu: power, no energy */
	put_file(dir, "energy2_input", "77\n");
	assert_int_equal(energy_of(root, "0000:03:00.0"),
			 77); /* the package is better than nothing */
	put_file(dir, "energy1_input", "123456789012345\n");
	assert_true(energy_of(root, "0000:03:00.0") == UINT64_C(123456789012345));
	for (const char *const *bad =
		     (const char *const[]) { "", "x", "-1", "1x", "99999999999999999999", NULL };
	     *bad; bad++) {
		put_file(dir, "energy1_input", *bad);
		assert_true(energy_of(root, "0000:03:00.0") == UINT64_MAX);
	}
	assert_true(energy_of(root, "") == UINT64_MAX);
	assert_true(energy_of(root, "0000:04:00.0") == UINT64_MAX);
	assert_true(energy_of(root, "../devices/0000:03:00.0") == UINT64_MAX);
	snprintf(cmd, sizeof(cmd), "rm -r %s", root);
	assert_int_equal(system(cmd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match),    cmocka_unit_test(addresses),
		cmocka_unit_test(runnable), cmocka_unit_test(account),
		cmocka_unit_test(other),    cmocka_unit_test(characters),
		cmocka_unit_test(events),   cmocka_unit_test(children),
		cmocka_unit_test(energy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* launch's decisions: how a run ended, which CPUs, which devices, which command line and environment. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "launch/cores.h"
#include "launch/cpus.h"
#include "launch/devmap.h"
#include "launch/ending.h"
#include "launch/tail.h"
#include "tests/unit/harness.h"

/* A wait status as the kernel makes it. */
#define EXITED(code)   ((code) << 8)
#define SIGNALLED(sig) (sig)

static struct ending judge(struct ending_facts f)
{
	struct ending end;

	if (!f.reason)
		f.reason = "";
	ending_judge(&end, &f);
	return end;
}

static void signals(void **state)
{
	static const struct {
		int signal;
		bool oom;
		const char *class;
	} rows[] = {
		{ SIGABRT, false, "abort" },
		{ SIGKILL, false, "killed" },
		{ SIGKILL, true, "out of memory" },
		{ SIGILL, false, "illegal instruction" },
		{ SIGSEGV, false, "segmentation fault" },
		{ SIGBUS, false, "bus error" },
		{ SIGUSR1, false, "signal" },
	};
	struct wire *w = calloc(1, sizeof(*w));

	(void)state;
	assert_non_null(w);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ending end = judge(
			(struct ending_facts) { .wire = w,
						.status = SIGNALLED(rows[i].signal),
						.oom_kill = rows[i].oom,
						.reason = "GGML_ASSERT(x) failed" });

		assert_string_equal(end.class, rows[i].class);
		assert_int_equal(end.exit, EXIT_ENGINE);
		assert_true(end.sentence[0]);
		assert_true(rows[i].oom || strstr(end.sentence, "GGML_ASSERT(x) failed"));
	}
	/* an engine that has no memory says so in many ways, and aborts */
	struct ending end = judge((struct ending_facts) {
		.wire = w,
		.status = SIGNALLED(SIGABRT),
		.reason = "ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed" });

	assert_string_equal(end.class, "oom");
	assert_non_null(strstr(end.sentence, "aborted"));
	end = judge((struct ending_facts) {
		.wire = w,
		.status = SIGNALLED(SIGABRT),
		.reason = "ggml-alloc.c:839: GGML_ASSERT(galloc->hash_values != NULL) failed" });
	assert_string_equal(end.class, "oom");
	end = judge((struct ending_facts) {
		.wire = w, .status = SIGNALLED(SIGSEGV), .reason = "CUDA error: out of memory" });
	assert_string_equal(end.class, "segmentation fault");
	free(w);
}

static void endings(void **state)
{
	struct wire *w = calloc(1, sizeof(*w));
	struct ending end;

	(void)state;
	assert_non_null(w);
	end = judge((struct ending_facts) { .wire = w, .status = EXITED(3) });
	assert_string_equal(end.class, "exit");
	assert_int_equal(end.exit, EXIT_ENGINE);
	/* "done" counts only with a clean exit */
	w->is_done = w->is_ready = true;
	end = judge((struct ending_facts) { .wire = w, .status = EXITED(0) });
	assert_string_equal(end.class, "none");
	assert_int_equal(end.exit, EXIT_YES);
	end = judge((struct ending_facts) { .wire = w, .status = SIGNALLED(SIGSEGV) });
	assert_int_equal(end.exit, EXIT_ENGINE);
	w->is_done = false;
	end = judge((struct ending_facts) {
		.wire = w, .status = SIGNALLED(SIGKILL), .user_stop = true, .we_killed = true });
	assert_int_equal(end.exit, EXIT_YES);
	/* somebody else's kill is no clean stop */
	end = judge((struct ending_facts) {
		.wire = w, .status = SIGNALLED(SIGKILL), .user_stop = true });
	assert_string_equal(end.class, "killed");
	w->is_ready = false;
	end = judge((struct ending_facts) { .wire = w, .status = EXITED(0), .user_stop = true });
	assert_string_equal(end.class, "stopped");
	assert_int_equal(end.exit, EXIT_NO);
	end = judge((struct ending_facts) {
		.wire = w, .status = SIGNALLED(SIGABRT), .lost = "the device x left" });
	assert_string_equal(end.class, "device lost");
	assert_non_null(strstr(end.sentence, "the device x left"));
	assert_int_equal(end.exit, EXIT_LOST);
	assert_non_null(strstr(end.sentence, "the device x left"));
	w->has_failed = true;
	strcpy(w->failure, "device");
	strcpy(w->sentence, "not there");
	end = judge((struct ending_facts) { .wire = w, .status = EXITED(6) });
	assert_int_equal(end.exit, EXIT_LOST);
	strcpy(w->failure, "oom");
	end = judge((struct ending_facts) { .wire = w, .status = EXITED(8) });
	assert_int_equal(end.exit, EXIT_ENGINE);
	assert_string_equal(end.sentence, "not there");
	/* a refusal outweighs everything that follows from it */
	end = judge((struct ending_facts) {
		.wire = w, .status = SIGNALLED(SIGTERM), .refused = "layer 2" });
	assert_int_equal(end.exit, EXIT_PLACEMENT);
	free(w);
}

static void last_words(void **state)
{
	struct tail *t = calloc(1, sizeof(*t));
	char buf[80];

	(void)state;
	assert_non_null(t);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)), "");
	tail_add(t, "one\ntwo\n", 8);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)), "two");
	tail_add(t, "/src/x/vocab.cpp:12: GGML_ASSERT(a) failed\n\033[1mbye\n", 52);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)),
			    "vocab.cpp:12: GGML_ASSERT(a) failed");
	for (int i = 0; i < 5000; i++)
		tail_add(t, "seventeen bytes..\n", 18);
	assert_int_equal(t->used, TAIL_SIZE);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)), "seventeen bytes..");
	tail_add(t, "\0\xff error\0\n", 10);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)), "?? error?");
	/* an abort that says nothing is explained by what came before */
	static const char bare[] =
		"ggml_calloc: failed to allocate   0.01 MB\nggml.c:428: fatal error\n";

	tail_add(t, bare, sizeof(bare) - 1);
	assert_string_equal(tail_reason(t, buf, sizeof(buf)),
			    "ggml_calloc: failed to allocate   0.01 MB");
	free(t);
}

static void cpu_lists(void **state)
{
	static const char *const bad[] = { "",   "-1",    "1-",    "2-1", "a",      "1,,2",
					   "1,", "1-2-3", "99999", "1 ",  "0-99999" };
	char buf[64];
	struct text t;
	cpu_set_t set;

	(void)state;
	assert_int_equal(cpus_parse("0-3,8,10-11", &set), 0);
	assert_int_equal(CPU_COUNT(&set), 7);
	text_init(&t, buf, sizeof(buf));
	cpus_text(&t, &set);
	assert_string_equal(buf, "0-3,8,10-11");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(cpus_parse(bad[i], &set), -EINVAL);
}

static void choose_cpus(struct report *r, const struct plan *p, const char *allowed,
			const char *want)
{
	cpu_set_t some, chosen;
	char buf[64];
	struct text t;

	assert_int_equal(cpus_parse(allowed, &some), 0);
	cpus_choose(r, p, &some, &chosen);
	text_init(&t, buf, sizeof(buf));
	cpus_text(&t, &chosen);
	assert_string_equal(buf, want);
}

static void cpu_choice(void **state)
{
	struct report *r = calloc(1, sizeof(*r));
	struct plan p = { .n_devices = 0 };

	(void)state;
	assert_non_null(r);
	choose_cpus(r, &p, "0-7", "0-7");
	r->cpu.cpuset = fact_text_of("0-7", SRC_HWLOC);
	choose_cpus(r, &p, "0-15", "0-7");
	choose_cpus(r, &p, "2-3,12", "2-3");
	choose_cpus(r, &p, "12", "12"); /* none of them: better somewhere than nowhere */
	r->n_gpus = 2;
	strcpy(r->gpus[0].pci, "0000:01:00.0");
	strcpy(r->gpus[1].pci, "0000:c1:00.0");
	r->gpus[0].cpus = fact_text_of("0-3,8-11", SRC_SYSFS);
	p.n_devices = 1;
	strcpy(p.devices[0].pci, "0000:01:00.0");
	choose_cpus(r, &p, "0-15", "0-3");
	choose_cpus(r, &p, "4-7", "4-7");
	/* a second device of unknown place */
	p.n_devices = 2;
	strcpy(p.devices[1].pci, "0000:c1:00.0");
	choose_cpus(r, &p, "0-15", "0-7");
	r->gpus[1].cpus = fact_text_of("4-5", SRC_SYSFS);
	choose_cpus(r, &p, "0-15", "0-5");
	free(r);
}

static const char *env(const struct core_start *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_env; i++)
		if (strcmp(s->env[i].name, name) == 0)
			return s->env[i].unset ? "(unset)" : s->env[i].value;
	return NULL;
}

static void command_line(void **state)
{
	static const char *const want[] = {
		"/x/core", "--plan",   "/r/p", "--telemetry", "/r/t",     "--control-fd",
		"3",       "--tokens", "64",   "--seed",      "7",        "--threads",
		"5",       "--temp",   "0",    "-v",          "--prompt", "--hello",
		NULL,
	};
	struct core_wish w = { .program = "/x/core",
			       .plan_path = "/r/p",
			       .telemetry_path = "/r/t",
			       .prompt = "--hello",
			       .temperature = "0",
			       .max_tokens = 64,
			       .seed = 7,
			       .control_fd = 3,
			       .verbose = 1,
			       .threads = 5 };
	struct core_start *s = malloc(sizeof(*s));
	struct plan p = { .n_devices = 2 };

	(void)state;
	assert_non_null(s);
	core_start_make(s, &cores[0], &p, &w);
	for (size_t i = 0; i < COUNT(want); i++) {
		if (want[i])
			assert_string_equal(s->argv[i], want[i]);
		else
			assert_null(s->argv[i]);
	}
	assert_string_equal(env(s, "GGML_NO_BACKTRACE"), "1");
	assert_string_equal(env(s, "GGML_BACKEND_PATH"), "(unset)");
	assert_null(env(s, "CUDA_VISIBLE_DEVICES"));
	free(s);
}

static void visible_devices(void **state)
{
	struct core_wish w = { .program = "/x/core" };
	struct core_start *s = malloc(sizeof(*s));
	struct plan p = { .n_devices = 3 };

	(void)state;
	assert_non_null(s);
	strcpy(p.devices[0].backend, "cuda");
	strcpy(p.devices[0].uuid, "GPU-bbbb");
	strcpy(p.devices[1].backend, "vulkan");
	strcpy(p.devices[2].backend, "cuda");
	strcpy(p.devices[2].uuid, "GPU-aaaa");
	core_start_make(s, &cores[0], &p, &w);
	assert_string_equal(env(s, "CUDA_VISIBLE_DEVICES"), "GPU-bbbb,GPU-aaaa");
	assert_string_equal(env(s, "CUDA_DEVICE_ORDER"), "PCI_BUS_ID");
	assert_null(env(s, "ROCR_VISIBLE_DEVICES"));
	/* one without a UUID: hiding by index would be guessing, so nothing is hidden */
	p.devices[2].uuid[0] = 0;
	core_start_make(s, &cores[0], &p, &w);
	assert_null(env(s, "CUDA_VISIBLE_DEVICES"));
	strcpy(p.devices[1].backend, "rocm");
	strcpy(p.devices[1].uuid, "GPU-1");
	core_start_make(s, &cores[0], &p, &w);
	assert_string_equal(env(s, "ROCR_VISIBLE_DEVICES"), "GPU-1");
	assert_string_equal(env(s, "HIP_VISIBLE_DEVICES"), "(unset)");
	free(s);
}

static const char devices_json[] =
	"{\"schema\":\"berth.devices/1\",\"engine\":\"x\",\"devices\":["
	"{\"name\":\"CPU\",\"description\":\"c\",\"backend\":\"cpu\",\"device_id\":null,\"type\":\"cpu\","
	"\"total_bytes\":9,\"free_bytes\":9},"
	"{\"name\":\"Vulkan0\",\"description\":\"a\",\"backend\":\"vulkan\",\"device_id\":\"0000:01:00.0\","
	"\"type\":\"gpu\",\"total_bytes\":800,\"free_bytes\":700},"
	"{\"name\":\"CUDA0\",\"description\":\"a\",\"backend\":\"cuda\",\"device_id\":\"0000:01:00.0\","
	"\"type\":\"gpu\",\"total_bytes\":800,\"free_bytes\":700},"
	"{\"name\":\"Vulkan1\",\"description\":\"b\",\"backend\":\"vulkan\",\"device_id\":\"0000:c1:00.0\","
	"\"type\":\"gpu\",\"total_bytes\":900,\"free_bytes\":850},"
	"{\"name\":\"Vulkan2\",\"description\":\"llvmpipe\",\"backend\":\"vulkan\",\"device_id\":null,"
	"\"type\":\"gpu\",\"total_bytes\":50,\"free_bytes\":40}]}";

static struct devmap *devmap(void)
{
	struct devmap *m = malloc(sizeof(*m));
	struct err e = { 0 };
	json_t *o = json_parse(devices_json, sizeof(devices_json) - 1, "test", &e);

	assert_non_null(m);
	assert_non_null(o);
	assert_int_equal(devmap_from_json(m, o, &e), 0);
	json_decref(o);
	assert_int_equal(m->n, 5);
	return m;
}

/* 01 and c1 have drivers that compute, 41 has one that the engine here cannot drive. */
static struct report *report(void)
{
	static const char *const pci[] = { "0000:01:00.0", "0000:41:00.0", "0000:c1:00.0" };
	static const char *const driver[] = { "nvidia", "amdgpu", "amdgpu" };
	struct report *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->n_gpus = 3;
	for (int i = 0; i < 3; i++) {
		strcpy(r->gpus[i].pci, pci[i]);
		r->gpus[i].driver = fact_text_of(driver[i], SRC_SYSFS);
	}
	r->gpus[0].vram_free = fact_of(600, SRC_NVML);
	r->cpu.ram_available = fact_of(5000, SRC_PROC);
	return r;
}

static void devices_by_default(void **state)
{
	struct devmap_choice *c = malloc(sizeof(*c));
	struct devmap *m = devmap();
	struct report *r = report();
	struct err e = { 0 };

	(void)state;
	assert_non_null(c);
	assert_int_equal(devmap_choose(c, m, r, NULL, &e), 0);
	assert_int_equal(c->n, 2);
	/* the most free first; what the probe does not know, the engine does */
	assert_string_equal(c->places[0].pci, "0000:c1:00.0");
	assert_int_equal(c->places[0].free_bytes.v, 850);
	assert_int_equal(c->places[0].free_bytes.src, SRC_ENGINE);
	assert_string_equal(c->places[0].engine_name, "Vulkan1");
	/* two backends drive it: CUDA is preferred, and NVML's number stands */
	assert_string_equal(c->places[1].backend, "cuda");
	assert_string_equal(c->places[1].engine_name, "CUDA0");
	assert_int_equal(c->places[1].free_bytes.v, 600);
	assert_int_equal(c->host.free_bytes.v, 5000);
	/* the third is named with what is missing; software is never taken unasked */
	assert_int_equal(c->n_notes, 1);
	assert_non_null(strstr(c->notes[0], "0000:41:00.0"));
	free(c);
	free(r);
	free(m);
}

/* By the host's free memory the integrated GPU would win; the engine itself prefers the other. */
static void integrated_gpu(void **state)
{
	struct devmap_choice *c = malloc(sizeof(*c));
	struct devmap *m = devmap();
	struct report *r = report();
	struct err e = { 0 };

	(void)state;
	assert_non_null(c);
	for (uint32_t i = 0; i < m->n; i++)
		if (strcmp(m->devices[i].pci, "0000:c1:00.0") == 0)
			strcpy(m->devices[i].type, "igpu");
	assert_int_equal(devmap_choose(c, m, r, NULL, &e), 0);
	assert_int_equal(c->n, 1);
	assert_string_equal(c->places[0].pci, "0000:01:00.0");
	assert_int_equal(c->n_notes, 2);
	assert_non_null(strstr(c->notes[1], "an integrated GPU beside"));
	assert_int_equal(devmap_choose(c, m, r, "0000:c1:00.0", &e), 0);
	assert_int_equal(c->n, 1);
	assert_non_null(strstr(c->assumed[0], "works in the host's memory"));
	for (uint32_t i = 0; i < m->n; i++)
		strcpy(m->devices[i].type, "igpu");
	assert_int_equal(devmap_choose(c, m, r, NULL, &e), 0);
	assert_int_equal(c->n, 2);
	free(c);
	free(r);
	free(m);
}

static void devices_by_choice(void **state)
{
	struct devmap_choice *c = malloc(sizeof(*c));
	struct devmap *m = devmap();
	struct report *r = report();
	struct err e = { 0 };

	(void)state;
	assert_non_null(c);
	assert_int_equal(devmap_choose(c, m, r, "0000:01:00.0,vulkan2,Vulkan1", &e), 0);
	assert_int_equal(c->n, 3);
	assert_string_equal(c->places[0].pci, "0000:01:00.0");
	assert_string_equal(c->places[1].pci, "");
	assert_string_equal(c->places[1].engine_name, "Vulkan2");
	assert_int_equal(c->places[1].free_bytes.v, 40);
	assert_string_equal(c->places[2].pci, "0000:c1:00.0");
	assert_int_equal(c->n_assumed, 1);
	assert_int_equal(devmap_choose(c, m, r, "CPU", &e), 0);
	assert_int_equal(c->n, 0);
	assert_int_equal(devmap_choose(c, m, r, "0000:41:00.0", &e), -ENODEV);
	assert_non_null(strstr(e.text, "cannot drive"));
	assert_true(devmap_choose(c, m, r, "Vulkan9", &e) < 0);
	assert_int_equal(devmap_choose(c, m, r, "Vulkan2,Vulkan2", &e), -EINVAL);
	assert_int_equal(devmap_choose(c, m, r, "Vulkan1,0000:c1:00.0", &e), -EINVAL);
	assert_int_equal(devmap_choose(c, m, r, ",", &e), -EINVAL);
	free(c);
	free(r);
	free(m);
}

static void devices_nonsense(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"schema\":\"berth.devices/1\"}",
		"{\"schema\":\"berth.devices/1\",\"devices\":[7]}",
		"{\"schema\":\"berth.devices/1\",\"devices\":[{\"name\":\"x\"}]}",
		"{\"schema\":\"berth.devices/2\",\"devices\":[]}",
	};
	struct devmap *m = malloc(sizeof(*m));

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };
		json_t *o = json_parse(bad[i], strlen(bad[i]), "test", &e);

		assert_non_null(o);
		assert_int_equal(devmap_from_json(m, o, &e), -EBADMSG);
		json_decref(o);
	}
	free(m);
}

static uint32_t asked_for(const struct core_start *s, const char *backend)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i + 1 < s->argc; i++)
		n += strcmp(s->argv[i], "--backend") == 0 && strcmp(s->argv[i + 1], backend) == 0;
	return n;
}

static void narrow_listing(void **state)
{
	static const char *const driver[] = { "nvidia", "nvidia", "amdgpu", "xe", "strange" };
	struct report *r = calloc(1, sizeof(*r));
	struct core_start *s = calloc(1, sizeof(*s));
	struct narrow n;

	(void)state;
	assert_non_null(r);
	assert_non_null(s);
	r->n_gpus = COUNT(driver);
	for (uint32_t i = 0; i < r->n_gpus; i++)
		r->gpus[i].driver = fact_text_of(driver[i], SRC_SYSFS);
	r->gpus[0].uuid = fact_text_of("GPU-aaaa", SRC_NVML);
	assert_false(narrow_make(&n, r, NULL, 0));
	/* one that is not known: everything stays visible */
	assert_false(narrow_make(&n, r, (uint32_t[]) { 0, 4 }, 2));
	assert_int_equal(n.n_backends, 0);
	assert_true(narrow_make(&n, r, (uint32_t[]) { 0 }, 1));
	core_start_list(s, "/core", &n);
	assert_string_equal(env(s, "CUDA_VISIBLE_DEVICES"), "GPU-aaaa");
	assert_string_equal(env(s, "VK_LOADER_DRIVERS_SELECT"), "*nvidia*");
	assert_int_equal(asked_for(s, "cuda"), 1);
	assert_int_equal(asked_for(s, "rocm"), 0);
	/* the second has not told its UUID: no list can have both */
	assert_true(narrow_make(&n, r, (uint32_t[]) { 0, 1, 2, 3 }, 4));
	core_start_list(s, "/core", &n);
	assert_null(env(s, "CUDA_VISIBLE_DEVICES"));
	assert_string_equal(env(s, "VK_LOADER_DRIVERS_SELECT"), "*nvidia*,*radeon*,*amd*,*intel*");
	assert_int_equal(asked_for(s, "vulkan"), 1);
	assert_int_equal(asked_for(s, "sycl"), 1);
	core_start_list(s, "/core", NULL);
	assert_null(env(s, "VK_LOADER_DRIVERS_SELECT"));
	assert_int_equal(s->argc, 3);
	free(s);
	free(r);
}

static void threads_leave_room(void **state)
{
	(void)state;
	assert_int_equal(cpus_threads(16, 0), 16);
	assert_int_equal(cpus_threads(16, -1), 16);
	assert_int_equal(cpus_threads(16, 0.4), 16);
	assert_int_equal(cpus_threads(16, 3.6), 12);
	assert_int_equal(cpus_threads(2, 1.0), 1);
	assert_int_equal(cpus_threads(2, 40), 1);
	assert_int_equal(cpus_threads(1, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(narrow_listing),    cmocka_unit_test(threads_leave_room),
		cmocka_unit_test(signals),           cmocka_unit_test(endings),
		cmocka_unit_test(last_words),        cmocka_unit_test(cpu_lists),
		cmocka_unit_test(cpu_choice),        cmocka_unit_test(command_line),
		cmocka_unit_test(visible_devices),   cmocka_unit_test(devices_by_default),
		cmocka_unit_test(devices_by_choice), cmocka_unit_test(integrated_gpu),
		cmocka_unit_test(devices_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

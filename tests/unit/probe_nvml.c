/* SPDX-License-Identifier: MIT */
/* NVIDIA's library in its child: answers, absence, refusal, hangs and crashes, against a fake one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "probe/probe_priv.h"
#include "tests/unit/harness.h"

static const char pci[][24] = { "0000:41:00.0", "0000:61:00.0", "0000:99:00.0" };

#define LONG 60000 /* a loaded machine is no hang */

static void become(const char *mode)
{
	const char *build = getenv("BUILD");
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/fake/lib_nvml.so", build ? build : "build");
	char *whole = realpath(path, NULL);

	assert_non_null(whole);
	setenv("BERTH_NVML", whole, 1);
	setenv("FAKE_NVML", mode, 1);
	free(whole);
}

static struct nvml_view *ask_within(const char *mode, uint32_t n, int timeout_ms)
{
	static struct nvml_view v;

	become(mode);
	nvml_ask(pci, n, timeout_ms, &v);
	return &v;
}

static struct nvml_view *ask(const char *mode, uint32_t n)
{
	return ask_within(mode, n, LONG);
}

/* Every child is collected: none is left running or as a zombie. */
static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void answers(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("ok", 3);

	assert_int_equal(v->n, 3);
	assert_int_equal(v->why, WHY_NONE);
	assert_string_equal(v->driver_version.v, "570.86.16");
	assert_string_equal(v->fns[0].pci, "0000:41:00.0");
	assert_string_equal(v->fns[0].name.v, "NVIDIA GeForce RTX 3090");
	assert_string_equal(v->fns[0].uuid.v, "GPU-11111111-2222-3333-4444-555555555555");
	assert_int_equal(v->fns[0].vram_total.v, 25769803776);
	/* What the driver reserves is not free, so it counts as used. */
	assert_int_equal(v->fns[0].vram_used.v, 469762048);
	assert_int_equal(v->fns[0].vram_free.v, 25769803776 - 469762048);
	assert_int_equal(v->fns[0].power_mw.v, 21350);
	assert_int_equal(v->fns[0].power_cap_mw.v, 350000);
	assert_int_equal(v->fns[0].temp_mc.v, 36000);
	assert_int_equal(v->fns[0].busy_percent.v, 7);
	assert_int_equal(v->fns[0].vram_total.src, SRC_NVML);
	/* Not supported is unknown with a reason, not 0 W. */
	assert_false(fact_known(&v->fns[1].power_mw));
	assert_int_equal(v->fns[1].power_mw.why, WHY_NOT_EXPORTED);
	/* A device the driver does not manage. */
	assert_false(fact_known(&v->fns[2].vram_total));
	assert_int_equal(v->fns[2].vram_total.why, WHY_NOT_EXPORTED);
	assert_no_child();
}

static void assert_number(const struct fact *f, int64_t v)
{
	assert_true(fact_known(f));
	assert_int_equal(f->src, SRC_NVML);
	assert_int_equal(f->v, v);
}

static void answers_in_detail(void **state)
{
	(void)state;
	const struct nvml_fn *f = ask("ok", 2)->fns;
	const struct live *l = &f[0].live;

	assert_string_equal(f[0].serial.v, "1320221000000");
	/* A symbol this library lacks. */
	assert_int_equal(f[0].vbios.why, WHY_NOT_EXPORTED);
	assert_string_equal(f[0].arch.v, "sm_86");
	assert_string_equal(f[1].arch.v, "sm_89");
	assert_number(&f[0].minor, 1); /* which need not follow the address */
	assert_number(&f[1].minor, 0);
	assert_number(&f[0].nv.vram_reserved, 300000000);
	assert_number(&f[0].bar1_total, 268435456);
	assert_number(&f[0].bar1_used, 5242880);
	assert_number(&l->power_cap_min_mw, 100000);
	assert_number(&l->power_cap_max_mw, 400000);
	assert_number(&l->power_cap_default_mw, 370000);
	assert_number(&l->energy_uj, 123456000);
	assert_number(&l->temp_limit_mc, 93000);
	assert_number(&f[1].live.temp_limit_mc, 95000); /* by the second row that tells it */
	assert_number(&l->temp_memory_mc, 70000);
	assert_int_equal(f[1].live.temp_memory_mc.why, WHY_NOT_EXPORTED);
	assert_number(&l->fan_percent, 30);
	assert_number(&l->mem_busy_percent, 3);
	assert_number(&l->core_mhz, 210);
	assert_number(&l->core_max_mhz, 2100);
	assert_number(&l->mem_mhz, 405);
	assert_number(&l->mem_max_mhz, 9751);
	assert_string_equal(l->perf_state.v, "P8");
	assert_false(fact_text_known(&f[1].live.perf_state)); /* 32: the library does not know */
	assert_string_equal(l->throttle.v, "power limit, temperature");
	assert_string_equal(f[1].live.throttle.v, "none");
	assert_number(&f[0].nv.pcie_gen, 1);
	assert_number(&f[0].nv.pcie_max_gen, 4);
	assert_number(&f[0].nv.pcie_width, 16);
	assert_number(&f[0].nv.pcie_max_width, 16);
	assert_number(&f[0].nv.ecc, 1);
	assert_int_equal(f[1].nv.ecc.why, WHY_NOT_EXPORTED);
	assert_string_equal(f[0].nv.addressing.v, "HMM");
	assert_string_equal(f[0].nv.virtualization.v, "none");
	assert_number(&f[0].nv.mig_on, 0);
	assert_int_equal(f[0].nv.n_migs, 0);
	/* Nobody's question yet. */
	assert_int_equal(l->voltage_mv.why, WHY_NOT_EXPORTED);
}

static void moves(void **state)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	(void)state;
	int64_t before = ask("moving", 1)->fns[0].live.energy_uj.v;

	nanosleep(&pause, NULL);
	assert_true(ask("moving", 1)->fns[0].live.energy_uj.v >= before + 20000);
}

static void loses_devices(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct nvml_view *v = ask(i ? "reset" : "lost", 2);
		struct gpu g = { .pci = "0000:41:00.0" };

		assert_int_equal(v->n, 2);
		assert_int_equal(v->fns[0].vram_total.why, WHY_LOST);
		assert_int_equal(v->fns[0].live.core_mhz.why, WHY_LOST);
		assert_int_equal(v->fns[0].nv.ecc.why, WHY_LOST);
		/* The other one is as well as before. */
		assert_number(&v->fns[1].vram_total, 25757220864);
		g.driver = fact_text_of("nvidia", SRC_SYSFS);
		nvml_merge(&g, v);
		assert_int_equal(g.power_mw.why, WHY_LOST);
		assert_non_null(strstr(g.driver_note, "lost"));
	}
}

/* The library opens all devices, so none is asked while one sleeps: those awake say why. */
static void spares_sleepers(void **state)
{
	static struct nvml_view v;
	struct gpu g = { .pci = "0000:41:00.0",
			 .driver = fact_text_of("nvidia", SRC_SYSFS),
			 .driver_version = fact_text_of("570.86.16", SRC_SYSFS),
			 .awake = AWAKE_YES };

	(void)state;
	nvml_view_reset(&v, false, WHY_ASLEEP);
	nvml_merge(&g, &v);
	assert_int_equal(g.vram_free.why, WHY_ASLEEP);
	assert_non_null(strstr(g.driver_note, "wake another"));
	/* The module's own file told the version. */
	assert_string_equal(g.driver_version.v, "570.86.16");
	g = (struct gpu) { .pci = "0000:41:00.0",
			   .driver = fact_text_of("nvidia", SRC_SYSFS),
			   .awake = AWAKE_NO };
	nvml_merge(&g, &v);
	assert_string_equal(g.driver_note, "");
}

static void cuts_into_instances(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("mig", 2);
	const struct nvidia *nv = &v->fns[0].nv;
	struct gpu g = { .pci = "0000:41:00.0", .driver = fact_text_of("nvidia", SRC_SYSFS) };

	assert_int_equal(nv->n_migs, 2);
	assert_string_equal(nv->migs[0].uuid.v, "MIG-aaaaaaaa-1111-2222-3333-444444444444");
	assert_string_equal(nv->migs[0].profile.v, "3g.20gb");
	assert_string_equal(nv->migs[1].profile.v, "1g.5gb");
	assert_number(&nv->migs[0].vram_total, 20937965568);
	assert_number(&nv->migs[0].vram_free, 20937965568 - 4001000000);
	assert_number(&nv->migs[1].gpu_instance, 2);
	/* The card's list is refused, its instances' is not. */
	assert_int_equal(v->fns[0].n_procs, 1);
	nvml_merge(&g, v);
	assert_string_equal(g.partition.v, "MIG 2 of 7");
	assert_int_equal(v->fns[1].nv.n_migs, 0);
}

static void knows_unified_memory(void **state)
{
	(void)state;
	/* By its addressing, or by its name where the driver tells no addressing. */
	assert_int_equal(ask("unified", 1)->fns[0].vram_total.why, WHY_NOT_APPLICABLE);
	assert_int_equal(ask("gb10", 1)->fns[0].vram_total.why, WHY_NOT_APPLICABLE);
	assert_false(fact_known(&ask("gb10", 1)->fns[0].vram_free));
}

static void cleans_garbage(void **state)
{
	(void)state;
	const struct nvml_fn *f = ask("garbage", 1)->fns;

	/* A text without an end is cut, and no control byte gets through. */
	assert_true(fact_text_known(&f->name));
	assert_null(strchr(f->name.v, 0x1b));
	assert_true(strlen(f->name.v) <= 96);
	assert_int_equal(f->vram_total.why, WHY_GARBLED);
	assert_int_equal(f->live.energy_uj.why, WHY_GARBLED);
	assert_int_equal(f->busy_percent.why, WHY_GARBLED);
	assert_int_equal(f->minor.why, WHY_GARBLED);
	assert_int_equal(f->nv.pcie_gen.why, WHY_GARBLED);
	assert_int_equal(f->nv.virtualization.why, WHY_GARBLED);
	assert_number(&f->live.mem_busy_percent, 3);
}

/* The record has had three sizes under one name. */
static void lists_processes(void **state)
{
	static const char *const modes[] = { "ok", "stride16", "stride32" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const struct nvml_fn *f = ask(modes[i], 2)->fns;

		assert_int_equal(f[0].n_procs, 2);
		assert_int_equal(f[0].procs[0].pid, getpid());
		assert_number(&f[0].procs[0].bytes, 4096000000);
		assert_true(f[0].procs[0].compute && f[0].procs[0].graphics);
		assert_int_equal(f[0].procs[1].pid, getpid() + 1);
		assert_int_equal(f[0].procs[1].bytes.why, WHY_NOT_EXPORTED);
		assert_false(f[0].procs[1].graphics);
		assert_int_equal(f[1].n_procs, 1);
	}
	assert_int_equal(ask("many", 1)->fns[0].n_procs, NVML_PROCS_MAX);
}

static void old_driver(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("old", 1);

	assert_int_equal(v->fns[0].vram_total.v, 25769803776);
	assert_int_equal(v->fns[0].vram_used.v, 469762048);
	assert_int_equal(v->fns[0].vram_free.v, 25769803776 - 469762048);
	assert_int_equal(v->fns[0].nv.vram_reserved.why, WHY_NOT_EXPORTED);
	/* By its older name; that it also idles is no reason. */
	assert_string_equal(v->fns[0].live.throttle.v, "hardware temperature");
}

static void no_library(void **state)
{
	static struct nvml_view v;

	(void)state;
	setenv("BERTH_NVML", "/nonexistent/libnvidia-ml.so.1", 1);
	nvml_ask(pci, 2, 300, &v);
	assert_int_equal(v.n, 0);
	assert_int_equal(v.why, WHY_NO_LIBRARY);
	assert_no_child();
}

static void refuses(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("refuse", 2);

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_NO_LIBRARY);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void hangs(void **state)
{
	(void)state;
	int64_t start = now_ms();
	const struct nvml_view *v = ask_within("hang", 2, 300);
	int64_t took = now_ms() - start;

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_TIMEOUT);
	assert_true(took >= 290);
	assert_no_child();
	v = ask_within("hang-device", 2, 300);
	assert_int_equal(v->why, WHY_TIMEOUT);
	assert_no_child();
	v = ask_within("hang-call", 2, 300); /* half a device is none */
	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_TIMEOUT);
	assert_no_child();
}

static void crashes(void **state)
{
	(void)state;
	const struct nvml_view *v = ask("crash", 2);

	assert_int_equal(v->n, 0);
	assert_int_equal(v->why, WHY_GARBLED);
	assert_no_child();
	v = ask("crash-device", 2);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->why, WHY_GARBLED);
	assert_no_child();
}

/* The library prints what it likes; our output stays ours. */
static void keeps_stdout_clean(void **state)
{
	char buf[64];
	int ends[2], saved;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	ask("ok", 1);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	assert_int_equal(read(ends[0], buf, sizeof(buf)), -1);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

static void scrubs(void **state)
{
	(void)state;
	struct nvml_view *v = ask("mig", 2);

	nvml_view_scrub(v);
	assert_string_equal(v->fns[0].uuid.v, "GPU-00000000-0000-0000-0000-000000000000");
	assert_string_equal(v->fns[1].uuid.v, "GPU-00000000-0000-0000-0000-000000000001");
	assert_string_equal(v->fns[0].serial.v, "0000000000000");
	assert_false(fact_text_known(&v->fns[1].serial));
	assert_string_equal(v->fns[0].nv.migs[1].uuid.v,
			    "MIG-00000000-0000-0000-0001-000000000000");
	json_t *o = nvml_view_to_json(v);
	char *text = json_dumps(o, 0);

	/* Nobody's processes are in a captured machine's answer. */
	assert_null(strstr(text, "pid"));
	assert_null(strstr(text, "1320221"));
	free(text);
	json_decref(o);
}

static void survives_json(void **state)
{
	static struct nvml_view back;

	(void)state;
	const struct nvml_view *v = ask("mig", 3);
	json_t *o = nvml_view_to_json(v);

	nvml_view_from_json(&back, o);
	json_t *again = nvml_view_to_json(&back);

	assert_true(json_equal(o, again));
	assert_int_equal(back.n, v->n);
	assert_int_equal(back.fns[1].power_mw.why, v->fns[1].power_mw.why);
	assert_int_equal(back.fns[0].nv.n_migs, 2);
	json_decref(o);
	json_decref(again);
}

/* A folder captured before the newer keys came says nothing of them: they are no garbage. */
static void reads_older_answers(void **state)
{
	static struct nvml_view v;
	json_t *o = json_loads("{\"asked\": true, \"why\": null, \"driver_version\": \"1\","
			       "\"driver_version_src\": \"nvml\", \"devices\": {\"0000:41:00.0\":"
			       "{\"temp_mc\": 36000, \"temp_mc_src\": \"nvml\"}}}",
			       0, NULL);

	(void)state;
	assert_non_null(o);
	nvml_view_from_json(&v, o);
	json_decref(o);
	assert_number(&v.fns[0].temp_mc, 36000);
	assert_int_equal(v.fns[0].live.core_mhz.why, WHY_NONE);
	assert_int_equal(v.fns[0].nv.ecc.why, WHY_NONE);
	assert_int_equal(v.fns[0].nv.n_migs, 0);
}

static int64_t rate(uint64_t before, uint64_t now, double s, double most)
{
	struct fact f = nvml_rate(before, now, (uint64_t)(s * 1e9), most);

	return fact_known(&f) ? f.v : -(int64_t)f.why;
}

static void rates_of_counters_that_wrap(void **state)
{
	const uint64_t far = UINT64_C(1) << 40, round = UINT64_C(1) << 32;
	struct nvidia nv = { 0 };

	(void)state;
	assert_int_equal(rate(far, far + 3000000000, 2, 16e9), 1500000000);
	assert_int_equal(rate(far, far, 1, 16e9), 0);
	assert_int_equal(rate(far, far - 1, 1, 16e9), -WHY_GARBLED); /* it began anew */
	assert_int_equal(rate(far, far + 40000000000, 1, 16e9), -WHY_GARBLED);
	/* 32 bits: once round is told, where the link cannot do it twice. */
	assert_int_equal(rate(round - 1000, 2000, 1, 2.5e9), 3000);
	assert_int_equal(rate(1000, 2000, 1, 16e9), -WHY_NOT_EXPORTED);
	assert_int_equal(rate(1000, 2000, 0.1, 16e9), 10000);
	assert_int_equal(rate(far, far + 1, 1, 0), -WHY_NOT_EXPORTED);
	assert_int_equal(rate(far, far + 1, 0, 16e9), -WHY_NOT_EXPORTED);
	nv.pcie_max_gen = fact_of(4, SRC_NVML);
	nv.pcie_max_width = fact_of(16, SRC_NVML);
	assert_float_equal(nvml_link_bytes_per_s(&nv), 31.5e9, 0.1e9);
	nv.pcie_max_gen = fact_of(99, SRC_NVML);
	assert_float_equal(nvml_link_bytes_per_s(&nv), 0, 0);
}

/* Rounds of a child that goes on, as a monitor asks it. */
struct rounds {
	struct child child;
	int ends[2];
	uint32_t n;
	struct nvml_question question;
	struct nvml_view *v;
};

static void rounds_open(struct rounds *r, const char *mode, uint32_t n)
{
	static struct nvml_view v;

	become(mode);
	r->v = &v;
	assert_int_equal(pipe2(r->ends, O_CLOEXEC), 0);
	r->n = n;
	r->question = (struct nvml_question) { .pci = pci, .n = n, .again = r->ends[0] };
	assert_int_equal(child_open(&r->child, nvml_work, &r->question), 0);
	nvml_view_reset(r->v, true, WHY_NONE);
	assert_int_equal(nvml_receive_first(&r->child, LONG, r->v), 1);
}

static void rounds_ask(struct rounds *r)
{
	const struct nvml_fn *f;

	assert_int_equal(write(r->ends[1], "?", 1), 1);
	for (uint32_t i = 0; i < r->n; i++) {
		assert_int_equal(nvml_receive(&r->child, LONG, r->v, &f), 1);
		assert_ptr_equal(f, &r->v->fns[i]);
	}
}

static void rounds_close(struct rounds *r)
{
	child_close(&r->child);
	close(r->ends[0]);
	close(r->ends[1]);
	assert_no_child();
}

/* What one device told before the next one hangs is kept. */
static void keeps_what_came(void **state)
{
	const struct nvml_fn *f;
	struct rounds r;

	(void)state;
	rounds_open(&r, "hang-device", 2);
	assert_int_equal(write(r.ends[1], "?", 1), 1);
	assert_int_equal(nvml_receive(&r.child, LONG, r.v, &f), 1);
	assert_int_equal(nvml_receive(&r.child, 300, r.v, &f), -ETIMEDOUT);
	assert_int_equal(r.v->n, 1);
	assert_int_equal(r.v->fns[0].vram_total.v, 25769803776);
	rounds_close(&r);
}

/* The first round knows no rate; the second does, of the card whose counter tells. */
static void moves_over_its_link(void **state)
{
	struct rounds r;

	(void)state;
	rounds_open(&r, "moving", 2);
	rounds_ask(&r);
	assert_false(fact_known(&r.v->fns[0].live.pcie_rx_bytes_per_s));
	rounds_ask(&r);
	assert_true(fact_known(&r.v->fns[0].live.pcie_rx_bytes_per_s));
	assert_true(r.v->fns[0].live.pcie_tx_bytes_per_s.v > 0);
	rounds_close(&r);
}

/* Only what changed is sent, and yet all is known after each round. */
static void tells_all_by_what_changed(void **state)
{
	static struct nvml_fn first;
	struct rounds r;

	(void)state;
	rounds_open(&r, "moving", 2);
	rounds_ask(&r);
	first = r.v->fns[0];
	assert_string_equal(first.name.v, "NVIDIA GeForce RTX 3090");
	assert_number(&first.live.core_max_mhz, 2100);
	assert_int_equal(first.n_procs, 2);
	for (int i = 0; i < 3; i++)
		rounds_ask(&r);
	const struct nvml_fn *f = &r.v->fns[0];

	assert_int_equal(r.v->n, 2);
	assert_string_equal(f->name.v, first.name.v);
	assert_string_equal(f->nv.addressing.v, "HMM");
	assert_number(&f->live.core_max_mhz, 2100);
	assert_number(&f->vram_total, first.vram_total.v);
	assert_int_equal(f->n_procs, 2);
	assert_number(&f->procs[0].bytes, 4096000000);
	assert_true(f->live.energy_uj.v >= first.live.energy_uj.v);
	assert_int_equal(r.v->fns[1].live.temp_memory_mc.why, WHY_NOT_EXPORTED);
	rounds_close(&r);
}

/* Its mode is asked for once a minute, and again as soon as its memory or who holds it tells of another. */
static void follows_a_change_of_mode(void **state)
{
	struct rounds r;

	(void)state;
	rounds_open(&r, "cut", 2);
	rounds_ask(&r);
	assert_number(&r.v->fns[0].nv.mig_on, 0);
	assert_int_equal(r.v->fns[0].n_procs, 2);
	rounds_ask(&r);
	assert_int_equal(r.v->fns[0].n_procs, 1);
	rounds_ask(&r);
	assert_number(&r.v->fns[0].nv.mig_on, 1);
	assert_int_equal(r.v->fns[0].nv.n_migs, 2);
	rounds_close(&r);
}

static struct nvml_fn a_card(void)
{
	struct nvml_fn f = { .pci = "0000:41:00.0" };

	nvml_fn_unknown(&f, WHY_NOT_EXPORTED);
	f.name = fact_text_of("one", SRC_NVML);
	f.power_mw = fact_of(5000, SRC_NVML);
	f.nv.mig_on = fact_of(1, SRC_NVML);
	f.nv.n_migs = 1;
	f.nv.migs[0].uuid = fact_text_of("MIG-1", SRC_NVML);
	f.n_procs = 1;
	f.procs[0] =
		(struct nvml_proc) { .pid = 7, .bytes = fact_of(9, SRC_NVML), .compute = true };
	return f;
}

/* Over the pipe: what changed, as text and back. */
static size_t follow(struct nvml_view *v, const struct nvml_fn *now, struct nvml_fn *told)
{
	json_t *o = nvml_fn_change(now, told);
	char *text = json_dumps(o, JSON_COMPACT);
	size_t keys = json_object_size(o);

	assert_non_null(nvml_record(v, text, strlen(text)));
	free(text);
	json_decref(o);
	*told = *now;
	return keys;
}

static void follows_every_kind_of_change(void **state)
{
	static struct nvml_view v;
	struct nvml_fn now = a_card(), told = { 0 };

	(void)state;
	nvml_view_reset(&v, true, WHY_NONE);
	assert_true(follow(&v, &now, &told) > 40);
	assert_string_equal(v.fns[0].name.v, "one");
	assert_int_equal(v.fns[0].temp_mc.why, WHY_NOT_EXPORTED);
	assert_int_equal(follow(&v, &now, &told), 1); /* whose, and nothing else */

	now.power_mw = fact_of(6000, SRC_NVML);
	assert_int_equal(follow(&v, &now, &told), 3);
	assert_number(&v.fns[0].power_mw, 6000);
	assert_string_equal(v.fns[0].name.v, "one");

	/* What was known is lost, and known again. */
	now.power_mw = fact_unknown(WHY_LOST);
	now.name = fact_text_unknown(WHY_LOST);
	follow(&v, &now, &told);
	assert_int_equal(v.fns[0].power_mw.why, WHY_LOST);
	assert_int_equal(v.fns[0].name.why, WHY_LOST);
	now.power_mw = fact_of(6000, SRC_NVML);
	follow(&v, &now, &told);
	assert_number(&v.fns[0].power_mw, 6000);
	assert_int_equal(v.fns[0].name.why, WHY_LOST);

	/* Lists come whole. */
	now.procs[0].bytes = fact_of(10, SRC_NVML);
	now.nv.n_migs = 0;
	follow(&v, &now, &told);
	assert_number(&v.fns[0].procs[0].bytes, 10);
	assert_true(v.fns[0].procs[0].compute);
	assert_int_equal(v.fns[0].nv.n_migs, 0);
	now.n_procs = 0;
	follow(&v, &now, &told);
	assert_int_equal(v.fns[0].n_procs, 0);
	assert_int_equal(v.n, 1);
}

/* A change that makes no sense with what was said before spoils no more than it names. */
static void checks_what_changes(void **state)
{
	static struct nvml_view v;
	static const char whole[] =
		"{\"pci\":\"0000:41:00.0\",\"vram_total_bytes\":10,\"vram_total_bytes_src\":\"nvml\","
		"\"vram_used_bytes\":4,\"vram_used_bytes_src\":\"nvml\",\"vram_free_bytes\":6,"
		"\"vram_free_bytes_src\":\"nvml\",\"temp_mc\":5,\"temp_mc_src\":\"nvml\"}";
	static const char worse[] = "{\"pci\":\"0000:41:00.0\",\"vram_used_bytes\":11,"
				    "\"vram_used_bytes_src\":\"nvml\",\"power_mw\":-3,"
				    "\"power_mw_src\":\"nvml\",\"busy_percent\":300,"
				    "\"busy_percent_src\":\"nvml\"}";

	(void)state;
	nvml_view_reset(&v, true, WHY_NONE);
	assert_non_null(nvml_record(&v, whole, strlen(whole)));
	assert_number(&v.fns[0].vram_used, 4);
	assert_non_null(nvml_record(&v, worse, strlen(worse)));
	assert_int_equal(v.fns[0].vram_used.why, WHY_GARBLED);
	assert_int_equal(v.fns[0].power_mw.why, WHY_GARBLED);
	assert_int_equal(v.fns[0].busy_percent.why, WHY_GARBLED);
	assert_number(&v.fns[0].temp_mc, 5);
	assert_null(nvml_record(&v, "{\"pci\":\"here\"}", 14));
	assert_null(nvml_record(&v, "{}", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(answers_in_detail),
		cmocka_unit_test(moves),
		cmocka_unit_test(loses_devices),
		cmocka_unit_test(spares_sleepers),
		cmocka_unit_test(cuts_into_instances),
		cmocka_unit_test(knows_unified_memory),
		cmocka_unit_test(cleans_garbage),
		cmocka_unit_test(lists_processes),
		cmocka_unit_test(old_driver),
		cmocka_unit_test(no_library),
		cmocka_unit_test(refuses),
		cmocka_unit_test(hangs),
		cmocka_unit_test(crashes),
		cmocka_unit_test(keeps_stdout_clean),
		cmocka_unit_test(scrubs),
		cmocka_unit_test(survives_json),
		cmocka_unit_test(reads_older_answers),
		cmocka_unit_test(rates_of_counters_that_wrap),
		cmocka_unit_test(keeps_what_came),
		cmocka_unit_test(moves_over_its_link),
		cmocka_unit_test(tells_all_by_what_changed),
		cmocka_unit_test(follows_a_change_of_mode),
		cmocka_unit_test(follows_every_kind_of_change),
		cmocka_unit_test(checks_what_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

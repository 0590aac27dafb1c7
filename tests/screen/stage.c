/* SPDX-License-Identifier: MIT */
/*
 * The monitor with a clock of its own: stage SCENE DEVICES runs the same screen, keys and all, over a made-up
 * minute in which every second is the same each time, and then stands still.
 *
 *   calm      all is well: devices at work, two runs, a process of somebody else
 *   trouble   one left its bus, one sleeps, one's driver hangs, one is hot; a run crashed and came back,
 *             another is gone, a third waits for its next core
 *   bridge    calm, and a device that works for a virtual machine: accesses, a worker that ended
 *   pulled    the same, but its device is pulled; a second bridge waits, a third was killed
 *   names     names as nobody should give them: two cells wide, broken, full of commands
 *   NAME=DIR  the devices of a machine folder
 *   replay=FILE  the scene `pulled`, recorded to that file and shown again
 *   demo=FILE    the recording that the demo is made of, a minute into it
 *
 * Once the minute is over, and after each key, the title becomes "done N", N keys answered: in band, so that
 * whoever sees it has all that was drawn before.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "base/io.h"
#include "tui/demo.h"
#include "tui/watch.h"

#define LAST   60 /* seconds */
#define SECOND UINT64_C(1000000000)
#define GIB    (INT64_C(1) << 30)
#define MIB    (UINT64_C(1) << 20)

struct stage {
	const char *scene;
	uint32_t n, step;
	struct report *report;
	struct film *film; /* of replay and demo */
	struct replay replay;
	struct demo demo;
};

static bool is(const struct stage *st, const char *scene)
{
	size_t n = strlen(scene);

	return !strncmp(st->scene, scene, n) && st->scene[n] == '=';
}

/* --- devices --- */

static const struct {
	const char *name;
	int64_t gib, cap_w;
} cards[] = {
	{ "NVIDIA GeForce RTX 5090", 32, 575 },
	{ "NVIDIA GeForce RTX 3090", 24, 350 },
	{ "AMD Radeon RX 7900 XTX", 24, 355 },
	{ "Intel Arc B580", 12, 190 },
};

#define N_CARDS (sizeof(cards) / sizeof(cards[0]))

/* Some number from 0 to 99 that moves. */
static int64_t wave(uint32_t step, uint32_t i)
{
	uint32_t up = (step * 7 + i * 31) % 200;

	return up < 100 ? up : 199 - up;
}

static void make_gpu(struct gpu *g, uint32_t i)
{
	snprintf(g->pci, sizeof(g->pci), "0000:%02x:00.0", i + 1);
	g->name = fact_text_of(cards[i % N_CARDS].name, SRC_PCI);
	g->driver = fact_text_of(i % N_CARDS < 2    ? "nvidia"
				 : i % N_CARDS == 2 ? "amdgpu"
						    : "xe",
				 SRC_SYSFS);
	g->awake = AWAKE_YES;
	g->vram_total = fact_of(cards[i % N_CARDS].gib * GIB, SRC_NVML);
	g->power_cap_mw = fact_of(cards[i % N_CARDS].cap_w * 1000, SRC_NVML);
	g->live.mem_mhz = fact_of(14001, SRC_NVML);
	g->live.core_max_mhz = fact_of(3090, SRC_NVML);
	g->live.fan_percent = fact_of(30 + i, SRC_NVML);
	g->live.throttle = fact_text_of(i % 3 == 1 ? "power cap" : "none", SRC_NVML);
	g->live.temp_limit_mc = fact_of(95000, SRC_NVML);
	g->link.n_hops = 1;
	g->link.hops[0] = (struct hop) { .kind = HOP_PCIE,
					 .speed_mts = fact_of(i ? 16000 : 32000, SRC_SYSFS),
					 .width = fact_of(16, SRC_SYSFS) };
	text_copy(g->link.hops[0].pci, sizeof(g->link.hops[0].pci), g->pci);
	g->link.bytes_per_s = fact_of(i ? INT64_C(31500000000) : INT64_C(63000000000), SRC_SYSFS);
}

static void move_gpu(struct gpu *g, uint32_t i, uint32_t step)
{
	int64_t w = wave(step, i);

	g->vram_used = fact_of(g->vram_total.v / 100 * (40 + (int64_t)i % 5 * 8), SRC_NVML);
	g->vram_free = fact_of(g->vram_total.v - g->vram_used.v, SRC_NVML);
	g->power_mw = fact_of(g->power_cap_mw.v / 100 * (20 + w * 8 / 10), SRC_NVML);
	g->temp_mc = fact_of(45000 + w * 300, SRC_NVML);
	g->busy_percent = fact_of(w, SRC_NVML);
	g->live.core_mhz = fact_of(1800 + w * 9, SRC_NVML);
}

static void hold(struct gpu *g, uint32_t pid, const char *name, int64_t bytes)
{
	struct gpu_proc *p = &g->holders.procs[g->holders.n_procs++];

	*p = (struct gpu_proc) { .pid = pid, .vram = fact_of(bytes, SRC_NVML) };
	text_copy(p->name, sizeof(p->name), name);
	text_clean(p->name);
	p->engines = fact_text_of("compute", SRC_PROC);
}

static void trouble_devices(struct stage *st, struct snapshot *s)
{
	struct report *r = st->report;

	if (r->n_gpus > 1 && st->step > 20)
		s->devices[1].lost = true;
	if (r->n_gpus > 2) {
		r->gpus[2].awake = AWAKE_NO;
		r->gpus[2].power_mw = r->gpus[2].temp_mc = r->gpus[2].busy_percent = fact_unknown(
			WHY_ASLEEP);
		r->gpus[2].live = (struct live) { 0 };
	}
	if (r->n_gpus > 3 && st->step > 48)
		s->devices[3].waiting_ms = (uint64_t)(st->step - 48) * 1000;
	if (r->n_gpus > 4)
		r->gpus[4].temp_mc = fact_of(50000 + st->step * 700, SRC_HWMON);
	if (r->n_gpus > 5)
		r->gpus[5].driver = fact_text_unknown(WHY_NO_DRIVER);
}

/* --- runs --- */

static void put_on(struct telem_run *run, const char *pci, const char *name, uint32_t layers,
		   uint64_t weights)
{
	struct telem_device *d = &run->devices[run->n_devices++];

	text_copy(d->pci, sizeof(d->pci), pci);
	text_copy(d->name, sizeof(d->name), name);
	d->layers_asked = d->layers_verified = layers;
	d->planned = (struct telem_bytes) { weights * MIB, 1024 * MIB, 300 * MIB, TELEM_UNKNOWN };
	d->measured = (struct telem_bytes) { weights * MIB, 1024 * MIB, 320 * MIB, 40 * MIB };
}

static struct run_seen *add_run(struct snapshot *s, const char *name, const char *model,
				uint32_t pid)
{
	struct run_seen *r = &s->runs[s->n_runs++];
	struct telem_run *run = &r->page.run;

	*r = (struct run_seen) { .life = TELEM_ALIVE, .supervised = true, .starts = 1 };
	snprintf(r->file, sizeof(r->file), "run-%u.telem", pid);
	text_copy(r->name, sizeof(r->name), name);
	text_copy(r->phase, sizeof(r->phase), "ready");
	r->page.header.writer_pid = (int32_t)pid;
	text_copy(run->model, sizeof(run->model), model);
	text_clean(run->model);
	text_copy(run->plan_id, sizeof(run->plan_id), "0123456789abcdef0123");
	run->state = TELEM_GENERATING;
	run->verified = 1;
	run->n_seq = 4;
	run->started_ns = 5 * SECOND;
	run->ctx_tokens = 32768;
	return r;
}

/* What a run has done `seconds` after it began, at so many tokens a second. */
static void work(struct run_seen *r, const struct snapshot *s, uint32_t seconds, uint32_t rate)
{
	struct telem_run *run = &r->page.run;

	run->ctx_used_tokens = 4000 + seconds * rate;
	run->counts = (struct telem_counts) { .prompt_tokens = 2000 + seconds * 100,
					      .prompt_ns = SECOND + seconds * (SECOND / 18),
					      .generated_tokens = 1 + seconds * rate,
					      .generated_ns = seconds * SECOND,
					      .requests = 12 + seconds / 10,
					      .first_tokens = 12,
					      .first_token_ns = 12 * (SECOND / 3),
					      .last_first_token_ns = SECOND / 100 * 41 };
	for (uint32_t i = 0; i < 3; i++)
		run->ring[i] = (struct telem_sample) {
			.t_ns = s->now_ns - (2 - i) * SECOND,
			.generated_tokens = run->counts.generated_tokens - (2 - i) * rate,
		};
	run->ring_next = 3;
}

static void calm_runs(struct stage *st, struct snapshot *s)
{
	struct run_seen *r;

	if (st->report->n_gpus == 0) {
		r = add_run(s, "embed", "embed-0.6b f16", 4300);
		put_on(&r->page.run, "", "CPU", 28, 1200);
		work(r, s, st->step, 9);
		return;
	}
	r = add_run(s, "chat", "chat-55b Q4_K_M", 4100);
	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 50, 9000);
	if (st->report->n_gpus > 1)
		put_on(&r->page.run, "0000:02:00.0", "CUDA1", 31, 6000);
	work(r, s, st->step, 31);
	r->page.run.queue = 1;
	r->page.run.busy = 3;
	if (st->report->n_gpus > 2) {
		r = add_run(s, "coder", "coder-11b Q6_K", 4200);
		put_on(&r->page.run, "0000:03:00.0", "Vulkan0", 41, 8500);
		work(r, s, st->step, 21);
	}
}

static void trouble_runs(struct stage *st, struct snapshot *s)
{
	struct run_seen *r = add_run(s, "chat", "chat-55b Q4_K_M", st->step < 30 ? 4100 : 4177);

	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 50, 9000);
	work(r, s, st->step < 30 ? st->step : st->step - 30, 31);
	if (st->step >= 15) {
		text_copy(r->last_class, sizeof(r->last_class), "segmentation fault");
		text_copy(r->last_sentence, sizeof(r->last_sentence),
			  "the core ended by signal 11");
	}
	if (st->step >= 15 && st->step < 30) {
		r->life = TELEM_DEAD;
		text_copy(r->phase, sizeof(r->phase), "waiting");
	}
	if (st->step >= 30) {
		r->starts = 2;
		r->page.run.started_ns = 1030 * SECOND;
	}
	r = add_run(s, "", "gone-7b Q8_0", 4500);
	put_on(&r->page.run, "0000:01:00.0", "CUDA0", 33, 3000);
	work(r, s, 10, 12);
	r->phase[0] = '\0';
	r->supervised = false;
	r->life = st->step > 10 ? TELEM_DEAD : TELEM_ALIVE;
	r = add_run(s, "next", "", 0);
	r->rc = -ENOENT;
	r->file[0] = '\0';
	r->starts = 3;
	text_copy(r->phase, sizeof(r->phase), "waiting");
	text_copy(r->last_class, sizeof(r->last_class), "oom");
	text_copy(r->last_sentence, sizeof(r->last_sentence), "the GPU had 1.2 GiB too little");
}

/* --- bridges --- */

static struct telem_bridge *add_bridge(struct snapshot *s, const char *pci, const char *guest)
{
	struct bridge_seen *seen = &s->bridges[s->n_bridges++];
	struct telem_bridge *b = &seen->page;

	*seen = (struct bridge_seen) { .life = TELEM_ALIVE, .pid = 4700 + (int32_t)s->n_bridges };
	snprintf(seen->key, sizeof(seen->key), "%s bridge", pci);
	snprintf(seen->file, sizeof(seen->file), "bridge-%s.telem", pci);
	text_copy(b->pci, sizeof(b->pci), pci);
	text_copy(b->guest, sizeof(b->guest), guest);
	snprintf(b->socket, sizeof(b->socket), "/run/berth/%s.sock", pci);
	text_copy(b->backend, sizeof(b->backend), "vfio");
	b->mode = TELEM_MODE_HYBRID;
	b->generation = 1;
	b->started_ns = 400 * SECOND;
	b->counts.interrupts = b->counts.recorder_bytes = TELEM_UNKNOWN;
	b->regions[TELEM_BAR0].size_bytes = 16 * MIB;
	b->regions[1].size_bytes = 256 * MIB;
	b->regions[TELEM_CONFIG].size_bytes = 4096;
	return b;
}

/* What came by in so many seconds: mostly reads of 2 to 4 us, a few that waited. */
static void trap(struct telem_bridge *b, uint32_t seconds)
{
	for (uint32_t t = 0; t < seconds; t++)
		for (uint64_t k = 0; k < 60 + (uint64_t)wave(t, 1); k++)
			telem_access(b, k % 20 ? TELEM_BAR0 : TELEM_CONFIG,
				     k % 3   ? TELEM_READ
				     : k % 2 ? TELEM_POSTED
					     : TELEM_WRITE,
				     k % 50 ? 2000 + 20 * k : 18000 + 100 * t);
	b->state = TELEM_BRIDGE_RUNNING;
	b->worker_pid = 4811;
	b->client_pid = 4900;
	b->connected_ns = 420 * SECOND;
	b->counts.clients = 1;
	b->counts.dma_maps = 14;
	b->counts.dma_bytes = 4096 * MIB;
	b->regions[1].mapped_bytes = 240 * MIB;
}

static void bridges(const struct stage *st, struct snapshot *s, bool pulled)
{
	struct telem_bridge *b = add_bridge(s, "0000:05:00.0", "win11");

	trap(b, pulled && st->step > 40 ? 40 : st->step);
	if (st->step > 25) {
		b->counts.worker_restarts = 1;
		b->counts.restart_gap_ns = SECOND / 80;
		b->worker_pid = 4842;
	}
	if (st->step > 50)
		b->regions[TELEM_BAR0].denied = st->step - 50;
	if (!pulled)
		return;
	if (st->step > 40) {
		b->state = TELEM_BRIDGE_LOST;
		text_copy(
			b->trouble, sizeof(b->trouble),
			"its configuration space reads all ones, and its port tells of a link that went down");
	}
	b = add_bridge(s, "0000:06:00.0", "");
	b->state = TELEM_BRIDGE_WAITING;
	b->mode = TELEM_MODE_TRAP;
	text_copy(b->backend, sizeof(b->backend), "iommufd");
	b = add_bridge(s, "0000:07:00.0", "dev");
	trap(b, 5);
	if (st->step > 12)
		s->bridges[2].life = TELEM_DEAD;
}

static void odd_names(struct stage *st, struct snapshot *s)
{
	static const char *const names[] = { "\xe4\xb8\xad\xe6\x96\x87\xe6\xa8\xa1\xe5\x9e\x8b 7B",
					     "\033[2J\033]0;owned\a", "\xff\xfe broken \xc0\x80",
					     "e\xcc\x81\xe2\x80\xaegpj \xf0\x9f\x98\x80" };

	for (uint32_t i = 0; i < st->report->n_gpus; i++)
		st->report->gpus[i].name = fact_text_of(names[i % 4], SRC_PCI);
	for (uint32_t i = 0; i < 4; i++) {
		struct run_seen *r = add_run(s, "", names[i], 4100 + i);

		r->phase[0] = '\0';
		put_on(&r->page.run, "", "CPU", 28, 1200);
		work(r, s, st->step, 9);
	}
}

/* --- the feed --- */

static void make_moment(struct stage *st, struct snapshot *s)
{
	s->report = st->report;
	s->now_ns = (1000 + st->step) * SECOND;
	s->n_runs = s->n_bridges = 0;
	memset(s->devices, 0, sizeof(s->devices));
	snprintf(s->clock, sizeof(s->clock), "12:%02u:%02u", 34 + st->step / 60, st->step % 60);
	if (strchr(st->scene, '=') && !is(st, "replay")) {
		s->origin = ORIGIN_CAPTURED;
		return;
	}
	for (uint32_t i = 0; i < st->report->n_gpus; i++)
		move_gpu(&st->report->gpus[i], i, st->step);
	if (!strcmp(st->scene, "trouble")) {
		trouble_devices(st, s);
		trouble_runs(st, s);
	} else if (!strcmp(st->scene, "names")) {
		odd_names(st, s);
	} else {
		calm_runs(st, s);
		if (strcmp(st->scene, "calm") != 0)
			bridges(st, s, strcmp(st->scene, "bridge") != 0);
	}
}

static void next(void *ctx, struct snapshot *s)
{
	struct stage *st = ctx;
	bool moves = st->step < LAST;

	st->step += moves;
	/* A second of the made-up minute passes as soon as it is drawn; afterwards time stands still. */
	s->interval_ms = st->step < LAST ? 1 : 1000;
	if (!st->film) {
		make_moment(st, s);
	} else if (is(st, "demo")) {
		demo_show(&st->demo, s, st->step * 1000);
		snprintf(s->clock, sizeof(s->clock), "12:34:%02u", st->step % 60);
	} else if (st->replay.ahead) {
		const struct feed played = replay_feed(&st->replay);

		played.next(played.ctx, s);
	} else {
		st->replay.at_ms += moves && st->step > 1 ? 1000 : 0;
		replay_show(&st->replay, s);
	}
}

static uint32_t wind(void *ctx, int64_t seconds)
{
	struct stage *st = ctx;
	const struct feed played = replay_feed(&st->replay);

	return is(st, "replay") ? played.wind(played.ctx, seconds) : 0;
}

/* --- films --- */

/* A recording says when it was made: at the same time each time. */
static int put_line(void *ctx, const char *line, size_t size)
{
	static const char head[] = "{\"schema\":\"berth.recording/1\",\"t\":1001000,"
				   "\"clock_ms\":1795264441000,\"origin\":\"\"}\n";
	const int *fd = ctx;

	return memmem(line, size, "clock_ms", strlen("clock_ms"))
		       ? io_write(*fd, head, sizeof(head) - 1)
		       : io_write(*fd, line, size);
}

static bool record(struct stage *st, const char *path)
{
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	own_free struct snapshot *s = calloc(1, sizeof(*s));
	struct recorder *r = recorder_new();
	int rc = fd < 0 ? -errno : 0;

	for (st->step = 1; !rc && st->step <= LAST; st->step++) {
		make_moment(st, s);
		rc = recorder_moment(r, s, put_line, &fd);
	}
	st->step = 0;
	recorder_free(r);
	return rc == 0;
}

static bool take_film(struct stage *st)
{
	const char *path = strchr(st->scene, '=') + 1;
	struct err e = { 0 };

	if (film_open(&st->film, path, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return false;
	}
	demo_begin(&st->demo, st->film);
	replay_begin(&st->replay, st->film, strrchr(path, '/') + 1, 0);
	return true;
}

static void painted(void *ctx, uint64_t keys)
{
	const struct stage *st = ctx;

	if (st->step < LAST)
		return;
	printf("\033]2;done %llu\a", (unsigned long long)keys);
	fflush(stdout);
}

static bool take_folder(struct stage *st, const char *dir)
{
	struct err e = { 0 };
	struct machine m;

	if (machine_open(&m, dir, &e) || probe_collect(&m, NULL, &st->report, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return false;
	}
	machine_close(&m);
	return true;
}

static bool make_devices(struct stage *st)
{
	struct report *r;

	r = st->report = calloc(1, sizeof(*r));
	if (!r)
		return false;
	r->host = fact_text_of("ws1", SRC_PROC);
	r->cpu.name = fact_text_of("AMD Ryzen 9 9950X", SRC_HWLOC);
	r->cpu.ram_total = fact_of(128 * GIB, SRC_PROC);
	r->cpu.ram_available = fact_of(96 * GIB, SRC_PROC);
	r->n_gpus = st->n < PROBE_GPUS_MAX ? st->n : PROBE_GPUS_MAX;
	for (uint32_t i = 0; i < r->n_gpus; i++)
		make_gpu(&r->gpus[i], i);
	if (r->n_gpus)
		hold(&r->gpus[0], 2345, "ollama", 3 * GIB);
	if (r->n_gpus > 2)
		hold(&r->gpus[2], 1999, "Xorg", GIB / 4);
	return true;
}

static bool prepare(struct stage *st)
{
	const char *file = strchr(st->scene, '=');

	if (is(st, "demo"))
		return take_film(st);
	if (is(st, "replay"))
		return make_devices(st) && record(st, file + 1) && take_film(st);
	return file ? take_folder(st, file + 1) : make_devices(st);
}

int main(int argc, char **argv)
{
	struct stage st = { .scene = argc > 1 ? argv[1] : "calm",
			    .n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0 };
	const struct feed staged = { .next = next, .wind = wind, .painted = painted, .ctx = &st };
	struct tape tape;
	struct feed feed;
	struct prefs prefs;
	struct watching how = {
		.feed = &feed, .prefs = &prefs, .tape = &tape, .term = getenv("TERM")
	};
	struct screen *screen;
	const char *theme = getenv("STAGE_THEME");
	sigset_t set;

	setlocale(LC_CTYPE, "");
	if (!prepare(&st))
		return 1;
	prefs_default(&prefs);
	prefs.price_kwh = 0.3;
	if (theme && prefs_set(&prefs, "theme", theme, NULL))
		return 2;
	tape_begin(&tape, staged, false, &prefs.alarm);
	feed = tape_feed(&tape);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	how.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	how.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen = screen_open(!getenv("NO_COLOR"), (enum theme)prefs.theme);
	if (!screen)
		return 3;
	watch(screen, &how, NULL);
	screen_close(screen);
	probe_free(st.report);
	film_close(st.film);
	return 0;
}

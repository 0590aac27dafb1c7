/* SPDX-License-Identifier: MIT */
/*
 * The core: carries out one plan with the engine, as a child of `berth launch` or by itself.
 * docs/formats.md has the protocol on --control-fd.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "core/batch.h"
#include "core/control.h"
#include "core/engine.h"
#include "core/generate.h"
#include "core/measure.h"
#include "core/page.h"
#include "core/serve.h"
#include "core/timing.h"

#define THREADS_MAX 512 /* the engine's own limit (GGML_MAX_N_THREADS) */

struct options {
	const char *plan, *prompt, *telemetry, *temperature;
	const char *chat_template;
	struct opt_list loras, vectors;
	uint32_t max_tokens, seed, control_fd, threads, max_queue, sleep_idle;
	bool list_devices, json, measure, calibrate, serve;
	struct serve_options http;
	int quiet, verbose;
};

/* Of what --measure may write to: the engine's tables, a vocabulary, recurrent states. */
#define MEASURE_LIMIT (UINT64_C(8) << 30)

#define ROW(member) offsetof(struct options, member)

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "plan", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(plan),
	  .help = "The plan to carry out, as `berth plan --json` writes it." },
	{ .name = "prompt", .kind = OPT_TEXT, .arg = "TEXT", .offset = ROW(prompt),
	  .help = "Generate from this text; without it, load, tell the placement and stop." },
	{ .name = "tokens", .letter = 'n', .kind = OPT_U32, .arg = "N", .offset = ROW(max_tokens),
	  .help = "Generate at most N tokens; 0 goes on until the context is full." },
	{ .name = "seed", .kind = OPT_U32, .arg = "N", .offset = ROW(seed),
	  .help = "Seed of the draw." },
	{ .name = "temp", .kind = OPT_TEXT, .arg = "X", .offset = ROW(temperature),
	  .help = "Temperature of the draw, 0 to 100; 0 always takes the likeliest token." },
	{ .name = "threads", .kind = OPT_U32, .arg = "N", .offset = ROW(threads), .min = 1, .max = THREADS_MAX,
	  .help = "Compute with N threads; otherwise with one for each CPU we may use." },
	{ .name = "serve", .kind = OPT_FLAG, .offset = ROW(serve),
	  .help = "Answer requests until told to stop." },
	{ .name = "max-queue", .kind = OPT_U32, .arg = "N", .offset = ROW(max_queue), .min = 1, .max = 1000000,
	  .help = "With --serve: let N requests wait, and refuse more (512)." },
	{ .name = "sleep-idle", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(sleep_idle), .min = 1, .max = 31536000,
	  .help = "With --serve: unload the model after so long without a request; the next one loads it again." },
	{ .name = "chat-template", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(chat_template),
	  .help = "With --serve: write conversations by this template of the engine's, such as chatml, in place of the model's." },
	{ .name = "lora", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(loras),
	  .help = "Change the model by this LoRA adapter; may be given again." },
	{ .name = "control-vector", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(vectors),
	  .help = "Steer the model by this control vector; several add up." },
	{ .name = "listen", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(http.listen),
	  .help = "With --serve: listen on ADDRESS:PORT or unix:PATH; may be given again. Otherwise on the sockets that "
		  "LISTEN_FDS tells of, else on 127.0.0.1:8470." },
	{ .name = "ollama", .kind = OPT_TEXT, .arg = "WHERE", .offset = ROW(http.ollama),
	  .help = "With --serve: answer Ollama's clients there too, who know no key: loopback or unix:PATH only." },
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(http.name),
	  .help = "With --serve: the model's name for clients; otherwise its file's." },
	{ .name = "key-file", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(http.key_file),
	  .help = "With --serve: clients must know the key in this file, which only its owner may read." },
	{ .name = "no-key", .kind = OPT_FLAG, .offset = ROW(http.no_key),
	  .help = "With --serve: ask for no key; on loopback and UNIX sockets only." },
	{ .name = "allow-host", .kind = OPT_LIST, .arg = "NAME", .offset = ROW(http.hosts),
	  .help = "With --serve: answer requests to this host name too, not only those to loopback's names." },
	{ .name = "max-body", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(http.body_max),
	  .help = "With --serve: refuse a request larger than this (8 MiB)." },
	{ .name = "max-connections", .kind = OPT_U32, .arg = "N", .offset = ROW(http.connections_max), .min = 1, .max = 100000,
	  .help = "With --serve: refuse more connections than this at once (512)." },
	{ .name = "telemetry", .kind = OPT_TEXT, .arg = "PATH", .offset = ROW(telemetry),
	  .help = "Keep a telemetry page there." },
	{ .name = "control-fd", .kind = OPT_U32, .arg = "N", .offset = ROW(control_fd), .min = 3, .max = 1023,
	  .help = "Report to, and take orders from, the supervisor at this descriptor." },
	{ .name = "list-devices", .kind = OPT_FLAG, .offset = ROW(list_devices),
	  .help = "List the engine's devices with their PCI addresses, and stop." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json),
	  .help = "With --list-devices: as JSON." },
	{ .name = "measure", .kind = OPT_FLAG, .offset = ROW(measure),
	  .help = "Do not run the plan: print, as JSON, what the engine would allocate for it. Whether the "
		  "plan fits does not matter, and the model's file needs its header only." },
	{ .name = "calibrate", .kind = OPT_FLAG, .offset = ROW(calibrate),
	  .help = "Run a small model of our own on the plan's first device, print as JSON what the engine took "
		  "there and how fast its memory is, and hold it all until standard input ends." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "Say less." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose),
	  .help = "Show the engine's own log; twice: all of it." },
};

static const struct cmd command = {
	.name = "core",
	.summary = "run a model exactly as a plan says",
	.operands = "",
	.description = "The inference core of berth, one process for one plan. berth launch starts it; by hand it is "
		       "good for finding out what the engine does.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
	.exits = "0  done, or stopped as asked\n4  the plan cannot be read or carried out\n"
		 "6  a device of the plan is not there\n8  the engine failed",
	.see_also = "berth-launch(1), berth-plan(1)",
};
/* clang-format on */

struct run {
	struct options o;
	struct log log;
	struct plan plan;
	char lib_dir[PATH_MAX];
	double temperature;
	struct adapters loras, vectors;
	FILE *out;
	struct control control;
	struct page page;
	struct engine *engine;
	struct engine_device devices[CORE_DEVICES_MAX];
	uint32_t n_devices;
	uint32_t index[PLAN_DEVICES_MAX];
	uint64_t free_before[PLAN_DEVICES_MAX];
	struct account account;
	uint32_t threads, percent;
	struct outcome outcome;
	struct serve http;
};

/* The engine's libraries are at ../../lib/berth from this program, in the build tree and installed. */
static int find_lib_dir(char dir[PATH_MAX], struct err *e)
{
	char exe[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return err_set(e, -errno, "/proc/self/exe cannot be read: %s", strerror(errno));
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	snprintf(path, sizeof(path), "%s/../../lib/berth", exe);
	if (!realpath(path, dir))
		return err_set(e, -errno, "the engine is not at %s; run `make deps`", path);
	return 0;
}

/*
 * Libraries of the engine and drivers may print on descriptor 1. Ours is another: what they print goes
 * to stderr, and only tokens reach the reader.
 */
static FILE *claim_stdout(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3); /* drivers start helpers */

	if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return NULL;
	return fdopen(fd, "w");
}

static int read_plan(struct run *r, struct err *e)
{
	char model[PATH_MAX];
	int rc = plan_read(&r->plan, r->o.plan, e);

	if (rc || r->o.calibrate) /* which loads no model but its own */
		return rc;
	rc = r->o.measure ? 0 : plan_runnable(&r->plan, e);
	if (rc)
		return rc;
	if (r->o.prompt && r->plan.flags.embeddings)
		return err_set(e, -EBADMSG,
			       "the plan is for embeddings: it can be served, but generates no text");
	if (!realpath(r->plan.model_path, model))
		return err_set(e, -errno, "the plan's model %s: %s", r->plan.model_path,
			       strerror(errno));
	if (!text_copy(r->plan.model_path, sizeof(r->plan.model_path), model))
		return err_set(e, -ENAMETOOLONG, "the path of the model is too long: %s", model);
	return 0;
}

/* Everything with a relative path happens before chdir: libraries search the current directory. */
static int prepare(struct run *r, struct err *e)
{
	int rc = find_lib_dir(r->lib_dir, e);

	if (rc)
		return rc;
	setenv("GGML_NO_BACKTRACE", "1", 1); /* ggml would start a debugger when it aborts */
	r->out = claim_stdout();
	if (!r->out)
		return err_set(e, -errno, "standard output cannot be used: %s", strerror(errno));
	if (r->o.plan)
		rc = read_plan(r, e);
	if (rc == 0)
		rc = adapters_take(&r->loras, &r->o.loras, e);
	if (rc == 0)
		rc = adapters_take(&r->vectors, &r->o.vectors, e);
	if (rc)
		return rc;
	rc = page_open(&r->page, r->o.telemetry, &r->plan, e);
	if (rc)
		return rc;
	if (r->o.serve)
		rc = serve_open(&r->http, &r->o.http, r->plan.model_path, e);
	if (rc)
		return rc;
	return chdir("/") ? -errno : 0;
}

static uint32_t count_threads(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint32_t)n;
}

/* The backends this plan needs; a device without a name of its backend needs all (returns 0). */
static uint32_t backends_of(const struct plan *p, const char *names[PLAN_DEVICES_MAX])
{
	uint32_t n = 0;

	for (uint32_t d = 0; d < p->n_devices; d++) {
		const char *name = p->devices[d].backend;
		uint32_t i = 0;

		if (name[0] == 0)
			return 0;
		if (strcmp(name, "cpu") == 0) /* is always there */
			continue;
		while (i < n && strcmp(names[i], name) != 0)
			i++;
		if (i == n)
			names[n++] = name;
	}
	return n;
}

static bool is_for_cpu(const struct plan *p)
{
	for (uint32_t d = 0; d < p->n_devices; d++) {
		if (strcmp(p->devices[d].backend, "cpu") != 0)
			return false;
	}
	return true;
}

static enum failure open_engine(struct run *r, struct err *e)
{
	const char *names[PLAN_DEVICES_MAX] = { NULL };
	uint32_t n = r->o.plan ? backends_of(&r->plan, names) : 0;
	enum failure f;

	/* A plan for the CPU loads no GPU driver: nothing is woken, nothing can be lost */
	if (r->o.plan && n == 0 && is_for_cpu(&r->plan))
		n = ENGINE_NO_BACKENDS;
	f = engine_open(&r->engine, r->lib_dir, names, n, r->o.verbose, e);

	if (f)
		return f;
	r->n_devices = engine_devices(r->engine, r->devices);
	return FAILURE_NONE;
}

static void print_devices(const struct run *r)
{
	if (r->o.json) {
		json_t *o = devices_to_json(engine_version(), r->devices, r->n_devices);

		json_print(o, r->out);
		json_decref(o);
		return;
	}
	for (uint32_t i = 0; i < r->n_devices; i++) {
		const struct engine_device *d = &r->devices[i];
		char total[TEXT_SIZE_MAX], free_bytes[TEXT_SIZE_MAX];

		fprintf(r->out, "%-10s %-14s %-7s %-5s %10s free of %s  %s\n", d->name,
			d->pci[0] ? d->pci : "no address", d->backend, d->type,
			text_size(free_bytes, d->free_bytes), text_size(total, d->total_bytes),
			d->description);
	}
}

static bool on_progress(void *arg, float part)
{
	struct run *r = arg;

	uint32_t percent = part < 0 ? 0 : part > 1 ? 100 : (uint32_t)(part * 100);

	if (percent != r->percent) {
		r->percent = percent;
		control_send(&r->control, event_progress(percent));
	}
	page_beat(&r->page);
	control_poll(&r->control, 0);
	return !r->control.stop;
}

static enum failure load(struct run *r, struct err *e)
{
	struct engine_load how = { .plan = &r->plan,
				   .index = r->index,
				   .threads = r->threads,
				   .progress = on_progress,
				   .arg = r };
	enum failure f;
	bool stopped;

	if (device_match(&r->plan, r->devices, r->n_devices, r->index, e))
		return FAILURE_DEVICE;
	for (uint32_t i = 0; i < r->plan.n_devices; i++)
		r->free_before[i] = engine_free_bytes(r->engine, r->index[i]);
	f = engine_load(r->engine, &how, &stopped, e);
	if (f || stopped)
		return f;
	f = engine_adapt(r->engine, &r->loras, &r->vectors, e);
	if (f)
		return f;
	account_make(&r->account, engine_log(r->engine), r->devices, r->index, r->plan.n_devices);
	for (uint32_t i = 0; i < r->plan.n_devices; i++) {
		struct account_device *d = &r->account.devices[i];

		/* A device without an address is software: its free memory is the host's */
		if (d->pci[0])
			d->bytes.other = account_other(&d->bytes, r->free_before[i],
						       engine_free_bytes(r->engine, r->index[i]));
	}
	return FAILURE_NONE;
}

/* Wait until the supervisor has compared the placement with the plan. */
static void wait_for_go(struct run *r)
{
	while (!r->control.go && !r->control.stop) {
		control_poll(&r->control, 1000);
		page_beat(&r->page);
	}
}

/* Once more, after a sleep: devices are the same, and so is the plan. */
static enum failure load_again(void *arg, struct err *e)
{
	return load(arg, e);
}

static enum failure serve(struct run *r, struct err *e)
{
	struct batch_options o = {
		.engine = r->engine,
		.plan = &r->plan,
		.account = &r->account,
		.control = &r->control,
		.page = &r->page,
		.queue_max = r->o.max_queue,
		.sleep_s = r->o.sleep_idle,
		.chat_template = r->o.chat_template,
		.load = load_again,
		.arg = r,
	};
	struct batch_stats s;
	struct server *server = NULL;
	struct batch *b;
	enum failure f;

	if (batch_open(&b, &o, e))
		return FAILURE_OOM;
	r->http.o.batch = b;
	f = server_start(&server, &r->http.o, e) ? FAILURE_OUTPUT : batch_run(b, false, e);
	server_stop(server);
	batch_stats(b, &s);
	batch_close(b);
	r->outcome = (struct outcome) { .prompt_tokens = s.prompt_tokens,
					.prompt_ns = s.prompt_ns,
					.generated_tokens = s.generated_tokens,
					.generated_ns = s.generated_ns,
					.stop = "stopped" };
	return f;
}

static enum failure carry_out(struct run *r, struct err *e)
{
	struct generate g = {
		.engine = NULL,
		.control = &r->control,
		.page = &r->page,
		.out = r->out,
		.prompt = r->o.prompt,
		.max_tokens = r->o.max_tokens,
		.batch = r->plan.flags.n_ubatch,
	};
	enum failure f = open_engine(r, e);

	if (f)
		return f;
	control_send(&r->control, event_loading(engine_version()));
	f = load(r, e);
	if (f)
		return f;
	r->outcome.stop = "stopped";
	if (r->control.stop)
		return FAILURE_NONE;
	page_account(&r->page, &r->account, engine_n_ctx(r->engine));
	control_send(&r->control, event_ready(&r->account, engine_log(r->engine),
					      engine_n_ctx(r->engine), r->threads));
	wait_for_go(r);
	if (r->control.stop)
		return FAILURE_NONE;
	if (r->control.fd >= 0)
		page_verified(&r->page);
	page_state(&r->page, TELEM_READY);
	if (r->o.serve)
		return serve(r, e);
	if (!r->o.prompt) {
		r->outcome.stop = "ready";
		return FAILURE_NONE;
	}
	page_state(&r->page, TELEM_GENERATING);
	f = engine_sampler(r->engine, r->temperature, r->o.seed, e);
	if (f)
		return f;
	g.engine = r->engine;
	return generate_run(&g, &r->outcome, e);
}

static void print_summary(const struct run *r)
{
	const struct outcome *o = &r->outcome;

	log_detail(&r->log, "%llu prompt tokens in %.3f s, %llu tokens in %.3f s on %u threads; %s",
		   (unsigned long long)o->prompt_tokens, (double)o->prompt_ns / 1e9,
		   (unsigned long long)o->generated_tokens, (double)o->generated_ns / 1e9,
		   r->threads, o->stop);
	for (uint32_t i = 0; i < r->account.n_devices; i++) {
		const struct account_device *d = &r->account.devices[i];
		char w[TEXT_SIZE_MAX], k[TEXT_SIZE_MAX], c[TEXT_SIZE_MAX];

		log_detail(&r->log, "%s %s: %u layers, weights %s, KV %s, compute %s", d->name,
			   d->pci, d->layers, text_size(w, d->bytes.weights),
			   text_size(k, d->bytes.kv), text_size(c, d->bytes.compute));
	}
}

static int finish(struct run *r, enum failure f, const struct err *e)
{
	page_state(&r->page, f ? TELEM_FAILED : TELEM_STOPPED);
	if (f) {
		control_send(&r->control, event_failed(f, e->text));
		if (r->control.fd < 0)
			err_report("core", e->rc, e);
		return failure_exit(f);
	}
	control_send(&r->control, event_done(&r->outcome));
	print_summary(r);
	return EXIT_YES;
}

static int parse_temperature(struct run *r)
{
	char *end;

	r->temperature = strtod(r->o.temperature, &end);
	/* The negated form refuses NaN too */
	if (end == r->o.temperature || *end || !(r->temperature >= 0 && r->temperature <= 100))
		return cmd_usage_error(&command, "--temp %s is not a number from 0 to 100",
				       r->o.temperature);
	return 0;
}

/* In the child of measure(): everything that may end it. */
static void ask_engine(void *arg, struct measure *out)
{
	struct run *r = arg;
	struct engine_load how = {
		.plan = &r->plan, .index = r->index, .threads = 1, .measure = true
	};
	struct err e = { 0 };
	bool stopped;
	enum failure f = open_engine(r, &e);

	if (f == FAILURE_NONE && device_match(&r->plan, r->devices, r->n_devices, r->index, &e))
		f = FAILURE_DEVICE;
	if (f == FAILURE_NONE)
		f = engine_load(r->engine, &how, &stopped, &e);
	if (f) {
		out->end = f == FAILURE_OOM      ? MEASURE_NO_MEMORY
			   : f == FAILURE_DEVICE ? MEASURE_NO_DEVICE
						 : MEASURE_REFUSED;
		text_copy(out->why, sizeof(out->why), e.text);
		return;
	}
	const struct enginelog *l = engine_log(r->engine);

	account_make(&out->account, l, r->devices, r->index, r->plan.n_devices);
	out->n_ctx_seq = engine_n_ctx(r->engine);
	out->weights_bytes = engine_weights_bytes(r->engine);
	out->cache_bytes = l->cache_bytes;
	out->cache_rounding_bytes = (uint64_t)l->n_caches * ENGINELOG_ROUNDING;
}

static int measure(struct run *r, struct err *e)
{
	struct measure m;
	int rc = measure_in_child(ask_engine, r, MEASURE_LIMIT, r->o.verbose > 0, &m, e);

	if (rc)
		return (int)err_report("core", rc, e);
	json_t *o = measure_to_json(&m, engine_version());

	rc = json_print(o, r->out);
	json_decref(o);
	return rc ? EXIT_ENV : EXIT_YES;
}

static json_t *calibration_object(const struct run *r, const struct timing *t)
{
	const struct account_device *d = &r->account.devices[0];
	json_t *o = json_answer("berth.core.calibration/1");

	json_put_text(o, "engine", engine_version());
	json_put_text(o, "name", d->name);
	json_put_text_or_null(o, "pci", d->pci);
	json_put_text(o, "backend", d->backend);
	json_put_int(o, "account_bytes",
		     (int64_t)(d->bytes.weights + d->bytes.kv + d->bytes.compute));
	json_put_int(o, "read_bytes_s", (int64_t)t->read_bytes_s);
	json_put_int(o, "link_bytes_s", (int64_t)t->link_bytes_s);
	return o;
}

/* Time first: its memory is given back, the small model's stays for whoever reads what is free now. */
static enum failure calibrate(struct run *r, struct err *e)
{
	enum failure f = open_engine(r, e);
	struct timing t;
	char end;

	if (f)
		return f;
	if (r->plan.n_devices == 0) {
		err_set(e, -EINVAL, "the plan names no device to calibrate");
		return FAILURE_PLAN;
	}
	if (device_match(&r->plan, r->devices, r->n_devices, r->index, e))
		return FAILURE_DEVICE;
	timing_take(&t, r->index[0], r->threads);
	if (!is_for_cpu(&r->plan))
		f = engine_run_tiny(r->engine, r->index[0], e);
	if (f)
		return f;
	account_make(&r->account, engine_log(r->engine), r->devices, r->index, 1);
	json_t *o = calibration_object(r, &t);
	int rc = json_print_line(o, r->out);

	json_decref(o);
	if (rc || fflush(r->out) != 0) {
		err_set(e, -EIO, "the answer cannot be written");
		return FAILURE_OUTPUT;
	}
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
	return FAILURE_NONE;
}

static int run(struct run *r, struct err *e)
{
	int rc = control_init(&r->control, r->o.control_fd ? (int)r->o.control_fd : -1, e);

	if (rc == 0)
		rc = prepare(r, e);
	if (rc) {
		control_send(&r->control, event_failed(FAILURE_PLAN, e->text));
		return r->control.fd >= 0 ? (int)err_exit(rc) : (int)err_report("core", rc, e);
	}
	if (r->o.measure)
		return measure(r, e);
	r->threads = r->o.threads ? r->o.threads : count_threads();
	if (r->o.calibrate) {
		enum failure failed = calibrate(r, e);

		return failed ? finish(r, failed, e) : EXIT_YES;
	}
	if (!r->o.list_devices)
		return finish(r, carry_out(r, e), e);
	enum failure f = open_engine(r, e);
	if (f)
		return finish(r, f, e);
	print_devices(r);
	return EXIT_YES;
}

int main(int argc, char **argv)
{
	own_free struct run *r = calloc(1, sizeof(*r));
	struct err e = { 0 };
	enum cmd_go go;
	int first, rc;

	if (!r)
		return EXIT_ENV;
	r->o = (struct options) {
		.max_tokens = 256, .max_queue = 512, .seed = 42, .temperature = "0.8"
	};
	go = cmd_parse(&command, argc, argv, &r->o, &first);
	if (go != CMD_RUN)
		return cmd_exit(go);
	if (first < argc)
		return cmd_usage_error(&command, "%s is not expected: the model is in the plan",
				       argv[first]);
	if (!r->o.plan == !r->o.list_devices)
		return cmd_usage_error(&command, "give --plan FILE or --list-devices");
	if (r->o.measure + r->o.calibrate && (r->o.measure + r->o.calibrate > 1 ||
					      r->o.list_devices || r->o.prompt || r->o.control_fd))
		return cmd_usage_error(&command, "--measure and --calibrate go with --plan alone");
	if (r->o.serve && (!r->o.plan || r->o.prompt || r->o.measure || r->o.calibrate))
		return cmd_usage_error(&command, "--serve goes with --plan, and without --prompt");
	if (r->o.serve && !r->o.http.key_file == !r->o.http.no_key)
		return cmd_usage_error(&command, "--serve needs --key-file FILE or --no-key");
	rc = parse_temperature(r);
	if (rc)
		return rc;
	log_init(&r->log, "berth core", r->o.quiet, r->o.verbose);
	rc = run(r, &e);
	serve_close(&r->http);
	engine_close(r->engine);
	page_close(&r->page);
	control_fini(&r->control);
	if (r->out && fclose(r->out) != 0 && rc == EXIT_YES && (r->o.list_devices || r->o.measure))
		rc = EXIT_ENV;
	return rc;
}

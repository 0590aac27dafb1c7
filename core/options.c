/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/planfile.h"
#include "core/options.h"

#define THREADS_MAX 512 /* the engine's own limit (GGML_MAX_N_THREADS) */

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
	{ .name = "temp", .kind = OPT_TEXT, .arg = "X", .offset = ROW(temperature_text),
	  .help = "Temperature of the draw, 0 to 100; 0 always takes the likeliest token." },
	{ .name = "threads", .kind = OPT_U32, .arg = "N", .offset = ROW(threads), .min = 1, .max = THREADS_MAX,
	  .help = "Compute with N threads; otherwise with one for each CPU we may use." },
	{ .name = "serve", .kind = OPT_FLAG, .offset = ROW(serve),
	  .help = "Answer requests until told to stop." },
	{ .name = "max-queue", .kind = OPT_U32, .arg = "N", .offset = ROW(max_queue), .min = 1, .max = 1000000,
	  .help = "With --serve: let N requests wait, and refuse more (512)." },
	{ .name = "sleep-idle", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(sleep_idle), .min = 1, .max = 31536000,
	  .help = "With --serve: unload the model after so long without a request; the next one loads it again." },
	{ .name = "draft-min", .kind = OPT_U32, .arg = "N", .offset = ROW(draft_min), .max = PLAN_DRAFT_MAX,
	  .help = "With --serve, of a plan with a draft model: guess at least N tokens at once, even where that does not pay." },
	{ .name = "chat-template", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(chat_template),
	  .help = "With --serve: write conversations by this template of the engine's, such as chatml, in place of the model's." },
	{ .name = "lora", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(loras),
	  .help = "Change the model by this LoRA adapter; may be given again." },
	{ .name = "control-vector", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(vectors),
	  .help = "Steer the model by this control vector; several add up." },
	{ .name = "listen", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(http.listen),
	  .help = "With --serve: listen on ADDRESS:PORT or unix:PATH; may be given again (127.0.0.1:8470). Sockets that "
		  "LISTEN_FDS tells of take its place." },
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
	{ .name = "backend", .kind = OPT_LIST, .arg = "NAME", .offset = ROW(backends),
	  .help = "With --list-devices: ask this backend of the engine's alone, such as cuda; one that is not there has no "
		  "devices." },
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

static uint32_t count_threads(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint32_t)n;
}

static int parse_temperature(struct options *o)
{
	char *end;

	o->temperature = strtod(o->temperature_text, &end);
	/* The negated form refuses NaN too */
	if (end == o->temperature_text || *end || !(o->temperature >= 0 && o->temperature <= 100))
		return cmd_usage_error(&command, "--temp %s is not a number from 0 to 100",
				       o->temperature_text);
	return 0;
}

static int check(const struct options *o)
{
	bool asks = o->measure || o->calibrate;

	if (!o->plan == !o->list_devices)
		return cmd_usage_error(&command, "give --plan FILE or --list-devices");
	if (asks && ((o->measure && o->calibrate) || o->list_devices || o->prompt || o->control_fd))
		return cmd_usage_error(&command, "--measure and --calibrate go with --plan alone");
	if (o->serve && (!o->plan || o->prompt || asks))
		return cmd_usage_error(&command, "--serve goes with --plan, and without --prompt");
	if (o->serve && !o->http.key_file == !o->http.no_key)
		return cmd_usage_error(&command, "--serve needs --key-file FILE or --no-key");
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, bool *stop)
{
	enum cmd_go go;
	int first, rc;

	*o = (struct options) {
		.max_tokens = 256, .max_queue = 512, .seed = 42, .temperature_text = "0.8"
	};
	go = cmd_parse(&command, argc, argv, o, &first);
	*stop = true;
	if (go != CMD_RUN)
		return cmd_exit(go);
	if (first < argc)
		return cmd_usage_error(&command, "%s is not expected: the model is in the plan",
				       argv[first]);
	rc = check(o);
	if (rc == 0)
		rc = parse_temperature(o);
	if (!o->threads)
		o->threads = count_threads();
	*stop = rc != 0;
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "launch/options.h"

#include <stddef.h>

#include "launch/cores.h"

#define ROW(member) offsetof(struct options, member)
#define N_OF(rows)  (sizeof(rows) / sizeof((rows)[0]))

static const char *const tristates[] = { "on", "off", "auto", NULL };

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "plan", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(plan),
	  .help = "Carry out this plan, written by `berth plan --json`, instead of making one." },
	{ .name = "device", .kind = OPT_TEXT, .arg = "SEL", .offset = ROW(device),
	  .help = "Use only these devices, in this order: PCI addresses, UUIDs or names, separated by commas; "
		  "the engine's own name (Vulkan0) for a software device; cpu for none." },
	{ .name = "ctx", .letter = 'c', .kind = OPT_U32, .arg = "N", .offset = ROW(n_ctx), .max = 1 << 30,
	  .help = "Context in tokens, 0 for all that the model was trained for (that, at most 8192)." },
	{ .name = "parallel", .kind = OPT_U32, .arg = "N", .offset = ROW(parallel), .min = 1, .max = 256,
	  .help = "Plan for N sequences that share the context, so that a server answers N requests at once (1; 4 with "
		  "--serve, or as many of them as cost no layer its device)." },
	{ .name = "embeddings", .kind = OPT_FLAG, .offset = ROW(embeddings), .help = "Plan for embeddings instead of text." },
	{ .name = "batch", .letter = 'b', .kind = OPT_U32, .arg = "N", .offset = ROW(n_batch), .min = 1, .max = 1 << 20,
	  .help = "Tokens of a prompt taken at once (2048)." },
	{ .name = "ubatch", .kind = OPT_U32, .arg = "N", .offset = ROW(n_ubatch), .min = 1, .max = 65536,
	  .help = "Of them computed at once (512)." },
	{ .name = "flash-attn", .kind = OPT_ENUM, .arg = "WHEN", .offset = ROW(flash_attn), .choices = tristates,
	  .help = "Attention without a matrix of all tokens by all cells (on)." },
	{ .name = "kv-unified", .kind = OPT_FLAG, .offset = ROW(unified),
	  .help = "All sequences share one cache, as they do without it when there are several." },
	{ .name = "no-kv-unified", .kind = OPT_FLAG, .offset = ROW(not_unified),
	  .help = "Each sequence has a part of the context for itself." },
	{ .name = "no-kv-offload", .kind = OPT_FLAG, .offset = ROW(cache_on_host), .help = "Keep the cache in host memory." },
	{ .name = "swa-full", .kind = OPT_FLAG, .offset = ROW(swa_full), .help = "Sliding layers keep the whole context." },
	{ .name = "gpu-layers", .kind = OPT_TEXT, .arg = "N", .offset = ROW(gpu_layers),
	  .help = "Layers on GPUs, the output being one: a number, or all." },
	{ .name = "tensor-split", .kind = OPT_TEXT, .arg = "N,N,...", .offset = ROW(shares),
	  .help = "Share of the layers for each GPU, in the order of --device." },
	{ .name = "n-cpu-moe", .kind = OPT_U32, .arg = "N", .offset = ROW(n_cpu_moe), .min = 1, .max = 100000,
	  .help = "Keep the experts of the first N layers in host memory." },
	{ .name = "cpu-moe", .kind = OPT_FLAG, .offset = ROW(cpu_moe), .help = "Keep all experts in host memory." },
	{ .name = "override-tensor", .kind = OPT_LIST, .arg = "REGEX=WHERE", .offset = ROW(tensors),
	  .help = "Put tensors whose names match to CPU, or to a GPU by address or number in the order of --device." },
	{ .name = "want", .kind = OPT_ENUM, .arg = "GOAL", .offset = ROW(want), .choices = want_choices,
	  .help = "Search what is not given, for the longest context, the most speed, or the least loss." },
	{ .name = "min-context", .kind = OPT_U32, .arg = "N", .offset = ROW(min_ctx), .min = 1, .max = 1 << 30,
	  .help = "With --want: at least so many tokens of context." },
	{ .name = "min-speed", .kind = OPT_TEXT, .arg = "TOKENS/S", .offset = ROW(min_speed),
	  .help = "With --want: at least so many tokens a second, as far as they can be told." },
	{ .name = "prompt", .letter = 'p', .kind = OPT_TEXT, .arg = "TEXT", .offset = ROW(prompt),
	  .help = "Generate from this text; without it, prove the placement and stop." },
	{ .name = "tokens", .letter = 'n', .kind = OPT_U32, .arg = "N", .offset = ROW(max_tokens),
	  .help = "Generate at most N tokens (256); 0 goes on until the context is full." },
	{ .name = "seed", .kind = OPT_U32, .arg = "N", .offset = ROW(seed), .help = "Seed of the draw (42)." },
	{ .name = "temp", .kind = OPT_TEXT, .arg = "X", .offset = ROW(temperature),
	  .help = "Temperature of the draw, 0 to 100 (0.8); 0 always takes the likeliest token." },
	{ .name = "accept", .kind = OPT_ENUM, .arg = "WHAT", .offset = ROW(accept), .choices = accept_choices,
	  .help = "What may be started: gpu (everything on GPUs), spill (layers in host memory too), cpu." },
	{ .name = "split", .kind = OPT_TEXT, .arg = "N,N,...", .offset = ROW(split),
	  .help = "Layers per device by hand, the output counted as one." },
	{ .name = "accept-unverified", .kind = OPT_FLAG, .offset = ROW(accept_unverified),
	  .help = "Start by the upper bound of an architecture that berth has no verified rules for." },
	{ .name = "margin", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(margin),
	  .help = "Memory to leave free on each device." },
	{ .name = "cache-type-k", .kind = OPT_ENUM, .arg = "TYPE", .offset = ROW(type_k), .choices = cache_types,
	  .help = "Type of the K cache (f16)." },
	{ .name = "cache-type-v", .kind = OPT_ENUM, .arg = "TYPE", .offset = ROW(type_v), .choices = cache_types,
	  .help = "Type of the V cache (f16)." },
	{ .name = "engine", .kind = OPT_ENUM, .arg = "WHICH", .offset = ROW(engine), .choices = core_names,
	  .help = "What computes: berth (its own core), or llama-server: the one in PATH, or that BERTH_LLAMA_SERVER names; it "
		  "gets the same plan, has to prove it just so, and answers requests only." },
	{ .name = "power-cap", .kind = OPT_TEXT, .arg = "W|ADDR=W,...", .offset = ROW(power_cap),
	  .help = "Limit what each GPU of the run draws, in watts, by `berth device power`, and take that back at the end: "
		  "250, or 0000:03:00.0=250,0000:06:00.0=default; none leaves the limits as they are." },
	{ .name = "lora", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(loras),
	  .help = "Change the model by this LoRA adapter, which is planned, too; may be given again." },
	{ .name = "draft", .kind = OPT_TEXT, .arg = "MODEL", .offset = ROW(draft),
	  .help = "With --serve: beside it a smaller model with the same vocabulary, which guesses what comes next; the model "
		  "checks several guesses at once, and says nothing else than it would alone. It is planned, too." },
	{ .name = "draft-max", .kind = OPT_U32, .arg = "N", .offset = ROW(n_draft), .min = 1, .max = PLAN_DRAFT_MAX,
	  .help = "Guess at most N tokens at once (8); how many pay is found out meanwhile." },
	{ .name = "draft-min", .kind = OPT_U32, .arg = "N", .offset = ROW(draft_min), .max = PLAN_DRAFT_MAX,
	  .help = "Guess at least N tokens at once, even where that does not pay (0)." },
	{ .name = "control-vector", .kind = OPT_LIST, .arg = "FILE[=SCALE]", .offset = ROW(vectors),
	  .help = "Steer the model by this control vector; several add up." },
	{ .name = "dry-run", .kind = OPT_FLAG, .offset = ROW(dry_run),
	  .help = "Show the plan, the CPUs, the environment and the command, and start nothing." },
	{ .name = "serve", .kind = OPT_FLAG, .offset = ROW(serve),
	  .help = "Serve requests instead of one prompt, and start the core again when it fails, until stopped." },
	{ .name = "detach", .letter = 'd', .kind = OPT_FLAG, .offset = ROW(detach),
	  .help = "Serve in the background: come back once it is ready. `berth ps`, `stop`, `restart` and `logs` know it by name." },
	{ .name = "name", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(name),
	  .help = "Serve under this name, the model's for its clients (the profile's, else from the file's name)." },
	{ .name = "listen", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(listen),
	  .help = "Serve at ADDRESS:PORT or unix:PATH (127.0.0.1:8470). What a service manager hands over takes its place." },
	{ .name = "ollama", .kind = OPT_FLAG, .offset = ROW(ollama),
	  .help = "Serve Ollama's clients, too, at 127.0.0.1:11434 and without a key." },
	{ .name = "key-file", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(key_file),
	  .help = "The key that clients must show, in a file that nobody else can read; made when absent." },
	{ .name = "no-key", .kind = OPT_FLAG, .offset = ROW(no_key), .help = "Ask clients for no key." },
	{ .name = "no-flight", .kind = OPT_FLAG, .offset = ROW(no_flight),
	  .help = "Do not keep the flight recorder of 'berth top' while the run is up." },
	{ .name = "allow-host", .kind = OPT_LIST, .arg = "HOST", .offset = ROW(allow_host),
	  .help = "A name that clients may call this server by, besides loopback's." },
	{ .name = "chat-template", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(chat_template),
	  .help = "Write conversations by this template of the engine's, such as chatml, in place of the model's." },
	{ .name = "sleep-idle", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(sleep_idle_s), .min = 1, .max = 31536000,
	  .help = "Give the model's memory back after so long without a request; the next one loads it again." },
	{ .name = "max-queue", .kind = OPT_U32, .arg = "N", .offset = ROW(max_queue), .min = 1, .max = 1000000,
	  .help = "Let N requests wait, and refuse more (512)." },
	{ .name = "max-connections", .kind = OPT_U32, .arg = "N", .offset = ROW(max_connections), .min = 1, .max = 100000,
	  .help = "Refuse more connections than this at once (512)." },
	{ .name = "max-body", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(max_body),
	  .help = "Refuse a request larger than this (8 MiB)." },
	{ .name = "watchdog", .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(watchdog_s), .max = 86400,
	  .help = "Replace a core that gives no sign of life for so long (60); 0: never." },
	{ .name = "slurm", .kind = OPT_FLAG, .offset = ROW(slurm),
	  .help = "Run it as a job of Slurm's, which gets just the planned devices: write the job's script, submit it, and "
		  "print its number; with --dry-run print the script." },
	{ .name = "sbatch", .kind = OPT_LIST, .arg = "OPTION[=VALUE]", .offset = ROW(sbatch),
	  .help = "With --slurm: one more option for sbatch(1), such as partition=gpu, time=2:00:00 or wait." },
	{ .name = "granted", .kind = OPT_FLAG, .offset = ROW(granted),
	  .help = "In a job of Slurm's: use only devices that were granted to it, and start nothing when the plan has others. "
		  "The script of --slurm says it." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json),
	  .help = "Answer with one berth.launch/1 object on stdout, at the end, the text in it." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose),
	  .help = "Show the engine's log on stderr; twice: all of it." },
};

/* As llama.cpp's programs spell them (common/arg.cpp), and `berth plan`. */
static const struct alias aliases[] = {
	{ "--ctx-size", "ctx" },
	{ "-np", "parallel" },
	{ "--batch-size", "batch" },
	{ "-ub", "ubatch" },
	{ "--ubatch-size", "ubatch" },
	{ "-fa", "flash-attn" },
	{ "-kvu", "kv-unified" },
	{ "-no-kvu", "no-kv-unified" },
	{ "-nkvo", "no-kv-offload" },
	{ "-ctk", "cache-type-k" },
	{ "-ctv", "cache-type-v" },
	{ "-ngl", "gpu-layers" },
	{ "--n-gpu-layers", "gpu-layers" },
	{ "-ts", "tensor-split" },
	{ "-ncmoe", "n-cpu-moe" },
	{ "-cmoe", "cpu-moe" },
	{ "-ot", "override-tensor" },
	{ "-md", "draft" },
	{ "--model-draft", "draft" },
	{ "--embedding", "embeddings" },
	{ "--sleep-idle-seconds", "sleep-idle" },
	{ NULL, NULL },
};

static const struct example examples[] = {
	{ "berth launch model.gguf --prompt 'Once upon a time'", "run it on the GPUs it fits on, or say why not" },
	{ "berth launch model.gguf --device 0000:c1:00.0 -c 32768 --dry-run", "show what would be started" },
	{ "berth plan model.gguf --json >p.json; berth launch --plan p.json", "carry out a plan made before" },
	{ "berth launch model.gguf --accept cpu --prompt Hello -n 32", "the processor will do" },
	{ "berth launch model.gguf -d --name chat", "serve it on 127.0.0.1:8470 and keep it running; berth stop chat" },
	{ "berth launch model.gguf --serve --slurm --sbatch time=8:00:00", "serve it from a job that has just those GPUs" },
	{ "berth launch model.gguf -d --power-cap 200", "serve it with each GPU limited to 200 W, for as long as it serves" },
	{ "berth launch chat", "what ~/.config/berth/profiles.d/chat.conf says" },
	{ NULL, NULL },
};

const struct cmd launch_command = {
	.name = "launch",
	.summary = "run a model exactly as planned, and prove the placement",
	.operands = "MODEL|PROFILE",
	.description =
		"Plans the model on the devices of this machine, starts the inference core pinned to exactly those, "
		"compares where the engine says it put every layer with the plan, and only then lets it generate. "
		"A layer that is elsewhere stops the run with exit code 7.\n\n"
		"MODEL is a file, or the name that a local store has for it (Ollama, LM Studio, llama.cpp, Hugging "
		"Face's cache). PROFILE is a file of these options under a name, profiles.d/PROFILE.conf below "
		"~/.config/berth or /etc/berth: lines such as 'model = llama3.2:3b' and 'ctx = 32768', with 'yes' for "
		"what takes no argument; options given besides overrule it.\n\n"
		"Tokens go to stdout as they come; the proof and all notes go to stderr. Measured sizes come from "
		"the engine's log, which rounds each buffer to 0.01 MiB; '=' in the proof means equal within that.\n\n"
		"With --serve, or what implies it, it stays: a core that fails is started again after 1, 2, 4 ... 60 s (the first time at once, if it had served), at most "
		"5 times in 10 minutes; when a device left, planned again on those that remain; when memory was "
		"refused, with the next smaller plan, at most 3 times. Meanwhile clients get 503 and a Retry-After.\n\n"
		"With --slurm the plan is made here, and the job's script, which has it inside, asks Slurm for as many GPUs of "
		"each type as are planned, in the words of `berth probe --format slurm`, for the host memory of the plan and "
		"for this node. In the job the granted devices are compared with the planned ones before anything is loaded; "
		"others are exit code 7.\n\n"
		"With --power-cap the limits are set before the core starts, which may want root or polkit's leave, and nothing is "
		"started where one cannot be; they are taken back when the run ends, once, whatever it ended by. Should "
		"berth launch itself be killed, the next `berth ps`, launch, stop or restart does it.\n\n"
		"Ctrl-C stops after the current token and exits 0 (1 if the model was not ready yet); pressed "
		"again, it kills the core at once. A core that crashes never leaves a process behind: the exit code is 8 and the class of "
		"the crash is in the JSON. The core dies with berth launch, however that dies.",
	.opts = opts,
	.n_opts = N_OF(opts),
	.aliases = aliases,
	.exits = "0  done, or stopped as asked\n1  it does not fit, or a named device is absent\n"
		 "2  wrong usage\n3  facts are missing to plan with\n4  the model or plan is not sound\n"
		 "5  the environment refuses\n6  a device of the plan was lost or changed\n"
		 "7  the engine put a layer, or Slurm the job, elsewhere than planned\n8  the engine failed",
	.examples = examples,
	.see_also = "berth-plan(1), berth-probe(1), berth-device(1), berth-top(1)",
};
/* clang-format on */

const struct options launch_defaults = {
	.n_ctx = CTX_DEFAULT,
	.max_tokens = 256,
	.seed = 42,
	.margin = MARGIN_DEFAULT,
	.accept = -1,
	.type_k = -1,
	.type_v = -1,
	.flash_attn = -1,
	.want = -1,
	.watchdog_s = 60,
};

const char *const launch_planned[] = {
	"device",     "split",        "tensor-split",    "gpu-layers",
	"n-cpu-moe",  "cpu-moe",      "override-tensor", "ctx",
	"batch",      "ubatch",       "parallel",        "embeddings",
	"flash-attn", "kv-unified",   "no-kv-unified",   "no-kv-offload",
	"swa-full",   "want",         "min-context",     "min-speed",
	"margin",     "cache-type-k", "cache-type-v",    "draft",
	"draft-max",  NULL,
};

const char *const launch_never_in_profiles[] = { "dry-run", "json", NULL };

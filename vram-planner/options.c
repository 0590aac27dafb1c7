/* SPDX-License-Identifier: MIT */
/* The options of `berth plan`. */
#include "vram-planner/options.h"

#include <inttypes.h>
#include <string.h>

#include "vram-planner/wish.h"

static const char *const tristates[] = { "on", "off", "auto", NULL };

/* clang-format off */
static const struct opt opts[] = {
	{ "ctx", 'c', OPT_U32, "N", offsetof(struct options, n_ctx),
	  "Tokens of context, 0 for all that the model was trained for; without it that, at most 8192.",
	  NULL, 0, 2000000000 },
	{ "batch", 'b', OPT_U32, "N", offsetof(struct options, n_batch),
	  "Tokens of a prompt taken at once; 2048 without it.", NULL, 1, 1 << 20 },
	{ "ubatch", 0, OPT_U32, "N", offsetof(struct options, n_ubatch),
	  "Of them computed at once; 512 without it.", NULL, 1, 65536 },
	{ "parallel", 0, OPT_U32, "N", offsetof(struct options, n_seq),
	  "Sequences at once; 1 without it.", NULL, 1, 256 },
	{ "kv-unified", 0, OPT_FLAG, NULL, offsetof(struct options, unified),
	  "All sequences share one cache, as they do without it when there are several.", NULL, 0, 0 },
	{ "no-kv-unified", 0, OPT_FLAG, NULL, offsetof(struct options, not_unified),
	  "Each sequence has a part of the context for itself.", NULL, 0, 0 },
	{ "cache-type-k", 0, OPT_ENUM, "TYPE", offsetof(struct options, type_k),
	  "Storage of the cache's keys; f16 without it.", cache_types, 0, 0 },
	{ "cache-type-v", 0, OPT_ENUM, "TYPE", offsetof(struct options, type_v),
	  "Storage of the cache's values; f16 without it.", cache_types, 0, 0 },
	{ "flash-attn", 0, OPT_ENUM, "WHEN", offsetof(struct options, flash_attn),
	  "Attention without a matrix of all tokens by all cells; on without it.", tristates, 0, 0 },
	{ "gpu-layers", 0, OPT_TEXT, "N", offsetof(struct options, gpu_layers),
	  "Layers on GPUs, the output being one: a number, or all.", NULL, 0, 0 },
	{ "tensor-split", 0, OPT_TEXT, "N,N,...", offsetof(struct options, shares),
	  "Share of the layers for each GPU, in the order of --device.", NULL, 0, 0 },
	{ "split", 0, OPT_TEXT, "N,N,...", offsetof(struct options, split),
	  "Layers for each GPU by hand, in the order of --device; the output counts as one.",
	  NULL, 0, 0 },
	{ "split-mode", 0, OPT_ENUM, "MODE", offsetof(struct options, split_mode),
	  "How several GPUs share: layer, or none (one GPU). The others are not planned.",
	  split_modes, 0, 0 },
	{ "n-cpu-moe", 0, OPT_U32, "N", offsetof(struct options, n_cpu_moe),
	  "Keep the experts of the first N layers in host memory.", NULL, 1, 100000 },
	{ "cpu-moe", 0, OPT_FLAG, NULL, offsetof(struct options, cpu_moe),
	  "Keep all experts in host memory.", NULL, 0, 0 },
	{ "override-tensor", 0, OPT_LIST, "REGEX=WHERE", offsetof(struct options, tensors),
	  "Put tensors whose names match to CPU, or to a GPU by address or number in the order of --device.",
	  NULL, 0, 0 },
	{ "no-kv-offload", 0, OPT_FLAG, NULL, offsetof(struct options, cache_on_host),
	  "Keep the cache in host memory.", NULL, 0, 0 },
	{ "swa-full", 0, OPT_FLAG, NULL, offsetof(struct options, swa_full),
	  "Sliding layers keep the whole context.", NULL, 0, 0 },
	{ "mtp", 0, OPT_FLAG, NULL, offsetof(struct options, mtp),
	  "Load the layers that predict further tokens, too.", NULL, 0, 0 },
	{ "embeddings", 0, OPT_FLAG, NULL, offsetof(struct options, embeddings),
	  "For embeddings instead of text.", NULL, 0, 0 },
	{ "n-outputs", 0, OPT_U32, "N", offsetof(struct options, n_outputs),
	  "Rows of logits kept of a batch; without it one a sequence, as a server does.", NULL, 1, 1 << 20 },
	{ "want", 0, OPT_ENUM, "GOAL", offsetof(struct options, want),
	  "Search what is not given, for the longest context, the most speed, or the least loss.",
	  want_choices, 0, 0 },
	{ "min-context", 0, OPT_U32, "N", offsetof(struct options, min_ctx),
	  "With --want: at least so many tokens of context.", NULL, 1, 2000000000 },
	{ "min-speed", 0, OPT_TEXT, "TOKENS/S", offsetof(struct options, min_speed),
	  "With --want: at least so many tokens a second, as far as they can be told.", NULL, 0, 0 },
	{ "accept", 0, OPT_ENUM, "WHAT", offsetof(struct options, accept),
	  "What counts as yes: all on GPUs, spilling into host memory, or the CPU alone.",
	  accept_choices, 0, 0 },
	{ "accept-unverified", 0, OPT_FLAG, NULL, offsetof(struct options, accept_unverified),
	  "Judge the upper bound of an architecture that berth has no verified rules for.", NULL, 0, 0 },
	{ "margin", 0, OPT_SIZE, "SIZE", offsetof(struct options, margin),
	  "Memory to leave free on each device; without it 2 % of it, at least 256M.", NULL, 0, 0 },
	{ "device", 'd', OPT_TEXT, "SEL", offsetof(struct options, devices.device),
	  "Use only these GPUs: ADDR, UUID or a part of the name, separated by commas.", NULL, 0, 0 },
	{ "machine", 'm', OPT_TEXT, "DIR", offsetof(struct options, devices.machine),
	  "Plan for a captured machine instead of this one.", NULL, 0, 0 },
	{ "gpu", 'g', OPT_LIST, "NAME[,K=V]", offsetof(struct options, devices.gpus),
	  "A GPU that is not here, by the name of a card or with memory=24GiB; also backend=, bandwidth=936GB/s, "
	  "link=, tflops=, power=, max_buffer=, count=. May be repeated. This machine's own then count only with --device.",
	  NULL, 0, 0 },
	{ "free", 0, OPT_ENUM, "WHAT", offsetof(struct options, devices.free),
	  "What memory counts as free: what is now, what is after berth's own runs are gone, or all.",
	  devices_free_choices, 0, 0 },
	{ "ram", 0, OPT_SIZE, "SIZE", offsetof(struct options, devices.ram),
	  "Host memory that counts as free; without it what is available now.", NULL, 0, 0 },
	{ "ram-bandwidth", 0, OPT_TEXT, "RATE", offsetof(struct options, devices.ram_bandwidth),
	  "Of the host's memory, as in 80GB/s; without it the speed of layers on the host is unknown.", NULL, 0, 0 },
	{ "depth", 0, OPT_U32, "N", offsetof(struct options, depth),
	  "Tokens in the context that the speed is told for; half of it without.", NULL, 1, 2000000000 },
	{ "price-kwh", 0, OPT_TEXT, "PRICE", offsetof(struct options, price_kwh),
	  "Of a kilowatt-hour, in any money: tells what a million tokens cost.", NULL, 0, 0 },
	{ "price-api", 0, OPT_TEXT, "PRICE", offsetof(struct options, price_api),
	  "Of a million tokens from an API, shown beside.", NULL, 0, 0 },
	{ "wake", 0, OPT_FLAG, NULL, offsetof(struct options, devices.wake),
	  "Allow reads that wake a sleeping device.", NULL, 0, 0 },
	{ "timeout", 0, OPT_U32, "SECONDS", offsetof(struct options, timeout_s),
	  "How long a server of models may stall; 20 without it.", NULL, 1, 3600 },
	{ "quant", 0, OPT_TEXT, "MIX", offsetof(struct options, quant),
	  "What a Hugging Face checkpoint (a folder with config.json) is quantized to; q4_K_M without it.", NULL, 0, 0 },
	{ "mmproj", 0, OPT_TEXT, "MODEL", offsetof(struct options, beside.mmproj),
	  "Beside it an image encoder, with the graph of its largest image.", NULL, 0, 0 },
	{ "lora", 0, OPT_LIST, "MODEL", offsetof(struct options, beside.loras),
	  "Beside it an adapter, on the devices of the layers it adapts. May be repeated.", NULL, 0, 0 },
	{ "draft", 0, OPT_TEXT, "MODEL", offsetof(struct options, beside.draft),
	  "Beside it a draft model, whole on one GPU: it guesses what comes next, and the model checks several guesses at once.", NULL, 0, 0 },
	{ "draft-max", 0, OPT_U32, "N", offsetof(struct options, n_draft),
	  "Tokens that the draft guesses at once, at most; 8 without it.", NULL, 1, PLAN_DRAFT_MAX },
	{ "list", 0, OPT_FLAG, NULL, offsetof(struct options, list),
	  "What Ollama, LM Studio, llama.cpp and Hugging Face keep on this disk, and whether it fits.", NULL, 0, 0 },
	{ "quants", 0, OPT_FLAG, NULL, offsetof(struct options, quants),
	  "Compare all quants of the model that lie beside it.", NULL, 0, 0 },
	{ "top", 0, OPT_U32, "N", offsetof(struct options, top),
	  "Of several models show the best N.", NULL, 1, 1000000 },
	{ "all", 0, OPT_FLAG, NULL, offsetof(struct options, all),
	  "Of several models each must be a yes; without it one is enough.", NULL, 0, 0 },
	{ "explain", 0, OPT_FLAG, NULL, offsetof(struct options, explain),
	  "Show the arithmetic, term by term.", NULL, 0, 0 },
	{ "bar", 0, OPT_TEXT, "DEVICE", offsetof(struct options, bar),
	  "Show what fills one device (its address, name or number, or host) and what would shrink it.",
	  NULL, 0, 0 },
	{ "calibrate", 0, OPT_FLAG, NULL, offsetof(struct options, calibrate),
	  "No plan: run a small model on each GPU, measure what drivers take and how fast memories are, and use "
	  "that in plans to come.", NULL, 0, 0 },
	{ "verify", 0, OPT_FLAG, NULL, offsetof(struct options, verify),
	  "Ask the engine itself, too, what it would allocate; the larger number counts.", NULL, 0, 0 },
	{ "json", 0, OPT_FLAG, NULL, offsetof(struct options, json),
	  "Print the plan as one JSON object, berth.plan/1.", NULL, 0, 0 },
	{ "output", 'o', OPT_TEXT, "FILE", offsetof(struct options, output),
	  "Also write the plan to a file, for berth launch --plan.", NULL, 0, 0 },
	{ "jobs", 0, OPT_TEXT, "FILE", offsetof(struct options, jobs),
	  "Answer a list: one JSON object a line in, one out (docs/formats.md); - is standard input.",
	  NULL, 0, 0 },
	{ "quiet", 'q', OPT_COUNT, NULL, offsetof(struct options, quiet),
	  "Print no notes.", NULL, 0, 0 },
	{ "verbose", 'v', OPT_COUNT, NULL, offsetof(struct options, verbose),
	  "Print more notes.", NULL, 0, 0 },
};

/* As llama.cpp's programs spell them (common/arg.cpp). */
static const struct alias aliases[] = {
	{ "--ctx-size", "ctx" },
	{ "--batch-size", "batch" },
	{ "-ub", "ubatch" },
	{ "--ubatch-size", "ubatch" },
	{ "-np", "parallel" },
	{ "-kvu", "kv-unified" },
	{ "-no-kvu", "no-kv-unified" },
	{ "-ctk", "cache-type-k" },
	{ "-ctv", "cache-type-v" },
	{ "-fa", "flash-attn" },
	{ "-ngl", "gpu-layers" },
	{ "--n-gpu-layers", "gpu-layers" },
	{ "-ts", "tensor-split" },
	{ "-sm", "split-mode" },
	{ "-ncmoe", "n-cpu-moe" },
	{ "-cmoe", "cpu-moe" },
	{ "-ot", "override-tensor" },
	{ "-nkvo", "no-kv-offload" },
	{ "--embedding", "embeddings" },
	{ "-mm", "mmproj" },
	{ "-md", "draft" },
	{ "--model-draft", "draft" },
	{ NULL, NULL },
};

static const struct example examples[] = {
	{ "berth plan model.gguf", "Does it fit on the GPUs here, with the default context?" },
	{ "berth plan -c 32768 --accept spill model.gguf", "With 32k tokens, host memory allowed." },
	{ "berth plan --want context --min-speed 20 model.gguf",
	  "The longest context that still gives 20 tokens a second." },
	{ "berth plan -c 32768 -ctk q8_0 -ctv q8_0 -ncmoe 20 --accept spill moe.gguf",
	  "The experts of 20 layers in host memory." },
	{ "berth plan --json model.gguf | jq .verdict", "The verdict, for a script." },
	{ "berth plan --device 0000:01:00.0,0000:41:00.0 --split 20,13 model.gguf",
	  "20 layers on the first GPU and 13 on the second." },
	{ "berth plan --jobs matrix.jsonl | jq -r '[.model, .verdict] | @tsv'",
	  "Check a whole matrix of models, devices and settings." },
	{ "berth plan --gpu 'RTX 3090' --gpu 'RX 7900 XTX' model.gguf", "On two cards that are not here." },
	{ "berth plan --top 3 models/", "The best three of a folder." },
	{ "berth plan --quants hf:ORG/REPO", "Which quant of a repository to fetch." },
	{ "berth plan --list", "What is on this disk already, and what of it fits." },
	{ "berth plan hf:ORG/REPO/FILE.gguf", "Before it is downloaded: only its header is read." },
	{ "berth plan -o plan.json model.gguf && berth launch --plan plan.json", "Plan now, run so later." },
	{ NULL, NULL },
};

const struct cmd plan_command = {
	.name = "plan",
	.summary = "does a model fit, and what goes where",
	.operands = "MODEL...",
	.description =
		"Reads the header of a GGUF file and the free memory of each GPU, and answers with a verdict: "
		"fits (all layers and the output on GPUs), spills (it runs, with host memory), no, unknown "
		"(facts are missing, or the architecture has no verified rules: never a guess), or refused "
		"(the engine would abort).\n\n"
		"What is not given is the engine's default; with --want it is searched: context, cache types, batch, "
		"flash attention, and what goes where. Options have the engine's own names, too.\n\n"
		"Weights and cache are exact, by the rules of the engine version that the plan names. The "
		"compute buffer is a prediction on the safe side. Overhead is what the driver takes outside "
		"the engine's account, plus the margin. Memory is judged by what is free now, for each device, "
		"never as a sum.\n\n"
		"With --verify the engine itself is asked, in a child process, what it would reserve on the devices "
		"that are here; nothing is loaded. Differences over 16 MiB are shown and the larger number counts; "
		"what it refuses is refused. An architecture without rules gets the engine's numbers. What drivers "
		"take is the backend's usual until --calibrate has measured it here ($XDG_CACHE_HOME/berth/"
		"calibration.json).\n\n"
		"Speed is a range: what memory bandwidth, arithmetic and links allow, by the table of cards or as "
		"told, less what engines lose. What is not known is said instead.\n\n"
		"A file of which only the header is there can be planned; its data is not read. Of a split model "
		"any shard may be named. A model behind a URL (https://..., or hf:ORG/REPO/FILE.gguf for Hugging "
		"Face) is planned before it is downloaded: its header is read by ranges of 4 MiB and kept in "
		"$XDG_CACHE_HOME/berth/headers until the file changes (not with BERTH_NO_CACHE in the "
		"environment). HF_TOKEN goes to Hugging Face alone, or to HF_ENDPOINT where that is set. A name that "
		"no file has is looked for in the stores of Ollama, LM Studio, llama.cpp and Hugging Face "
		"(ollama:llama3.2).\n\n"
		"A folder with config.json and safetensors, or their index, and a repository without GGUF files are "
		"planned as the GGUF that llama.cpp's converter and quantizer would make of them.\n\n"
		"Several models, a folder or a repository (hf:ORG/REPO) are ranked in a table: yes before no, fits "
		"before spills, and then the larger, which lost less. One yes makes the exit status 0; else it is 4, "
		"5, 3 or 1, the first of them that a model has.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
	.aliases = aliases,
	.exits = "0  yes: it fits, or what --accept allows\n"
		 "1  no: it does not fit so, the engine would refuse it, or a named file or device is absent\n"
		 "2  wrong usage\n"
		 "3  cannot tell: unknown architecture, or memory that nobody could read\n"
		 "4  bad input: not a GGUF, truncated, contradictory\n"
		 "5  the file or the machine cannot be read, or the plan not be written",
	.examples = examples,
	.see_also = "berth-probe(1), berth-launch(1)",
};
/* clang-format on */

struct options options_none(void)
{
	return (struct options) { .n_ctx = UINT32_MAX,
				  .margin = UINT64_MAX,
				  .devices.ram = UINT64_MAX,
				  .type_k = -1,
				  .type_v = -1,
				  .flash_attn = -1,
				  .split_mode = -1,
				  .want = -1 };
}

/* Options that cannot both be meant. */
static const char *contradiction(const struct options *o)
{
	if (o->quants && o->list)
		return "--list shows all that is there; --quants is about one model";
	if (o->unified && o->not_unified)
		return "--kv-unified and --no-kv-unified contradict each other";
	if (o->split && (o->shares || o->gpu_layers))
		return "--split says by itself what --tensor-split and --gpu-layers would";
	if (o->split_mode == SPLIT_NONE && (o->split || o->shares))
		return "--split-mode none uses one GPU; a split needs several";
	if (o->n_batch && o->n_ubatch > o->n_batch)
		return "--ubatch is a part of --batch and cannot be larger";
	if (o->n_ctx && o->n_ctx != UINT32_MAX && o->min_ctx > o->n_ctx)
		return "--min-context is more than --ctx";
	if (o->cpu_moe && o->n_cpu_moe)
		return "--cpu-moe keeps all experts on the host, --n-cpu-moe some: give one";
	if (o->want < 0 && (o->min_ctx || o->min_speed))
		return "--min-context and --min-speed bound a search: say for what with --want";
	if (o->want >= 0 && (o->split || o->shares || o->gpu_layers))
		return "--want chooses the placement; --split, --tensor-split and --gpu-layers give it";
	return NULL;
}

static int read_lists(struct wish *w, const struct options *o)
{
	if (o->split && !wish_split(w, o->split))
		return cmd_usage_error(
			&plan_command,
			"--split '%s' is no list of numbers such as 20,13, at most %d of them",
			o->split, PLAN_DEVICES_MAX);
	if (o->shares && !wish_shares(w, o->shares))
		return cmd_usage_error(
			&plan_command,
			"--tensor-split '%s' is no list of shares such as 3,1, at most %d of them",
			o->shares, PLAN_DEVICES_MAX);
	if (o->gpu_layers && !wish_gpu_layers(w, o->gpu_layers))
		return cmd_usage_error(&plan_command,
				       "--gpu-layers takes a number of layers or all, not '%s'",
				       o->gpu_layers);
	if (o->min_speed && !wish_speed(w, o->min_speed))
		return cmd_usage_error(&plan_command,
				       "--min-speed takes tokens a second, such as 12.5, not '%s'",
				       o->min_speed);
	for (uint32_t i = 0; i < o->tensors.n; i++) {
		if (!wish_tensors(w, o->tensors.v[i]))
			return cmd_usage_error(
				&plan_command,
				"--override-tensor takes REGEX=WHERE such as 'ffn_.*_exps=CPU', at most "
				"%d of them, not '%s'",
				PLAN_TENSORS_MAX, o->tensors.v[i]);
	}
	return 0;
}

void options_devices(char *buf, size_t size, const struct devices_opts *o)
{
	struct text t;

	text_init(&t, buf, size);
	if (o->machine)
		text_add(&t, " --machine '%s'", o->machine);
	if (o->device)
		text_add(&t, " --device '%s'", o->device);
	for (uint32_t i = 0; i < o->gpus.n; i++)
		text_add(&t, " --gpu '%s'", o->gpus.v[i]);
	if (o->free)
		text_add(&t, " --free %s", devices_free_choices[o->free]);
	if (o->ram != UINT64_MAX)
		text_add(&t, " --ram %" PRIu64, o->ram);
	if (t.cut)
		buf[0] = '\0'; /* half an option would be another question */
	memmove(buf, buf + (buf[0] != '\0'), size - 1);
}

int options_wish(struct wish *w, const struct options *o)
{
	const char *wrong = contradiction(o);

	if (wrong)
		return cmd_usage_error(&plan_command, "%s", wrong);
	*w = (struct wish) { .n_ctx = o->n_ctx == UINT32_MAX ? 0
				      : o->n_ctx             ? o->n_ctx
							     : WISH_CTX_OWN,
			     .n_batch = o->n_batch,
			     .n_ubatch = o->n_ubatch,
			     .n_seq_max = o->n_seq,
			     .n_outputs = o->n_outputs,
			     .n_draft = !o->beside.draft ? 0
					: o->n_draft	 ? o->n_draft
							 : WISH_DRAFT_DEFAULT,
			     .n_cpu_moe = o->cpu_moe ? UINT32_MAX : o->n_cpu_moe,
			     .min_ctx = o->min_ctx,
			     .flash_attn = (enum choice)(o->flash_attn + 1) % 3,
			     .unified = o->unified       ? CHOICE_ON
					: o->not_unified ? CHOICE_OFF
							 : CHOICE_FREE,
			     .split_mode = o->split_mode < 0 ? SPLIT_LAYER
							     : (enum split_mode)o->split_mode,
			     .cache_on_host = o->cache_on_host,
			     .swa_full = o->swa_full,
			     .mtp = o->mtp,
			     .embeddings = o->embeddings,
			     .want = o->want < 0 ? WANT_NONE : (enum want)(o->want + 1),
			     .accept = (enum accept)o->accept,
			     .accept_unverified = o->accept_unverified };
	if (o->type_k >= 0)
		text_copy(w->type_k, sizeof(w->type_k), cache_types[o->type_k]);
	if (o->type_v >= 0)
		text_copy(w->type_v, sizeof(w->type_v), cache_types[o->type_v]);
	if (o->margin != UINT64_MAX)
		w->margin_bytes = fact_of((int64_t)o->margin, SRC_USER);
	options_devices(w->devices, sizeof(w->devices), &o->devices);
	return read_lists(w, o);
}

bool options_ask(const struct options *o)
{
	struct options without_margin = *o;
	struct wish w = { 0 };
	char buf[512];
	struct text t;

	without_margin.margin = UINT64_MAX;
	text_init(&t, buf, sizeof(buf));
	if (options_wish(&w, &without_margin))
		return true;
	wish_options(&t, &w);
	return t.len > 0 || w.want != WANT_NONE || o->json || o->output || o->explain || o->bar;
}

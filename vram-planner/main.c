/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "vram-planner/job.h"
#include "vram-planner/answer.h"
#include "vram-planner/plan.h"

struct options {
	uint32_t n_ctx, n_ubatch, n_seq, timeout_s;
	int type_k, type_v, accept;
	uint64_t margin; /* UINT64_MAX: not given */
	struct devices_opts devices;
	const char *split, *output, *jobs, *price_kwh, *price_api;
	uint32_t depth;
	bool json, verify;
	int quiet, verbose;
};

/* clang-format off */
static const struct opt opts[] = {
	{ "ctx", 'c', OPT_U32, "N", offsetof(struct options, n_ctx),
	  "Tokens of context; without it the model's own, at most 8192.", NULL, 1, 2000000000 },
	{ "parallel", 0, OPT_U32, "N", offsetof(struct options, n_seq),
	  "Sequences that share the context at once; 1 without it.", NULL, 1, 256 },
	{ "ubatch", 0, OPT_U32, "N", offsetof(struct options, n_ubatch),
	  "Tokens of a prompt computed at once; 512 without it.", NULL, 1, 65536 },
	{ "cache-type-k", 0, OPT_ENUM, "TYPE", offsetof(struct options, type_k),
	  "Storage of the cache's keys; f16 without it.", cache_types, 0, 0 },
	{ "cache-type-v", 0, OPT_ENUM, "TYPE", offsetof(struct options, type_v),
	  "Storage of the cache's values; f16 without it.", cache_types, 0, 0 },
	{ "accept", 0, OPT_ENUM, "WHAT", offsetof(struct options, accept),
	  "What counts as yes: all on GPUs, spilling into host memory, or the CPU alone.",
	  accept_choices, 0, 0 },
	{ "margin", 0, OPT_SIZE, "SIZE", offsetof(struct options, margin),
	  "Memory to leave free on each device; without it 2 % of it, at least 256M.", NULL, 0, 0 },
	{ "split", 0, OPT_TEXT, "N,N,...", offsetof(struct options, split),
	  "Layers for each device by hand, in the order of --device; the output counts as one.",
	  NULL, 0, 0 },
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

static const struct example examples[] = {
	{ "berth plan model.gguf", "Does it fit on the GPUs here, with the default context?" },
	{ "berth plan -c 32768 --accept spill model.gguf", "With 32k tokens, host memory allowed." },
	{ "berth plan --json model.gguf | jq .verdict", "The verdict, for a script." },
	{ "berth plan --device 0000:01:00.0,0000:41:00.0 --split 20,13 model.gguf",
	  "20 layers on the first GPU and 13 on the second." },
	{ "berth plan --jobs matrix.jsonl | jq -r '[.model, .verdict] | @tsv'",
	  "Check a whole matrix of models, devices and settings." },
	{ "berth plan --gpu 'RTX 3090' --gpu 'RX 7900 XTX' model.gguf", "On two cards that are not here." },
	{ "berth plan hf:ORG/REPO/FILE.gguf", "Before it is downloaded: only its header is read." },
	{ "berth plan -o plan.json model.gguf && berth launch --plan plan.json", "Plan now, run so later." },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "plan",
	.summary = "does a model fit, and what goes where",
	.operands = "MODEL",
	.description =
		"Reads the header of a GGUF file and the free memory of each GPU, and answers with a verdict: "
		"fits (all layers and the output on GPUs), spills (it runs, with host memory), no, unknown "
		"(facts are missing, or the architecture has no verified rules: never a guess), or refused "
		"(the engine would abort).\n\n"
		"Weights and cache are exact, by the rules of the engine version that the plan names. The "
		"compute buffer is a prediction on the safe side. Overhead is what the driver takes outside "
		"the engine's account, plus the margin. Memory is judged by what is free now, for each device, "
		"never as a sum.\n\n"
		"Speed is a range: what memory bandwidth, arithmetic and links allow, by the table of cards or as "
		"told, less what engines lose. What is not known is said instead.\n\n"
		"A file of which only the header is there can be planned; its data is not read. Of a split model "
		"any shard may be named. A model behind a URL (https://..., or hf:ORG/REPO/FILE.gguf for Hugging "
		"Face) is planned before it is downloaded: its header is read by ranges of 4 MiB and kept in "
		"$XDG_CACHE_HOME/berth/headers until the file changes (not with BERTH_NO_CACHE in the "
		"environment). HF_TOKEN goes to Hugging Face alone, or to HF_ENDPOINT where that is set.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
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

static int read_wish(struct wish *w, const struct options *o)
{
	*w = (struct wish) { .n_ctx = o->n_ctx,
			     .n_ubatch = o->n_ubatch,
			     .n_seq_max = o->n_seq,
			     .accept = (enum accept)o->accept };
	text_copy(w->type_k, sizeof(w->type_k), cache_types[o->type_k]);
	text_copy(w->type_v, sizeof(w->type_v), cache_types[o->type_v]);
	if (o->margin != UINT64_MAX)
		w->margin_bytes = fact_of((int64_t)o->margin, SRC_USER);
	if (o->split && !wish_split(w, o->split))
		return cmd_usage_error(
			&command,
			"--split '%s' is no list of numbers such as 20,13, at most %d of them",
			o->split, PLAN_DEVICES_MAX);
	return 0;
}

static int show(const struct answer *a, const struct options *o, struct err *e)
{
	json_t *j = o->json || o->output ? answer_to_json(a) : NULL;
	char buf[16384];
	struct text t;
	int rc = 0;

	if (o->output)
		rc = plan_write_json(j, o->output, e);
	if (rc) {
		json_decref(j);
		return rc;
	}
	if (o->json) {
		rc = json_print(j, stdout);
	} else {
		text_init(&t, buf, sizeof(buf));
		answer_explain(&t, a);
		fputs(buf, stdout);
		rc = fflush(stdout) || ferror(stdout) ? -EIO : 0;
	}
	json_decref(j);
	return rc ? err_set(e, rc, "the answer cannot be written to standard output") : 0;
}

static int read_question(struct question *q, const struct devices *d, const struct options *o)
{
	*q = (struct question) { .devices = d,
				 .depth = o->depth,
				 .verify = o->verify,
				 .hashed = o->json || o->output };
	source_env(&q->env, o->timeout_s);
	if (o->price_kwh && !answer_price(o->price_kwh, &q->prices.kwh))
		return cmd_usage_error(&command, "--price-kwh '%s' is no price such as 0.30",
				       o->price_kwh);
	if (o->price_api && !answer_price(o->price_api, &q->prices.api_token))
		return cmd_usage_error(&command, "--price-api '%s' is no price such as 0.60",
				       o->price_api);
	return read_wish(&q->wish, o);
}

static int answer_jobs(const struct options *o)
{
	bool from_stdin = strcmp(o->jobs, "-") == 0;
	own_file FILE *opened = from_stdin ? NULL : fopen(o->jobs, "re");
	struct fact margin = { 0 };
	struct err e = { 0 };
	int rc = 0;

	if (!from_stdin && !opened)
		rc = err_set(&e, -errno, "cannot read %s: %s", o->jobs, strerror(errno));
	if (o->margin != UINT64_MAX)
		margin = fact_of((int64_t)o->margin, SRC_USER);
	if (!rc)
		rc = jobs_run(from_stdin ? stdin : opened, stdout, &margin, &e);
	return rc ? (int)err_report("plan", rc, &e) : EXIT_YES;
}

int main(int argc, char **argv)
{
	struct options o = { .margin = UINT64_MAX, .devices.ram = UINT64_MAX };
	struct devices devices = { 0 };
	struct answer answer;
	struct question question;
	struct log log;
	struct err e = { 0 };
	int first;

	enum cmd_go go = cmd_parse(&command, argc, argv, &o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	if (o.jobs && argc > first)
		return cmd_usage_error(&command,
				       "--jobs names its models by itself; '%s' is too "
				       "much",
				       argv[first]);
	if (o.jobs)
		return answer_jobs(&o);
	if (argc - first != 1)
		return cmd_usage_error(&command, "give one MODEL.gguf; %d were given",
				       argc - first);
	if (!argv[first][0])
		return cmd_usage_error(&command, "the name of the model is empty");
	log_init(&log, "berth plan", o.quiet, o.verbose);
	int rc = read_question(&question, &devices, &o);

	if (rc)
		return rc;
	rc = devices_find(&devices, &o.devices, &log, &e);
	if (rc == -EINVAL)
		return cmd_usage_error(&command, "%s", e.text);
	if (rc == 0)
		rc = answer_make(&answer, argv[first], &question, &e);
	if (rc == -ERANGE || (rc == -EINVAL && o.split))
		return cmd_usage_error(&command, "%s", e.text);
	if (rc)
		return (int)err_report("plan", rc, &e);
	rc = show(&answer, &o, &e);
	if (rc) {
		err_report("plan", rc, &e);
		return EXIT_ENV; /* whatever the errno: the answer is known, its place is not */
	}
	return (int)plan_exit(&answer.plan);
}

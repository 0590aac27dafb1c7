/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "probe/format.h"
#include "probe/modes_priv.h"
#include "probe/probe_priv.h"
#include "probe/render_priv.h"
#include "probe/seen.h"

struct options {
	bool json, check, wake, topology, scrub, watch;
	uint32_t timeout_s, count;
	int format;
	const char *machine, *capture, *device, *diff;
	const char *to; /* the operand of --diff; NULL: this machine */
	int quiet, verbose;
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_ENV, FORMAT_SLURM };

static const char *const formats[] = { "text", "json", "env", "slurm", NULL };

/* clang-format off */
static const struct opt opts[] = {
	{ "json", 0, OPT_FLAG, NULL, offsetof(struct options, json),
	  "Print one JSON object, berth.probe/1.", NULL, 0, 0 },
	{ "format", 0, OPT_ENUM, "FORM", offsetof(struct options, format),
	  "text, json, env (variables that select these GPUs) or slurm (lines for gres.conf).",
	  formats, 0, 0 },
	{ "device", 'd', OPT_TEXT, "SEL", offsetof(struct options, device),
	  "Show only these GPUs: ADDR, UUID or a part of the name, separated by commas.", NULL, 0, 0 },
	{ "machine", 'm', OPT_TEXT, "DIR", offsetof(struct options, machine),
	  "Read a captured machine instead of this one.", NULL, 0, 0 },
	{ "capture", 0, OPT_TEXT, "DIR", offsetof(struct options, capture),
	  "Write what the probe reads to a new folder, without host name, UUIDs and serial numbers.",
	  NULL, 0, 0 },
	{ "scrub", 0, OPT_FLAG, NULL, offsetof(struct options, scrub),
	  "Show what a capture would hold: without host name, UUIDs and serial numbers.", NULL, 0, 0 },
	{ "diff", 0, OPT_TEXT, "DIR", offsetof(struct options, diff),
	  "Print what differs between a captured machine and another, or this one; -v: live values too.",
	  NULL, 0, 0 },
	{ "watch", 0, OPT_FLAG, NULL, offsetof(struct options, watch),
	  "Print a line for each GPU that appears, vanishes or is bound anew, until Ctrl-C.", NULL, 0, 0 },
	{ "timeout", 0, OPT_U32, "SECONDS", offsetof(struct options, timeout_s),
	  "End --watch after this time.", NULL, 1, 86400 * 365 },
	{ "count", 0, OPT_U32, "N", offsetof(struct options, count),
	  "End --watch after so many events.", NULL, 1, UINT32_MAX },
	{ "check", 0, OPT_FLAG, NULL, offsetof(struct options, check),
	  "Print every disagreement between the scan and libpciaccess, libdrm and hwloc.", NULL, 0, 0 },
	{ "wake", 0, OPT_FLAG, NULL, offsetof(struct options, wake),
	  "Allow reads that wake a sleeping device, and ask the compute interfaces for their numbers.",
	  NULL, 0, 0 },
	{ "topology", 0, OPT_FLAG, NULL, offsetof(struct options, topology),
	  "Also load hwloc, for the CPU of each core and the NUMA nodes; takes longer than all the rest.",
	  NULL, 0, 0 },
	{ "quiet", 'q', OPT_COUNT, NULL, offsetof(struct options, quiet),
	  "Print no notes.", NULL, 0, 0 },
	{ "verbose", 'v', OPT_COUNT, NULL, offsetof(struct options, verbose),
	  "Print more: details and their sources, who was asked and who could not tell.", NULL, 0, 0 },
};

static const struct example examples[] = {
	{ "berth probe", "Show the GPUs, and the CPU with its memory." },
	{ "berth probe --json | jq '.gpus[].vram_free_bytes'", "Free memory of each GPU, for a script." },
	{ "berth probe --format env -d 03:00.0", "Variables that make programs see this GPU alone." },
	{ "berth probe --capture report", "Write a folder to attach to a bug report." },
	{ "berth probe --diff report", "What changed since: moved, gone, other driver, other BAR sizes." },
	{ "berth probe --watch --json | jq -r '.event + \" \" + .pci'", "Hot-plug events, for a script." },
	{ "berth probe --machine report", "See what another machine saw." },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "probe",
	.summary = "show the GPUs and accelerators of this machine",
	.operands = "[DIR]",
	.description =
		"Lists every display and accelerator function of the PCI bus (classes 03xx, 0b40 and 1200): "
		"what kind it is, ids and names, the driver or why there is none, memory pools, what it does now, who "
		"holds it, its displays, each link up to the processor with the narrowest one and why, Thunderbolt and "
		"USB4, BARs, NUMA node, CPUs and IOMMU group, whether a virtual machine could have it, its number in each "
		"compute interface, and the CPU as the device of last resort. Devices with DRM or accelerator nodes that are "
		"not on PCI follow. Each number says who told it, or why nobody could.\n\n"
		"A sleeping GPU is left asleep: what only waking it would tell is unknown (asleep). "
		"--wake allows it.\n\n"
		"Memory and sensors of NVIDIA's driver come from its library libnvidia-ml.so.1, asked in a "
		"child process that is killed when the library does not answer within two seconds, or a device "
		"within six. The environment variable BERTH_NVML names another library to ask.\n\n"
		"Of other users' processes only root sees what they hold; -v tells how many there are.\n\n"
		"Memory of Intel's devices, and of those with nouveau, comes from their drivers by ioctl, in a child "
		"too: that takes permission on the render node, for which there is the group render. How much "
		"of it is free i915 tells only to root.\n\n"
		"--diff DIR compares a captured machine with this one, or with a second captured one; a GPU is "
		"known again by its UUID, or by its ids and subsystem, wherever it is now.\n\n"
		"--watch prints the kernel's device events that concern GPUs, and Thunderbolt and USB4 routers: "
		"appear, vanish, bind, unbind, authorise, deauthorise, change. SIGINT and SIGTERM end it with 0.\n\n"
		"What is known of a GPU while it is awake is kept in $XDG_CACHE_HOME/berth/seen.json (~/.cache), "
		"and shown with its age (source: cache) when it sleeps. With BERTH_NO_CACHE in the environment, "
		"that file is neither read nor written.\n\n"
		"With --capture, the machine's host name, the UUIDs and serial numbers of its GPUs and the "
		"numbers of its processes are replaced, their names too but those of well-known programs, and "
		"serial numbers in files are left out; with --json, what is printed is what the captured "
		"folder will show.",
	.opts = opts,
	.n_opts = ARRAY_LEN(opts),
	.exits = "0  the machine was shown, even with no GPU; --check, --diff: no disagreement, no difference\n"
		 "1  a named folder or GPU is absent; --check, --diff: disagreements or differences were printed\n"
		 "2  wrong usage\n"
		 "3  --check: the captured machine holds no library's answers to compare\n"
		 "4  the machine folder is none, the capture's folder is not empty, or --device fits several\n"
		 "5  this machine's /sys and /proc cannot be read, or the capture cannot be written",
	.examples = examples,
	.see_also = "berth-plan(1), berth-launch(1), berth-top(1)",
};
/* clang-format on */

static int keep_selected(struct report *r, const char *selector, struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX];
	int n = probe_select(r, selector, index, e);

	if (n < 0)
		return n;
	own_free struct gpu *kept = calloc((size_t)n, sizeof(*kept));

	if (!kept)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < n; i++)
		kept[i] = r->gpus[index[i]];
	memcpy(r->gpus, kept, (size_t)n * sizeof(*kept));
	r->n_gpus = (uint32_t)n;
	return 0;
}

static int print_json(json_t *o, struct err *e)
{
	int rc = json_print(o, stdout);

	json_decref(o);
	return rc ? err_set(e, -ENOSPC, "cannot write to standard output") : 0;
}

static int written(struct err *e)
{
	return fflush(stdout) || ferror(stdout)
		       ? err_set(e, -ENOSPC, "cannot write to standard output")
		       : 0;
}

static int show(const struct options *o, struct run *run, struct err *e)
{
	struct report *r = &run->merged;
	int rc = o->device ? keep_selected(r, o->device, e) : 0;

	if (rc)
		return rc;
	switch ((enum format)o->format) {
	case FORMAT_JSON:
		return print_json(probe_to_json(r), e);
	case FORMAT_ENV:
		format_env(stdout, r);
		break;
	case FORMAT_SLURM:
		format_slurm(stdout, r);
		break;
	case FORMAT_TEXT:
		render_report(stdout, r, !o->device, o->verbose > 0);
		break;
	}
	return written(e);
}

/* Returns an exit code, or a negative errno. */
static int check(const struct options *o, const struct run *run, const struct log *log,
		 struct err *e)
{
	bool compared = run->pci.listed || run->drm.asked || run->topo.asked;
	struct check c;
	json_t *text;
	size_t i;
	int rc = 0;

	run_check(run, &c);
	bool agree = json_array_size(c.disagreements) == 0;

	if (o->json) {
		json_t *answer = json_answer("berth.probe.check/1");

		json_object_set(answer, "disagreements", c.disagreements);
		json_object_set(answer, "notes", c.notes);
		json_put_int(answer, "functions", run->scan.n_gpus);
		json_put_bool(answer, "compared", compared);
		rc = print_json(answer, e);
	} else {
		json_array_foreach(c.notes, i, text) log_note(log, "%s", json_string_value(text));
		json_array_foreach(c.disagreements, i, text)
			printf("%s\n", json_string_value(text));
		if (compared)
			printf("functions: %u, disagreements: %zu\n", run->scan.n_gpus,
			       json_array_size(c.disagreements));
		rc = written(e);
	}
	json_decref(c.disagreements);
	json_decref(c.notes);
	if (rc)
		return rc;
	if (!compared && !o->json)
		log_warn(log, "nothing to compare: the folder has no answers/; capture it anew");
	return !agree ? EXIT_NO : compared ? EXIT_YES : EXIT_UNKNOWN;
}

static void tell_sources(const struct log *log, const struct run *run)
{
	uint32_t named = 0;

	for (uint32_t i = 0; i < run->pci.n; i++)
		named += fact_text_known(&run->pci.fns[i].device_name);
	for (uint32_t i = 0; i < run->n_notes; i++)
		log_warn(log, "%s", run->notes[i]);
	if (!run->scan.n_gpus)
		log_detail(log, "no GPU: pci.ids, libdrm and NVML were not asked");
	log_detail(log, "hwloc: %s",
		   run->topo.asked ? "told the CPU's cores and nodes" : "not asked");
	if (run->pci.asked)
		log_detail(log, "libpciaccess: %u of %u functions have a name", named, run->pci.n);
	if (run->drm.asked)
		log_detail(log, "libdrm: %s",
			   run->drm.no_nodes ? "no /dev/dri here" : "asked for nodes");
	if (run->nvml.asked || run->nvml.why)
		log_detail(log, "NVML: %s, %u devices answered",
			   run->nvml.why && !run->nvml.n ? why_name(run->nvml.why) : "asked",
			   run->nvml.n);
}

static void tell_times(const struct log *log, const struct run *run)
{
	log_detail(
		log,
		"the bus took %.1f ms, the subjects' files %.1f ms, libraries and drivers %.1f ms",
		(double)run->took_us.scan / 1000, (double)run->took_us.files / 1000,
		(double)run->took_us.rest / 1000);
}

static int answer(const struct options *o, struct run *run, struct record **rec,
		  const struct log *log, struct err *e)
{
	int rc;

	tell_sources(log, run);
	if (o->verbose > 1)
		tell_times(log, run);
	if (*rec && o->capture) {
		rc = record_finish(rec, e);
		if (rc)
			return rc;
		log_note(log, "captured %u functions in %s", run->scan.n_gpus, o->capture);
		if (!o->json)
			return EXIT_YES;
	}
	return o->check ? check(o, run, log, e) : show(o, run, e);
}

/* The recorder is what scrubs: a capture that is dropped in the end shows the same as one that is kept. */
static int record_for_show(struct record **rec, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char dir[PATH_SIZE];

	snprintf(dir, sizeof(dir), "%.400s/berth-scrub", tmp && *tmp ? tmp : "/tmp");
	return record_begin(rec, dir, e);
}

static int probe(const struct options *o, const struct log *log, struct err *e)
{
	struct want want = { .wake = o->wake,
			     .check = o->check,
			     .topology = o->topology || o->format == FORMAT_SLURM };
	own_free struct run *run = NULL;
	struct machine m;
	int rc = machine_open(&m, o->machine, e);

	if (rc)
		return rc;
	if (o->capture)
		rc = record_begin(&want.rec, o->capture, e);
	else if (o->scrub)
		rc = record_for_show(&want.rec, e);
	if (!rc)
		rc = run_collect(&m, &want, &run, e);
	/* A capture's UUIDs are made up: kept for later, they would select no GPU. */
	if (!rc && m.live && !want.rec)
		seen_store(&run->merged, o->wake);
	if (!rc)
		rc = answer(o, run, &want.rec, log, e);
	record_drop(want.rec);
	machine_close(&m);
	return rc;
}

static int diff(const struct options *o, struct err *e)
{
	const struct compare_opts c = {
		.from = strcmp(o->diff, "now") ? o->diff : NULL,
		.to = o->to,
		.json = o->json,
		.wake = o->wake,
		.live = o->verbose > 0,
	};

	return compare_machines(&c, e);
}

static int watch(const struct options *o, const struct log *log, struct err *e)
{
	const struct watch_opts w = { .json = o->json,
				      .timeout_s = o->timeout_s,
				      .count = o->count };

	return watch_machine(&w, log, e);
}

/* 0, or EXIT_USAGE once a sentence was printed. */
static int check_usage(struct options *o, int n_operands, char **operands)
{
	if (n_operands > !!o->diff)
		return cmd_usage_error(
			&command, "'%s' is one word too many: %s", operands[!!o->diff],
			o->diff ? "--diff compares two machines" : "probe takes only options");
	if (n_operands && strcmp(operands[0], "now") != 0)
		o->to = operands[0];
	if (o->diff && (o->machine || o->device || o->capture || o->check))
		return cmd_usage_error(&command, "--diff takes two machines and no --%s",
				       o->machine   ? "machine"
				       : o->device  ? "device"
				       : o->capture ? "capture"
						    : "check");
	if ((o->timeout_s || o->count) && !o->watch)
		return cmd_usage_error(&command, "--%s ends --watch, which is not there",
				       o->timeout_s ? "timeout" : "count");
	if (o->watch && (o->machine || o->device || o->capture || o->check || o->diff || o->wake))
		return cmd_usage_error(&command,
				       "--watch shows this machine's events; of the other "
				       "options it takes --json, --timeout, --count, -q and -v");
	if (o->check && (o->capture || o->device))
		return cmd_usage_error(&command, "--check compares the whole machine; leave out %s",
				       o->capture ? "--capture" : "--device");
	if (o->capture && o->device)
		return cmd_usage_error(&command,
				       "--capture keeps the whole machine; leave out --device");
	if (o->json && o->format != FORMAT_TEXT && o->format != FORMAT_JSON)
		return cmd_usage_error(&command, "--json and --format %s ask for two forms",
				       formats[o->format]);
	if (o->format > FORMAT_JSON && (o->check || o->capture || o->diff || o->watch))
		return cmd_usage_error(&command,
				       "--format %s prints GPUs; leave out --check, --capture, "
				       "--diff and --watch",
				       formats[o->format]);
	if (o->json)
		o->format = FORMAT_JSON;
	o->json = o->format == FORMAT_JSON;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err e = { 0 };
	struct log log;
	int first;
	enum cmd_go go = cmd_parse(&command, argc, argv, &o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	int rc = check_usage(&o, argc - first, argv + first);

	if (rc)
		return rc;
	if (o.scrub && o.format == FORMAT_ENV)
		return cmd_usage_error(&command,
				       "--scrub hides the UUIDs that --format env selects by");
	log_init(&log, "berth probe", o.quiet, o.verbose);
	rc = o.watch ? watch(&o, &log, &e) : o.diff ? diff(&o, &e) : probe(&o, &log, &e);
	return rc < 0 ? (int)err_report("probe", rc, &e) : rc;
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "probe/doctor_main_priv.h"

/* clang-format off */
static const struct opt opts[] = {
	{ "json", 0, OPT_FLAG, NULL, offsetof(struct doctor_options, json),
	  "Print one JSON object, berth.doctor/1.", NULL, 0, 0 },
	{ "device", 'd', OPT_TEXT, "SEL", offsetof(struct doctor_options, device),
	  "Show only findings about these GPUs, and those about the whole machine.", NULL, 0, 0 },
	{ "kmsg", 0, OPT_TEXT, "FILE", offsetof(struct doctor_options, kmsg),
	  "Read the kernel log from a file that dmesg or 'journalctl -k' wrote.", NULL, 0, 0 },
	{ "machine", 'm', OPT_TEXT, "DIR", offsetof(struct doctor_options, machine),
	  "Read a captured machine instead of this one.", NULL, 0, 0 },
	{ "bundle", 0, OPT_TEXT, "FILE", offsetof(struct doctor_options, bundle),
	  "Write a .tar.gz for a bug report: a capture without names and serial numbers, and the findings.",
	  NULL, 0, 0 },
	{ "show", 0, OPT_FLAG, NULL, offsetof(struct doctor_options, show),
	  "With --bundle: write nothing, print what would go in.", NULL, 0, 0 },
	{ "list", 0, OPT_FLAG, NULL, offsetof(struct doctor_options, list),
	  "Print all checks, made or not, as Markdown.", NULL, 0, 0 },
	{ "quiet", 'q', OPT_COUNT, NULL, offsetof(struct doctor_options, quiet), "Print no notes.", NULL, 0, 0 },
	{ "verbose", 'v', OPT_COUNT, NULL, offsetof(struct doctor_options, verbose),
	  "Print more: where the knowledge comes from.", NULL, 0, 0 },
};

static const struct example examples[] = {
	{ "sudo berth doctor", "Look for everything; the kernel log needs root on most systems." },
	{ "journalctl -k -b >log && berth doctor --kmsg log", "The same without running berth as root." },
	{ "berth doctor link 03:00.0", "Explain the way from a card to the processor, hop by hop." },
	{ "berth doctor bar 03:00.0", "Explain its BARs and what would enlarge them." },
	{ "berth doctor --bundle report.tar.gz --show", "See what a bug report would hold." },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "doctor",
	.summary = "tell what is wrong with the GPUs of this machine, and what helps",
	.operands = "[link|bar DEVICE]",
	.description =
		"Reads what the probe reads, the kernel log, module options, udev rules and permissions, and looks "
		"for some eighty known faults: boxes that are not let in, BARs without room, cables at half rate, "
		"cards that fell off the bus, drivers that are missing or blacklisted, nodes that may not be opened. "
		"Each finding shows the file or log line it comes from, how sure it is, and a remedy with its undo. "
		"Remedies never contradict each other.\n\n"
		"It changes nothing and leaves a sleeping GPU asleep. Drivers and libraries are asked about GPUs that are "
		"awake, as 'berth probe' does; NVIDIA's is not while the kernel log tells of a card that fails.\n\n"
		"'doctor link DEVICE' explains each hop between a GPU and the processor. 'doctor bar DEVICE' explains "
		"its BARs, the windows above it and what decides about a larger one.\n\n"
		"All checks, with their sources and with those that cannot be made and why, are in docs/doctor.md and "
		"in --list.",
	.opts = opts,
	.n_opts = ARRAY_LEN(opts),
	.exits = "0   nothing is wrong\n"
		 "1   errors were found; or a named device or file is absent\n"
		 "2   wrong usage\n"
		 "3   nothing could be looked at: no GPU, no Thunderbolt and no kernel log\n"
		 "4   the machine folder is none, or the bundle is there already\n"
		 "5   a file cannot be read or written\n"
		 "10  warnings were found, and no errors",
	.examples = examples,
	.see_also = "berth-probe(1), berth-launch(1)",
};
/* clang-format on */

static int written(struct err *e)
{
	return fflush(stdout) || ferror(stdout)
		       ? err_set(e, -ENOSPC, "cannot write to standard output")
		       : 0;
}

/* Keep findings about these GPUs, their bridges and their other functions, and about the machine. */
static int keep_selected(const struct evidence *ev, const char *selector, struct findings *f,
			 struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX], kept = 0;
	int n = probe_select(ev->r, selector, index, e);

	if (n < 0)
		return n;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct ev_function *at = ev_function(ev, f->list[i].device);
		bool ours = !at;

		for (int k = 0; k < n; k++)
			ours |= at && (uint32_t)at->gpu == index[k];
		if (ours)
			f->list[kept++] = f->list[i];
	}
	f->n = kept;
	return 0;
}

static int show(const struct doctor_options *o, const struct evidence *ev, struct findings *f,
		struct err *e)
{
	int rc = o->device ? keep_selected(ev, o->device, f, e) : 0;

	if (rc)
		return rc;
	if (o->json) {
		json_t *answer = doctor_json(ev, f);

		json_print(answer, stdout);
		json_decref(answer);
	} else {
		doctor_text(stdout, ev, f, o->verbose > 0);
	}
	rc = written(e);
	return rc ? rc : (int)doctor_exit(ev, f);
}

static int explain(const struct doctor_options *o, const struct evidence *ev, struct err *e)
{
	uint32_t index[PROBE_GPUS_MAX];
	int n = probe_select(ev->r, o->explained, index, e);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		o->explain(stdout, ev, &ev->r->gpus[index[i]]);
	return written(e);
}

static int look(const struct doctor_options *o, const struct log *log, struct err *e)
{
	struct evidence *ev = NULL;
	struct want want = { .log = o->kmsg, .evidence = &ev };
	own_free struct run *run = NULL;
	own_free struct findings *f = NULL;
	struct machine m;
	int rc = machine_open(&m, o->machine, e);

	if (rc)
		return rc;
	want.no_nvml = evidence_card_fails(&m, o->kmsg);
	if (want.no_nvml)
		log_note(
			log,
			"NVIDIA's library is not asked: a card fails, and asking would disturb it");
	rc = run_collect(&m, &want, &run, e);
	machine_close(&m);
	for (uint32_t i = 0; !rc && i < run->n_notes; i++)
		log_warn(log, "%s", run->notes[i]);
	if (!rc && !o->explain) {
		f = doctor_examine(ev);
		rc = f ? show(o, ev, f, e) : err_set(e, -ENOMEM, "out of memory");
	} else if (!rc) {
		rc = explain(o, ev, e);
	}
	evidence_free(ev);
	return rc;
}

static const struct {
	const char *word;
	void (*explain)(FILE *to, const struct evidence *ev, const struct gpu *g);
} words[] = {
	{ "link", explain_link },
	{ "bar", explain_bars },
};

/* The operands: none, or a word and a device. */
static bool take_operands(struct doctor_options *o, int n, char **operands)
{
	if (n == 0)
		return true;
	for (size_t i = 0; n == 2 && i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, operands[0]) == 0) {
			o->explain = words[i].explain;
			o->explained = operands[1];
		}
	return o->explain;
}

int main(int argc, char **argv)
{
	struct doctor_options o = { 0 };
	struct err e = { 0 };
	struct log log;
	int first;
	enum cmd_go go = cmd_parse(&command, argc, argv, &o, &first);

	if (go != CMD_RUN)
		return cmd_exit(go);
	if (!take_operands(&o, argc - first, argv + first))
		return cmd_usage_error(&command,
				       "give no operand, or 'link DEVICE', or 'bar DEVICE'");
	if (o.explain && (o.bundle || o.json || o.device))
		return cmd_usage_error(&command, "'%s' only explains one device; leave out %s",
				       argv[first],
				       o.bundle ? "--bundle"
				       : o.json ? "--json"
						: "--device");
	if (o.show && !o.bundle)
		return cmd_usage_error(&command, "--show belongs to --bundle FILE");
	if (o.list && o.json)
		return cmd_usage_error(&command, "--list prints docs/doctor.md; leave out --json");
	log_init(&log, "berth doctor", o.quiet, o.verbose);
	if (o.list) {
		doctor_list(stdout);
		return written(&e) ? (int)err_report("doctor", e.rc, &e) : EXIT_YES;
	}
	int rc = o.bundle ? bundle_write(&o, &log, &e) : look(&o, &log, &e);

	return rc < 0 ? (int)err_report("doctor", rc, &e) : rc;
}

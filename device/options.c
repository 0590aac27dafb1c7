/* SPDX-License-Identifier: MIT */
#include "device/options.h"

#include <stddef.h>

#include "device/verb.h"

#define ROW(member) offsetof(struct options, member)
#define N_OF(rows)  (sizeof(rows) / sizeof((rows)[0]))

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "machine", .letter = 'm', .kind = OPT_TEXT, .arg = "DIR", .offset = ROW(machine),
	  .help = "Show what would be done on a captured machine; nothing is changed, here or there." },
	{ .name = "dry-run", .kind = OPT_FLAG, .offset = ROW(dry_run),
	  .help = "Show each step, what it would change and how it would be taken back, and do nothing." },
	{ .name = "force", .kind = OPT_FLAG, .offset = ROW(force),
	  .help = "Go on although somebody uses the device, or it has the only display; what that breaks is said." },
	{ .name = "any", .kind = OPT_FLAG, .offset = ROW(any),
	  .help = "Allow a device that is neither GPU nor accelerator." },
	{ .name = "persist", .kind = OPT_FLAG, .offset = ROW(persist),
	  .help = "Keep it so after the next start, by a file in /etc that undo removes." },
	{ .name = "enrol", .kind = OPT_FLAG, .offset = ROW(enrol),
	  .help = "Also have boltd let this box in by itself from now on, by boltd's own default policy." },
	{ .name = "cap", .kind = OPT_TEXT, .arg = "W", .offset = ROW(cap),
	  .help = "Limit what it draws to so many watts, or to its default; NAME=W where it has several limits." },
	{ .name = "profile", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(profile),
	  .help = "Have its driver work by this profile, one of those that `power DEV` shows, or default." },
	{ .name = "wake", .kind = OPT_FLAG, .offset = ROW(wake), .help = "Wake it, if it sleeps." },
	{ .name = "for", .kind = OPT_TEXT, .arg = "TEXT", .offset = ROW(whom),
	  .help = "Note in the journal for whom; undo takes back what was done for them." },
	{ .name = "bars", .kind = OPT_TEXT, .arg = "WORD", .offset = ROW(bars),
	  .help = "How berth_vfio gives its BARs of memory: trap: each access comes through it; map: as vfio-pci does; hybrid: map "
		  "those without side effects; revocable: mapped, and taken back without a signal." },
	{ .name = "only", .kind = OPT_FLAG, .offset = ROW(only),
	  .help = "This function alone, and not all of its card." },
	{ .name = "method", .kind = OPT_TEXT, .arg = "WORD", .offset = ROW(method),
	  .help = "How reset resets it: flr, pm, bus, or another word of the device's reset_method." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json),
	  .help = "Answer with one object on stdout: berth.device/1, or berth.device.list/1 of list." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose), .help = "More notes on stderr." },
};

/* What every verb heeds. */
static const char *const all_heed[] = { "machine", "json", "quiet", "verbose", NULL };

/* What every verb with a plan heeds besides. */
static const char *const plans_heed[] = { "dry-run", "force", "any", NULL };

static const struct alias aliases[] = {
	{ "--enroll", "enrol" },
	{ NULL, NULL },
};

static const struct example examples[] = {
	{ "berth device list 03:00.0", "what can be asked of it, who uses it, and why something cannot be" },
	{ "berth device bind 03:00.0 vfio-pci --persist", "give the card to virtual machines, at every start" },
	{ "berth device bind 03:00.0 default --persist", "and back to the kernel's choice" },
	{ "berth device unbind 03:00.0 --dry-run", "each write that would take its driver away, what is so before, what takes it back" },
	{ "berth device authorise 0-1", "let the box in; what is in it then shows in `berth probe`" },
	{ "berth device deauthorise 0-1", "let it out again" },
	{ "berth device eject 0-1", "stop the runs in it, unbind and remove all that is in it: then it may be unplugged" },
	{ "berth device rescan", "look for what was plugged in and is not listed" },
	{ "berth device reset 03:00.0 --method flr", "start a GPU that hangs over, by the one method" },
	{ "berth device rebar 03:00.0 1 16G", "let the processor reach 16 GiB of its memory at once" },
	{ "berth device power 03:00.0", "what it may draw, within which bounds, and its profiles" },
	{ "berth device power 03:00.0 --cap 200", "limit it to 200 W" },
	{ "berth device sleep 03:00.0 allow --persist", "let the card switch itself off while nobody uses it, for good" },
	{ "berth device journal", "what was done, when, by whom, and what became of it" },
	{ "berth device undo", "take back what was last done" },
	{ NULL, NULL },
};

static bool verb_at(size_t i, struct cmd_verb *v)
{
	const struct verb *r = &verbs[i];

	*v = (struct cmd_verb) { .name = r->name, .alias = r->alias, .operands = r->operands, .summary = r->summary,
				 .min_words = r->min_words, .max_words = r->max_words,
				 .heeds = { all_heed, r->plan || r->run ? plans_heed : NULL, r->heeds } };
	return r->name;
}

const struct cmd device_command = {
	.name = "device",
	.summary = "manage the hardware, and undo it",
	.operands = "VERB [DEV...]",
	.verb_at = verb_at,
	.description =
		"Changes what this machine does with its GPUs: which driver has them, whether they are there, what they may "
		"draw. Every change is decided first, as steps that --dry-run shows; refused while somebody uses the device; "
		"written down in a journal before it is done; and taken back when a later step fails, or by undo.",
	.opts = opts,
	.n_opts = N_OF(opts),
	.aliases = aliases,
	.exits = "0  done, or it is so already\n1  the named device, or transaction, is absent\n2  wrong usage\n"
		 "4  a bad value\n5  no permission, or somebody uses the device: nothing was changed\n"
		 "6  the device vanished, or is not what it was",
	.examples = examples,
	.see_also = "berth-probe(1), berth-doctor(1), berth-launch(1)",
};
/* clang-format on */

const struct options device_defaults = { 0 };

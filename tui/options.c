/* SPDX-License-Identifier: MIT */
#include "tui/options.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "tui/ssh.h"

#define ROW(member) offsetof(struct options, member)

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "once", .kind = OPT_FLAG, .offset = ROW(once),
	  .help = "Print one frame as text and leave." },
	{ .name = "interval", .letter = 'i', .kind = OPT_TEXT, .arg = "SECONDS", .offset = ROW(interval),
	  .help = "Look every SECONDS, from 0.1 to 60 (default 1); at idle devices less often." },
	{ .name = "count", .kind = OPT_U32, .arg = "N", .offset = ROW(count), .min = 1, .max = UINT32_MAX,
	  .help = "Without a screen: end after N looks." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json),
	  .help = "Print JSON (berth.top/1): one object with --once, else one a line each interval." },
	{ .name = "line", .kind = OPT_FLAG, .offset = ROW(line),
	  .help = "Print sentences: what there is, then each change; Enter says again what there is." },
	{ .name = "prometheus", .kind = OPT_FLAG, .offset = ROW(prometheus),
	  .help = "Print one set of metrics as Prometheus reads them, for node_exporter's textfile collector." },
	{ .name = "record", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(record),
	  .help = "Write what is seen to a new file; '-' is standard output." },
	{ .name = "replay", .kind = OPT_TEXT, .arg = "FILE", .offset = ROW(replay),
	  .help = "Show a recording; '<' and '>' wind it." },
	{ .name = "at", .kind = OPT_TEXT, .arg = "TIME", .offset = ROW(at),
	  .help = "With --replay: begin there, SECONDS or MINUTES:SECONDS; -SECONDS from its end." },
	{ .name = "host", .kind = OPT_TEXT, .arg = "USER@HOST", .offset = ROW(host),
	  .help = "Show another machine: berth top reads there, over ssh, and is drawn here." },
	{ .name = "machine", .kind = OPT_TEXT, .arg = "DIR", .offset = ROW(machine),
	  .help = "Show the devices of a captured machine." },
	{ .name = "demo", .kind = OPT_FLAG, .offset = ROW(demo),
	  .help = "Show a machine that is not there, in motion." },
	{ .name = "flight", .kind = OPT_FLAG, .offset = ROW(flight),
	  .help = "Show nothing, only keep the flight recorder, until ended." },
	{ .name = "theme", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(theme),
	  .help = "Colours: safe (default), dark, light, mono." },
	{ .name = "glyphs", .kind = OPT_TEXT, .arg = "SET", .offset = ROW(glyphs),
	  .help = "What charts are made of: auto (default, by locale and TERM), ascii, blocks, braille." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose),
	  .help = "More notes on stderr." },
};

static const struct example examples[] = {
	{ "berth top", "watch this machine; 'q' leaves, '?' shows the keys" },
	{ "berth top --once", "one frame, for a script or a bug report" },
	{ "berth top --once --json", "the same facts for programs" },
	{ "berth top --host me@ws1", "watch another machine" },
	{ "berth top --replay crash.berthrec --at -60", "see the last minute of a recording" },
	{ "berth top --prometheus >gpu.prom.new && mv gpu.prom.new gpu.prom", "metrics, each minute by a timer" },
	{ NULL, NULL },
};

const struct cmd top_command = {
	.name = "top",
	.summary = "watch devices and runs: memory by purpose, tokens per second, power",
	.operands = "",
	.description =
		"Shows every GPU and the CPU with what holds its memory (W weights, K kv cache, C compute, "
		"O other), its power, temperature and state, and every run with its state, the placement "
		"that was verified, its context and its speed. What is unknown is shown as '-' or by its "
		"reason. Sleeping GPUs are never woken, and idle ones are looked at less often, so that they can "
		"fall asleep. A device whose driver hangs shows for how long it has not answered; one that left "
		"keeps its row as LOST.\n\n"
		"The cursor keys move among devices, runs, bridges (devices that work for a virtual machine), processes "
		"that are no runs, and events; Enter shows all about one; '/' filters, 's' sorts, 'x' hides a list, '[' "
		"and ']' size it, 'K' stops a run or ends a process after asking; '?' shows every key. 'S' saves what was chosen to $XDG_CONFIG_HOME/berth/top.conf (else ~/.config/berth/top.conf), "
		"which also holds where alarms begin and what a kilowatt hour costs.\n\n"
		"When stdout is no terminal, one frame is printed as with --once. With TERM=dumb, an unknown "
		"TERM or no keyboard, sentences are printed as with --line: the cursor never moves up. NO_COLOR is "
		"respected; the width is that of the terminal, else COLUMNS, else 80.\n\n"
		"While it watches this machine, it keeps the flight recorder: the last hours, at most 16 MiB, in the "
		"folder 'flight' of the runtime directory; 'berth launch' does while a run is up. 'R' saves it, and an "
		"alarm does: to $XDG_STATE_HOME/berth (else ~/.local/state/berth), for --replay.\n\n"
		"With --machine the devices are those of the folder, and runs are shown only when "
		"BERTH_RUNTIME_DIR names a folder with their pages. --host runs $BERTH_SSH, else ssh.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
	.exits = "0  a frame was shown, or the monitor was left\n"
		 "1  the folder or file named is not there\n"
		 "2  an unknown option or a bad value\n"
		 "4  the captured machine or the recording cannot be read\n"
		 "5  the machine cannot be read, the other one not be reached, or the recording not be written",
	.examples = examples,
	.see_also = "berth-probe(1), berth-launch(1)",
};
/* clang-format on */

/* "90", "1:30", "-60": seconds. */
static int parse_at(const char *s, int64_t *seconds)
{
	bool minus = *s == '-';
	const char *colon = strchr(s, ':');
	uint64_t minutes = 0, rest;
	char part[24];

	s += minus;
	if (colon && (colon < s || (size_t)(colon - s) >= sizeof(part)))
		return -EINVAL;
	if (colon) {
		memcpy(part, s, (size_t)(colon - s));
		part[colon - s] = '\0';
		if (text_parse_u64(part, &minutes) || minutes > UINT32_MAX)
			return -EINVAL;
		s = colon + 1;
	}
	if (text_parse_u64(s, &rest) || rest > UINT32_MAX)
		return -EINVAL;
	*seconds = (int64_t)(minutes * 60 + rest);
	if (minus)
		*seconds = *seconds ? -*seconds : -1;
	return 0;
}

/* The second of those that were given; NULL: at most one was. */
static const char *second_of(const bool *given, const char *const *names, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		found += given[i];
		if (given[i] && found == 2)
			return names[i];
	}
	return NULL;
}

static int check(struct options *o)
{
	static const char *const sources[] = { "--machine", "--replay", "--host", "--demo" };
	static const char *const forms[] = { "--json", "--line", "--prometheus", "--flight" };
	const bool source[] = { o->machine, o->replay, o->host, o->demo };
	const bool form[] = { o->json, o->line, o->prometheus, o->flight };
	const char *odd = second_of(source, sources, 4);

	if (odd)
		return cmd_usage_error(
			&top_command,
			"%s shows another machine than the option before it: give one", odd);
	odd = second_of(form, forms, 4);
	if (odd)
		return cmd_usage_error(&top_command,
				       "%s is another form than the one before it: give one", odd);
	if (o->at && !o->replay)
		return cmd_usage_error(&top_command,
				       "--at is a place in a recording: give --replay FILE");
	if (o->at && parse_at(o->at, &o->at_s))
		return cmd_usage_error(&top_command,
				       "--at wants SECONDS or MINUTES:SECONDS, not '%s'", o->at);
	if (o->record && o->replay)
		return cmd_usage_error(&top_command, "--record of a recording: copy the file");
	if (o->host && !ssh_is_host(o->host))
		return cmd_usage_error(
			&top_command, "--host wants USER@HOST, as ssh takes it, not '%s'", o->host);
	if (o->flight && (o->machine || o->replay || o->host || o->demo || o->once))
		return cmd_usage_error(&top_command,
				       "--flight records this machine, and nothing else");
	if (o->record && !strcmp(o->record, "-") &&
	    (o->json || o->line || o->prometheus || o->once))
		return cmd_usage_error(&top_command, "--record - needs standard output for itself");
	return 0;
}

enum cmd_go options_parse(struct options *o, int argc, char **argv, int *rc)
{
	int first;
	enum cmd_go go = cmd_parse(&top_command, argc, argv, o, &first);

	*rc = cmd_exit(go);
	if (go != CMD_RUN)
		return go;
	*rc = first < argc ? cmd_usage_error(&top_command, "'%s' is one word too many", argv[first])
			   : check(o);
	return *rc ? CMD_USAGE : CMD_RUN;
}

int options_settle(const struct options *o, struct prefs *p, const struct log *log, struct err *e)
{
	const struct {
		const char *name, *value;
	} given[] = { { "interval", o->interval }, { "theme", o->theme }, { "glyphs", o->glyphs } };
	struct err bad = { 0 };

	prefs_default(p);
	if (prefs_load(p, &bad))
		log_note(log, "%s", bad.text);
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (given[i].value && prefs_set(p, given[i].name, given[i].value, e))
			return -EINVAL;
	return 0;
}

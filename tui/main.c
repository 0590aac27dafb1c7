/* SPDX-License-Identifier: MIT */
/* berth top: devices and runs, live. */
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/own.h"
#include "tui/frame.h"
#include "tui/lookout.h"
#include "tui/watch.h"

struct options {
	bool once, json;
	const char *interval, *machine;
	const char *theme, *glyphs;
	int quiet, verbose;
};

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "once", .kind = OPT_FLAG, .offset = offsetof(struct options, once),
	  .help = "Print one frame as text and leave." },
	{ .name = "interval", .letter = 'i', .kind = OPT_TEXT, .arg = "SECONDS",
	  .offset = offsetof(struct options, interval),
	  .help = "Look every SECONDS, from 0.1 to 60 (default 1); at idle devices less often." },
	{ .name = "machine", .kind = OPT_TEXT, .arg = "DIR", .offset = offsetof(struct options, machine),
	  .help = "Show the devices of a captured machine." },
	{ .name = "theme", .kind = OPT_TEXT, .arg = "NAME", .offset = offsetof(struct options, theme),
	  .help = "Colours: safe (default), dark, light, mono." },
	{ .name = "glyphs", .kind = OPT_TEXT, .arg = "SET", .offset = offsetof(struct options, glyphs),
	  .help = "What charts are made of: auto (default, by locale and TERM), ascii, blocks, braille." },
	{ .name = "json", .kind = OPT_FLAG, .offset = offsetof(struct options, json),
	  .help = "Print JSON (berth.top/1): one object with --once, else one a line each interval." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = offsetof(struct options, quiet),
	  .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT,
	  .offset = offsetof(struct options, verbose), .help = "More notes on stderr." },
};

static const struct example examples[] = {
	{ "berth top", "watch this machine; 'q' leaves, '?' shows the keys" },
	{ "berth top --once", "one frame, for a script or a bug report" },
	{ "berth top --once --json", "the same facts for programs" },
	{ NULL, NULL },
};

static const struct cmd command = {
	.name = "top",
	.summary = "watch devices and runs: memory by purpose, tokens per second, power",
	.operands = "",
	.description =
		"Shows every GPU and the CPU with what holds its memory (W weights, K kv cache, C compute, "
		"O other), its power, temperature and state, and every run with its state, the placement "
		"that was verified, its context and its speed. What is unknown is shown as '-' or by its "
		"reason. Sleeping GPUs are never woken.\n\n"
		"When stdout is no terminal, one frame is printed as with --once. With TERM=dumb, an unknown "
		"TERM or no keyboard, a frame is printed each interval without moving the cursor. NO_COLOR is "
		"respected; the width is that of the terminal, else COLUMNS, else 80.\n\n"
		"With --machine the devices are those of the folder, and runs are shown only when "
		"BERTH_RUNTIME_DIR names a folder with their pages.",
	.opts = opts,
	.n_opts = sizeof(opts) / sizeof(opts[0]),
	.exits = "0  a frame was shown, or the monitor was left\n"
		 "1  the folder given with --machine is not there\n"
		 "2  an unknown option or a bad value\n"
		 "4  the captured machine cannot be read\n"
		 "5  the machine cannot be read",
	.examples = examples,
	.see_also = "berth-probe(1), berth-launch(1)",
};
/* clang-format on */

/* All that a frame needs; the snapshot is too large for the stack of a function. */
struct top {
	struct options o;
	struct log log;
	struct machine machine;
	const char *run_dir;  /* as runs_read() */
	struct lookout *live; /* NULL: one look was taken, and is kept in `hold` */
	struct report *hold;
	struct feed feed;
	struct snapshot *snap;
	struct prefs prefs;
	int signals;
	bool utf8;
};

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

static uint32_t text_columns(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t n;

	if (columns && !text_parse_u64(columns, &n) && n > 0)
		return n < VIEW_COLS_MAX ? (uint32_t)n : VIEW_COLS_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return 80;
}

static int print_text(const struct top *t)
{
	const struct frame f = { .snap = t->snap, .prefs = &t->prefs };
	char buf[4 * VIEW_COLS_MAX + 1];
	struct view v;

	view_init(&v, text_columns(), t->utf8);
	view_make(&v, &f);
	for (uint32_t i = 0; i < v.n_rows; i++)
		puts(view_text(&v, i, buf));
	view_fini(&v);
	return fflush(stdout) || ferror(stdout) ? -EIO : 0;
}

static int print_frame(const struct top *t)
{
	json_t *o;
	int rc;

	if (!t->o.json)
		return print_text(t);
	o = snapshot_to_json(t->snap);
	rc = t->o.once ? json_print(o, stdout) : json_print_line(o, stdout);
	json_decref(o);
	return rc;
}

/* Whatever became of stdout, no device was lost: -EIO would say so. */
static int cannot_write(struct err *e)
{
	return err_set(e, -EPIPE, "cannot write to standard output: %s", strerror(errno));
}

/* One look at all devices: for a single frame, and for a folder that never changes. */
static int collect_now(struct top *t, struct err *e)
{
	const struct probe_opts o = { .no_procs = t->o.once && !t->machine.live };
	int rc = probe_collect(&t->machine, &o, &t->hold, e);

	t->snap->report = t->hold;
	return rc;
}

/* The feed of one look: only the runs are new. */
static void next_runs(void *ctx, struct snapshot *s)
{
	const struct top *t = ctx;

	s->origin = t->machine.live ? ORIGIN_LIVE : ORIGIN_CAPTURED;
	s->report = t->hold;
	runs_read(s, t->run_dir);
}

static void source_next(struct top *t)
{
	t->feed.next(t->feed.ctx, t->snap);
}

static int once(struct top *t, struct err *e)
{
	int rc = collect_now(t, e);

	if (rc)
		return rc;
	t->snap->interval_ms = 0;
	source_next(t);
	rc = print_frame(t);
	return rc ? cannot_write(e) : 0;
}

#define FIRST_REPORT_MS                                                                            \
	5000 /* a driver that hangs longer leaves the first frames without devices */

/* Whether a signal that ends came within ms. */
static bool ended(const struct top *t, uint32_t ms)
{
	struct pollfd fd = { .fd = t->signals, .events = POLLIN };
	struct signalfd_siginfo info;

	return poll(&fd, 1, (int)ms) > 0 && read(fd.fd, &info, sizeof(info)) > 0 &&
	       info.ssi_signo != SIGWINCH;
}

/* What is printed cannot be drawn over: the first frame waits for the first report. */
static bool first_frame(struct top *t)
{
	const struct snapshot *s = t->snap;

	for (uint32_t ms = 0; ms < FIRST_REPORT_MS; ms += 20) {
		source_next(t);
		if (s->report || s->device_error[0])
			break;
		if (ended(t, 20))
			return false;
	}
	return true;
}

/* A frame each interval, until a signal ends it. No cursor moves: for screen readers and pipes. */
static int lines(struct top *t, struct err *e)
{
	bool go = first_frame(t);

	while (go) {
		int rc = print_frame(t);

		if (rc)
			return cannot_write(e);
		go = !ended(t, t->snap->interval_ms);
		if (go && !t->o.json)
			putchar('\n');
		source_next(t);
	}
	return 0;
}

static int on_screen(struct top *t, struct err *e)
{
	const char *term = getenv("TERM");
	const struct watching how = { .feed = &t->feed,
				      .prefs = &t->prefs,
				      .signals = t->signals,
				      .utf8 = t->utf8,
				      .term = term };
	struct screen *screen = NULL;
	int rc;

	if (!t->o.json && term && *term && strcmp(term, "dumb") && isatty(STDIN_FILENO))
		screen = screen_open(!is_set("NO_COLOR"), (enum theme)t->prefs.theme);
	if (!screen) {
		log_detail(&t->log, "this terminal cannot be drawn on: printing frames");
		return lines(t, e);
	}
	rc = watch(screen, &how, e);
	screen_close(screen);
	return rc;
}

/* Signals come as data, so that the terminal is always given back in order. */
static int open_signals(struct err *e)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_set(e, -errno, "cannot watch signals: %s", strerror(errno)) : fd;
}

static int live(struct top *t, struct err *e)
{
	const struct senses senses = senses_of(&t->machine);
	bool left = false;
	int rc = open_signals(e);

	if (rc < 0)
		return rc;
	t->signals = rc;
	if (t->machine.live)
		rc = lookout_start(&t->live, &senses, t->run_dir, t->prefs.interval_ms, e);
	else
		rc = collect_now(t, e);
	if (t->live)
		t->feed = lookout_feed(t->live);
	if (!rc)
		rc = on_screen(t, e);
	if (t->live)
		left = !lookout_stop(t->live);
	close(t->signals);
	if (left)
		_exit(rc ? err_report(command.name, rc, e)
			 : EXIT_YES); /* a driver holds the thread */
	return rc;
}

/* The command line goes before the file; a file that makes no sense is told, and the rest of it taken. */
static int settle(struct top *t, struct err *e)
{
	const struct {
		const char *name, *value;
	} given[] = { { "interval", t->o.interval },
		      { "theme", t->o.theme },
		      { "glyphs", t->o.glyphs } };
	struct err bad = { 0 };

	prefs_default(&t->prefs);
	if (prefs_load(&t->prefs, &bad))
		log_note(&t->log, "%s", bad.text);
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (given[i].value && prefs_set(&t->prefs, given[i].name, given[i].value, e))
			return -EINVAL;
	t->snap->interval_ms = t->prefs.interval_ms;
	return 0;
}

static int run(struct top *t, struct err *e)
{
	int rc = machine_open(&t->machine, t->o.machine, e);

	if (rc)
		return rc;
	t->feed = (struct feed) { .next = next_runs, .ctx = t };
	t->snap->origin = t->machine.live ? ORIGIN_LIVE : ORIGIN_CAPTURED;
	if (t->o.machine)
		t->run_dir = is_set("BERTH_RUNTIME_DIR") ? getenv("BERTH_RUNTIME_DIR") : "";
	if (t->o.once || (!t->o.json && !isatty(STDOUT_FILENO)))
		rc = once(t, e);
	else
		rc = live(t, e);
	probe_free(t->hold);
	machine_close(&t->machine);
	return rc;
}

int main(int argc, char **argv)
{
	struct top t = { 0 };
	struct err e = { 0 };
	enum cmd_go go;
	int first, rc;

	setlocale(LC_CTYPE, "");
	go = cmd_parse(&command, argc, argv, &t.o, &first);
	if (go != CMD_RUN)
		return cmd_exit(go);
	if (first < argc)
		return cmd_usage_error(&command, "'%s' is one word too many", argv[first]);
	own_free struct snapshot *snap = calloc(1, sizeof(*snap));

	if (!snap)
		return err_report(command.name, err_set(&e, -ENOMEM, "out of memory"), &e);
	t.snap = snap;
	log_init(&t.log, "berth top", t.o.quiet, t.o.verbose);
	if (settle(&t, &e))
		return cmd_usage_error(&command, "--%s", e.text);
	t.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	rc = run(&t, &e);
	return rc ? (int)err_report(command.name, rc, &e) : EXIT_YES;
}

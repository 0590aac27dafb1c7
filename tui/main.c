/* SPDX-License-Identifier: MIT */
/* berth top: devices and runs, live. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/print.h"
#include "tui/source.h"
#include "tui/tape.h"
#include "tui/watch.h"

struct top {
	struct options o;
	struct log log;
	struct prefs prefs;
	struct source source;
	struct tape tape;
	struct feed feed; /* what passes through the tape */
	int signals;
	bool utf8;
};

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

/* Signals come as data, so that the terminal is always given back in order, and files are whole. */
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

/* --- without a screen --- */

static int print(struct top *t, enum output output, struct err *e)
{
	const struct printer p = { .feed = &t->feed,
				   .tape = &t->tape,
				   .log = &t->log,
				   .prefs = &t->prefs,
				   .output = output,
				   .count = t->o.once || output == OUTPUT_METRICS ? 1 : t->o.count,
				   .one = t->o.once,
				   .signals = t->signals,
				   .utf8 = t->utf8 };

	return print_all(&p, e);
}

/* What was asked for, or what a standard output that is no terminal can have. */
static enum output output_of(const struct options *o)
{
	if (o->json)
		return OUTPUT_JSON;
	if (o->prometheus)
		return OUTPUT_METRICS;
	if (o->flight || (o->record && !o->once && !o->line))
		return OUTPUT_NOTHING;
	return o->line ? OUTPUT_LINES : OUTPUT_FRAMES;
}

static bool wants_screen(const struct options *o)
{
	return !o->once && !o->count && !o->json && !o->line && !o->prometheus && !o->flight &&
	       isatty(STDOUT_FILENO) && !(o->record && !strcmp(o->record, "-"));
}

/* --- with one --- */

/* Newer terminals are often not known where one logs in to: nobody should have to guess why no screen came. */
static void tell_why_sentences(const struct log *log, const char *term)
{
	char name[40];

	if (term && !strcmp(term, "dumb"))
		return; /* as asked */
	text_copy(name, sizeof(name), term ? term : "");
	text_clean(name);
	if (!isatty(STDIN_FILENO))
		log_note(log, "no keyboard: sentences instead of a screen");
	else if (!name[0])
		log_note(log, "TERM is not set: sentences instead of a screen");
	else
		log_note(log,
			 "the terminal '%s' is not known here: sentences instead of a screen, "
			 "which 'TERM=xterm-256color berth top' may draw",
			 name);
}

static int on_screen(struct top *t, struct err *e)
{
	const char *term = getenv("TERM");
	const struct watching how = { .feed = &t->feed,
				      .prefs = &t->prefs,
				      .signals = t->signals,
				      .tape = &t->tape,
				      .utf8 = t->utf8,
				      .term = term };
	struct screen *screen = NULL;
	int rc;

	if (term && *term && strcmp(term, "dumb") && isatty(STDIN_FILENO))
		screen = screen_open(!is_set("NO_COLOR"), (enum theme)t->prefs.theme);
	if (!screen) {
		tell_why_sentences(&t->log, term);
		return print(t, OUTPUT_LINES, e);
	}
	rc = watch(screen, &how, e);
	screen_close(screen);
	return rc;
}

/* --- both --- */

/* The first error is told; a word that nobody heard comes after the screen. */
static int end(struct top *t, int rc, struct err *e)
{
	struct word last;
	int bad = tape_end(&t->tape, &last, rc ? NULL : e);

	if (last.text[0])
		log_note(&t->log, "%s", last.text);
	if (t->source.film && film_garbled(t->source.film))
		log_note(
			&t->log,
			"lines of the recording that made no sense, and were passed over: %" PRIu32,
			film_garbled(t->source.film));
	return rc ? rc : bad;
}

static int run(struct top *t, struct err *e)
{
	const struct options *o = &t->o;
	bool this_machine = !o->machine && !o->replay && !o->host && !o->demo;
	bool screen = wants_screen(o);
	int rc;

	/* One frame, where nothing can be watched: a stream would never end. */
	if (!screen && output_of(o) == OUTPUT_FRAMES && !o->count)
		t->o.once = true;
	rc = source_open(&t->source, o, t->prefs.interval_ms, e);
	if (rc)
		return rc;
	tape_begin(&t->tape, t->source.feed, this_machine && !o->once && !o->prometheus,
		   &t->prefs.alarm);
	t->feed = tape_feed(&t->tape);
	rc = o->record ? tape_file(&t->tape, o->record, e) : 0;
	if (!rc)
		rc = screen ? on_screen(t, e) : print(t, output_of(o), e);
	return end(t, rc, e);
}

static int begin(struct top *t, struct err *e)
{
	int rc = open_signals(e);

	if (rc < 0)
		return rc;
	t->signals = rc;
	return run(t, e);
}

/*
 * A thread for each device would have the C library keep memory for each of them. And a report has room for
 * far more devices than there are: mapped by itself, as any of its size is until the first is freed, it takes
 * what is used of it.
 */
static void keep_small(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

int main(int argc, char **argv)
{
	own_free struct top *t = calloc(1, sizeof(*t));
	struct err e = { 0 };
	int rc;

	if (!t)
		return err_report(top_command.name, err_set(&e, -ENOMEM, "out of memory"), &e);
	keep_small();
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* what cannot be written is told, and the terminal given back */
	if (options_parse(&t->o, argc, argv, &rc) != CMD_RUN)
		return rc;
	log_init(&t->log, "berth top", t->o.quiet, t->o.verbose);
	if (options_settle(&t->o, &t->prefs, &t->log, &e))
		return cmd_usage_error(&top_command, "--%s", e.text);
	t->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	rc = begin(t, &e);
	rc = rc ? (int)err_report(top_command.name, rc, &e) : EXIT_YES;
	if (!source_close(&t->source))
		_exit(rc); /* a driver holds a thread */
	return rc;
}

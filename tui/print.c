/* SPDX-License-Identifier: MIT */
#include "tui/print.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/text.h"
#include "tui/frame.h"
#include "tui/line.h"
#include "tui/prom.h"

#define FIRST_REPORT_MS                                                                            \
	5000 /* a driver that hangs longer leaves the first frames without devices */
#define FIRST_NUMBERS_MS 1000 /* the same, without their numbers */

struct printing {
	const struct printer *p;
	struct snapshot snap;
	struct history history;
	struct events events;
	uint64_t told; /* events */
	bool keys;     /* standard input is a terminal's, and has not ended */
};

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

static void print_frame(const struct printing *g)
{
	/* A moment alone has no past, but for that of a recording */
	const struct frame f = { .snap = &g->snap,
				 .history = g->p->feed->wind ? &g->history : NULL,
				 .prefs = g->p->prefs };
	char buf[4 * VIEW_COLS_MAX + 1];
	struct view v;

	view_init(&v, text_columns(), g->p->utf8);
	view_make(&v, &f);
	for (uint32_t i = 0; i < v.n_rows; i++)
		puts(view_text(&v, i, buf));
	view_fini(&v);
}

static void print_json(const struct printing *g)
{
	const bool alone = g->p->one && !g->p->feed->wind;
	const struct frame f = { .snap = &g->snap,
				 .history = alone ? NULL : &g->history,
				 .prefs = g->p->prefs };
	json_t *o = frame_to_json(&f);

	if (g->p->one)
		json_print(o, stdout);
	else
		json_print_line(o, stdout);
	json_decref(o);
}

static void print_changes(struct printing *g, bool first)
{
	events_add(&g->events, &g->snap, &g->p->prefs->alarm);
	if (first)
		line_state(&g->snap, stdout);
	line_events(&g->events, &g->told, stdout);
}

/* Words of who keeps what is seen: as sentences, or beside what programs read. */
static void hear(struct printing *g)
{
	struct word word;

	while (tape_word(g->p->tape, &word))
		if (g->p->output == OUTPUT_LINES)
			events_say(&g->events, &g->snap, word.severity, word.text);
		else
			log_note(g->p->log, "%s", word.text);
}

/* Whatever became of stdout, no device was lost: -EIO would say so. */
static int print_one(struct printing *g, bool first, struct err *e)
{
	errno = 0;
	switch (g->p->output) {
	case OUTPUT_FRAMES:
		if (!first)
			putchar('\n');
		print_frame(g);
		break;
	case OUTPUT_JSON:
		print_json(g);
		break;
	case OUTPUT_LINES:
		print_changes(g, first);
		break;
	case OUTPUT_METRICS:
		prom_print(&g->snap, stdout);
		break;
	case OUTPUT_NOTHING:
		return 0;
	}
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return err_set(e, -EPIPE, "cannot write to standard output: %s", strerror(errno));
}

/* Enter says again what there is. */
static void read_key(struct printing *g)
{
	char buf[256];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	g->keys = n > 0;
	if (n > 0 && g->p->output == OUTPUT_LINES) {
		line_state(&g->snap, stdout);
		fflush(stdout);
	}
}

/* Whether a signal that ends came within ms. */
static bool ended(struct printing *g, uint32_t ms)
{
	const int64_t until = clock_ms() + ms;

	for (int64_t left = ms; left >= 0; left = until - clock_ms()) {
		struct pollfd fds[] = { { .fd = g->p->signals, .events = POLLIN },
					{ .fd = g->keys ? STDIN_FILENO : -1, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(fds, 2, (int)left) <= 0)
			continue;
		if (fds[0].revents && read(fds[0].fd, &info, sizeof(info)) > 0 &&
		    info.ssi_signo != SIGWINCH)
			return true;
		if (fds[1].revents)
			read_key(g);
	}
	return false;
}

static void take_in(struct printing *g)
{
	g->p->feed->next(g->p->feed->ctx, &g->snap);
	history_add(&g->history, &g->snap);
}

/* What a device is, is known sooner than its numbers, which one that sleeps has none of. */
static bool has_numbers(const struct snapshot *s)
{
	for (uint32_t i = 0; s->origin == ORIGIN_LIVE && i < s->report->n_gpus; i++)
		if (s->devices[i].age_ms == AGE_UNKNOWN && !s->devices[i].lost &&
		    s->report->gpus[i].awake != AWAKE_NO)
			return false;
	return true;
}

/* What is printed cannot be drawn over: the first frame waits for the first report, and a while for its numbers. */
static bool first_look(struct printing *g)
{
	const struct feed *feed = g->p->feed;
	uint32_t lead = feed->wind ? feed->wind(feed->ctx, 0) : 0;

	for (; lead; lead--)
		take_in(g);
	for (uint32_t ms = 0; ms < FIRST_REPORT_MS; ms += 20) {
		take_in(g);
		if (g->snap.device_error[0])
			break;
		if (g->snap.report && (g->p->output == OUTPUT_NOTHING || has_numbers(&g->snap) ||
				       ms >= FIRST_NUMBERS_MS))
			break;
		if (ended(g, 20))
			return false;
	}
	return true;
}

static int go_on(struct printing *g, struct err *e)
{
	const struct feed *feed = g->p->feed;

	for (uint32_t n = 0;; take_in(g)) {
		hear(g);
		int rc = print_one(g, n == 0, e);

		if (g->p->output == OUTPUT_NOTHING && feed->over && feed->over(feed->ctx))
			return 0;
		if (rc || ++n == g->p->count || ended(g, g->p->prefs->interval_ms))
			return rc;
	}
}

int print_all(const struct printer *p, struct err *e)
{
	own_free struct printing *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->p = p;
	g->keys = p->output == OUTPUT_LINES && isatty(STDIN_FILENO);
	g->snap.interval_ms = p->count == 1 ? 0 : p->prefs->interval_ms;
	return first_look(g) ? go_on(g, e) : 0;
}

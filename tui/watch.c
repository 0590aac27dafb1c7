/* SPDX-License-Identifier: MIT */
#include "tui/watch.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/kill.h"
#include "tui/picture.h"

#define FIRST_LOOK_MS  20 /* until the first report is there */
#define ANSWER_LOOK_MS 50 /* until the planner has answered, or something is saved */

struct watch {
	struct screen *screen;
	const struct watching *how;
	struct snapshot snap;
	struct history history;
	struct events events;
	struct ui ui;
	struct picture picture;
	struct fits fits;
	struct frame frame;
	bool quit;
	int held; /* a process that may be ended; -1: none */
	/* While the picture stands still: its report, and where the moments go that nobody sees. */
	struct report *still;
	struct snapshot *unseen;
	uint64_t next_ns, keys;
};

static enum glyphs glyphs_of(const struct watch *w)
{
	switch ((enum glyph_choice)w->how->prefs->glyphs) {
	case GLYPHS_OPT_ASCII:
		return GLYPHS_ASCII;
	case GLYPHS_OPT_BLOCKS:
		return w->how->utf8 ? GLYPHS_BLOCKS : GLYPHS_ASCII;
	case GLYPHS_OPT_BRAILLE:
		return w->how->utf8 ? GLYPHS_BRAILLE : GLYPHS_ASCII;
	case GLYPHS_AUTO:
		break;
	}
	return glyphs_choose(w->how->utf8, w->how->term);
}

static void paint(struct watch *w)
{
	struct feed *feed = w->how->feed;

	picture_make(&w->picture, &w->frame, screen_cols(w->screen), screen_rows(w->screen),
		     w->how->utf8);
	memcpy(w->ui.scroll, w->picture.scroll, sizeof(w->ui.scroll));
	w->ui.page_scroll = w->picture.page_scroll;
	screen_paint(w->screen, &w->picture.view);
	if (feed->painted)
		feed->painted(feed->ctx, w->keys);
}

/* The next moment, and what follows from it. */
static void take_in(struct watch *w)
{
	w->how->feed->next(w->how->feed->ctx, &w->snap);
	history_add(&w->history, &w->snap);
	events_add(&w->events, &w->snap, &w->how->prefs->alarm);
}

/* --- a picture that stands still --- */

static void forget_still(struct watch *w)
{
	free(w->still);
	free(w->unseen);
	w->still = NULL;
	w->unseen = NULL;
}

/* What is recorded goes on, and alarms are saved: only the picture stands. A recording that is shown stops. */
static void stand_still(struct watch *w)
{
	const struct report *r = w->snap.report;

	w->snap.paused = true;
	if (w->how->feed->wind)
		return;
	w->unseen = calloc(1, sizeof(*w->unseen));
	w->still = malloc(sizeof(*w->still));
	if (!w->unseen || !w->still)
		forget_still(w); /* then all stops */
	else if (r)
		w->snap.report = memcpy(w->still, r,
					offsetof(struct report, gpus) +
						r->n_gpus * sizeof(r->gpus[0]));
}

static void pass_by(struct watch *w)
{
	if (!w->unseen)
		return;
	w->unseen->interval_ms = w->snap.interval_ms;
	w->how->feed->next(w->how->feed->ctx, w->unseen);
}

static void move_on(struct watch *w)
{
	w->snap.paused = false;
	take_in(w);
	forget_still(w);
}

/* --- what keys ask for --- */

static void notice(struct watch *w, int rc, const struct err *e, const char *done)
{
	text_copy(w->ui.notice, sizeof(w->ui.notice), rc < 0 ? e->text : done);
}

static void hold(struct watch *w, int32_t pid)
{
	struct err e = { 0 };
	int rc = w->how->feed->may_kill ? kill_hold(pid, &e)
					: err_set(&e, -EPERM, "Nothing is ended here.");

	w->held = rc;
	if (rc >= 0)
		return;
	w->held = -1;
	w->ui.asking = false;
	notice(w, rc, &e, "");
}

static void wind(struct watch *w, int64_t seconds)
{
	const struct feed *feed = w->how->feed;

	if (feed->wind) {
		for (uint32_t n = feed->wind(feed->ctx, seconds); n; n--)
			take_in(w);
		take_in(w); /* also while the picture stands still */
	} else {
		notice(w, 0, NULL, "Only a recording can be wound.");
	}
}

/* How it went is a word that comes later. */
static void record(struct watch *w)
{
	struct err e = { 0 };
	int rc = tape_save(w->how->tape, &e);

	notice(w, rc, &e, "Saving the last minutes ...");
}

static void act(struct watch *w, const struct action *a)
{
	struct err e = { 0 };

	switch (a->kind) {
	case DO_QUIT:
		w->quit = true;
		break;
	case DO_PAUSE:
		if (w->snap.paused)
			move_on(w);
		else
			stand_still(w);
		w->next_ns = 0;
		break;
	case DO_INTERVAL:
		w->snap.interval_ms = w->how->prefs->interval_ms;
		w->next_ns = 0;
		break;
	case DO_REDRAW:
		screen_resize(w->screen);
		break;
	case DO_LOOKS:
		screen_theme(w->screen, (enum theme)w->how->prefs->theme);
		screen_mouse(w->screen, !w->how->prefs->no_mouse);
		w->frame.glyphs = glyphs_of(w);
		break;
	case DO_SAVE:
		notice(w, prefs_save(w->how->prefs, &e), &e, "The settings are saved.");
		break;
	case DO_HOLD:
		hold(w, a->pid);
		break;
	case DO_END:
		notice(w, kill_end(&w->held, &e), &e, "It was asked to end (SIGTERM).");
		break;
	case DO_STOP:
		notice(w, kill_stop(a->name, &e), &e, "It was asked to stop.");
		break;
	case DO_LET_GO:
		own_close_fd(&w->held);
		break;
	case DO_WIND:
		wind(w, a->seconds);
		break;
	case DO_FITS:
		if (w->frame.fits)
			fits_ask(&w->fits);
		break;
	case DO_RECORD:
		record(w);
		break;
	case DO_NOTHING:
		break;
	}
}

static void read_keys(struct watch *w, short events)
{
	struct stroke k;
	bool any = false;

	while (!w->quit && screen_stroke(w->screen, &k)) {
		struct action a = ui_key(&w->ui, w->how->prefs, &w->frame, &w->picture, k);

		any = true;
		w->keys++;
		act(w, &a);
		/* The next key is answered by what this one made of the picture. */
		picture_make(&w->picture, &w->frame, screen_cols(w->screen), screen_rows(w->screen),
			     w->how->utf8);
	}
	/* Readable, yet nothing to read: the terminal is gone. */
	if (!any && events & (POLLHUP | POLLERR | POLLNVAL))
		w->quit = true;
}

static void read_signals(struct watch *w)
{
	struct signalfd_siginfo info;

	while (read(w->how->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			screen_resize(w->screen);
		else
			w->quit = true;
	}
}

/* --- time --- */

static bool no_report_yet(const struct watch *w)
{
	return !w->snap.report && !w->snap.device_error[0];
}

/* Milliseconds until the next snapshot is due. */
static int patience(const struct watch *w, uint64_t now)
{
	uint64_t ms = w->next_ns > now ? (w->next_ns - now + 999999) / 1000000 : 0;

	if ((w->fits.state == FITS_ASKING || tape_is_busy(w->how->tape)) && ms > ANSWER_LOOK_MS)
		ms = ANSWER_LOOK_MS;
	return no_report_yet(w) && ms > FIRST_LOOK_MS ? FIRST_LOOK_MS : (int)ms;
}

/* What is no picture: in the last line, unless something is asked or typed there, and among the events. */
static void hear(struct watch *w)
{
	struct word word;

	while (tape_word(w->how->tape, &word)) {
		notice(w, 0, NULL, word.text);
		events_say(&w->events, &w->snap, word.severity, word.text);
	}
}

static void look(struct watch *w, uint64_t now)
{
	if (now < w->next_ns && !no_report_yet(w))
		return;
	if (w->snap.paused)
		pass_by(w);
	else
		take_in(w);
	if (now >= w->next_ns)
		w->next_ns = now + (uint64_t)w->snap.interval_ms * 1000000;
}

static void loop(struct watch *w)
{
	while (!w->quit) {
		struct pollfd fds[] = {
			{ .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = w->how->signals, .events = POLLIN },
		};

		look(w, telem_now_ns());
		hear(w);
		fits_poll(&w->fits);
		paint(w);
		if (poll(fds, 2, patience(w, telem_now_ns())) <= 0)
			continue;
		if (fds[1].revents)
			read_signals(w);
		if (fds[0].revents)
			read_keys(w, fds[0].revents);
	}
}

int watch(struct screen *screen, const struct watching *how, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->screen = screen;
	w->how = how;
	w->held = -1;
	w->snap.interval_ms = how->prefs->interval_ms;
	screen_mouse(screen, !how->prefs->no_mouse);
	ui_init(&w->ui);
	picture_init(&w->picture);
	fits_init(&w->fits);
	w->frame = (struct frame) { .snap = &w->snap,
				    .history = &w->history,
				    .events = &w->events,
				    /* another machine's models are not on this disk */
				    .fits = how->feed->may_kill ? &w->fits : NULL,
				    .prefs = how->prefs,
				    .ui = &w->ui,
				    .glyphs = glyphs_of(w) };
	if (how->feed->wind)
		wind(w, 0); /* the curves begin with what came before */
	loop(w);
	own_close_fd(&w->held);
	forget_still(w);
	picture_fini(&w->picture);
	fits_fini(&w->fits);
	free(w);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "tui/watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FIRST_LOOK_MS 50 /* until the first report is there */

struct watch {
	struct screen *screen;
	struct source *src;
	struct view body, footer;
	bool utf8, help, quit;
	uint32_t scroll;
	uint64_t next_ns;
};

void source_next(struct source *src)
{
	sample_runs(src->snap, src->run_dir);
	if (src->sampler)
		sampler_latest(src->sampler, src->snap, &src->hold);
}

static uint32_t scroll_max(const struct watch *w)
{
	uint32_t lines = screen_rows(w->screen);
	uint32_t seen = lines > 2 ? lines - 1 : 1; /* the header and the rows above the footer */

	return w->body.n_rows > seen ? w->body.n_rows - seen : 0;
}

static void paint(struct watch *w)
{
	uint32_t n;
	const struct key_help *keys = screen_keys(&n);
	uint32_t cols = screen_cols(w->screen);

	if (w->body.cols != cols) {
		view_fini(&w->body);
		view_fini(&w->footer);
		view_init(&w->body, cols, w->utf8);
		view_init(&w->footer, cols, w->utf8);
	}
	if (w->help)
		view_make_help(&w->body, keys, n);
	else
		view_make(&w->body, w->src->snap);
	if (w->scroll > scroll_max(w))
		w->scroll = scroll_max(w);
	view_make_footer(&w->footer, keys, n, w->scroll, scroll_max(w) - w->scroll);
	screen_paint(w->screen, &w->body, w->scroll, &w->footer);
}

static void change_interval(struct snapshot *s, bool faster)
{
	uint32_t ms = faster ? s->interval_ms / 2 : s->interval_ms * 2;

	ms = ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms;
	s->interval_ms = ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : ms;
}

static void scroll_by(struct watch *w, int64_t rows)
{
	int64_t to = (int64_t)w->scroll + rows;

	w->scroll = to < 0 ? 0 : to > scroll_max(w) ? scroll_max(w) : (uint32_t)to;
}

static void act(struct watch *w, enum act a)
{
	int64_t page = screen_rows(w->screen) > 3 ? screen_rows(w->screen) - 2 : 1;
	struct snapshot *s = w->src->snap;

	switch (a) {
	case ACT_QUIT:
		w->quit = true;
		break;
	case ACT_HELP:
		w->help = !w->help;
		w->scroll = 0;
		break;
	case ACT_PAUSE:
		s->paused = !s->paused;
		w->next_ns = 0;
		break;
	case ACT_FASTER:
	case ACT_SLOWER:
		change_interval(s, a == ACT_FASTER);
		w->next_ns = 0;
		break;
	case ACT_UP:
	case ACT_DOWN:
		scroll_by(w, a == ACT_UP ? -1 : 1);
		break;
	case ACT_PAGE_UP:
	case ACT_PAGE_DOWN:
		scroll_by(w, a == ACT_PAGE_UP ? -page : page);
		break;
	case ACT_TOP:
	case ACT_END:
		w->scroll = a == ACT_TOP ? 0 : scroll_max(w);
		break;
	case ACT_REDRAW:
		screen_resize(w->screen);
		break;
	case ACT_NONE:
		break;
	}
}

static void read_keys(struct watch *w, short events)
{
	bool pressed;
	bool any = false;

	do {
		enum act a = screen_key(w->screen, &pressed);

		any = any || pressed;
		if (pressed)
			act(w, a);
	} while (pressed && !w->quit);
	/* Readable, yet nothing to read: the terminal is gone. */
	if (!any && events & (POLLHUP | POLLERR | POLLNVAL))
		w->quit = true;
}

static void read_signals(struct watch *w)
{
	struct signalfd_siginfo info;

	while (read(w->src->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			screen_resize(w->screen);
		else
			w->quit = true;
	}
}

/* Milliseconds until the next snapshot is due. */
static int patience(const struct watch *w, uint64_t now)
{
	const struct snapshot *s = w->src->snap;
	uint64_t ms = w->next_ns > now ? (w->next_ns - now + 999999) / 1000000 : 0;

	if (!s->report && !s->device_error[0] && ms > FIRST_LOOK_MS)
		ms = FIRST_LOOK_MS;
	return (int)ms;
}

static void look(struct watch *w, uint64_t now)
{
	const struct snapshot *s = w->src->snap;
	bool first = !s->report && !s->device_error[0];

	if (now < w->next_ns && !first)
		return;
	if (!s->paused)
		source_next(w->src);
	if (now >= w->next_ns)
		w->next_ns = now + (uint64_t)s->interval_ms * 1000000;
}

void watch(struct screen *screen, struct source *src, bool utf8)
{
	struct watch w = { .screen = screen, .src = src, .utf8 = utf8 };

	while (!w.quit) {
		struct pollfd fds[] = {
			{ .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = src->signals, .events = POLLIN },
		};

		look(&w, telem_now_ns());
		paint(&w);
		if (poll(fds, 2, patience(&w, telem_now_ns())) <= 0)
			continue;
		if (fds[1].revents)
			read_signals(&w);
		if (fds[0].revents)
			read_keys(&w, fds[0].revents);
	}
	view_fini(&w.body);
	view_fini(&w.footer);
}

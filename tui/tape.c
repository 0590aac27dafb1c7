/* SPDX-License-Identifier: MIT */
#include "tui/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"

void tape_begin(struct tape *t, struct feed from, bool flight, const struct thresholds *thresholds)
{
	*t = (struct tape) { .from = from, .fd = -1, .thresholds = *thresholds };
	if (!flight || flight_dir(t->dir, sizeof(t->dir), NULL))
		t->dir[0] = '\0';
}

int tape_file(struct tape *t, const char *path, struct err *e)
{
	if (!strcmp(path, "-"))
		t->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		t->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (t->fd < 0 && errno == EEXIST)
		return err_set(e, -EEXIST, "%s is there already; another name keeps both", path);
	if (t->fd < 0)
		return err_set(e, -errno, "%s cannot be made: %s", path, strerror(errno));
	t->recorder = recorder_new();
	return t->recorder ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* --- words --- */

static bool tell_saved(struct tape *t, const struct saved *how, struct word *w)
{
	const char *path = how->path;

	w->severity = how->e.rc ? SEVERITY_WARN : SEVERITY_INFO;
	if (how->e.rc && how->alarm)
		t->saved_ms = 0; /* the next alarm tries again */
	if (how->e.rc)
		snprintf(w->text, sizeof(w->text), "Not saved: %.500s", how->e.text);
	else if (how->alarm)
		snprintf(w->text, sizeof(w->text), "What came before the alarm is saved in %s",
			 path);
	else
		snprintf(w->text, sizeof(w->text), "Saved: berth top --replay %s", path);
	return true;
}

/* Once for each time that it begins to fail. */
static bool tell_failed(int rc, bool *told, const char *what, struct word *w)
{
	if (!rc || *told) {
		*told = rc != 0;
		return false;
	}
	*told = true;
	w->severity = SEVERITY_WARN;
	snprintf(w->text, sizeof(w->text), "%s: %s", what, strerror(-rc));
	return true;
}

bool tape_word(struct tape *t, struct word *w)
{
	struct saved how;

	if (saver_ended(&t->saver, &how))
		return tell_saved(t, &how, w);
	return tell_failed(t->rc, &t->told_rc, "The recording broke off", w) ||
	       tell_failed(t->flight_rc, &t->told_flight, "The flight recorder cannot be written",
			   w);
}

bool tape_is_busy(const struct tape *t)
{
	return t->saver.now != NULL;
}

int tape_end(struct tape *t, struct word *last, struct err *e)
{
	struct saved how;
	int rc = t->rc;

	own_close_fd(&t->fd);
	recorder_free(t->recorder);
	t->recorder = NULL;
	flight_close(t->flight);
	t->flight = NULL;
	last->text[0] = '\0';
	if (saver_wait(&t->saver, TAPE_END_S, &how))
		tell_saved(t, &how, last);
	else if (t->saver.now)
		snprintf(last->text, sizeof(last->text),
			 "Not saved: the disk has not answered for %d seconds", TAPE_END_S);
	if (!rc)
		return 0;
	/* A file as large as it may be is no bad input. */
	return err_set(e, rc == -EFBIG ? -ENOSPC : rc, "the recording could not be written: %s",
		       strerror(-rc));
}

/* --- the flight recorder --- */

static void keep_flight(struct tape *t, const struct snapshot *s)
{
	uint64_t now = s->now_ns / 1000000;

	if (!t->dir[0])
		return;
	if (!t->flight && (!t->tried_ms || now - t->tried_ms >= TAPE_TRY_MS)) {
		t->tried_ms = now;
		if (flight_open(&t->flight, t->dir, NULL))
			t->flight = NULL;
	}
	if (t->flight)
		t->flight_rc = flight_moment(t->flight, s); /* the next moment begins anew */
}

int tape_save(struct tape *t, struct err *e)
{
	if (!t->dir[0])
		return err_set(e, -ENOENT, "Nothing is recorded here.");
	return saver_begin(&t->saver, t->dir, false, e);
}

/* Not twice in ten minutes; and once what is being saved is through, if there is something. */
static void save_alarm(struct tape *t, uint64_t now_ms)
{
	if (t->saved_ms && now_ms - t->saved_ms < TAPE_SAVE_MS)
		t->alarm = false;
	if (!t->alarm || saver_begin(&t->saver, t->dir, true, NULL))
		return;
	t->alarm = false;
	t->saved_ms = now_ms;
}

/* --- what passes --- */

static int to_fd(void *ctx, const char *line, size_t size)
{
	const struct tape *t = ctx;

	return io_write(t->fd, line, size);
}

static void keep_events(struct tape *t, const struct snapshot *s)
{
	bool alarm = false;

	events_add(&t->events, s, &t->thresholds);
	if (t->told > t->events.n)
		t->told = t->events.n; /* wound back */
	if (t->events.n - t->told > EVENTS_MAX)
		t->told = t->events.n - EVENTS_MAX;
	for (; t->told < t->events.n; t->told++) {
		const struct event *ev = events_newest(&t->events,
						       (uint32_t)(t->events.n - t->told - 1));

		alarm = alarm || ev->severity == SEVERITY_BAD;
		if (t->flight)
			flight_event(t->flight, ev);
		if (t->recorder && !t->rc)
			t->rc = recorder_event(t->recorder, ev, to_fd, t);
	}
	/* Only who writes it saves it: one file for one alarm, however many watch. */
	t->alarm = t->flight && (t->alarm || alarm);
	save_alarm(t, s->now_ns / 1000000);
}

static void next(void *ctx, struct snapshot *s)
{
	struct tape *t = ctx;

	t->from.next(t->from.ctx, s);
	keep_flight(t, s);
	if (t->recorder && !t->rc)
		t->rc = recorder_moment(t->recorder, s, to_fd, t);
	keep_events(t, s);
}

static uint32_t wind(void *ctx, int64_t seconds)
{
	struct tape *t = ctx;

	return t->from.wind(t->from.ctx, seconds);
}

static void painted(void *ctx, uint64_t keys)
{
	struct tape *t = ctx;

	t->from.painted(t->from.ctx, keys);
}

/* Full disks and closed pipes do not heal. */
static bool over(void *ctx)
{
	const struct tape *t = ctx;

	return t->rc != 0;
}

struct feed tape_feed(struct tape *t)
{
	return (struct feed) { .next = next,
			       .wind = t->from.wind ? wind : NULL,
			       .painted = t->from.painted ? painted : NULL,
			       .over = over,
			       .may_kill = t->from.may_kill,
			       .ctx = t };
}

/* SPDX-License-Identifier: MIT */
#include "tui/tape.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

#define ALARM_PREFIX "alarm-"

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

int tape_end(struct tape *t, struct err *e)
{
	int rc = t->rc;

	own_close_fd(&t->fd);
	recorder_free(t->recorder);
	t->recorder = NULL;
	flight_close(t->flight);
	t->flight = NULL;
	return rc ? err_set(e, rc, "the recording could not be written: %s", strerror(-rc)) : 0;
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
		flight_moment(t->flight, s); /* a full disk: the next moment begins anew */
}

/* The oldest recording of an alarm goes when there are enough. The names are dates: they sort. */
static void drop_oldest(const char *path)
{
	char dir[512], oldest[256] = "";
	uint32_t n = 0;

	text_copy(dir, sizeof(dir), path);
	*strrchr(dir, '/') = '\0';
	own_dir DIR *d = opendir(dir);

	for (const struct dirent *de; d && (de = readdir(d));) {
		if (strncmp(de->d_name, ALARM_PREFIX, strlen(ALARM_PREFIX)) != 0)
			continue;
		n++;
		if (!oldest[0] || strcmp(de->d_name, oldest) < 0)
			text_copy(oldest, sizeof(oldest), de->d_name);
	}
	if (n >= TAPE_ALARMS)
		unlinkat(dirfd(d), oldest, 0);
}

static int save(struct tape *t, const char *prefix, char *path, size_t size, struct err *e)
{
	int rc = t->dir[0] ? flight_new_name(prefix, path, size, e)
			   : err_set(e, -ENOENT, "no flight recorder is kept here");

	if (!rc && *prefix)
		drop_oldest(path);
	return rc ? rc : flight_save(t->dir, path, e);
}

int tape_save(struct tape *t, char *path, size_t size, struct err *e)
{
	return save(t, "", path, size, e);
}

bool tape_saved(struct tape *t, char *path, size_t size)
{
	bool any = t->saved[0] != '\0';

	text_copy(path, size, t->saved);
	t->saved[0] = '\0';
	return any;
}

static void save_alarm(struct tape *t, uint64_t now_ms)
{
	if (t->saved_ms && now_ms - t->saved_ms < TAPE_SAVE_MS)
		return;
	if (save(t, ALARM_PREFIX, t->saved, sizeof(t->saved), NULL))
		t->saved[0] = '\0';
	else
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
	if (alarm && t->flight)
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

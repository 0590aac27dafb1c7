/* SPDX-License-Identifier: MIT */
#include "tui/saver.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "tui/flight.h"

#define ALARM_PREFIX "alarm-"
#define NAMES_MAX    9 /* recordings of one second */
#define LOOK_MS      5

struct saving {
	pthread_t thread;
	char dir[512];
	struct saved how;
};

/* The oldest recording of an alarm goes when there are too many. The names are dates: they sort. */
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
	if (n > SAVER_ALARMS)
		unlinkat(dirfd(d), oldest, 0);
}

static void *run(void *arg)
{
	struct saving *s = arg;
	struct saved *how = &s->how;
	int rc = -EEXIST;

	/* The name is that of a second, in which another may have been saved. */
	for (uint32_t nth = 1; rc == -EEXIST && nth <= NAMES_MAX; nth++) {
		how->e = (struct err) { 0 };
		rc = flight_new_name(how->alarm ? ALARM_PREFIX : "", nth, how->path,
				     sizeof(how->path), &how->e);
		rc = rc ? rc : flight_save(s->dir, how->path, &how->e);
	}
	if (!rc && how->alarm)
		drop_oldest(how->path);
	return NULL;
}

int saver_begin(struct saver *s, const char *dir, bool alarm, struct err *e)
{
	int rc;

	if (s->now)
		return err_set(e, -EBUSY, "The last minutes are being saved already.");
	struct saving *new = calloc(1, sizeof(*new));

	if (!new)
		return err_set(e, -ENOMEM, "out of memory");
	new->how.alarm = alarm;
	text_copy(new->dir, sizeof(new->dir), dir);
	rc = pthread_create(&new->thread, NULL, run, new);
	if (rc) {
		free(new);
		return err_set(e, -rc, "cannot start a thread: %s", strerror(rc));
	}
	s->now = new;
	return 0;
}

/* The thread has ended. */
static bool collect(struct saver *s, struct saved *how)
{
	*how = s->now->how;
	free(s->now);
	s->now = NULL;
	return true;
}

bool saver_ended(struct saver *s, struct saved *how)
{
	return s->now && !pthread_tryjoin_np(s->now->thread, NULL) && collect(s, how);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* Looked at again and again, since a sanitizer of threads does not know pthread_clockjoin_np() for the join that it is. */
bool saver_wait(struct saver *s, uint32_t seconds, struct saved *how)
{
	int64_t until = now_ms() + seconds * INT64_C(1000);

	while (s->now) {
		if (saver_ended(s, how))
			return true;
		if (now_ms() >= until)
			break;
		nanosleep(&(struct timespec) { .tv_nsec = LOOK_MS * 1000000 }, NULL);
	}
	return false;
}

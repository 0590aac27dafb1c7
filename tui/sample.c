/* SPDX-License-Identifier: MIT */
#include "tui/sample.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"

#define STOP_WAIT_MS 200

struct sampler {
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool stop, done;
	struct report *fresh; /* not taken yet */
	uint64_t read_ns;     /* when the last good report was complete; 0: never */
	struct err error;     /* of the last reading */

	collect_fn *collect;
	void *ctx;
	uint32_t period_ms;
};

static void wait_ms(struct sampler *s, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void publish(struct sampler *s, int rc, struct report *r, const struct err *e)
{
	s->error = (struct err) { 0 };
	if (rc) {
		s->error = *e;
		s->error.rc = rc;
		return;
	}
	probe_free(s->fresh);
	s->fresh = r;
	s->read_ns = telem_now_ns();
}

static void *work(void *arg)
{
	struct sampler *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct report *r = NULL;
		struct err e = { 0 };
		int rc;

		pthread_mutex_unlock(&s->lock);
		rc = s->collect(s->ctx, &r, &e);
		pthread_mutex_lock(&s->lock);
		publish(s, rc, r, &e);
		if (!s->stop)
			wait_ms(s, s->period_ms);
	}
	s->done = true;
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Ctrl-Z is answered by the thread that draws: ncurses puts the terminal in order there. */
static int start_thread(struct sampler *s)
{
	sigset_t set, old;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	rc = pthread_create(&s->thread, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int sampler_start(struct sampler **out, collect_fn *collect, void *ctx, uint32_t period_ms,
		  struct err *e)
{
	struct sampler *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int rc;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->collect = collect;
	s->ctx = ctx;
	s->period_ms = period_ms;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = start_thread(s);
	if (rc) {
		free(s);
		return err_set(e, -rc, "cannot start the reading thread: %s", strerror(rc));
	}
	*out = s;
	return 0;
}

bool sampler_stop(struct sampler *s)
{
	bool done;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->wake);
	for (int i = 0; i < STOP_WAIT_MS / 20 && !s->done; i++)
		wait_ms(s, 20);
	done = s->done;
	pthread_mutex_unlock(&s->lock);
	if (!done) {
		pthread_detach(s->thread);
		return false;
	}
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	probe_free(s->fresh);
	free(s);
	return true;
}

void sampler_latest(struct sampler *s, struct snapshot *snap, struct report **hold)
{
	pthread_mutex_lock(&s->lock);
	if (s->fresh) {
		probe_free(*hold);
		*hold = s->fresh;
		s->fresh = NULL;
	}
	snap->report = *hold;
	snap->device_age_ms = s->read_ns ? (telem_now_ns() - s->read_ns) / 1000000 : 0;
	snap->device_error[0] = '\0';
	if (s->error.rc)
		text_copy(snap->device_error, sizeof(snap->device_error), s->error.text);
	pthread_mutex_unlock(&s->lock);
}

static void read_run(struct run_seen *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct err e = { 0 };

	memset(r, 0, sizeof(*r));
	text_copy(r->file, sizeof(r->file), slash ? slash + 1 : path);
	text_clean(r->file);
	r->rc = telem_read(path, &r->page, &r->life, &e);
	if (!r->rc)
		return;
	if (r->rc == -EBUSY && r->life == TELEM_DEAD)
		snprintf(r->note, sizeof(r->note), "%s: writer dead in the middle of a change",
			 r->file);
	else
		text_copy(r->note, sizeof(r->note), e.text);
}

static bool is_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

void sample_runs(struct snapshot *snap, const char *dir)
{
	time_t now = time(NULL);
	struct tm tm;
	char **paths = NULL;
	int n = telem_list(&paths);

	snap->n_runs = snap->n_runs_left_out = 0;
	for (int i = 0; i < n; i++) {
		struct run_seen *r = &snap->runs[snap->n_runs];

		if (dir && !is_in(paths[i], dir))
			continue;
		if (snap->n_runs == SNAP_RUNS_MAX) {
			snap->n_runs_left_out++;
			continue;
		}
		read_run(r, paths[i]);
		snap->n_runs += r->rc != -ENOENT; /* ended between listing and reading */
	}
	telem_list_free(paths);
	snap->now_ns = telem_now_ns();
	if (localtime_r(&now, &tm))
		strftime(snap->clock, sizeof(snap->clock), "%H:%M:%S", &tm);
}

/* SPDX-License-Identifier: MIT */
#include "tui/reader.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/telem.h"

#define STOP_WAIT_MS 200
#define STACK_SIZE   (512 * 1024)

struct reader {
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below but read and ctx */
	pthread_cond_t wake;
	bool stop, done, kicked;
	uint64_t since_ns; /* of the reading in flight; 0: none */
	read_fn *read;
	void *ctx;
};

static void wait_ms(struct reader *r, uint64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (!r->stop && !r->kicked && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
		;
	r->kicked = false;
}

static void *work(void *arg)
{
	struct reader *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		uint32_t ms;

		r->since_ns = telem_now_ns();
		pthread_mutex_unlock(&r->lock);
		ms = r->read(r->ctx);
		pthread_mutex_lock(&r->lock);
		r->since_ns = 0;
		if (!r->stop)
			wait_ms(r, ms);
	}
	r->done = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/*
 * Ctrl-Z is answered by the thread that draws: ncurses puts the terminal in order there. A child that died
 * is told by its pipe, not by a signal.
 */
static int start_thread(struct reader *r)
{
	pthread_attr_t attr;
	sigset_t set, old;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	rc = pthread_create(&r->thread, &attr, work, r);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int reader_start(struct reader **out, read_fn *read, void *ctx, struct err *e)
{
	struct reader *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int rc;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->read = read;
	r->ctx = ctx;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = start_thread(r);
	if (rc) {
		free(r);
		return err_set(e, -rc, "cannot start a reading thread: %s", strerror(rc));
	}
	*out = r;
	return 0;
}

uint64_t reader_waiting_ms(struct reader *r)
{
	uint64_t ms;

	pthread_mutex_lock(&r->lock);
	ms = r->since_ns ? (telem_now_ns() - r->since_ns) / 1000000 : 0;
	pthread_mutex_unlock(&r->lock);
	return ms;
}

void reader_kick(struct reader *r)
{
	pthread_mutex_lock(&r->lock);
	r->kicked = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

static void tell_stop(struct reader *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
}

/* Until it is done, or its reading is still in flight when the time is over: between two of them nothing holds it. */
static bool ends_by(struct reader *r, const struct timespec *until)
{
	bool done;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (!r->done && rc == 0)
		rc = r->since_ns ? pthread_cond_timedwait(&r->wake, &r->lock, until)
				 : pthread_cond_wait(&r->wake, &r->lock);
	done = r->done;
	pthread_mutex_unlock(&r->lock);
	return done;
}

bool readers_stop(struct reader **readers, uint32_t n)
{
	struct timespec until;
	bool all = true;

	for (uint32_t i = 0; i < n; i++)
		tell_stop(readers[i]);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STOP_WAIT_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	for (uint32_t i = 0; i < n; i++) {
		struct reader *r = readers[i];

		if (!ends_by(r, &until)) {
			pthread_detach(r->thread);
			all = false;
			continue;
		}
		pthread_join(r->thread, NULL);
		pthread_cond_destroy(&r->wake);
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
	return all;
}

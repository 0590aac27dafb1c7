/* SPDX-License-Identifier: MIT */
#include "core/bounded.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define STACK_BYTES ((size_t)16 << 20) /* grammars are computed by recursion */
#define LOOK_MS     50

struct job {
	void (*run)(void *arg);
	void *arg;
	atomic_bool stop;
};

static _Thread_local struct job *mine;

/*
 * C++'s operator new, for everything in the process: the library calls ours, and ours the real one. It is
 * the one place where code that never looks up can be left in order: it may throw, so all above it cleans
 * up, as it also does for the end of a thread.
 */
void *new_or_end(size_t n) __asm__("_Znwm");

void *new_or_end(size_t n)
{
	static _Atomic(uintptr_t) real;
	uintptr_t at = atomic_load_explicit(&real, memory_order_relaxed);

	if (mine && atomic_load_explicit(&mine->stop, memory_order_relaxed)) {
		mine = NULL; /* cleaning up may ask for memory, too */
		pthread_exit(PTHREAD_CANCELED);
	}
	if (!at) {
		at = (uintptr_t)dlsym(RTLD_NEXT, "_Znwm");
		if (!at)
			abort(); /* there is C++ without its library */
		atomic_store_explicit(&real, at, memory_order_relaxed);
	}
	return ((void *(*)(size_t))at)(n);
}

static void *work(void *arg)
{
	mine = arg;
	mine->run(mine->arg);
	mine = NULL;
	return NULL;
}

static bool is_late(pthread_t thread)
{
	struct timespec t;
	clockid_t clock;

	return pthread_getcpuclockid(thread, &clock) == 0 && clock_gettime(clock, &t) == 0 &&
	       t.tv_sec >= BOUNDED_S;
}

static int start(pthread_t *thread, struct job *job)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return rc;
	rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (rc == 0)
		rc = pthread_create(thread, &attr, work, job);
	pthread_attr_destroy(&attr);
	return rc;
}

int bounded_run(void (*run)(void *arg), void *arg)
{
	struct job job = { .run = run, .arg = arg };
	void *result = NULL;
	pthread_t thread;
	int rc;

	if (start(&thread, &job))
		return -EAGAIN;
	do {
		struct timespec until;

		/* Not the monotonic clock: thread sanitizers do not know that join */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		rc = pthread_timedjoin_np(thread, &result, &until);
		if (rc == ETIMEDOUT && is_late(thread))
			atomic_store(&job.stop, true);
	} while (rc == ETIMEDOUT);
	return result == PTHREAD_CANCELED ? -ETIME : 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * `berth probe --watch`: wait for events, look again after each, print. Looking again never wakes: it is
 * the same collection that `berth probe` does, without NVML.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/own.h"
#include "probe/diff.h"
#include "probe/modes_priv.h"
#include "probe/watch.h"

struct watch {
	const struct watch_opts *o;
	const struct log *log;
	struct machine m;
	struct run *known; /* before the event */
	struct watcher *watcher;
	uint32_t n_events;
};

static int look(const struct machine *m, struct run **run, struct err *e)
{
	/* NVML opens every card, and a driver that lost one may hang in it. */
	const struct want want = { .no_nvml = true, .no_procs = true };

	return run_collect(m, &want, run, e);
}

static void time_text(char *buf, size_t size)
{
	struct timespec now;
	struct tm tm;
	char day[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, size, "%s.%03ldZ", day, now.tv_nsec / 1000000);
}

/* A line is an event: whoever reads must have it at once. */
static int print(struct watch *w, const struct watch_event *ev, struct err *e)
{
	char time[48], line[2048];
	struct text t;
	int rc = 0;

	time_text(time, sizeof(time));
	if (w->o->json) {
		json_t *o = watch_to_json(ev, time);

		rc = json_print_line(o, stdout);
		json_decref(o);
	} else {
		text_init(&t, line, sizeof(line));
		watch_text(&t, ev, time);
		rc = puts(line) < 0;
	}
	w->n_events++;
	return rc || fflush(stdout) ? err_set(e, -ENOSPC, "cannot write to standard output") : 0;
}

/* What the new look adds: names of what appeared, and which facts are other than before. */
static void complete(const struct watch *w, const struct report *now, struct watch_event *ev)
{
	const struct report *before = &w->known->merged;
	const struct gpu *a = report_gpu(before, ev->pci), *b = report_gpu(now, ev->pci);

	if (!b)
		return;
	if (!*ev->name && fact_text_known(&b->name))
		text_copy(ev->name, sizeof(ev->name), b->name.v);
	if (!*ev->driver && ev->kind == WATCH_BIND && fact_text_known(&b->driver))
		text_copy(ev->driver, sizeof(ev->driver), b->driver.v);
	if (a && ev->kind != WATCH_APPEAR)
		ev->changes = diff_gpu(before, a, now, b, false);
}

static void name_router(const struct report *now, struct watch_event *ev)
{
	for (uint32_t i = 0; *ev->router && !*ev->name && i < now->usb4.n_routers; i++)
		if (strcmp(now->usb4.routers[i].name, ev->router) == 0 &&
		    fact_text_known(&now->usb4.routers[i].device_name))
			text_copy(ev->name, sizeof(ev->name), now->usb4.routers[i].device_name.v);
}

/*
 * The look may be ahead of the events still queued: the driver that the next unbind is about is the one
 * that the last event told, not the one bound by now.
 */
static void as_told(struct report *r, const struct watch_event *ev)
{
	for (uint32_t i = 0; i < r->n_gpus; i++) {
		struct gpu *g = &r->gpus[i];

		if (strcmp(g->pci, ev->pci) != 0)
			continue;
		if (ev->kind == WATCH_UNBIND)
			g->driver = fact_text_unknown(WHY_NO_DRIVER);
		else if (ev->kind == WATCH_BIND && *ev->driver)
			g->driver = fact_text_of(ev->driver, SRC_SYSFS);
	}
}

static int handle(struct watch *w, const struct uevent *u, struct err *e)
{
	struct watch_event ev;
	struct run *now;

	if (!watch_decide(u, &w->known->merged, &ev))
		return 0;
	int rc = look(&w->m, &now, e);

	if (rc)
		return rc;
	complete(w, &now->merged, &ev);
	name_router(&now->merged, &ev);
	rc = print(w, &ev, e);
	json_decref(ev.changes);
	as_told(&now->merged, &ev);
	free(w->known);
	w->known = now;
	return rc;
}

/* Events were lost: what came and went is told by looking. */
static int resync(struct watch *w, struct err *e)
{
	struct run *now;
	int rc = look(&w->m, &now, e);

	if (rc)
		return rc;
	const struct report *a = &w->known->merged, *b = &now->merged;

	log_warn(w->log, "events were lost; comparing with the last look");
	for (uint32_t i = 0; !rc && i < a->n_gpus; i++) {
		struct watch_event ev = { .kind = WATCH_VANISH };

		text_copy(ev.pci, sizeof(ev.pci), a->gpus[i].pci);
		if (fact_text_known(&a->gpus[i].name))
			text_copy(ev.name, sizeof(ev.name), a->gpus[i].name.v);
		const struct gpu *still = report_gpu(b, ev.pci);

		if (still) {
			ev.kind = WATCH_CHANGE;
			ev.changes = diff_gpu(a, &a->gpus[i], b, still, false);
		}
		if (!still || json_array_size(ev.changes))
			rc = print(w, &ev, e);
		json_decref(ev.changes);
	}
	for (uint32_t i = 0; !rc && i < b->n_gpus; i++) {
		struct watch_event ev = { .kind = WATCH_APPEAR };

		if (report_gpu(a, b->gpus[i].pci))
			continue;
		text_copy(ev.pci, sizeof(ev.pci), b->gpus[i].pci);
		complete(w, b, &ev);
		rc = print(w, &ev, e);
	}
	free(w->known);
	w->known = now;
	return rc;
}

static bool enough(const struct watch *w)
{
	return w->o->count && w->n_events >= w->o->count;
}

static int drain(struct watch *w, struct err *e)
{
	struct uevent u;
	int rc = 0;

	while (!rc && !enough(w)) {
		int got = watcher_next(w->watcher, &u);

		if (got == 0)
			break;
		rc = got == -ENOBUFS ? resync(w, e) : handle(w, &u, e);
	}
	return rc;
}

/* Until a signal, the time or the count ends it. */
static int wait_for_events(struct watch *w, int signals, struct err *e)
{
	const int64_t until = clock_ms() + (int64_t)w->o->timeout_s * 1000;

	for (int rc = 0;;) {
		struct pollfd p[] = { { .fd = signals, .events = POLLIN },
				      { .fd = watcher_fd(w->watcher), .events = POLLIN } };
		int64_t left = w->o->timeout_s ? until - clock_ms() : -1;

		if (w->o->timeout_s && left <= 0)
			return 0;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_set(e, -errno, "waiting for events: %s", strerror(errno));
		if (p[0].revents)
			return 0;
		if (p[1].revents)
			rc = drain(w, e);
		if (rc || enough(w))
			return rc;
	}
}

int watch_machine(const struct watch_opts *o, const struct log *log, struct err *e)
{
	struct watch w = { .o = o, .log = log };
	sigset_t set;
	int rc = machine_open(&w.m, NULL, e);

	if (rc)
		return rc;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	own_fd int signals = signalfd(-1, &set, SFD_CLOEXEC);

	if (signals < 0)
		rc = err_set(e, -errno, "signalfd: %s", strerror(errno));
	/* Listen first: what happens while we look is an event, not a gap. */
	if (!rc)
		rc = watcher_open(&w.watcher, e);
	if (!rc)
		rc = look(&w.m, &w.known, e);
	if (!rc) {
		log_note(log, "watching %u GPUs; end with Ctrl-C", w.known->merged.n_gpus);
		rc = wait_for_events(&w, signals, e);
	}
	watcher_close(w.watcher);
	free(w.known);
	machine_close(&w.m);
	return rc ? rc : EXIT_YES;
}

/* SPDX-License-Identifier: MIT */
/* The life of one core: started, proven, told to go, watched to its end. One loop, one thread. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "launch/oom.h"
#include "launch/power.h"
#include "launch/serve.h"
#include "launch/watch_priv.h"

#define STOP_MS 5000 /* between asking, SIGTERM and SIGKILL */
#define TICK_MS 1000

#define FIXED_POLLS 5

/* --- stopping: ask, then SIGTERM, then SIGKILL --- */

void watch_stop(struct watch *w, int step)
{
	static const int64_t until_next[] = { 0, STOP_MS, STOP_MS, STOP_MS };

	if (w->reaped || step <= w->stops)
		return;
	w->stops = step;
	w->stop_at_ms = clock_ms() + until_next[step];
	if (step == 1 && w->child.control_fd >= 0)
		send(w->child.control_fd, "stop\n", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (step == 2)
		kill(-w->child.pid, SIGTERM);
	else if (step == 3) {
		kill(-w->child.pid, SIGKILL);
		w->we_killed = true;
		if (w->j->serve)
			serve_killed(w->j);
	}
}

static int wait_ms(const struct watch *w)
{
	int64_t left;

	if (w->stops == 0 || w->stops == 3)
		return TICK_MS;
	left = w->stop_at_ms - clock_ms();
	return left > 0 ? (int)left : 0;
}

static void on_signal(struct watch *w)
{
	bool stopped = w->j->stop;

	if (job_heed(w->j)) {
		/* The first asks, the second does not */
		watch_stop(w, stopped && w->j->stop ? 3 : 1);
		w->user_stop = true;
		if (w->j->serve && w->j->stop)
			serve_stopping(w->j);
	}
	if (!w->reaped && waitpid(w->child.pid, &w->status, WNOHANG) == w->child.pid) {
		w->reaped = true;
		w->child.pid = 0;
	}
}

/* A process that a driver holds dies when the driver lets it go, and not before: say so, once. */
static void mourn(struct watch *w)
{
	if (w->stops != 3 || w->mourned || clock_ms() < w->stop_at_ms)
		return;
	w->mourned = true;
	log_warn(&w->j->log,
		 "the core (pid %d) was killed and does not end: a driver holds it; waiting",
		 (int)w->child.pid);
}

/* Once a second: a device that is gone, and an engine that hangs. */
static void tick(struct watch *w)
{
	struct job *j = w->j;

	if (j->serve)
		serve_tick(j);
	mourn(w);
	if (w->stops || w->reaped)
		return;
	if (losses_look(&j->losses, &j->plan, &j->loss)) {
		watch_stop(w, 3); /* before a driver hangs in it */
	} else if (j->serve && j->proven && serve_is_stuck(j)) {
		w->stuck = true;
		watch_stop(w, 3);
	}
}

/* --- the loop --- */

static void look(struct watch *w, int timeout_ms)
{
	struct child *c = &w->child;
	struct pollfd p[FIXED_POLLS + SERVE_POLLS_MAX] = {
		{ c->control_fd, POLLIN, 0 },
		{ c->err_fd, POLLIN, 0 },
		{ c->out_fd, POLLIN, 0 },
		{ w->j->signal_fd, POLLIN, 0 },
		{ losses_fd(&w->j->losses), POLLIN, 0 },
	};
	uint32_t n = w->j->serve ? serve_polls(w->j->serve, p + FIXED_POLLS, &timeout_ms) : 0;

	if (poll(p, FIXED_POLLS + n, timeout_ms) < 0)
		return;
	if (p[0].revents)
		hear_control(w);
	if (p[1].revents)
		hear_stderr(w);
	if (p[2].revents)
		hear_text(w);
	if (p[3].revents)
		on_signal(w);
	if (p[4].revents && !w->reaped && losses_hear(&w->j->losses, &w->j->plan, &w->j->loss))
		watch_stop(w, 3);
	if (n && serve_step(w->j, p + FIXED_POLLS, n)) {
		w->user_stop = true;
		watch_stop(w, 1);
	}
}

/* What the dead left in the pipes. They are closed by then, unless a stranger inherited them. */
static void drain(struct watch *w)
{
	int64_t until = clock_ms() + 1000;

	while ((w->child.control_fd >= 0 || w->child.err_fd >= 0 || w->child.out_fd >= 0) &&
	       clock_ms() < until)
		look(w, 100);
}

static void watch_to_the_end(struct watch *w)
{
	while (!w->reaped) {
		look(w, wait_ms(w));
		if (clock_ms() >= w->tick_at_ms) {
			w->tick_at_ms = clock_ms() + TICK_MS;
			tick(w);
		}
		if ((w->stops == 1 || w->stops == 2) && clock_ms() >= w->stop_at_ms)
			watch_stop(w, w->stops + 1);
	}
	drain(w);
	hear_clear_progress(w);
}

static uint64_t count_oom_kills(const struct job *j)
{
	return j->losses.open ? oom_kills(&j->losses.machine) : 0;
}

static void judge(struct watch *w)
{
	struct job *j = w->j;
	char reason[400];

	/* An engine that aborts may be faster than the news of why */
	if (!j->loss.pci[0] && !losses_hear(&j->losses, &j->plan, &j->loss))
		losses_look(&j->losses, &j->plan, &j->loss);
	struct ending_facts f = {
		.wire = &j->wire,
		.status = w->status,
		.user_stop = w->user_stop,
		.we_killed = w->we_killed,
		.oom_kill = count_oom_kills(j) > w->oom_kills,
		.stuck_s = w->stuck ? j->o.watchdog_s : 0,
		.refused = w->refused ? w->sentence : NULL,
		.lost = j->loss.pci[0] ? j->loss.sentence : NULL,
		.reason = tail_reason(&j->tail, reason, sizeof(reason)),
	};

	ending_judge(&j->ending, &f);
	power_lost(j, j->loss.pci);
}

/* A child inherits the policy; where a container forbids it, the run is only slower. */
static int start_child(struct watch *w, struct err *e)
{
	struct job *j = w->j;
	bool set = j->memory.kind != MEMORY_ANY;
	int failed = set ? memory_use(&j->memory) : 0, rc;
	char words[256];
	struct text t;

	if (failed) {
		text_init(&t, words, sizeof(words));
		memory_text(&t, &j->memory);
		log_note(&j->log, "host memory is not %s, as it should be: %s", words,
			 strerror(-failed));
	}
	rc = child_start(&w->child, &j->start, &j->cpus, true, j->o.json || j->serve, e);
	if (set)
		memory_use(&(struct memory_policy) { .kind = MEMORY_ANY });
	return rc;
}

static int start_and_watch(struct watch *w, struct err *e)
{
	struct job *j = w->j;
	int rc = plan_write(&j->plan, j->runtime.plan_path, e);

	if (rc == 0)
		rc = job_signals(j, e);
	if (rc == 0)
		rc = power_apply(j, e); /* of what another plan uses */
	if (rc)
		return rc;
	losses_open(&j->losses);
	losses_forget(&j->losses);
	w->oom_kills = count_oom_kills(j);
	rc = start_child(w, e);
	if (rc)
		return rc;
	if (j->serve)
		serve_started(j, w->child.pid);
	watch_to_the_end(w);
	judge(w);
	return 0;
}

int job_run(struct job *j, struct err *e)
{
	own_free char *line = malloc(WIRE_LINE_MAX);
	struct watch w = {
		.j = j,
		.child = { .control_fd = -1, .err_fd = -1, .out_fd = -1 },
		.line = line,
	};
	int rc;

	if (!line)
		return err_set(e, -ENOMEM, "out of memory");
	rc = start_and_watch(&w, e);
	child_fini(&w.child);
	runtime_close(&j->runtime, rc == 0 && j->ending.exit != EXIT_YES);
	return rc;
}

/* SPDX-License-Identifier: MIT */
/* The life of one core: started, proven, told to go, watched to its end. One loop, one thread. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "launch/job.h"
#include "launch/proof.h"
#include "launch/serve.h"

#define STOP_MS  5000 /* between asking, SIGTERM and SIGKILL */
#define TICK_MS  1000
#define TEXT_MAX (16 << 20) /* of generated text kept for --json */

struct watch {
	struct job *j;
	struct child child;
	int status;
	bool reaped, user_stop, we_killed, refused, counter_shown, stuck;
	int stops;          /* 0: running; 1: asked; 2: SIGTERM; 3: SIGKILL */
	int64_t stop_at_ms; /* the next step of stopping */
	int64_t tick_at_ms;
	char sentence[1024]; /* of the refusal */
	char *line;          /* being received on the control line */
	size_t n_line;
	uint64_t oom_kills;
};

/* --- stopping: ask, then SIGTERM, then SIGKILL --- */

static void stop_step(struct watch *w, int step)
{
	static const int64_t until_next[] = { 0, STOP_MS, STOP_MS, 0 };

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
	}
}

static int wait_ms(const struct watch *w)
{
	int64_t left;

	if (w->stops == 0 || w->stops == 3)
		return w->j->serve ? TICK_MS : -1;
	left = w->stop_at_ms - clock_ms();
	return left > 0 ? (int)left : 0;
}

/* --- what the core says --- */

static void show_progress(struct watch *w)
{
	const struct log *l = &w->j->log;

	if (!isatty(STDERR_FILENO) || l->level < LOG_NORMAL)
		return;
	/* Past stderr's stream, which may lead into a log */
	dprintf(STDERR_FILENO, "\rloading %3d %%", w->j->wire.percent);
	w->counter_shown = true;
}

static void clear_progress(struct watch *w)
{
	if (w->counter_shown)
		dprintf(STDERR_FILENO, "\r             \r");
	w->counter_shown = false;
}

static void warn_inexact(const struct job *j)
{
	for (uint32_t i = 0; i + 1 < j->proof.n; i++)
		if (!j->proof.rows[i].exact)
			log_warn(&j->log, "%s: weights or KV cache are not what was planned",
				 j->proof.rows[i].pci[0] ? j->proof.rows[i].pci
							 : j->proof.rows[i].name);
	if (j->proof.unplaced_bytes)
		log_warn(&j->log, "%llu bytes of buffers are on a device that is in no plan",
			 (unsigned long long)j->proof.unplaced_bytes);
}

/* The table stands at the left margin: it has no room for our name on every line. */
static void show_proof(const struct job *j)
{
	char table[4096];
	struct text t;

	if (j->log.level < LOG_NORMAL)
		return;
	text_init(&t, table, sizeof(table));
	proof_text(&t, &j->proof);
	log_note(&j->log, "placement proven: %u layers and the output are where the plan says",
		 j->plan.n_layer);
	fputs(table, stderr);
}

/* The engine told where everything is: go, or refuse. */
static void on_ready(struct watch *w)
{
	struct job *j = w->j;
	struct err e = { 0 };

	clear_progress(w);
	if (verify_placement(&j->plan, &j->wire.ready, &e)) {
		w->refused = true;
		text_copy(w->sentence, sizeof(w->sentence), e.text);
		stop_step(w, 2);
		return;
	}
	proof_make(&j->proof, &j->plan, &j->wire.ready);
	j->proven = true;
	show_proof(j);
	warn_inexact(j);
	if (w->stops)
		return;
	if (j->serve)
		serve_open(j);
	send(w->child.control_fd, "go\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (j->serve)
		serve_ready(j);
}

static void on_line(struct watch *w)
{
	struct job *j = w->j;
	struct err e = { 0 };
	bool was_ready = j->wire.is_ready;

	if (wire_line(&j->wire, w->line, w->n_line, &e)) {
		/* A core that talks nonsense proves nothing */
		w->refused = true;
		text_copy(w->sentence, sizeof(w->sentence), e.text);
		stop_step(w, 2);
		return;
	}
	if (j->wire.loading)
		unlink(j->runtime.plan_path); /* it has been read */
	if (j->wire.is_ready && !was_ready)
		on_ready(w);
	else if (!j->wire.is_ready && !j->wire.has_failed)
		show_progress(w);
}

static void on_control(struct watch *w)
{
	char buf[4096];
	ssize_t n = recv(w->child.control_fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.control_fd);
		/* A core that closed its line ends by itself, or is helped to */
		stop_step(w, 1);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			on_line(w);
			w->n_line = 0;
		} else if (w->n_line < WIRE_LINE_MAX) {
			w->line[w->n_line++] = buf[i];
		}
	}
}

static void on_stderr(struct watch *w)
{
	char buf[4096];
	ssize_t n = read(w->child.err_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.err_fd);
		return;
	}
	if (n < 0)
		return;
	tail_add(&w->j->tail, buf, (size_t)n);
	if (w->j->serve)
		serve_engine_says(w->j, buf, (size_t)n);
	else if (w->j->o.verbose)
		fwrite(buf, 1, (size_t)n, stderr);
}

static void on_text(struct watch *w)
{
	struct job *j = w->j;
	char buf[4096];
	ssize_t n = read(w->child.out_fd, buf, sizeof(buf));
	char *more;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		own_close_fd(&w->child.out_fd);
		return;
	}
	if (n > 0 && j->serve) /* a core that serves has nothing for our reader */
		serve_engine_says(j, buf, (size_t)n);
	if (n < 0 || j->serve || j->n_text + (size_t)n > TEXT_MAX)
		return;
	more = realloc(j->text, j->n_text + (size_t)n);
	if (!more)
		return;
	j->text = more;
	memcpy(j->text + j->n_text, buf, (size_t)n);
	j->n_text += (size_t)n;
}

bool job_heed(struct job *j)
{
	struct signalfd_siginfo info;
	bool any = false;

	while (read(j->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		any = true;
		if (info.ssi_signo == SIGUSR1)
			j->again = true;
		else
			j->stop = true;
	}
	return any;
}

static void on_signal(struct watch *w)
{
	bool stopped = w->j->stop;

	if (job_heed(w->j)) {
		/* The first asks, the second does not */
		stop_step(w, stopped && w->j->stop ? 3 : 1);
		w->user_stop = true;
	}
	if (!w->reaped && waitpid(w->child.pid, &w->status, WNOHANG) == w->child.pid) {
		w->reaped = true;
		w->child.pid = 0;
	}
}

/* Once a second, when it serves: a device that left, and an engine that hangs. */
static void tick(struct watch *w)
{
	struct job *j = w->j;

	if (!j->serve || w->stops || w->reaped)
		return;
	serve_tick(j);
	if (runtime_lost_device(&j->plan)) {
		stop_step(w, 3); /* before its driver hangs in it */
	} else if (j->proven && serve_is_stuck(j)) {
		w->stuck = true;
		stop_step(w, 3);
	}
}

/* --- the loop --- */

static void look(struct watch *w, int timeout_ms)
{
	struct child *c = &w->child;
	struct pollfd p[4 + SERVE_POLLS_MAX] = {
		{ c->control_fd, POLLIN, 0 },
		{ c->err_fd, POLLIN, 0 },
		{ c->out_fd, POLLIN, 0 },
		{ w->j->signal_fd, POLLIN, 0 },
	};
	uint32_t n = w->j->serve ? serve_polls(w->j->serve, p + 4, &timeout_ms) : 0;

	if (poll(p, 4 + n, timeout_ms) < 0)
		return;
	if (p[0].revents)
		on_control(w);
	if (p[1].revents)
		on_stderr(w);
	if (p[2].revents)
		on_text(w);
	if (p[3].revents)
		on_signal(w);
	if (n && serve_step(w->j, p + 4, n)) {
		w->user_stop = true;
		stop_step(w, 1);
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
		if (w->j->serve && clock_ms() >= w->tick_at_ms) {
			w->tick_at_ms = clock_ms() + TICK_MS;
			tick(w);
		}
		if ((w->stops == 1 || w->stops == 2) && clock_ms() >= w->stop_at_ms)
			stop_step(w, w->stops + 1);
	}
	drain(w);
	clear_progress(w);
}

int job_signals(struct job *j, struct err *e)
{
	struct sigaction hangup;
	sigset_t set;

	if (j->signal_fd >= 0)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	if (j->serve)
		sigaddset(&set, SIGUSR1);
	/* A blocked signal reaches us even if ignored: what nohup started would stop with its terminal */
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Had our parent ignored it, children would be reaped behind our back */
	signal(SIGCHLD, SIG_DFL);
	j->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (j->signal_fd < 0)
		return err_set(e, -errno, "no descriptor for signals: %s", strerror(errno));
	return 0;
}

static void judge(struct watch *w)
{
	struct job *j = w->j;
	char reason[400];
	struct ending_facts f = {
		.wire = &j->wire,
		.status = w->status,
		.user_stop = w->user_stop,
		.we_killed = w->we_killed,
		.oom_kill = runtime_oom_kills() > w->oom_kills,
		.stuck_s = w->stuck ? j->o.watchdog_s : 0,
		.refused = w->refused ? w->sentence : NULL,
		.lost = runtime_lost_device(&j->plan),
		.reason = tail_reason(&j->tail, reason, sizeof(reason)),
	};

	ending_judge(&j->ending, &f);
}

static int start_and_watch(struct watch *w, struct err *e)
{
	struct job *j = w->j;
	int rc = plan_write(&j->plan, j->runtime.plan_path, e);

	if (rc == 0)
		rc = job_signals(j, e);
	if (rc)
		return rc;
	w->oom_kills = runtime_oom_kills();
	rc = child_start(&w->child, &j->start, &j->cpus, true, j->o.json || j->serve, e);
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

/* SPDX-License-Identifier: MIT */
/* What happens to a run while one core lives: supervise.c calls. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "launch/detach.h"
#include "launch/power.h"
#include "launch/serve_priv.h"

#define LOOKS_APART_MS 2000 /* at most, where nothing held us up */

/* A line for `systemctl status`: the state, and what a person would ask next. */
static void tell_manager(const struct serve *s)
{
	const struct run_record *r = &s->record;
	const char *more = "";
	char status[1024];
	struct text t;

	if (r->state == RUN_READY && r->n_addresses)
		more = r->addresses[0];
	else if (r->state == RUN_WAITING || r->state == RUN_FAILED)
		more = r->last_sentence;
	text_init(&t, status, sizeof(status));
	text_add(&t, "STATUS=%s%s%s", run_state_name(r->state), *more ? ": " : "", more);
	notify_send(&s->notify, status);
}

void serve_tell(struct job *j, enum run_state state)
{
	struct serve *s = j->serve;

	s->record.state = state;
	power_record(j, &s->record);
	run_tell(&s->claim, &s->record);
	tell_manager(s);
}

uint32_t serve_polls(struct serve *s, struct pollfd *p, int *timeout_ms)
{
	p[0] = (struct pollfd) { s->caller_fd, 0, 0 };
	return 1 + (s->answering ? busy_polls(&s->busy, p + 1, timeout_ms) : 0);
}

bool serve_step(struct job *j, const struct pollfd *p, uint32_t n)
{
	struct serve *s = j->serve;

	if (s->answering && n > 1)
		busy_step(&s->busy, p + 1, n - 1);
	if (s->caller_fd < 0 || !p[0].revents)
		return false;
	/* Ctrl-C while it loaded: the terminal's owner does not want it */
	own_close_fd(&s->caller_fd);
	j->stop = true;
	return true;
}

void serve_answer(struct serve *s, const char *why, uint32_t retry_s)
{
	s->answering = true;
	s->busy.why = why;
	s->busy.retry_s = retry_s ? retry_s : 1;
}

void serve_started(struct job *j, pid_t core)
{
	struct serve *s = j->serve;

	serve_answer(s, "the model is being loaded", 1);
	s->record.core_pid = core;
	s->record.starts++;
	text_copy(s->record.model, sizeof(s->record.model), j->plan.model_path);
	text_copy(s->record.plan_id, sizeof(s->record.plan_id), j->id);
	text_copy(s->record.page, sizeof(s->record.page), j->runtime.page_path);
	serve_tell(j, RUN_LOADING);
}

void serve_open(struct job *j)
{
	struct serve *s = j->serve;

	s->answering = false;
	busy_fini(&s->busy);
	s->beat = 0;
	s->silent_ms = 0;
	s->looked_at_ms = clock_ms();
}

void serve_ready(struct job *j)
{
	struct serve *s = j->serve;

	s->served = true;
	s->record.ready_s = (int64_t)time(NULL);
	serve_tell(j, RUN_READY);
	notify_send(&s->notify, "READY=1");
	for (uint32_t i = 0; i < s->record.n_addresses; i++)
		log_note(&j->log, "%s serves %s", j->name, s->record.addresses[i]);
	if (s->caller_fd < 0)
		return;
	if (j->key_path)
		log_note(&j->log, "the key is in %s; `berth ps`, `berth logs %s`, `berth stop %s`",
			 j->key_path, j->name, j->name);
	/* From here on the terminal is not ours */
	own_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	own_close_fd(&s->log.also_fd);
	detach_tell(&s->caller_fd, EXIT_YES);
}

void serve_engine_says(struct job *j, const char *bytes, size_t n)
{
	if (j->serve->log.fd >= 0)
		logfile_write(&j->serve->log, bytes, n);
	if (j->o.verbose && (j->serve->log.fd < 0 || j->serve->log.also_fd >= 0))
		dprintf(STDERR_FILENO, "%.*s", (int)n, bytes);
}

void serve_stopping(struct job *j)
{
	serve_tell(j, RUN_STOPPING);
	notify_send(&j->serve->notify, "STOPPING=1");
}

void serve_killed(struct job *j)
{
	serve_answer(j->serve, "the engine has failed and is being started again", 1);
}

static bool is_back(const struct losses *l, struct avoided *a)
{
	bool usable = presence_usable(&l->machine, a->pci);

	a->away = a->away || !usable;
	return a->away && usable;
}

/* All that was lost is there again: say so once, and leave the choice to its owner. */
static void look_for_lost(struct job *j)
{
	struct serve *s = j->serve;
	uint32_t back = 0;
	struct text t;

	for (uint32_t i = 0; i < j->n_avoid && j->losses.open; i++)
		back += is_back(&j->losses, &j->avoid[i]);
	if (s->returned || back == 0 || back < j->n_avoid)
		return;
	s->returned = true;
	text_init(&t, s->record.notice, sizeof(s->record.notice));
	for (uint32_t i = 0; i < back; i++)
		text_add(&t, "%s%s", i ? ", " : "", j->avoid[i].pci);
	text_add(&t, " %s back; `berth restart %s` uses %s again", back == 1 ? "is" : "are",
		 j->name, back == 1 ? "it" : "them");
	log_warn(&j->log, "%s", s->record.notice);
	serve_tell(j, s->record.state);
}

void serve_tick(struct job *j)
{
	notify_send(&j->serve->notify, "WATCHDOG=1");
	look_for_lost(j);
}

/*
 * By our own clock, which stands still while the machine sleeps, since when the beat is the same: a page's
 * clock goes on, and would make every core that wakes look stuck. So would ours where all of a machine stood
 * still, as a virtual one does that is paused: what we missed is not held against the core.
 */
bool serve_is_stuck(struct job *j)
{
	struct serve *s = j->serve;
	int64_t now = clock_ms(), since = now - s->looked_at_ms;
	struct telem_page page;
	enum telem_life life;

	if (j->o.watchdog_s == 0)
		return false;
	s->looked_at_ms = now;
	s->silent_ms += since < LOOKS_APART_MS ? since : LOOKS_APART_MS;
	if (telem_read(j->runtime.page_path, &page, &life, NULL) == 0 &&
	    page.header.heartbeat_ns != s->beat) {
		s->beat = page.header.heartbeat_ns;
		s->silent_ms = 0;
	}
	return s->silent_ms > (int64_t)j->o.watchdog_s * 1000;
}

/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "launch/detach.h"
#include "launch/logfile.h"
#include "launch/notify.h"
#include "launch/policy.h"
#include "launch/runs.h"
#include "launch/serve.h"
#include "launch/state.h"

struct serve {
	struct sockets sockets;
	struct busy busy;
	bool answering; /* we, not a core */
	struct run_claim claim;
	struct run_record record;
	struct logfile log;
	FILE *stderr_before; /* NULL: it was not replaced */
	struct notify notify;
	int caller_fd; /* --detach: who waits for us; -1: nobody */
	char key_path[PATH_MAX];
	struct policy policy;
	uint32_t tried; /* of what makes a plan smaller */
	uint64_t beat;  /* of the page, as last seen, and when */
	int64_t beat_at_ms;

	/* What was asked for, to which a restart returns */
	struct options asked;
	struct wish wished;
	const char *model;
	/* What a plan file turned into, and the devices that are left */
	char model_path[1024];
	char survivors[PLAN_DEVICES_MAX * 32];
	struct plan before; /* the last one that ran, while a new one is made */
	bool missing;       /* runs without devices it was asked to use */
	bool returned;      /* and they are back, which was said */
	struct plan first;
};

/* --- what others can see --- */

static void tell(struct job *j, enum run_state state)
{
	struct serve *s = j->serve;
	char status[128];

	s->record.state = state;
	run_tell(&s->claim, &s->record);
	snprintf(status, sizeof(status), "STATUS=%s", run_state_name(state));
	notify_send(&s->notify, status);
}

static void fill_record(struct job *j)
{
	struct serve *s = j->serve;
	struct run_record *r = &s->record;

	text_copy(r->name, sizeof(r->name), j->name);
	r->supervisor = getpid();
	r->started_s = (int64_t)time(NULL);
	r->n_addresses = s->sockets.n;
	for (uint32_t i = 0; i < s->sockets.n; i++) {
		const struct listener *l = &s->sockets.list[i];
		struct text t;

		text_init(&t, r->addresses[i], sizeof(r->addresses[i]));
		text_add(&t, "%s %s", l->name, l->address);
	}
	if (j->key_path)
		text_copy(r->key_file, sizeof(r->key_file), j->key_path);
	text_copy(r->log, sizeof(r->log), s->log.fd >= 0 ? s->log.path : "");
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

static void answer_ourselves(struct serve *s, const char *why, uint32_t retry_s)
{
	s->answering = true;
	s->busy.why = why;
	s->busy.retry_s = retry_s ? retry_s : 1;
}

void serve_started(struct job *j, pid_t core)
{
	struct serve *s = j->serve;

	answer_ourselves(s, "the model is being loaded", 1);
	s->record.core_pid = core;
	s->record.starts++;
	text_copy(s->record.model, sizeof(s->record.model), j->plan.model_path);
	text_copy(s->record.plan_id, sizeof(s->record.plan_id), j->id);
	text_copy(s->record.page, sizeof(s->record.page), j->runtime.page_path);
	tell(j, RUN_LOADING);
}

void serve_open(struct job *j)
{
	struct serve *s = j->serve;

	s->answering = false;
	busy_fini(&s->busy);
	s->beat = 0;
	s->beat_at_ms = clock_ms();
}

void serve_ready(struct job *j)
{
	struct serve *s = j->serve;

	s->record.ready_s = (int64_t)time(NULL);
	tell(j, RUN_READY);
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

/* A device that was lost is there again: say so once, and leave the choice to its owner. */
static void look_for_lost(struct job *j)
{
	struct serve *s = j->serve;

	if (!s->missing || s->returned || runtime_lost_device(&s->first))
		return;
	s->returned = true;
	log_note(&j->log, "the device that was lost is back; `berth restart %s` uses it again",
		 j->name);
}

void serve_tick(struct job *j)
{
	notify_send(&j->serve->notify, "WATCHDOG=1");
	look_for_lost(j);
}

/*
 * By our own clock, which stands still while the machine sleeps, when the beat changed last: a page's
 * clock goes on, and would make every core that wakes look stuck.
 */
bool serve_is_stuck(struct job *j)
{
	struct serve *s = j->serve;
	struct telem_page page;
	enum telem_life life;

	if (j->o.watchdog_s == 0)
		return false;
	if (telem_read(j->runtime.page_path, &page, &life, NULL) == 0 &&
	    page.header.heartbeat_ns != s->beat) {
		s->beat = page.header.heartbeat_ns;
		s->beat_at_ms = clock_ms();
	}
	return clock_ms() - s->beat_at_ms > (int64_t)j->o.watchdog_s * 1000;
}

/* --- the beginning --- */

static int open_sockets(struct job *j, struct err *e)
{
	struct sockets *s = &j->serve->sockets;
	int rc = sockets_inherit(s, e);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < j->o.listen.n; i++) {
		rc = sockets_add(s, "openai", j->o.listen.v[i], e);
		if (rc)
			return rc;
	}
	if (s->n == 0) {
		rc = sockets_add(s, "openai", SOCKETS_DEFAULT, e);
		if (rc)
			return rc;
	}
	return j->o.ollama ? sockets_add(s, "ollama", SOCKETS_OLLAMA, e) : 0;
}

/* For a dry run: what would be opened. */
static void pretend(struct job *j)
{
	struct serve *s = j->serve;
	struct sockets *to = &s->sockets;
	uint32_t n = j->o.listen.n ? j->o.listen.n : 1;

	for (uint32_t i = 0; i < n + j->o.ollama && to->n < SOCKETS_MAX; i++) {
		struct listener *l = &to->list[to->n++];

		l->fd = -1;
		text_copy(l->name, sizeof(l->name), i < n ? "openai" : "ollama");
	}
	if (j->o.name)
		text_copy(j->name, sizeof(j->name), j->o.name);
	else
		run_name_from(j->name, sizeof(j->name), j->model ? j->model : "");
	text_copy(s->key_path, sizeof(s->key_path), j->o.key_file ? j->o.key_file : "api-key");
	j->key_path = j->o.no_key ? NULL : s->key_path;
	j->sockets = to;
}

/* The key, and where the log goes when there is no terminal to show it. */
static int open_state(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	char dir[PATH_MAX - 80], path[PATH_MAX];
	int rc = 0;

	if (!j->o.no_key && j->o.key_file && !realpath(j->o.key_file, s->key_path))
		text_copy(s->key_path, sizeof(s->key_path), j->o.key_file);
	if ((!j->o.no_key && !j->o.key_file) || j->o.detach)
		rc = state_dir(dir, sizeof(dir), e);
	if (rc)
		return rc;
	if (!j->o.no_key && !j->o.key_file)
		snprintf(s->key_path, sizeof(s->key_path), "%s/api-key", dir);
	if (!j->o.no_key) {
		rc = state_key(s->key_path, e);
		j->key_path = s->key_path;
	}
	if (rc || !j->o.detach)
		return rc;
	snprintf(path, sizeof(path), "%s/%s.log", dir, j->name);
	rc = logfile_open(&s->log, path, e);
	if (rc)
		return rc;
	s->log.also_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	FILE *stream = logfile_stream(&s->log);

	if (stream) {
		s->stderr_before = stderr;
		stderr = stream; /* glibc lets it be assigned */
	}
	return 0;
}

static int choose_name(struct job *j, struct err *e)
{
	if (j->o.name)
		text_copy(j->name, sizeof(j->name), j->o.name);
	else
		run_name_from(j->name, sizeof(j->name),
			      j->model    ? j->model
			      : j->o.plan ? j->o.plan
					  : "");
	return run_claim(&j->serve->claim, j->name, e);
}

int serve_begin(struct job *j, bool *waited, struct err *e)
{
	struct serve *s = calloc(1, sizeof(*s));
	int code = 0, rc;

	*waited = false;
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->caller_fd = s->log.fd = s->log.also_fd = s->claim.lock_fd = -1;
	j->serve = s;
	if (j->o.dry_run) {
		pretend(j);
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	if (j->o.detach) {
		rc = detach(&s->caller_fd, &code, e);
		*waited = rc == 1;
		if (rc)
			return rc < 0 ? rc : code;
	}
	s->asked = j->o;
	s->wished = j->wish;
	s->model = j->model;
	notify_init(&s->notify);
	rc = choose_name(j, e);
	if (rc == 0)
		rc = open_sockets(j, e);
	if (rc == 0)
		rc = open_state(j, e);
	if (rc == 0)
		rc = job_signals(j, e);
	if (rc)
		return rc;
	j->sockets = &s->sockets;
	busy_init(&s->busy, &s->sockets);
	answer_ourselves(s, "the run is being planned", 1);
	fill_record(j);
	tell(j, RUN_STARTING);
	return 0;
}

void serve_end(struct job *j, int code)
{
	struct serve *s = j->serve;

	if (!s)
		return;
	notify_send(&s->notify, "STOPPING=1");
	if (j->sockets && !j->o.dry_run)
		busy_fini(&s->busy);
	sockets_close(&s->sockets);
	run_release(&s->claim, s->record.state == RUN_FAILED);
	if (s->stderr_before) {
		fclose(stderr);
		stderr = s->stderr_before;
	}
	logfile_close(&s->log);
	own_close_fd(&s->log.also_fd);
	detach_tell(&s->caller_fd, code);
	free(s);
	j->serve = NULL;
}

/* --- another plan --- */

/* From a plan file nothing can be planned anew but by the wish it stands for. */
static void leave_plan_file(struct job *j)
{
	struct serve *s = j->serve;

	if (!j->o.plan)
		return;
	policy_wish(&j->wish, &j->plan);
	text_copy(s->model_path, sizeof(s->model_path), j->plan.model_path);
	j->model = s->model_path;
	j->o.plan = NULL;
}

static bool is_left(const struct job *j, const struct plan_device *d)
{
	for (uint32_t i = 0; i < j->map.n; i++) {
		const struct devmap_device *m = &j->map.devices[i];

		if (d->pci[0] ? strcasecmp(m->pci, d->pci) == 0
			      : strcmp(m->name, d->engine_name) == 0)
			return true;
	}
	return false;
}

/* The plan's devices that the engine still sees, as a selector. */
static int keep_survivors(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	struct text t;
	int rc = job_devices(j, e);

	if (rc)
		return rc;
	text_init(&t, s->survivors, sizeof(s->survivors));
	for (uint32_t d = 0; d < s->before.n_devices; d++) {
		const struct plan_device *one = &s->before.devices[d];

		if (is_left(j, one))
			text_add(&t, "%s%s", t.len ? "," : "",
				 one->pci[0] ? one->pci : one->engine_name);
	}
	if (t.len == 0)
		return err_set(e, -ENXIO, "none of the plan's devices is left");
	j->o.device = s->survivors;
	j->wish.n_split = j->wish.n_shares = 0;
	return 0;
}

/* Plan as the options now say. An errno also when the plan is not accepted. */
static int plan_again(struct job *j, struct err *e)
{
	int rc = job_plan(j, e);

	if (rc == 0 && plan_exit(&j->plan) != EXIT_YES)
		rc = err_set(e, -EDQUOT, "%s", j->plan.decided_by);
	return rc;
}

static int replan(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	bool by_hand = j->o.device || j->o.plan;
	int rc;

	leave_plan_file(j);
	rc = by_hand ? keep_survivors(j, e) : 0;
	j->wish.n_split = j->wish.n_shares = 0;
	s->missing = true;
	s->returned = false;
	if (rc == 0)
		rc = plan_again(j, e);
	if (rc == 0)
		log_warn(&j->log, "planned again for the %u device%s that are left",
			 j->plan.n_devices, j->plan.n_devices == 1 ? "" : "s");
	return rc;
}

static int shrink(struct job *j, struct err *e)
{
	struct serve *s = j->serve;
	char said[160];
	int rc;

	leave_plan_file(j);
	while (policy_shrink(&j->wish, &s->before, &s->tried, said, sizeof(said))) {
		rc = plan_again(j, e);
		if (rc == 0) {
			log_warn(&j->log, "the next smaller plan: %s", said);
			return 0;
		}
		log_note(&j->log, "%s: %s", said, e->text);
	}
	return err_set(e, -EDQUOT, "no smaller plan is left to try");
}

/* As it was asked for at first: what is back is used again. */
static int start_over(struct job *j, struct err *e)
{
	struct serve *s = j->serve;

	j->o = s->asked;
	j->wish = s->wished;
	j->model = s->model;
	j->plain_cpu = false;
	memset(&s->policy, 0, sizeof(s->policy));
	s->tried = 0;
	s->missing = false;
	return plan_again(j, e);
}

static int plain(struct job *j, struct err *e)
{
	(void)e;
	j->plain_cpu = true;
	log_warn(&j->log, "the next core uses the plainest code for this processor: slower");
	return 0;
}

static int same(struct job *j, struct err *e)
{
	(void)j;
	(void)e;
	return 0;
}

static int (*const steps[])(struct job *, struct err *) = {
	[POLICY_AGAIN] = same,
	[POLICY_REPLAN] = replan,
	[POLICY_SMALLER] = shrink,
	[POLICY_PLAIN] = plain,
};

/* --- from one core to the next --- */

/* Answer, and heed orders, for so long. */
static void wait_and_answer(struct job *j, int64_t ms)
{
	int64_t until = clock_ms() + ms;

	while (!j->stop && !j->again) {
		struct pollfd p[1 + SERVE_POLLS_MAX] = { { j->signal_fd, POLLIN, 0 } };
		int64_t left = until - clock_ms();
		int timeout = left > 1000 ? 1000 : (int)left;
		uint32_t n;

		if (left <= 0)
			return;
		n = serve_polls(j->serve, p + 1, &timeout);
		if (poll(p, 1 + n, timeout) < 0 && errno != EINTR)
			return;
		notify_send(&j->serve->notify, "WATCHDOG=1");
		job_heed(j);
		serve_step(j, p + 1, n);
	}
}

static void note_ending(struct job *j)
{
	struct serve *s = j->serve;

	s->record.core_pid = 0;
	s->record.ready_s = 0;
	text_copy(s->record.last_class, sizeof(s->record.last_class), j->ending.class);
	text_copy(s->record.last_sentence, sizeof(s->record.last_sentence), j->ending.sentence);
	s->before = j->plan;
}

/* A core that serves ends when it is asked to, and not otherwise. */
static void doubt(struct job *j)
{
	if (j->stop || j->again || strcmp(j->ending.class, "none") != 0)
		return;
	text_copy(j->ending.class, sizeof(j->ending.class), "exit");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence),
		  "the core ended although nobody had asked it to");
	j->ending.exit = EXIT_ENGINE;
}

static void gave_up(struct job *j, const char *why)
{
	struct text t;
	size_t n = strlen(j->ending.sentence);

	text_init(&t, j->ending.sentence + n, sizeof(j->ending.sentence) - n);
	text_add(&t, "; %s", why);
	note_ending(j);
	tell(j, RUN_FAILED);
}

/* Make ready for the next core as the policy says. false: there is none. */
static bool go_on(struct job *j)
{
	struct serve *s = j->serve;
	struct policy_decision d = policy_next(&s->policy, &j->ending, clock_ms());
	struct err e = { 0 };
	int rc;

	if (d.step == POLICY_END) {
		gave_up(j, d.gave_up ? "gave up" : "starting it again would not help");
		return false;
	}
	log_warn(&j->log, "%s", j->ending.sentence);
	if (d.delay_ms)
		log_note(&j->log, "the core is started again in %lld s",
			 (long long)d.delay_ms / 1000);
	answer_ourselves(s, "the engine has failed and is being started again",
			 (uint32_t)(d.delay_ms / 1000));
	tell(j, RUN_WAITING);
	wait_and_answer(j, d.delay_ms);
	if (j->stop || j->again)
		return !j->stop;
	rc = steps[d.step](j, &e);
	if (rc == 0)
		return true;
	gave_up(j, e.text);
	return false;
}

static bool restarted(struct job *j)
{
	struct err e = { 0 };

	j->again = false;
	log_note(&j->log, "started again, as asked");
	answer_ourselves(j->serve, "the run is being started again", 1);
	tell(j, RUN_STARTING);
	if (start_over(j, &e) == 0)
		return true;
	text_copy(j->ending.class, sizeof(j->ending.class), "plan");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), "it cannot be started again");
	j->ending.exit = EXIT_NO;
	gave_up(j, e.text);
	return false;
}

/* A core that could not even be started is one that ended. */
static void run_core(struct job *j)
{
	struct err e = { 0 };
	int rc = job_prepare(j, &e);

	if (rc == 0)
		rc = job_run(j, &e);
	if (rc == 0)
		return;
	text_copy(j->ending.class, sizeof(j->ending.class), "start");
	text_copy(j->ending.sentence, sizeof(j->ending.sentence), e.text);
	j->ending.exit = err_exit(rc);
}

int serve_run(struct job *j, struct err *e)
{
	bool more = true;

	j->serve->first = j->plan;
	(void)e;
	while (more) {
		job_reset(j);
		run_core(j);
		note_ending(j);
		doubt(j);
		if (j->stop)
			break;
		more = j->again ? restarted(j) : go_on(j);
		if (more && j->again)
			more = restarted(j);
	}
	if (j->stop && strcmp(j->ending.class, "none") != 0 && !j->proven) {
		memset(&j->ending, 0, sizeof(j->ending)); /* it stopped while it waited, as asked */
		text_copy(j->ending.class, sizeof(j->ending.class), "none");
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The beginning of a run that stays, and its end. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "launch/detach.h"
#include "launch/serve_priv.h"
#include "launch/state.h"
#include "launch/witness.h"

static void fill_record(struct job *j)
{
	struct serve *s = j->serve;
	struct run_record *r = &s->record;

	text_copy(r->name, sizeof(r->name), j->name);
	r->supervisor = getpid();
	r->started_s = (int64_t)time(NULL);
	r->n_addresses = s->sockets.n;
	for (uint32_t i = 0; i < s->sockets.n; i++) {
		const struct listening *l = &s->sockets.list[i];
		struct text t;

		text_init(&t, r->addresses[i], sizeof(r->addresses[i]));
		text_add(&t, "%s %s", socket_speaks(l), l->where);
	}
	if (j->key_path)
		text_copy(r->key_file, sizeof(r->key_file), j->key_path);
	text_copy(r->log, sizeof(r->log), s->log.fd >= 0 ? s->log.path : "");
}

/* The name that was asked for, the profile's, or what the model's file suggests. */
static void take_name(struct job *j)
{
	const char *profile = strrchr(j->profile.path, '/');

	if (j->o.name)
		text_copy(j->name, sizeof(j->name), j->o.name);
	else if (profile)
		snprintf(j->name, sizeof(j->name), "%.*s",
			 (int)(strlen(profile + 1) - strlen(PROFILE_ENDING)), profile + 1);
	else
		run_name_from(j->name, sizeof(j->name),
			      j->model    ? j->model
			      : j->o.plan ? j->o.plan
					  : "");
}

/* For a dry run: what would be opened. */
static void pretend(struct job *j)
{
	struct serve *s = j->serve;
	struct sockets *to = &s->sockets;
	uint32_t n = j->o.listen.n ? j->o.listen.n : 1;
	char dir[PATH_MAX - 80];

	for (uint32_t i = 0; i < n + j->o.ollama && to->n < SOCKETS_MAX; i++) {
		struct listening *l = &to->list[to->n++];

		*l = (struct listening) { .fd = -1, .ollama = i >= n };
		text_copy(l->where, sizeof(l->where),
			  i >= n          ? SOCKETS_OLLAMA
			  : j->o.listen.n ? j->o.listen.v[i]
					  : SOCKETS_DEFAULT);
	}
	take_name(j);
	if (j->o.key_file)
		text_copy(s->key_path, sizeof(s->key_path), j->o.key_file);
	else if (!state_place(dir, sizeof(dir), NULL))
		snprintf(s->key_path, sizeof(s->key_path), "%s/api-key", dir);
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
	take_name(j);
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
		rc = sockets_open_all(&s->sockets, j->o.listen.v, j->o.listen.n,
				      j->o.ollama ? SOCKETS_OLLAMA : NULL, e);
	if (rc == 0)
		rc = open_state(j, e);
	if (rc == 0)
		rc = job_signals(j, e);
	if (rc)
		return rc;
	j->sockets = &s->sockets;
	busy_init(&s->busy, &s->sockets);
	serve_answer(s, "the run is being planned", 1);
	if (!j->o.no_flight)
		s->witness = witness_begin();
	fill_record(j);
	serve_tell(j, RUN_STARTING);
	return 0;
}

void serve_end(struct job *j, int code)
{
	struct serve *s = j->serve;

	if (!s)
		return;
	notify_send(&s->notify, "STOPPING=1");
	witness_end(&s->witness);
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

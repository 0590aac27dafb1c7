/* SPDX-License-Identifier: MIT */
#include "tui/fits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "base/self.h"
#include "base/text.h"

#define ANSWER_MAX (16u << 20)

extern char **environ;

/* --- the answer --- */

static void get_text(const json_t *o, const char *key, char *to, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	text_copy(to, size, s ? s : "");
	text_clean(to);
}

static double get_rate(const json_t *range, const char *key)
{
	const json_t *v = json_object_get(range, key);
	double d = json_number_value(v);

	return json_is_number(v) && d >= 0 && d < 1e9 ? d : -1;
}

static void read_row(struct fit *r, const json_t *o)
{
	const json_t *plan = json_object_get(o, "plan");
	const json_t *size = json_object_get(json_object_get(plan, "model"), "size_bytes");
	const json_t *speed = json_object_get(json_object_get(plan, "speed"),
					      "generation_tokens_s");

	*r = (struct fit) { .size_bytes = UINT64_MAX };
	get_text(o, "name", r->name, sizeof(r->name));
	get_text(o, "store", r->store, sizeof(r->store));
	get_text(plan, "verdict", r->verdict, sizeof(r->verdict));
	get_text(plan, "decided_by", r->decided_by, sizeof(r->decided_by));
	if (!r->verdict[0])
		get_text(o, "error", r->decided_by, sizeof(r->decided_by));
	if (json_is_integer(size) && json_integer_value(size) >= 0)
		r->size_bytes = (uint64_t)json_integer_value(size);
	r->low = get_rate(speed, "low");
	r->high = get_rate(speed, "high");
}

int fits_read(struct fits *f, const char *bytes, size_t n, struct err *e)
{
	json_t *o = json_parse(bytes, n, "the planner's answer", e);
	const json_t *models = json_object_get(o, "models");
	size_t all = json_array_size(models);

	if (o && !json_is_array(models))
		err_set(e, -EBADMSG, "the planner's answer lists no models");
	if (!json_is_array(models)) {
		json_decref(o);
		return -EBADMSG;
	}
	f->n = all < FITS_MAX ? (uint32_t)all : FITS_MAX;
	f->n_left_out = all - f->n < UINT32_MAX ? (uint32_t)(all - f->n) : UINT32_MAX;
	for (uint32_t i = 0; i < f->n; i++)
		read_row(&f->rows[i], json_array_get(models, i));
	json_decref(o);
	return 0;
}

/* --- the question --- */

void fits_init(struct fits *f)
{
	memset(f, 0, sizeof(*f));
	f->fd = -1;
}

static void let_go(struct fits *f)
{
	own_close_fd(&f->fd);
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	f->pid = 0;
	f->len = 0;
}

void fits_fini(struct fits *f)
{
	let_go(f);
	free(f->buf);
	f->buf = NULL;
}

static void fail(struct fits *f, const char *why)
{
	text_copy(f->why, sizeof(f->why), why);
	f->state = FITS_FAILED;
	let_go(f);
}

static int start(struct fits *f, const char *program, int out)
{
	char *argv[] = { (char *)"plan", (char *)"--list", (char *)"--json", NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none); /* the monitor's signals come as data */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(&f->pid, program, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	if (rc)
		f->pid = 0;
	return -rc;
}

void fits_ask(struct fits *f)
{
	char program[PATH_MAX];
	struct err e = { 0 };
	int out[2];

	if (f->state == FITS_ASKING)
		return;
	if (self_path(program, sizeof(program), "libexec/berth/plan", &e))
		return fail(f, e.text);
	if (pipe2(out, O_CLOEXEC))
		return fail(f, strerror(errno));
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	int rc = start(f, program, out[1]);

	own_close_fd(&out[1]);
	f->fd = out[0];
	f->state = FITS_ASKING;
	if (rc) {
		err_set(&e, rc, "%s cannot be started: %s", program, strerror(-rc));
		fail(f, e.text);
	}
}

/* More room for the answer; false: it is too long. */
static bool make_room(struct fits *f)
{
	if (f->room - f->len >= 65536)
		return true;
	if (f->room >= ANSWER_MAX)
		return false;
	size_t room = f->room ? 2 * f->room : 131072;
	char *more = realloc(f->buf, room);

	if (!more)
		return false;
	f->buf = more;
	f->room = room;
	return true;
}

static void answered(struct fits *f)
{
	struct err e = { 0 };

	if (fits_read(f, f->buf, f->len, &e))
		return fail(f, f->len ? e.text : "the planner gave no answer");
	f->state = FITS_KNOWN;
	let_go(f);
}

bool fits_poll(struct fits *f)
{
	ssize_t n = 0;

	if (f->state != FITS_ASKING)
		return false;
	while (make_room(f) && (n = read(f->fd, f->buf + f->len, f->room - f->len)) > 0)
		f->len += (size_t)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == 0 && f->room - f->len >= 65536)
		answered(f);
	else
		fail(f, "the planner's answer cannot be read");
	return true;
}

/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"
#include "launch/runs.h"

#define RECORD_MAX (64 << 10)
#define ENDING     ".run.json"

static const char *const state_names[RUN_STATE_COUNT] = {
	[RUN_STARTING] = "starting", [RUN_LOADING] = "loading",   [RUN_READY] = "ready",
	[RUN_WAITING] = "waiting",   [RUN_STOPPING] = "stopping", [RUN_FAILED] = "failed",
	[RUN_ASLEEP] = "asleep",     [RUN_DEAD] = "dead",
};

const char *run_state_name(enum run_state s)
{
	return state_names[s];
}

static bool is_name_byte(unsigned char c)
{
	return c < 128 && (isalnum(c) || c == '.' || c == '_' || c == '-');
}

bool run_name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= RUN_NAME_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_name_byte((unsigned char)name[i]))
			return false;
	return true;
}

void run_name_from(char *name, size_t size, const char *model)
{
	const char *base = strrchr(model, '/');
	size_t n = 0;

	base = base ? base + 1 : model;
	for (; *base && strcmp(base, ".gguf") != 0 && n + 1 < size && n + 1 < RUN_NAME_MAX; base++)
		if (is_name_byte((unsigned char)*base) && (n || isalnum((unsigned char)*base)))
			name[n++] = *base;
	name[n] = 0;
	if (n == 0)
		text_copy(name, size, "model");
}

/* --- the record as JSON --- */

static json_t *caps_to_json(const struct run_record *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->n_caps; i++) {
		json_t *o = json_object();

		json_put_text(o, "pci", r->caps[i].pci);
		json_put_text(o, "cap", r->caps[i].cap);
		json_put_text_or_null(o, "txn", r->caps[i].txn);
		json_array_append_new(list, o);
	}
	return list;
}

static void caps_from_json(struct run_record *r, const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		struct run_cap *c = &r->caps[r->n_caps];

		if (r->n_caps == RUN_CAPS_MAX)
			return;
		json_get_text(o, "pci", c->pci, sizeof(c->pci));
		json_get_text(o, "cap", c->cap, sizeof(c->cap));
		json_get_text(o, "txn", c->txn, sizeof(c->txn));
		r->n_caps += c->pci[0] && c->cap[0];
	}
}

/* Null where there is none, not 0: scripts hand it to kill, and 0 is the group of their own processes. */
static void put_pid(json_t *o, const char *key, int64_t pid)
{
	if (pid)
		json_put_int(o, key, pid);
	else
		json_put_null(o, key);
}

json_t *run_to_json(const struct run_record *r)
{
	json_t *o = json_answer("berth.run/1"), *addresses = json_array();

	json_put_text(o, "name", r->name);
	json_put_text(o, "state", run_state_name(r->state));
	put_pid(o, "supervisor_pid", r->supervisor);
	put_pid(o, "core_pid", r->core_pid);
	json_put_int(o, "started_s", r->started_s);
	json_put_int(o, "ready_s", r->ready_s);
	json_put_int(o, "starts", r->starts);
	json_put_text(o, "model", r->model);
	json_put_text(o, "plan_id", r->plan_id);
	for (uint32_t i = 0; i < r->n_addresses; i++) {
		json_t *a = json_string(r->addresses[i]);

		json_array_append_new(addresses, a ? a : json_string("?"));
	}
	json_object_set_new(o, "addresses", addresses);
	json_put_text_or_null(o, "key_file", r->key_file);
	json_put_text_or_null(o, "log", r->log);
	json_put_text(o, "page", r->page);
	json_put_text_or_null(o, "last_class", r->last_class);
	json_put_text_or_null(o, "last_sentence", r->last_sentence);
	json_put_text_or_null(o, "notice", r->notice);
	json_object_set_new(o, "power_caps", caps_to_json(r));
	return o;
}

static int64_t get_count(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 ? 0 : (int64_t)v;
}

static bool get_state(const json_t *o, enum run_state *s)
{
	const char *name = json_string_value(json_object_get(o, "state"));

	for (int i = 0; name && i <= RUN_FAILED; i++) /* what is never written is never read */
		if (strcmp(state_names[i], name) == 0) {
			*s = (enum run_state)i;
			return true;
		}
	return false;
}

int run_from_json(struct run_record *r, const json_t *o, struct err *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const json_t *addresses = json_object_get(o, "addresses");
	int64_t starts = get_count(o, "starts");

	memset(r, 0, sizeof(*r));
	json_get_text(o, "name", r->name, sizeof(r->name));
	if (!schema || strcmp(schema, "berth.run/1") != 0 || !run_name_is_good(r->name) ||
	    !get_state(o, &r->state))
		return err_set(e, -EBADMSG, "this is no berth.run/1 record");
	r->core_pid = get_count(o, "core_pid");
	r->started_s = get_count(o, "started_s");
	r->ready_s = get_count(o, "ready_s");
	r->starts = starts > UINT32_MAX ? UINT32_MAX : (uint32_t)starts;
	for (size_t i = 0; i < json_array_size(addresses) && i < SOCKETS_MAX; i++) {
		const char *a = json_string_value(json_array_get(addresses, i));

		if (a)
			text_copy(r->addresses[r->n_addresses++], sizeof(r->addresses[0]), a);
	}
	for (uint32_t i = 0; i < r->n_addresses; i++)
		text_clean(r->addresses[i]);
	json_get_text(o, "model", r->model, sizeof(r->model));
	json_get_text(o, "plan_id", r->plan_id, sizeof(r->plan_id));
	json_get_text(o, "key_file", r->key_file, sizeof(r->key_file));
	json_get_text(o, "log", r->log, sizeof(r->log));
	json_get_text(o, "page", r->page, sizeof(r->page));
	json_get_text(o, "last_class", r->last_class, sizeof(r->last_class));
	json_get_text(o, "last_sentence", r->last_sentence, sizeof(r->last_sentence));
	json_get_text(o, "notice", r->notice, sizeof(r->notice));
	caps_from_json(r, json_object_get(o, "power_caps"));
	return 0;
}

/* --- the lock --- */

static void file_of(char *path, size_t size, const char *dir, const char *name, const char *ending)
{
	snprintf(path, size, "%s/%s%s", dir, name, ending);
}

/* The kernel's own pid of who holds it; 0: nobody. */
static pid_t holder(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &l) < 0 || l.l_type == F_UNLCK)
		return 0;
	return l.l_pid;
}

pid_t run_supervisor(const struct run_record *r)
{
	char path[512];

	file_of(path, sizeof(path), r->dir, r->name, ".lock");
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? 0 : holder(fd);
}

/* Whoever lets a name go removes the file: what we locked must still be the one that is there. */
static bool still_there(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

static int lock_name(int *locked, const char *path, const char *name, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int tries = 0; tries < 100; tries++) {
		own_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

		if (fd < 0)
			return err_set(e, -EACCES, "%s: %s", path, strerror(errno));
		if (fcntl(fd, F_SETLK, &lock) < 0)
			return err_set(e, -EACCES,
				       "there is a run named %s (pid %d); `berth stop %s` ends it, "
				       "--name gives this one another name",
				       name, (int)holder(fd), name);
		if (!still_there(fd, path))
			continue;
		*locked = take_fd(&fd);
		return 0;
	}
	return err_set(e, -EACCES, "%s cannot be locked", path);
}

int run_claim(struct run_claim *c, const char *name, struct err *e)
{
	char path[512];
	int rc = telem_dir(c->dir, sizeof(c->dir), e);

	c->lock_fd = -1;
	if (rc)
		return rc;
	text_copy(c->name, sizeof(c->name), name);
	file_of(path, sizeof(path), c->dir, name, ".lock");
	return lock_name(&c->lock_fd, path, name, e);
}

void run_tell(const struct run_claim *c, const struct run_record *r)
{
	char path[512], draft[544];
	json_t *o;
	FILE *f;
	bool good;

	if (c->lock_fd < 0)
		return;
	file_of(path, sizeof(path), c->dir, c->name, ENDING);
	snprintf(draft, sizeof(draft), "%s.new", path);
	f = fopen(draft, "we");
	if (!f)
		return;
	o = run_to_json(r);
	good = json_print(o, f) == 0;
	json_decref(o);
	if (fclose(f) == 0 && good && rename(draft, path) == 0)
		return;
	unlink(draft);
}

void run_release(struct run_claim *c, bool keep)
{
	char path[512];

	if (c->lock_fd < 0)
		return;
	file_of(path, sizeof(path), c->dir, c->name, ENDING);
	if (!keep)
		unlink(path);
	file_of(path, sizeof(path), c->dir, c->name, ".lock");
	unlink(path);
	own_close_fd(&c->lock_fd);
}

void run_forget(const struct run_record *r)
{
	char path[512], lock[512];
	own_fd int fd = -1;

	/* Meanwhile the name may be another run's: then what lies there is its */
	file_of(lock, sizeof(lock), r->dir, r->name, ".lock");
	if (lock_name(&fd, lock, r->name, NULL))
		return;
	file_of(path, sizeof(path), r->dir, r->name, ENDING);
	unlink(path);
	unlink(lock);
}

int run_signal(const struct run_record *r, int number)
{
	pid_t pid = run_supervisor(r);
	own_fd int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

	/* Between the two questions it may have ended, and its pid be another's: ask again */
	if (fd < 0 || run_supervisor(r) != pid)
		return -ESRCH;
	return pidfd_send_signal(fd, number, NULL, 0) < 0 ? -errno : 0;
}

/* --- reading them --- */

/* Only the core knows. */
static bool is_asleep(const struct run_record *r)
{
	own_free struct telem_page *page = malloc(sizeof(*page));
	enum telem_life life;

	return page && r->page[0] && telem_read(r->page, page, &life, NULL) == 0 &&
	       life != TELEM_DEAD && page->header.kind == TELEM_RUN &&
	       page->run.state == TELEM_ASLEEP;
}

static bool read_record(struct run_record *r, const char *dir, const char *file)
{
	char path[512], stem[256];
	size_t n = strlen(file), tail = sizeof(ENDING) - 1;
	json_t *o;
	int rc;

	if (n <= tail || n - tail >= RUN_NAME_MAX || strcmp(file + n - tail, ENDING) != 0 ||
	    snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return false;
	snprintf(stem, sizeof(stem), "%.*s", (int)(n - tail), file);
	o = json_read_file(path, RECORD_MAX, NULL);
	if (!o)
		return false;
	rc = run_from_json(r, o, NULL);
	json_decref(o);
	/* The lock goes by the file's name */
	if (rc || strcmp(stem, r->name) != 0 || !text_copy(r->dir, sizeof(r->dir), dir))
		return false;
	r->supervisor = run_supervisor(r);
	if (r->supervisor == 0 && r->state != RUN_FAILED)
		r->state = RUN_DEAD;
	if (r->state == RUN_READY && is_asleep(r))
		r->state = RUN_ASLEEP;
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct run_record *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int runs_list(struct run_record **list, struct err *e)
{
	char dirs[TELEM_FOLDERS][512];
	int n_dirs = telem_folders(dirs), n = 0;

	*list = calloc(RUNS_MAX, sizeof(**list));
	if (!*list)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < n_dirs; i++) {
		own_dir DIR *d = opendir(dirs[i]);

		for (const struct dirent *de; d && n < RUNS_MAX && (de = readdir(d));)
			n += read_record(&(*list)[n], dirs[i], de->d_name);
	}
	qsort(*list, (size_t)n, sizeof(**list), by_name);
	return n;
}

int runs_find(struct run_record *r, const char *name, struct err *e)
{
	own_free struct run_record *list = NULL;
	own_free const char **names = calloc(RUNS_MAX, sizeof(*names));
	int n = runs_list(&list, e);

	if (n < 0 || !names)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		names[i] = list[i].name;
		if (strcmp(list[i].name, name) != 0)
			continue;
		*r = list[i];
		return 0;
	}
	if (n == 0)
		return err_set(e, -ENOENT, "no run is named %s: there are none at all", name);
	return err_set(e, -ENOENT, "no run is named %s; `berth ps` lists %s%s", name, names[0],
		       n > 1 ? " and others" : "");
}

/* SPDX-License-Identifier: MIT */
/* The runs of this machine: their telemetry pages, and what their supervisors say of them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "tui/lookout.h"

#define RECORD_MAX 65536 /* bytes of NAME.run.json: far more than any has */

/* As `berth launch --name` wants them; another name is a lie of a page. */
static bool is_name(const char *name)
{
	return name[0] &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(name);
}

static void read_run(struct run_seen *r, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct err e = { 0 };

	memset(r, 0, sizeof(*r));
	text_copy(r->file, sizeof(r->file), slash ? slash + 1 : path);
	text_clean(r->file);
	r->rc = telem_read(path, &r->page, &r->life, &e);
	if (!r->rc) {
		if (r->page.header.kind == TELEM_RUN && is_name(r->page.run.name))
			text_copy(r->name, sizeof(r->name), r->page.run.name);
		return;
	}
	if (r->rc == -EBUSY && r->life == TELEM_DEAD)
		snprintf(r->note, sizeof(r->note), "%s: writer dead in the middle of a change",
			 r->file);
	else
		text_copy(r->note, sizeof(r->note), e.text);
}

/* The page that was read into a run's place is a bridge's. */
static void take_bridge(struct snapshot *s, const struct run_seen *read)
{
	const struct telem_bridge *page = &read->page.bridge;
	struct bridge_seen *b;
	size_t stem = strlen(read->file);

	if (s->n_bridges == SNAP_BRIDGES_MAX) {
		s->n_runs_left_out++;
		return;
	}
	b = &s->bridges[s->n_bridges++];
	*b = (struct bridge_seen) { .life = read->life,
				    .pid = read->page.header.writer_pid,
				    .page = *page };
	text_copy(b->file, sizeof(b->file), read->file);
	if (stem > strlen(".telem"))
		stem -= strlen(".telem");
	if (page->pci[0])
		snprintf(b->key, sizeof(b->key), "%s bridge", page->pci);
	else
		snprintf(b->key, sizeof(b->key), "%.*s bridge", stem < 80 ? (int)stem : 80,
			 read->file);
	/* Two pages of one device: the second by its own name. */
	for (const struct bridge_seen *o = s->bridges; o < b; o++)
		if (!strcmp(o->key, b->key))
			text_copy(b->key, sizeof(b->key), b->file);
}

static bool is_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

/* --- supervisors: NAME.run.json beside NAME.lock, as docs/formats.md says --- */

/* Whether somebody holds the run's lock; no number in a file is believed. */
static bool is_held(const char *dir, const char *name)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[2048];

	snprintf(path, sizeof(path), "%s/%s.lock", dir, name);
	own_fd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return false;
	return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void take_text(const json_t *o, const char *key, char *to, size_t size)
{
	const char *v = json_string_value(json_object_get(o, key));

	text_copy(to, size, v ? v : "");
	text_clean(to);
}

/* The run that the record speaks of: by its page, else by its name; a new one when there is neither. */
static struct run_seen *run_of(struct snapshot *s, const char *page, const char *name)
{
	const char *slash = strrchr(page, '/');
	const char *file = slash ? slash + 1 : page;
	struct run_seen *r;

	for (uint32_t i = 0; i < s->n_runs; i++)
		if (file[0] && !strcmp(s->runs[i].file, file))
			return &s->runs[i];
	for (uint32_t i = 0; i < s->n_runs; i++)
		if (!strcmp(s->runs[i].name, name))
			return &s->runs[i];
	if (s->n_runs == SNAP_RUNS_MAX) {
		s->n_runs_left_out++;
		return NULL;
	}
	r = &s->runs[s->n_runs++];
	memset(r, 0, sizeof(*r));
	r->rc = -ENOENT;
	r->life = TELEM_DEAD;
	return r;
}

static void take_record(struct snapshot *s, const char *dir, const char *file)
{
	char path[2048], name[64], page[512];
	size_t n = strlen(file) - strlen(".run.json");
	json_int_t starts;
	struct run_seen *r;
	json_t *o;

	if (n == 0 || n >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)n, file);
	if (!is_name(name))
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	o = json_read_file(path, RECORD_MAX, NULL);
	take_text(o, "page", page, sizeof(page));
	r = o ? run_of(s, page, name) : NULL;
	if (r) {
		text_copy(r->name, sizeof(r->name), name);
		take_text(o, "state", r->phase, sizeof(r->phase));
		take_text(o, "last_class", r->last_class, sizeof(r->last_class));
		take_text(o, "last_sentence", r->last_sentence, sizeof(r->last_sentence));
		starts = json_integer_value(json_object_get(o, "starts"));
		r->starts = starts > 0 && starts < UINT32_MAX ? (uint32_t)starts : 0;
		r->supervised = is_held(dir, name);
	}
	json_decref(o);
}

static int is_record(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > strlen(".run.json") && !strcmp(d->d_name + n - strlen(".run.json"), ".run.json");
}

static void read_records(struct snapshot *s, const char *only)
{
	char dirs[TELEM_FOLDERS][512];
	int n_dirs = telem_folders(dirs);

	for (int i = 0; i < n_dirs; i++) {
		struct dirent **names = NULL;
		int n = -1;

		if (!only || !strcmp(dirs[i], only))
			n = scandir(dirs[i], &names, is_record, alphasort);
		for (int k = 0; k < n; k++) {
			take_record(s, dirs[i], names[k]->d_name);
			free(names[k]);
		}
		if (n >= 0)
			free(names);
	}
}

/* --- all of them --- */

static bool find_twins(const struct snapshot *s, uint32_t *a, uint32_t *b)
{
	for (*b = 1; *b < s->n_runs; ++*b)
		for (*a = 0; *a < *b; ++*a)
			if (!strcmp(run_key(&s->runs[*a]), run_key(&s->runs[*b])))
				return true;
	return false;
}

/* Who of two keeps the name: whom somebody restarts, else who lives. */
static int rank(const struct run_seen *r)
{
	return r->supervised * 2 + (r->life == TELEM_ALIVE);
}

/*
 * Names are one folder's: a unit of the system and one of a user may have the same. All that is listed and kept goes by
 * key, so the second is known by its page; where that will not do, either, it is left out.
 */
static void part_twins(struct snapshot *s)
{
	uint32_t a, b;

	while (find_twins(s, &a, &b)) {
		uint32_t loser = rank(&s->runs[a]) < rank(&s->runs[b]) ? a : b;
		struct run_seen *r = &s->runs[loser];

		if (!r->name[0])
			r = &s->runs[a + b - loser];
		if (r->name[0] && r->file[0]) {
			r->name[0] = '\0';
			continue;
		}
		s->n_runs--;
		s->n_runs_left_out++;
		memmove(r, r + 1, (size_t)(&s->runs[s->n_runs] - r) * sizeof(*r));
	}
}

void runs_read(struct snapshot *snap, const char *dir)
{
	time_t now = time(NULL);
	struct tm tm;
	char **paths = NULL;
	int n = telem_list(&paths);

	snap->n_runs = snap->n_bridges = snap->n_runs_left_out = 0;
	for (int i = 0; i < n; i++) {
		struct run_seen *r = &snap->runs[snap->n_runs];

		if (dir && !is_in(paths[i], dir))
			continue;
		if (snap->n_runs == SNAP_RUNS_MAX) {
			snap->n_runs_left_out++;
			continue;
		}
		read_run(r, paths[i]);
		if (!r->rc && r->page.header.kind == TELEM_BRIDGE)
			take_bridge(snap, r);
		else
			snap->n_runs += r->rc != -ENOENT; /* ended between listing and reading */
	}
	telem_list_free(paths);
	read_records(snap, dir);
	part_twins(snap);
	snap->now_ns = telem_now_ns();
	if (localtime_r(&now, &tm))
		strftime(snap->clock, sizeof(snap->clock), "%H:%M:%S", &tm);
}

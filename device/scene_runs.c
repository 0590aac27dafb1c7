/* SPDX-License-Identifier: MIT */
/*
 * Our own runs, by their telemetry pages. Root sees those of every user, whose pages it does not believe further
 * than this: a page must be written by a living process of the user that owns the file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"
#include "device/scene_priv.h"

#define USERS "/run/user"

static bool owner_writes(const char *path, int32_t pid, uint32_t uid)
{
	struct stat page, writer;
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/%d", pid);
	return pid > 0 && lstat(path, &page) == 0 && S_ISREG(page.st_mode) &&
	       stat(proc, &writer) == 0 && page.st_uid == writer.st_uid &&
	       (uid == RUN_OURS || page.st_uid == uid);
}

static bool is_at_work(uint32_t state)
{
	return state != TELEM_STOPPED && state != TELEM_FAILED && state != TELEM_ASLEEP;
}

static void add_run(struct scene *s, const char *path, uint32_t uid)
{
	own_free struct telem_page *page = malloc(sizeof(*page));
	enum telem_life life = TELEM_DEAD;

	if (!page || s->n_runs == SCENE_RUNS_MAX || telem_read(path, page, &life, NULL) ||
	    life == TELEM_DEAD || page->header.kind != TELEM_RUN || !is_at_work(page->run.state) ||
	    !owner_writes(path, page->header.writer_pid, uid))
		return;
	struct scene_run *r = &s->runs[s->n_runs++];

	*r = (struct scene_run) { .pid = (uint32_t)page->header.writer_pid, .uid = uid };
	text_copy(r->name, sizeof(r->name), text_clean(page->run.name));
	for (uint32_t i = 0; i < page->run.n_devices && i < TELEM_DEVICES_MAX; i++)
		if (page->run.devices[i].pci[0])
			text_copy(r->pci[r->n_pci++], sizeof(r->pci[0]), page->run.devices[i].pci);
}

/* The folder of one user, which may be in the list above already: the same process counts once. */
static bool has_run(const struct scene *s, uint32_t pid)
{
	for (uint32_t i = 0; i + 1 < s->n_runs; i++)
		if (s->runs[i].pid == pid)
			return true;
	return false;
}

static void add_once(struct scene *s, const char *path, uint32_t uid)
{
	uint32_t n = s->n_runs;

	add_run(s, path, uid);
	if (s->n_runs > n && has_run(s, s->runs[n].pid))
		s->n_runs = n;
}

static void add_folder(struct scene *s, const char *folder, uint32_t uid)
{
	own_dir DIR *d = opendir(folder);
	const struct dirent *de;

	while (d && (de = readdir(d))) {
		size_t n = strlen(de->d_name);
		char path[SCENE_PATH];

		if (n > 6 && strcmp(de->d_name + n - 6, ".telem") == 0 &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, de->d_name) <
			    sizeof(path))
			add_once(s, path, uid);
	}
}

static void add_users(struct scene *s)
{
	own_dir DIR *d = opendir(USERS);
	const struct dirent *de;
	char path[SCENE_PATH];
	uint64_t uid;

	while (d && (de = readdir(d))) {
		if (text_parse_u64(de->d_name, &uid) || uid >= RUN_OURS)
			continue;
		snprintf(path, sizeof(path), USERS "/%" PRIu64 "/berth", uid);
		add_folder(s, path, (uint32_t)uid);
	}
}

/* A captured folder has no runs: pages live with their boot. */
void scene_read_runs(struct scene *s)
{
	char **paths = NULL;

	if (!s->m->live)
		return;
	int n = telem_list(&paths);

	for (int i = 0; i < n; i++)
		add_once(s, paths[i], RUN_OURS);
	telem_list_free(paths);
	if (geteuid() == 0)
		add_users(s);
}

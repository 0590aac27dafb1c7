/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/self.h"
#include "base/telem.h"
#include "launch/runtime.h"

/* A page of a dead writer is nobody's; its plan goes with it. Other people's we cannot remove anyway. */
static void remove_if_dead(const char *page_path)
{
	static const char ending[] = ".telem";
	own_free struct telem_page *page = malloc(sizeof(*page));
	enum telem_life life;
	const char *name = strrchr(page_path, '/');
	size_t n = strlen(page_path);
	char plan_path[PATH_MAX];
	int rc;

	if (!page || !name || strncmp(name, "/run-", 5) != 0 || n < sizeof(ending))
		return;
	/* What cannot be read as a page is of another version perhaps, and may live. */
	rc = telem_read(page_path, page, &life, NULL);
	if ((rc && rc != -EBUSY) || life != TELEM_DEAD)
		return;
	unlink(page_path);
	snprintf(plan_path, sizeof(plan_path), "%.*s.plan.json", (int)(n - (sizeof(ending) - 1)),
		 page_path);
	unlink(plan_path);
}

int runtime_open(struct runtime *r, struct err *e)
{
	char dir[PATH_MAX - 64];
	char **pages;
	int rc = telem_dir(dir, sizeof(dir), e);

	if (rc)
		return rc;
	if (telem_list(&pages) >= 0) {
		for (char **p = pages; *p; p++)
			remove_if_dead(*p);
		telem_list_free(pages);
	}
	snprintf(r->plan_path, sizeof(r->plan_path), "%s/run-%d.plan.json", dir, (int)getpid());
	snprintf(r->page_path, sizeof(r->page_path), "%s/run-%d.telem", dir, (int)getpid());
	return 0;
}

void runtime_close(const struct runtime *r, bool keep_page)
{
	if (r->plan_path[0])
		unlink(r->plan_path);
	if (r->page_path[0] && !keep_page)
		unlink(r->page_path);
}

int runtime_program(const char *name, char *path, size_t size, struct err *e)
{
	char file[64];
	int rc;

	snprintf(file, sizeof(file), "libexec/berth/%s", name);
	rc = self_path(path, size, file, e);
	if (rc)
		return rc;
	if (access(path, X_OK) != 0)
		return err_set(
			e, -ENOEXEC,
			"%s is not there: the engine was missing at build time; run `make deps` "
			"and `make`",
			path);
	return 0;
}

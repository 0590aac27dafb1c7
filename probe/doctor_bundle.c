/* SPDX-License-Identifier: MIT */
/*
 * --bundle: a capture, as `probe --capture` writes it, with the findings, as one compressed archive. The
 * archive is made by tar(1), which every system has and which knows long names and links.
 */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "probe/doctor_main_priv.h"

#define FOLDER "berth-report" /* what the archive unpacks to */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

static void record_findings(struct record *rec, const struct evidence *ev, const struct findings *f)
{
	json_t *o = doctor_json(ev, f);
	char *json = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII), *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to) {
		doctor_text(to, ev, f, true);
		fclose(to);
	}
	if (json)
		record_file(rec, "doctor.json", json);
	if (text)
		record_file(rec, "doctor.txt", text_trim(text));
	free(json);
	free(text);
	json_decref(o);
}

/* The capture with the findings in it, below `dir`, which must not exist. */
static int capture(const struct doctor_options *o, const char *dir, int *exit, struct err *e)
{
	struct evidence *ev = NULL;
	struct want want = { .log = o->kmsg, .evidence = &ev };
	own_free struct run *run = NULL;
	own_free struct findings *f = NULL;
	struct machine m;
	int rc = machine_open(&m, o->machine, e);

	if (rc)
		return rc;
	want.no_nvml = evidence_card_fails(&m, o->kmsg);
	rc = record_begin(&want.rec, dir, e);
	if (!rc)
		rc = run_collect(&m, &want, &run, e);
	if (!rc) {
		f = doctor_examine(ev);
		rc = f ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	if (!rc) {
		record_findings(want.rec, ev, f);
		*exit = (int)doctor_exit(ev, f);
		rc = record_finish(&want.rec, e);
	}
	record_drop(want.rec);
	evidence_free(ev);
	machine_close(&m);
	return rc;
}

/* Run a program and wait: 0, or a negative errno when it could not be run or failed. */
/* What it has to say is our sentence; its own words would stand before it. */
static int run_program(char *const argv[])
{
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status, rc = posix_spawn_file_actions_init(&quiet);

	if (rc)
		return -rc;
	rc = posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!rc)
		rc = posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	if (rc)
		return -rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int pack(const char *base, const char *file, struct err *e)
{
	char out[PATH_SIZE + 8];

	if ((size_t)snprintf(out, sizeof(out), "--file=%s", file) >= sizeof(out))
		return err_set(e, -EINVAL, "the name of the bundle is too long");
	/* Nobody's ids, and an order that does not depend on the file system. */
	char *argv[] = { (char[]) { "tar" },
			 (char[]) { "--create" },
			 (char[]) { "--gzip" },
			 (char[]) { "--force-local" },
			 (char[]) { "--sort=name" },
			 (char[]) { "--owner=0" },
			 (char[]) { "--group=0" },
			 (char[]) { "--numeric-owner" },
			 out,
			 (char[]) { "--directory" },
			 (char *)(uintptr_t)base,
			 (char[]) { FOLDER },
			 NULL };
	int rc = run_program(argv);

	if (rc == -ENOENT)
		return err_set(e, rc,
			       "tar is not installed; 'berth probe --capture DIR' needs none");
	return rc ? err_set(e, -EACCES,
			    "tar could not write %.300s; is its folder there, and not full?", file)
		  : 0;
}

static int list_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	const char *inside = strstr(path, "/" FOLDER "/");

	(void)ftw;
	if (inside && flag == FTW_F)
		printf("%8lld  %s\n", (long long)st->st_size, inside + strlen("/" FOLDER "/"));
	else if (inside && (flag == FTW_SL || flag == FTW_SLN))
		printf("    link  %s\n", inside + strlen("/" FOLDER "/"));
	return 0;
}

static int print_file(const char *dir, const char *name)
{
	char path[PATH_SIZE + 32], buf[4096];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	own_file FILE *in = fopen(path, "re");

	while (in && (n = fread(buf, 1, sizeof(buf), in)) > 0)
		fwrite(buf, 1, n, stdout);
	return in ? 0 : -EIO;
}

static int print_contents(const char *dir, struct err *e)
{
	puts("It would hold these files (bytes, name):\n");
	nftw(dir, list_one, 16, FTW_PHYS);
	puts("\nwith these findings:\n");
	print_file(dir, "doctor.txt");
	return fflush(stdout) || ferror(stdout)
		       ? err_set(e, -ENOSPC, "cannot write to standard output")
		       : 0;
}

int bundle_write(const struct doctor_options *o, const struct log *log, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char base[PATH_SIZE], dir[PATH_SIZE + 16];
	struct stat st;
	int exit = EXIT_YES;

	if (!o->show && lstat(o->bundle, &st) == 0)
		return err_set(e, -EINVAL, "%.300s is there already; give a new name", o->bundle);
	if ((size_t)snprintf(base, sizeof(base), "%s/berth-doctor-XXXXXX",
			     tmp && *tmp ? tmp : "/tmp") >= sizeof(base) ||
	    !mkdtemp(base))
		return err_set(e, -errno, "cannot make a folder in %.200s: %s",
			       tmp && *tmp ? tmp : "/tmp", strerror(errno));
	snprintf(dir, sizeof(dir), "%s/%s", base, FOLDER);
	int rc = capture(o, dir, &exit, e);

	if (!rc)
		rc = o->show ? print_contents(dir, e) : pack(base, o->bundle, e);
	if (!rc && !o->show)
		log_note(log, "wrote %s; 'tar tzf' lists it", o->bundle);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rc ? rc : exit;
}

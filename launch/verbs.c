/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cmd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "launch/power.h"
#include "launch/runs.h"
#include "launch/verbs.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

struct verb_options {
	bool json, follow;
	uint32_t lines, timeout_s;
	int quiet;
};

#define ROW(member) offsetof(struct verb_options, member)

/* clang-format off */
static const struct opt ps_opts[] = {
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json), .help = "As one berth.ps/1 object." },
};

static const struct cmd ps = {
	.name = "ps", .operands = "",
	.summary = "list the runs that serve, and how they do",
	.description =
		"Lists the runs that `berth launch --serve` or `-d` started, with the state of each: starting (planning), "
		"loading, ready, asleep (its model unloaded until a request comes), waiting (before the next attempt), stopping, failed (gave up), or dead (its supervisor is gone).",
	.opts = ps_opts, .n_opts = N_OF(ps_opts),
	.exits = "0  listed, even if there is none\n2  wrong usage\n5  the environment refuses",
	.see_also = "berth-launch(1), berth-stop(1), berth-top(1)",
};

static const struct opt stop_opts[] = {
	{ .name = "timeout", .letter = 't', .kind = OPT_U32, .arg = "SECONDS", .offset = ROW(timeout_s), .max = 86400,
	  .help = "Wait so long for it (30); 0 does not wait." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
};

static const struct cmd stop = {
	.name = "stop", .operands = "NAME...",
	.summary = "end runs, and wait until they have ended",
	.description = "Asks each run's supervisor to end, which ends its core; requests in progress are cut short. "
		       "What a failed or dead run left is removed.",
	.opts = stop_opts, .n_opts = N_OF(stop_opts),
	.exits = "0  ended\n1  no such run\n2  wrong usage\n5  it did not end in time, or belongs to somebody else",
	.see_also = "berth-ps(1), berth-launch(1)",
};

static const struct cmd restart = {
	.name = "restart", .operands = "NAME",
	.summary = "plan and start a run again as it was first asked for",
	.description = "The run's supervisor stops its core, plans again with the options it was started with, and starts "
		       "it: devices that were lost and are back are used again. The sockets stay open.",
	.opts = stop_opts, .n_opts = N_OF(stop_opts),
	.exits = "0  serving again\n1  no such run\n2  wrong usage\n5  not ready in time\n8  it failed",
	.see_also = "berth-ps(1), berth-launch(1)",
};

static const struct opt logs_opts[] = {
	{ .name = "follow", .letter = 'f', .kind = OPT_FLAG, .offset = ROW(follow),
	  .help = "Go on with what is added, until the run ends." },
	{ .name = "lines", .letter = 'n', .kind = OPT_U32, .arg = "N", .offset = ROW(lines),
	  .help = "Begin with the last N lines (all of the current file)." },
};

static const struct cmd logs = {
	.name = "logs", .operands = "NAME",
	.summary = "show what a run and its engine said",
	.description = "Shows the log of a run that was started with -d. Other runs write to their terminal, or to the journal.",
	.opts = logs_opts, .n_opts = N_OF(logs_opts),
	.exits = "0  shown\n1  no such run, or it keeps no log\n2  wrong usage\n5  the log cannot be read",
	.see_also = "berth-ps(1), berth-launch(1)",
};
/* clang-format on */

static int unwritten(const struct cmd *c)
{
	struct err e = { 0 };

	err_set(&e, -ENOSPC, "cannot write to standard output");
	return (int)err_report(c->name, e.rc, &e);
}

/* The operands are names of runs: at least one, at most `most`. true: go on. */
static bool parse(const struct cmd *c, int argc, char **argv, struct verb_options *o, int most,
		  int *first, int *rc)
{
	enum cmd_go go = cmd_parse(c, argc, argv, o, first);

	*rc = cmd_exit(go);
	if (go != CMD_RUN)
		return false;
	if (argc - *first > most)
		*rc = cmd_usage_error(c, "\"%s\" is too many", argv[*first + most]);
	else if (most > 0 && argc == *first)
		*rc = cmd_usage_error(c, "give the NAME of a run; `berth ps` lists them");
	else
		return true;
	return false;
}

/* --- ps --- */

static void age(char *buf, size_t size, int64_t since_s)
{
	int64_t s = (int64_t)time(NULL) - since_s;

	if (since_s <= 0 || s < 0)
		snprintf(buf, size, "-");
	else if (s < 120)
		snprintf(buf, size, "%llds", (long long)s);
	else if (s < 7200)
		snprintf(buf, size, "%lldm", (long long)s / 60);
	else if (s < 48 * 3600)
		snprintf(buf, size, "%lldh", (long long)s / 3600);
	else
		snprintf(buf, size, "%lldd", (long long)s / 86400);
}

static void print_run(const struct run_record *r)
{
	const char *base = strrchr(r->model, '/');
	char up[24], pid[16] = "-";

	age(up, sizeof(up), r->started_s);
	if (r->supervisor)
		snprintf(pid, sizeof(pid), "%d", (int)r->supervisor);
	printf("%-20s %-9s %7s %5s %6u  %-30s %s\n", r->name, run_state_name(r->state), pid, up,
	       r->starts, base ? base + 1 : r->model, r->n_addresses ? r->addresses[0] : "");
	for (uint32_t i = 1; i < r->n_addresses; i++)
		printf("%82s %s\n", "", r->addresses[i]);
	for (uint32_t i = 0; i < r->n_caps; i++)
		printf("%20s %s is limited to %s%s\n", "", r->caps[i].pci, r->caps[i].cap,
		       strcmp(r->caps[i].cap, "default") == 0 ? "" : " W");
	if (r->notice[0])
		printf("%20s %s\n", "", r->notice);
	if (r->last_sentence[0])
		printf("%20s last: %s\n", "", r->last_sentence);
}

static int print_json(const struct run_record *list, int n)
{
	json_t *o = json_answer("berth.ps/1"), *runs = json_array();
	int rc;

	for (int i = 0; i < n; i++)
		json_array_append_new(runs, run_to_json(&list[i]));
	json_object_set_new(o, "runs", runs);
	rc = json_print(o, stdout);
	json_decref(o);
	return rc ? unwritten(&ps) : EXIT_YES;
}

int verb_ps(int argc, char **argv)
{
	struct verb_options o = { 0 };
	own_free struct run_record *list = NULL;
	struct err e = { 0 };
	struct log log;
	int first, rc, n;

	if (!parse(&ps, argc, argv, &o, 0, &first, &rc))
		return rc;
	log_init(&log, "berth ps", 0, 0);
	power_recover(&log);
	n = runs_list(&list, &e);
	if (n < 0)
		return (int)err_report("ps", n, &e);
	if (o.json)
		return print_json(list, n);
	if (n)
		printf("%-20s %-9s %7s %5s %6s  %-30s %s\n", "NAME", "STATE", "PID", "AGE",
		       "STARTS", "MODEL", "ADDRESS");
	for (int i = 0; i < n; i++)
		print_run(&list[i]);
	return fflush(stdout) || ferror(stdout) ? unwritten(&ps) : EXIT_YES;
}

/* --- stop and restart --- */

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec) { ms / 1000, (long)(ms % 1000) * 1000000 }, NULL);
}

static int order(const struct run_record *r, int number, struct err *e)
{
	int rc = run_signal(r, number);

	if (rc == -EPERM)
		return err_set(e, -EACCES, "%s belongs to somebody else", r->name);
	if (rc == -ESRCH)
		return err_set(e, rc, "%s has no supervisor any more", r->name);
	return rc ? err_set(e, -EACCES, "%s cannot be told: %s", r->name, strerror(-rc)) : 0;
}

static int stop_one(const char *name, uint32_t timeout_s, struct err *e)
{
	struct run_record r;
	int64_t until = clock_ms() + (int64_t)timeout_s * 1000;
	int rc = runs_find(&r, name, e);

	if (rc)
		return rc;
	rc = order(&r, SIGTERM, e);
	if (rc == -ESRCH) {
		run_forget(&r);
		return 0;
	}
	if (rc || timeout_s == 0)
		return rc;
	while (run_supervisor(&r)) {
		if (clock_ms() > until)
			return err_set(e, -EACCES, "%s has not ended within %u s; pid %d", name,
				       timeout_s, (int)run_supervisor(&r));
		pause_ms(20);
	}
	return 0;
}

int verb_stop(int argc, char **argv)
{
	struct verb_options o = { .timeout_s = 30 };
	struct log log;
	int first, rc;

	if (!parse(&stop, argc, argv, &o, 64, &first, &rc))
		return rc;
	log_init(&log, "berth stop", o.quiet, 0);
	power_recover(&log);
	for (int i = first; i < argc; i++) {
		struct err e = { 0 };
		int one = stop_one(argv[i], o.timeout_s, &e);

		if (one)
			rc = (int)err_report("stop", one, &e);
		else
			log_note(&log, o.timeout_s ? "%s has ended" : "%s is told to end", argv[i]);
	}
	return rc;
}

/* Until a core serves that was not there before. */
static int wait_ready(struct run_record *r, uint32_t timeout_s, struct err *e)
{
	int64_t until = clock_ms() + (int64_t)timeout_s * 1000;
	uint32_t starts = r->starts;
	char name[RUN_NAME_MAX];

	text_copy(name, sizeof(name), r->name);
	while (clock_ms() < until) {
		int rc = runs_find(r, name, e);

		if (rc)
			return rc;
		if (r->state == RUN_FAILED || r->state == RUN_DEAD)
			return err_set(e, -ENOTRECOVERABLE, "%s failed: %s", name,
				       r->last_sentence);
		if ((r->state == RUN_READY || r->state == RUN_ASLEEP) && r->starts > starts)
			return 0;
		pause_ms(20);
	}
	return err_set(e, -EACCES, "%s is not ready after %u s: %s", name, timeout_s,
		       run_state_name(r->state));
}

int verb_restart(int argc, char **argv)
{
	struct verb_options o = { .timeout_s = 30 };
	struct run_record r;
	struct err e = { 0 };
	struct log log;
	int first, rc;

	if (!parse(&restart, argc, argv, &o, 1, &first, &rc))
		return rc;
	log_init(&log, "berth restart", o.quiet, 0);
	power_recover(&log);
	rc = runs_find(&r, argv[first], &e);
	if (rc == 0)
		rc = order(&r, SIGUSR1, &e);
	if (rc == -ESRCH)
		rc = -ENOENT;
	if (rc == 0 && o.timeout_s)
		rc = wait_ready(&r, o.timeout_s, &e);
	if (rc)
		return (int)err_report("restart", rc, &e);
	log_note(&log, o.timeout_s ? "%s serves again" : "%s is told to start again", argv[first]);
	return EXIT_YES;
}

/* --- logs --- */

/* Where the last n lines begin; 0: all of it. */
static off_t tail_start(int fd, uint32_t n)
{
	struct stat st;
	char buf[4096];
	off_t at = fstat(fd, &st) == 0 ? st.st_size : 0;
	bool last = true; /* the end of the last line begins no other */

	while (at > 0 && n > 0) {
		size_t size = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);
		ssize_t got = pread(fd, buf, size, at - (off_t)size);

		if (got != (ssize_t)size)
			return 0;
		for (size_t i = size; i-- > 0;) {
			if (buf[i] != '\n' || last) {
				last = false;
				continue;
			}
			if (--n == 0)
				return at - (off_t)size + (off_t)i + 1;
		}
		at -= (off_t)size;
	}
	return 0;
}

/* What is there now. 0; -EPIPE: nobody reads. */
static int copy_out(int fd)
{
	char buf[16384];
	long n;

	while ((n = io_read(fd, buf, sizeof(buf))) > 0)
		if (io_write(STDOUT_FILENO, buf, (size_t)n))
			return -EPIPE;
	return 0;
}

/* The log was turned over: what is at the path is another file. */
static bool replaced(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 &&
	       (a.st_ino != b.st_ino || a.st_dev != b.st_dev);
}

static int follow(const struct run_record *r, int *fd)
{
	for (;;) {
		bool lives = run_supervisor(r) != 0; /* asked first: its last words count */
		bool other = replaced(*fd, r->log);

		if (copy_out(*fd))
			return EXIT_ENV;
		if (!lives)
			return EXIT_YES;
		if (other) {
			own_close_fd(fd);
			*fd = open(r->log, O_RDONLY | O_CLOEXEC);
			continue;
		}
		pause_ms(200);
	}
}

static int show_log(const struct run_record *r, const struct verb_options *o, struct err *e)
{
	if (!r->log[0])
		return err_set(e, -ENOENT,
			       "%s keeps no log: it writes to its terminal, or to the journal",
			       r->name);
	own_fd int fd = open(r->log, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -EACCES, "%s: %s", r->log, strerror(errno));
	if (o->lines)
		lseek(fd, tail_start(fd, o->lines), SEEK_SET);
	if (o->follow)
		return follow(r, &fd);
	return copy_out(fd) ? err_set(e, -ENOSPC, "cannot write to standard output") : 0;
}

int verb_logs(int argc, char **argv)
{
	struct verb_options o = { 0 };
	struct run_record r;
	struct err e = { 0 };
	int first, rc;

	if (!parse(&logs, argc, argv, &o, 1, &first, &rc))
		return rc;
	rc = runs_find(&r, argv[first], &e);
	if (rc == 0)
		rc = show_log(&r, &o, &e);
	return rc < 0 ? (int)err_report("logs", rc, &e) : rc;
}

/* SPDX-License-Identifier: MIT */
/* The runner and the journal against files: a root of its own, the live hand, and every way to be broken off. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "device/journal.h"
#include "device/recover.h"
#include "device/run.h"
#include "device/undo.h"
#include "tests/unit/harness.h"

/* --- killed at any fsync, before or after it --- */

static int fsyncs, kill_at; /* 0: never; odd: before the nth, even: after it */

/* In place of libc's: the journal and the files of ours are held together by nothing else. */
int fsync(int fd)
{
	if (kill_at && 2 * ++fsyncs - 1 == kill_at)
		raise(SIGKILL);
	int rc = (int)syscall(SYS_fsync, fd);

	if (kill_at && 2 * fsyncs == kill_at)
		raise(SIGKILL);
	return rc;
}

/* --- a root with files --- */

struct root {
	char path[64], state[96];
	struct machine m;
	struct log log;
};

static void put_file(const struct root *r, const char *path, const char *content)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", r->path, path);
	for (char *p = full + strlen(r->path) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	own_file FILE *f = fopen(full, "we");

	assert_non_null(f);
	fputs(content, f);
}

static void read_back(const struct root *r, const char *path, char buf[STEP_VALUE])
{
	if (machine_read(&r->m, path, buf, STEP_VALUE) < 0)
		strcpy(buf, "(none)");
}

#define assert_file(r, path, want)                                                                 \
	do {                                                                                       \
		char now_[STEP_VALUE];                                                             \
		read_back(r, path, now_);                                                          \
		assert_string_equal(now_, want);                                                   \
	} while (0)

static void root_make(struct root *r)
{
	struct err e = { 0 };

	strcpy(r->path, "/tmp/berth-device-XXXXXX");
	assert_non_null(mkdtemp(r->path));
	put_file(r, "sys/a", "one\n");
	put_file(r, "sys/b", "two\n");
	put_file(r, "sys/c", "(null)\n");
	put_file(r, "etc/udev/there.rules", "old content\n");
	put_file(r, "proc/sys/kernel/random/boot_id", "11111111-2222\n");
	snprintf(r->state, sizeof(r->state), "%s/state", r->path);
	setenv("BERTH_STATE_DIR", r->state, 1);
	assert_int_equal(machine_open(&r->m, r->path, &e), 0);
	r->m.live = true;
	log_init(&r->log, "test", 1, 0);
}

static void root_remove(struct root *r)
{
	char command[128];

	machine_close(&r->m);
	snprintf(command, sizeof(command), "rm -rf '%s'", r->path);
	assert_int_equal(system(command), 0);
}

/* All but the journal: paths and contents, one after another. */
static void add_tree(struct text *t, const char *dir, const char *name)
{
	char path[512];
	struct dirent **list;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int n = scandir(path, &list, NULL, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		const char *d = list[i]->d_name;
		char child[800], content[STEP_VALUE];

		snprintf(child, sizeof(child), "%s/%s", path, d);
		if (strcmp(d, ".") != 0 && strcmp(d, "..") != 0 && strcmp(d, "state") != 0) {
			int fd = open(child, O_RDONLY);
			ssize_t got = read(fd, content, sizeof(content) - 1);

			content[got > 0 ? got : 0] = '\0';
			close(fd);
			text_add(t, "%s=%s;", child, content);
			if (list[i]->d_type == DT_DIR)
				add_tree(t, path, d);
		}
		free(list[i]);
	}
	free(list);
}

static char *tree_of(const struct root *r)
{
	char *buf = malloc(65536);
	struct text t;

	text_init(&t, buf, 65536);
	add_tree(&t, r->path, "");
	assert_false(t.cut);
	return buf;
}

/* --- a transaction of all kinds of steps --- */

static void add_write(struct txn *t, const struct machine *m, const char *target, const char *value)
{
	struct err e = { 0 };
	struct step *s = txn_add(t, STEP_WRITE, &e, "write %s to %s", value, target);

	assert_non_null(s);
	assert_int_equal(step_put(s->target, &e, "%s", target), 0);
	assert_int_equal(step_put(s->value, &e, "%s", value), 0);
	assert_int_equal(txn_before(t, m, &e), 0);
	assert_true(s->known);
	assert_int_equal(look_set(&s->after, LOOK_TEXT, value, &e, "%s", target), 0);
	s->undo = UNDO_BEFORE;
}

static void add_save(struct txn *t, const struct machine *m, const char *target, const char *value)
{
	struct err e = { 0 };
	struct step *s = txn_add(t, STEP_SAVE, &e, "%s %s", value ? "write" : "remove", target);

	assert_non_null(s);
	assert_int_equal(step_put(s->target, &e, "%s", target), 0);
	assert_int_equal(step_put(s->value, &e, "%s", value ? value : ""), 0);
	s->gone = !value;
	assert_int_equal(txn_before(t, m, &e), 0);
	s->undo = UNDO_BEFORE;
}

static void make_txn(struct txn *t, const struct machine *m)
{
	assert_int_equal(txn_open(t, "bind"), 0);
	text_copy(t->words, sizeof(t->words), "0000:01:00.0 vfio-pci");
	text_copy(t->device, sizeof(t->device), "0000:01:00.0");
	add_write(t, m, "sys/a", "uno");
	add_save(t, m, "etc/new/deep/x.rules", "first line\nsecond line\n");
	add_write(t, m, "sys/c", "vfio-pci");
	add_save(t, m, "etc/udev/there.rules", "new content\n");
	add_write(t, m, "sys/a", "eins");
	add_save(t, m, "etc/udev/there.rules", NULL);
	add_write(t, m, "sys/b", "dos");
}

static void assert_all_done(const struct root *r)
{
	assert_file(r, "sys/a", "eins");
	assert_file(r, "sys/b", "dos");
	assert_file(r, "sys/c", "vfio-pci");
	assert_file(r, "etc/new/deep/x.rules", "first line\nsecond line");
	assert_file(r, "etc/udev/there.rules", "(none)");
}

/* Files of ours take a newline from sysfs writes; the kernel's would not keep one. Compare them without. */
static void assert_same_tree(const struct root *r, const char *before)
{
	char *now = tree_of(r), *a = strdup(before);

	for (char *p = now; (p = strstr(p, "\n;"));)
		memmove(p, p + 1, strlen(p));
	for (char *p = a; (p = strstr(p, "\n;"));)
		memmove(p, p + 1, strlen(p));
	for (char *p = a;
	     (p = strstr(p, "(null)"));) /* written back, an unset text is an empty one */
		memmove(p, p + 6, strlen(p + 5));
	for (char *p = now; (p = strstr(p, "(null)"));)
		memmove(p, p + 6, strlen(p + 5));
	assert_string_equal(now, a);
	free(now);
	free(a);
}

static struct entry *last_entry(const struct journal *j)
{
	struct err e = { 0 };
	struct entry *en = NULL;
	uint32_t *ids;
	int n = journal_list(j, &ids, &e);

	if (n > 0 && journal_read(j, ids[n - 1], &en, &e))
		fail_msg("%s", e.text);
	free(ids);
	return en;
}

/* As a call of `berth device` does it: lock, bring to an end, decide, do. */
struct call {
	struct journal j;
	struct hand h;
	struct runner r;
	struct hangs hangs;
	struct outcome o;
};

static void begin(struct call *c, const struct root *r)
{
	struct err e = { 0 };

	if (journal_open(&c->j, &r->m, true, &e) || journal_lock(&c->j, "test", 10000, &r->log, &e))
		fail_msg("%s", e.text);
	hand_live(&c->h, &r->m, agents);
	c->r = (struct runner) { .hand = &c->h, .journal = &c->j, .log = &r->log };
	recover_all(&c->r, &c->hangs);
}

static int carry_out(const struct root *r, struct err *e)
{
	struct call *c = calloc(1, sizeof(*c));
	own_txn struct txn t;

	begin(c, r);
	make_txn(&t, &r->m);
	int rc = txn_run(&c->r, &t, &c->o, e);

	journal_close(&c->j);
	free(c);
	return rc;
}

/* Take the last one back. */
static int undo_last(const struct root *r, struct err *e)
{
	struct call *c = calloc(1, sizeof(*c));
	own_txn struct txn t;

	begin(c, r);
	struct entry *en = last_entry(&c->j);

	assert_non_null(en);
	assert_int_equal(txn_open(&t, "undo"), 0);
	int rc = undo_make(en, false, false, &t, e);

	if (!rc)
		rc = txn_run(&c->r, &t, &c->o, e);
	entry_free(en);
	journal_close(&c->j);
	free(c);
	return rc;
}

static void done_and_undone(void **state)
{
	struct err e = { 0 };
	struct root r;

	(void)state;
	root_make(&r);
	char *before = tree_of(&r);

	assert_int_equal(carry_out(&r, &e), 0);
	assert_all_done(&r);
	if (undo_last(&r, &e))
		fail_msg("%s", e.text);
	assert_same_tree(&r, before);
	free(before);
	root_remove(&r);
}

/* Killed at every fsync of a whole run: then the next call ends it, and nothing is left half. */
static void killed_everywhere(void **state)
{
	int killed = 0;

	(void)state;
	for (int at = 1;; at++) {
		struct err e = { 0 };
		struct root r;
		int status;

		root_make(&r);
		char *before = tree_of(&r);
		pid_t pid = fork();

		if (pid == 0) {
			kill_at = at;
			_exit(carry_out(&r, &e) ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		struct call *c = calloc(1, sizeof(*c));

		begin(c, &r);
		struct entry *en = last_entry(&c->j);

		if (en)
			assert_int_not_equal(en->o.end, RUN_OPEN);
		bool done = en && en->o.end == RUN_DONE;

		entry_free(en);
		journal_close(&c->j);
		free(c);
		if (done)
			assert_all_done(&r);
		else
			assert_same_tree(&r, before);
		if (done && undo_last(&r, &e))
			fail_msg("%s", e.text);
		assert_same_tree(&r, before);
		free(before);
		root_remove(&r);
		if (!WIFSIGNALED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			break;
		}
		killed++;
	}
	/* the head (file, folder), before and after each of 7 steps, the end; each before and after */
	assert_true(killed >= 2 * (2 + 14 + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_and_undone),
		cmocka_unit_test(killed_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

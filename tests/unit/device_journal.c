/* SPDX-License-Identifier: MIT */
/* The journal: broken off anywhere, torn, hostile, locked; what undo makes of it, and what recovery. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/device_root.h"

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

/* --- the journal --- */

static char *slurp_journal(const struct root *r, long *size)
{
	char path[160], *bytes = malloc(1 << 20);

	snprintf(path, sizeof(path), "%s/journal/1.jsonl", r->state);
	own_file FILE *f = fopen(path, "re");

	assert_non_null(f);
	*size = (long)fread(bytes, 1, 1 << 20, f);
	return bytes;
}

/* Torn at any byte after its first line, a file tells what was whole; torn within it, it is none. */
static void torn_anywhere(void **state)
{
	struct err e = { 0 };
	struct root r;
	long size;

	(void)state;
	root_make(&r);
	assert_int_equal(carry_out(&r, &e), 0);
	char *bytes = slurp_journal(&r, &size);
	long head = strchr(bytes, '\n') - bytes;

	for (long n = 0; n <= size; n++) {
		struct entry *en;
		int rc = entry_parse(bytes, (size_t)n, &en, &e);

		assert_int_equal(rc, n > head ? 0 : -EBADMSG);
		if (!rc) {
			assert_int_equal(en->t.n, 7);
			assert_int_equal(en->o.end, n == size ? RUN_DONE : RUN_OPEN);
			entry_free(en);
		}
	}
	free(bytes);
	root_remove(&r);
}

static void hostile(void **state)
{
#define HEAD "{\"schema\":\"berth.journal/1\",\"id\":\"1\",\"verb\":\"bind\",\"steps\":["
#define STEP(op, target)                                                                           \
	"{\"op\":\"" op "\",\"target\":\"" target                                                  \
	"\",\"value\":\"x\",\"before_known\":true,\"before\":\"y\",\"undo\":\"before\"}"
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{ "", -EBADMSG },
		{ "{}\n", -EBADMSG },
		{ HEAD "]}\n", 0 },
		{ HEAD STEP("write", "sys/x/y") "]}\n", 0 },
		{ HEAD STEP("save", "etc/udev/x") "]}\n", 0 },
		{ HEAD STEP("write", "etc/shadow") "]}\n", -EBADMSG },
		{ HEAD STEP("write", "/sys/x") "]}\n", -EBADMSG },
		{ HEAD STEP("write", "sys/../etc/shadow") "]}\n", -EBADMSG },
		{ HEAD STEP("write", "sys/x/..") "]}\n", -EBADMSG },
		{ HEAD STEP("write", "sys//x") "]}\n", -EBADMSG },
		{ HEAD STEP("write", "sys/") "]}\n", -EBADMSG },
		{ HEAD STEP("save", "sys/x") "]}\n", -EBADMSG },
		{ HEAD STEP("save", "root/.ssh/authorized_keys") "]}\n", -EBADMSG },
		{ HEAD STEP("save", "etc\\u0000/x") "]}\n", -EBADMSG },
		{ HEAD STEP("chmod", "etc/x") "]}\n", -EBADMSG },
		{ HEAD "{}]}\n", -EBADMSG },
		{ HEAD "1]}\n", -EBADMSG },
		{ HEAD "]}\nnonsense\n", -EBADMSG },
		{ HEAD "]}\nnonsense", 0 }, /* torn */
		{ HEAD "]}\n{\"step\":0,\"is\":\"done\"}\n", -EBADMSG },
		{ HEAD STEP("write", "sys/x") "]}\n{\"step\":0,\"is\":\"done\"}\n", 0 },
		{ HEAD STEP("write", "sys/x") "]}\n{\"step\":-1,\"is\":\"done\"}\n", -EBADMSG },
		{ HEAD STEP("write", "sys/x") "]}\n{\"step\":0,\"is\":\"well\"}\n", -EBADMSG },
		{ HEAD "]}\n{\"end\":\"open\"}\n", -EBADMSG },
		{ HEAD "]}\n{\"end\":\"done\"}\n{\"end\":\"done\"}\n", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = { 0 };
		struct entry *en;
		int rc = entry_parse(rows[i].text, strlen(rows[i].text), &en, &e);

		if (rc != rows[i].rc)
			fail_msg("row %zu: %d (%s)", i, rc, e.text);
		if (!rc)
			entry_free(en);
	}
}

/* One at a time; who waits is told for whom, and goes on when the other is done. */
static void one_at_a_time(void **state)
{
	struct journal j;
	struct err e = { 0 };
	struct root r;
	int ready[2], go[2];
	char c;

	(void)state;
	root_make(&r);
	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct journal mine;

		if (journal_open(&mine, &r.m, true, &e) ||
		    journal_lock(&mine, "berth device eject 0000:01:00.0", 0, &r.log, &e))
			_exit(1);
		_exit(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1 ? 0 : 2);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(journal_open(&j, &r.m, true, &e), 0);
	assert_int_equal(journal_lock(&j, "mine", 0, &r.log, &e), -EBUSY);
	char want[64];

	snprintf(want, sizeof(want), "process %d (berth device eject 0000:01:00.0)", (int)pid);
	assert_non_null(strstr(e.text, want));
	journal_close(&j);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(journal_open(&j, &r.m, true, &e), 0);
	assert_int_equal(journal_lock(&j, "mine", 60000, &r.log, &e), 0);
	journal_close(&j);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	root_remove(&r);
}

/* Who was killed while it wrote leaves the lock with the child that writes: it is not told as if it lived. */
static void a_dead_one_is_called_dead(void **state)
{
	struct journal j;
	struct err e = { 0 };
	struct root r;
	int ready[2], go[2];
	char c;

	(void)state;
	root_make(&r);
	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct journal mine;

		if (journal_open(&mine, &r.m, true, &e) ||
		    journal_lock(&mine, "berth device eject 0000:01:00.0", 0, &r.log, &e))
			_exit(1);
		if (fork() == 0) {
			close(go[1]);
			_exit(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 0 ? 0 : 2);
		}
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(journal_open(&j, &r.m, true, &e), 0);
	assert_int_equal(journal_lock(&j, "mine", 0, &r.log, &e), -EBUSY);
	assert_non_null(strstr(e.text, "was killed, and the step that it had begun still runs"));
	journal_close(&j);
	close(go[1]);
	assert_int_equal(journal_open(&j, &r.m, true, &e), 0);
	assert_int_equal(journal_lock(&j, "mine", 60000, &r.log, &e), 0);
	journal_close(&j);
	root_remove(&r);
}

/* An undone one is not undone again; an undo can be. */
static void undone_once(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct entry *en;
	struct root r;

	(void)state;
	root_make(&r);
	assert_int_equal(carry_out(&r, &e), 0);
	assert_int_equal(undo_last(&r, &e), 0);
	begin(c, &r);
	assert_int_equal(journal_read(&c->j, 1, &en, &e), 0);
	strcpy(en->undone_by, "2");
	assert_int_equal(txn_open(&t, "undo"), 0);
	assert_int_equal(undo_make(en, false, true, &t, &e), -EPERM);
	assert_non_null(strstr(e.text, "taken back by 2 already"));
	entry_free(en);
	journal_close(&c->j);
	free(c);
	if (undo_last(&r, &e)) /* the undo */
		fail_msg("%s", e.text);
	assert_all_done(&r);
	root_remove(&r);
}

/* After the machine was started anew, only files are left to be taken back. */
static void another_boot(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	struct entry *en;
	struct root r;

	(void)state;
	root_make(&r);
	assert_int_equal(carry_out(&r, &e), 0);
	put_file(&r, "sys/a", "one\n"); /* as the kernel has it after its start */
	put_file(&r, "sys/b", "two\n");
	put_file(&r, "sys/c", "(null)\n");
	put_file(&r, "proc/sys/kernel/random/boot_id", "33333333-4444\n");
	begin(c, &r);
	assert_int_equal(journal_read(&c->j, 1, &en, &e), 0);
	own_txn struct txn t;

	assert_int_equal(txn_open(&t, "undo"), 0);
	assert_int_equal(undo_make(en, true, false, &t, &e), 0);
	assert_int_equal(t.n, 3);
	if (txn_run(&c->r, &t, &c->o, &e))
		fail_msg("%s", e.text);
	assert_file(&r, "etc/udev/there.rules", "old content");
	assert_false(machine_exists(&r.m, "etc/new"));
	assert_file(&r, "sys/b", "two");
	entry_free(en);
	journal_close(&c->j);
	free(c);
	root_remove(&r);
}

/* --- the rule --- */

#define N STATE_NONE
#define B STATE_BEGUN
#define D STATE_DONE
#define F STATE_FAILED
#define H STATE_HUNG
#define U STATE_UNDOING
#define Z STATE_UNDONE

static void fates(void **state)
{
	static const struct {
		enum step_state states[3];
		enum truth truth; /* of those begun */
		bool keep, never, other_boot, hangs;
		enum fate fate;
		uint32_t at;
	} rows[] = {
		{ { N, N, N }, TRUTH_NO, 0, 0, 0, 0, FATE_UNDO, 0 },
		{ { D, B, N }, TRUTH_NO, 0, 0, 0, 0, FATE_UNDO, 1 },
		{ { D, B, N }, TRUTH_YES, 0, 0, 0, 0, FATE_UNDO, 2 },
		{ { D, D, D }, TRUTH_NO, 0, 0, 0, 0, FATE_DONE, 3 },
		{ { D, D, B }, TRUTH_YES, 0, 0, 0, 0, FATE_DONE, 3 },
		{ { D, D, D }, TRUTH_NO, 0, 0, 1, 0, FATE_DONE, 3 },
		{ { D, D, N }, TRUTH_NO, 0, 1, 0, 0, FATE_FINISH, 2 }, /* 2 cannot go back */
		{ { D, B, N }, TRUTH_UNKNOWN, 0, 1, 0, 0, FATE_FINISH, 2 },
		{ { D, B, N }, TRUTH_NO, 0, 1, 0, 0, FATE_UNDO, 1 }, /* it did not come to it */
		{ { D, N, N }, TRUTH_NO, 1, 0, 0, 0, FATE_FINISH, 1 },
		{ { N, N, N }, TRUTH_NO, 1, 0, 0, 0, FATE_UNDO, 0 },
		{ { D, D, N }, TRUTH_NO, 0, 1, 1, 0, FATE_UNDO, 2 },
		{ { D, H, N }, TRUTH_YES, 0, 0, 0, 1, FATE_LEAVE, 3 },
		{ { D, H, N }, TRUTH_YES, 0, 0, 0, 0, FATE_UNDO, 2 },
		{ { D, U, Z }, TRUTH_NO, 0, 1, 0, 0, FATE_UNDO, 1 },
		{ { D, D, F }, TRUTH_NO, 0, 1, 0, 0, FATE_UNDO, 2 },
		{ { D, D, F }, TRUTH_NO, 1, 0, 0, 0, FATE_KEEP, 2 },
		{ { D, N, N }, TRUTH_NO, 1, 0, 1, 0, FATE_KEEP, 1 },
		{ { N, N, N }, TRUTH_NO, 1, 0, 1, 0, FATE_UNDO, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct entry *en = calloc(1, sizeof(*en));
		enum truth truths[STEPS_MAX] = { TRUTH_NO };
		uint32_t at;

		assert_int_equal(txn_open(&en->t, "bind"), 0);
		en->t.n = 3;
		en->t.keep = rows[i].keep;
		for (int k = 0; k < 3; k++) {
			en->t.steps[k].undo = UNDO_BEFORE;
			en->o.states[k] = rows[i].states[k];
			truths[k] = rows[i].truth;
		}
		if (rows[i].never)
			en->t.steps[1].undo = UNDO_NEVER;
		enum fate fate = recover_decide(en, truths, rows[i].other_boot, rows[i].hangs, &at);

		if (fate != rows[i].fate || at != rows[i].at)
			fail_msg("row %zu: fate %d at %u", i, (int)fate, at);
		entry_free(en);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_everywhere),
		cmocka_unit_test(torn_anywhere),
		cmocka_unit_test(hostile),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(a_dead_one_is_called_dead),
		cmocka_unit_test(undone_once),
		cmocka_unit_test(another_boot),
		cmocka_unit_test(fates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

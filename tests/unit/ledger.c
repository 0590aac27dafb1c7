/* SPDX-License-Identifier: MIT */
/* Power limits that are owed: kept while a launch lives, found once when it was killed, gone when paid. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/ledger.h"
#include "tests/unit/harness.h"

static char dir[] = "/tmp/berth-ledger-XXXXXX";
static struct err e;
static struct ledger list[LEDGERS_MAX];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	setenv("BERTH_RUNTIME_DIR", dir, 1);
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static int files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	for (const struct dirent *de; (de = readdir(d));)
		n += de->d_name[0] != '.';
	closedir(d);
	return n;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

static void owed_and_paid(void **state)
{
	struct ledger l;
	char run[64] = "";

	(void)state;
	assert_int_equal(ledger_begin(&l, "chat", &e), 0);
	struct ledger_cap *a = ledger_owe(&l, "0000:03:00.0", "250", &e);
	struct ledger_cap *b = ledger_owe(&l, "0000:06:00.0", "default", &e);

	assert_non_null(a);
	assert_non_null(b);
	assert_string_not_equal(a->whom, b->whom);
	assert_null(ledger_owe(&l, "0000:03:00.0", "200", &e)); /* once for a GPU */
	ledger_set(&l, a, "20260101-1");
	/* Held by a live one: nobody's orphan, but others may know */
	assert_int_equal(ledgers_orphaned(list), 0);
	assert_false(ledgers_limit("0000:03:00.0", &l, run));
	assert_true(ledgers_limit("0000:03:00.0", &list[0], run));
	assert_string_equal(run, "chat");
	ledger_paid(&l, a);
	assert_false(ledgers_limit("0000:03:00.0", &list[0], run));
	assert_ptr_equal(ledger_find(&l, "0000:06:00.0"), b);
	ledger_paid(&l, b);
	ledger_end(&l);
	assert_int_equal(files(), 0);
}

/* A launch that is killed with one limit set, and one about to be. */
static void die(const char *half)
{
	struct ledger l;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ledger_begin(&l, "chat", NULL))
			_exit(1);
		struct ledger_cap *c = ledger_owe(&l, "0000:03:00.0", "250", NULL);

		ledger_set(&l, c, "txn-1");
		ledger_owe(&l, "0000:06:00.0", "200", NULL);
		if (half && write(l.fd, half, strlen(half)) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
}

static void found_once(void **state)
{
	(void)state;
	die("{\"paid\":\"run chat"); /* a line that was torn */
	assert_int_equal(ledgers_orphaned(list), 1);
	assert_string_equal(list[0].run, "chat");
	assert_int_equal(list[0].n, 2);
	assert_string_equal(list[0].caps[0].txn, "txn-1");
	assert_true(list[0].caps[0].owed && list[0].caps[1].owed);
	assert_string_equal(list[0].caps[1].txn, "");
	/* While we hold it, nobody else pays */
	assert_int_equal(ledgers_orphaned(&list[1]), 0);
	ledger_paid(&list[0], &list[0].caps[0]);
	ledger_end(&list[0]);
	/* One is owed still */
	assert_int_equal(ledgers_orphaned(list), 1);
	assert_false(list[0].caps[0].owed);
	assert_true(list[0].caps[1].owed);
	ledger_paid(&list[0], &list[0].caps[1]);
	ledger_end(&list[0]);
	assert_int_equal(files(), 0);
	assert_int_equal(ledgers_orphaned(list), 0);
}

static void not_ours(void **state)
{
	char path[300], to[300];

	(void)state;
	die(NULL);
	snprintf(path, sizeof(path), "%s/link.caps", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(to, sizeof(to), "%s/fifo.caps", dir);
	assert_int_equal(mkfifo(to, 0600), 0);
	assert_int_equal(ledgers_orphaned(list), 1);
	unlink(path);
	unlink(to);
	ledger_paid(&list[0], &list[0].caps[0]);
	ledger_paid(&list[0], &list[0].caps[1]);
	ledger_end(&list[0]);
	assert_int_equal(files(), 0);
}

/* A run of months, whose devices come and go: there is room again for what was paid. */
static void no_end(void **state)
{
	static struct ledger copy;
	struct ledger l;

	(void)state;
	assert_int_equal(ledger_begin(&l, "chat", &e), 0);
	for (int i = 0; i < 3 * PLAN_DEVICES_MAX; i++) {
		struct ledger_cap *c = ledger_owe(&l, "0000:03:00.0", "250", &e);

		assert_non_null(c);
		if (i + 1 < 3 * PLAN_DEVICES_MAX)
			ledger_paid(&l, c);
	}
	/* The same to who reads it */
	static char text[65536];
	long n = pread(l.fd, text, sizeof(text), 0);

	assert_true(n > 0);
	ledger_parse(&copy, text, (size_t)n);
	assert_int_equal(copy.n, 1);
	assert_true(copy.caps[0].owed);
	assert_string_equal(copy.caps[0].whom, ledger_find(&l, "0000:03:00.0")->whom);
	ledger_paid(&l, ledger_find(&l, "0000:03:00.0"));
	ledger_end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owed_and_paid),
		cmocka_unit_test(found_once),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(no_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

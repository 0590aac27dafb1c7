/* SPDX-License-Identifier: MIT */
/* The runner against files: the live hand, steps that fail, and what hangs. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/device_root.h"

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

/* What was only root's to read is so again. */
static void modes_come_back(void **state)
{
	struct err e = { 0 };
	struct stat st;
	struct root r;
	char path[128];

	(void)state;
	root_make(&r);
	snprintf(path, sizeof(path), "%s/etc/udev/there.rules", r.path);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(carry_out(&r, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	if (undo_last(&r, &e))
		fail_msg("%s", e.text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	root_remove(&r);
}

/* --- steps that fail --- */

/* The live hand, but at one step. */
static const struct hand_ops *real;
static struct hand_ops odd;
static int acts, odd_at, odd_rc;
static pid_t odd_hung;

static int act_oddly(struct hand *h, const struct step *s, struct err *e)
{
	if (++acts != odd_at)
		return real->act(h, s, e);
	if (!odd_rc) { /* a signal comes meanwhile */
		raise(SIGTERM);
		return real->act(h, s, e);
	}
	h->hung = odd_hung;
	return err_set(e, odd_rc, "/%s refuses: %s", s->target, strerror(-odd_rc));
}

static void be_odd(struct hand *h, int at, int rc, pid_t hung)
{
	real = h->ops;
	odd = *real;
	odd.act = act_oddly;
	h->ops = &odd;
	acts = 0;
	odd_at = at;
	odd_rc = rc;
	odd_hung = hung;
}

/* Whatever the kernel refuses, at whichever step: all is as before, and one sentence says so. */
static void refused_anywhere(void **state)
{
	static const struct {
		int rc;
		enum exit_code code;
	} rows[] = { { -EBUSY, EXIT_ENV },    { -EIO, EXIT_LOST },         { -ENODEV, EXIT_LOST },
		     { -EPERM, EXIT_ENV },    { -EINVAL, EXIT_BAD_INPUT }, { -ENXIO, EXIT_LOST },
		     { -ETIMEDOUT, EXIT_ENV } };

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		int at = 1 + (int)k;
		struct call *c = calloc(1, sizeof(*c));
		struct err e = { 0 };
		own_txn struct txn t;
		struct root r;

		root_make(&r);
		char *before = tree_of(&r);

		begin(c, &r);
		make_txn(&t, &r.m);
		be_odd(&c->h, at, rows[k].rc, 0);
		int rc = txn_run(&c->r, &t, &c->o, &e);

		assert_int_equal(err_exit(rc), rows[k].code);
		assert_int_equal(c->o.end, RUN_UNDONE);
		assert_int_equal(c->o.states[at - 1], STATE_UNDONE);
		assert_null(strchr(e.text, '\n'));
		assert_non_null(strstr(e.text, strerror(-rows[k].rc)));
		assert_non_null(strstr(e.text, at == 1 ? "nothing was changed" : "taken back"));
		assert_same_tree(&r, before);

		struct entry *en = last_entry(&c->j);

		assert_int_equal(en->o.end, RUN_UNDONE);
		assert_false(undo_is_possible(en, false));
		entry_free(en);
		journal_close(&c->j);
		free(c);
		free(before);
		root_remove(&r);
	}
}

/* Ctrl-C and a service manager's stop end it between two steps, and nothing stays half done. */
static void interrupted(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	sigset_t old, term;
	struct root r;
	int got;

	(void)state;
	root_make(&r);
	char *before = tree_of(&r);

	begin(c, &r);
	make_txn(&t, &r.m);
	be_odd(&c->h, 3, 0, 0);
	sigprocmask(SIG_BLOCK, NULL, &old);
	run_hold_signals();
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -EINTR);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	assert_int_equal(sigwait(&term, &got), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_non_null(strstr(e.text, "interrupted before step 4"));
	assert_int_equal(c->o.end, RUN_UNDONE);
	assert_int_equal(c->o.states[2], STATE_UNDONE);
	assert_int_equal(c->o.states[3], STATE_NONE);
	assert_same_tree(&r, before);
	journal_close(&c->j);
	free(c);
	free(before);
	root_remove(&r);
}

/* A verb may say that what was done stays; then undo can take it back. */
static void kept_when_it_fails(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	root_make(&r);
	char *before = tree_of(&r);

	begin(c, &r);
	make_txn(&t, &r.m);
	t.keep = true;
	be_odd(&c->h, 4, -EIO, 0);
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -EIO);
	assert_int_equal(c->o.end, RUN_FAILED);
	assert_file(&r, "sys/a", "uno");
	assert_file(&r, "sys/c", "vfio-pci");
	journal_close(&c->j);
	free(c);
	if (undo_last(&r, &e))
		fail_msg("%s", e.text);
	assert_same_tree(&r, before);
	free(before);
	root_remove(&r);
}

/* An undo that fails keeps what it has taken back, says so once, and goes on when it is asked again. */
static void an_undo_goes_on(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct entry *en = NULL;
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	root_make(&r);
	char *before = tree_of(&r);

	assert_int_equal(carry_out(&r, &e), 0);
	begin(c, &r);
	assert_int_equal(journal_read(&c->j, 1, &en, &e), 0);
	assert_int_equal(txn_open(&t, "undo"), 0);
	assert_int_equal(undo_make(en, false, false, &t, &e), 0);
	be_odd(&c->h, 4, -EIO, 0);
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -EIO);
	assert_int_equal(c->o.end, RUN_FAILED);
	assert_non_null(strstr(e.text, "stays so, and 'berth device undo 1' goes on"));
	assert_null(strstr(e.text, "take back: take back"));
	assert_file(&r, "sys/b", "two");
	assert_file(&r, "sys/a", "uno");
	c->h.ops = real;
	txn_close(&t);
	e = (struct err) { 0 };
	assert_int_equal(txn_open(&t, "undo"), 0);
	assert_int_equal(undo_make(en, false, false, &t, &e), 0);
	if (txn_run(&c->r, &t, &c->o, &e))
		fail_msg("%s", e.text);
	entry_free(en);
	journal_close(&c->j);
	free(c);
	assert_same_tree(&r, before);
	free(before);
	root_remove(&r);
}

/* --- a function that leaves in the middle --- */

#define FUNC "sys/bus/pci/devices/0000:01:00.0"

static const struct root *leaving;

static void leave(const struct root *r)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/" FUNC "/driver_override", r->path);
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

/* It is pulled as its driver is told. */
static int act_and_leave(struct hand *h, const struct step *s, struct err *e)
{
	if (leaving && strstr(s->target, "/bind")) {
		leave(leaving);
		return err_set(e, -ENODEV, "/%s refuses '%s': No such device", s->target, s->value);
	}
	return real->act(h, s, e);
}

static void make_binding(struct txn *t, const struct machine *m)
{
	struct err e = { 0 };

	assert_int_equal(txn_open(t, "bind"), 0);
	add_write(t, m, FUNC "/driver_override", "vfio-pci");
	add_save(t, m, "etc/driverctl.d/pci-0000:01:00.0", "vfio-pci\n");
	struct step *s = txn_add(t, STEP_WRITE, &e, "bind 0000:01:00.0 to vfio-pci");

	step_put(s->target, &e, "sys/bus/pci/drivers/vfio-pci/bind");
	step_put(s->value, &e, "0000:01:00.0");
	step_put(s->undo_target, &e, "sys/bus/pci/drivers/vfio-pci/unbind");
	step_put(s->undo_value, &e, "0000:01:00.0");
	s->undo = UNDO_OTHER;
}

static void stage(struct root *r)
{
	root_make(r);
	put_file(r, FUNC "/driver_override", "(null)\n");
	put_file(r, "sys/bus/pci/drivers/vfio-pci/bind", "");
	put_file(r, "sys/bus/pci/drivers/vfio-pci/unbind", "");
}

/* What was done to it is gone with it; what was written elsewhere is taken back. */
static void pulled_in_the_middle(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	stage(&r);
	begin(c, &r);
	make_binding(&t, &r.m);
	be_odd(&c->h, 0, 0, 0);
	odd.act = act_and_leave;
	leaving = &r;
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -ENXIO);
	leaving = NULL;
	assert_non_null(strstr(e.text, "0000:01:00.0 has vanished from this machine"));
	assert_non_null(strstr(e.text, "what was done before is taken back"));
	assert_int_equal(c->o.end, RUN_UNDONE);
	assert_file(&r, "etc/driverctl.d/pci-0000:01:00.0", "(none)");
	journal_close(&c->j);
	free(c);
	root_remove(&r);
}

/* The files of a function that is not there any more go all the same. */
static void undone_without_it(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	stage(&r);
	begin(c, &r);
	make_binding(&t, &r.m);
	if (txn_run(&c->r, &t, &c->o, &e))
		fail_msg("%s", e.text);
	journal_close(&c->j);
	free(c);
	leave(&r);
	if (undo_last(&r, &e))
		fail_msg("%s", e.text);
	assert_file(&r, "etc/driverctl.d/pci-0000:01:00.0", "(none)");
	root_remove(&r);
}

/* What is not as it was when this was decided stops it, before anything is written over it. */
static void changed_meanwhile(void **state)
{
	static const char *const paths[] = { "sys/b", "etc/udev/there.rules" };

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		struct call *c = calloc(1, sizeof(*c));
		struct err e = { 0 };
		own_txn struct txn t;
		struct root r;

		root_make(&r);
		begin(c, &r);
		make_txn(&t, &r.m);
		put_file(&r, paths[k], "somebody else's\n");
		assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -ENXIO);
		assert_non_null(strstr(e.text, paths[k]));
		assert_non_null(strstr(e.text, "changed meanwhile"));
		assert_file(&r, paths[k], "somebody else's");
		assert_file(&r, "sys/a", "one");
		journal_close(&c->j);
		free(c);
		root_remove(&r);
	}
}

/* Undo never takes away what somebody wrote since, unless told to. */
static void changed_since(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	root_make(&r);
	assert_int_equal(carry_out(&r, &e), 0);
	put_file(&r, "sys/b", "tres\n");
	assert_int_equal(undo_last(&r, &e), -ENXIO);
	assert_non_null(strstr(e.text, "'tres', not 'dos'"));
	assert_file(&r, "sys/b", "tres");
	assert_file(&r, "sys/a", "eins");

	begin(c, &r);
	struct entry *en = NULL;

	assert_int_equal(journal_read(&c->j, 1, &en, &e), 0);
	assert_int_equal(txn_open(&t, "undo"), 0);
	assert_int_equal(undo_make(en, false, true, &t, &e), 0);
	if (txn_run(&c->r, &t, &c->o, &e))
		fail_msg("%s", e.text);
	assert_file(&r, "sys/b", "two");
	assert_file(&r, "sys/a", "one");
	entry_free(en);
	journal_close(&c->j);
	free(c);
	root_remove(&r);
}

/* --- what hangs --- */

static void left_alone_while_it_hangs(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;
	pid_t hung = fork();

	(void)state;
	if (hung == 0) {
		pause();
		_exit(0);
	}
	root_make(&r);
	char *before = tree_of(&r);

	begin(c, &r);
	make_txn(&t, &r.m);
	be_odd(&c->h, 3, -ETIMEDOUT, hung);
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -ETIMEDOUT);
	assert_int_equal(c->o.states[2], STATE_HUNG);
	assert_int_equal(c->o.end, RUN_OPEN);
	journal_close(&c->j);

	/* nobody touches its device; others may be had */
	begin(c, &r);
	assert_int_equal(c->hangs.n, 1);
	assert_int_equal(recover_check(&c->hangs, "0000:01:00.1", &e), -EBUSY);
	assert_non_null(strstr(e.text, "still hangs"));
	assert_int_equal(recover_check(&c->hangs, "0000:02:00.0", &e), 0);
	assert_file(&r, "sys/a", "uno");
	journal_close(&c->j);

	/* it ended, and its write came true meanwhile: that is taken back with the rest */
	kill(hung, SIGKILL);
	assert_int_equal(waitpid(hung, NULL, 0), hung);
	put_file(&r, "sys/c", "vfio-pci\n");
	begin(c, &r);
	assert_int_equal(c->hangs.n, 0);
	assert_same_tree(&r, before);
	journal_close(&c->j);
	free(c);
	free(before);
	root_remove(&r);
}

static int ask_for_ever(const struct machine *m, const char *object, const char *value,
			struct err *e)
{
	(void)m;
	(void)object;
	(void)value;
	(void)e;
	while (pause() == -1)
		continue;
	return 0;
}

static int ask_died(const struct machine *m, const char *object, const char *value, struct err *e)
{
	(void)m;
	(void)object;
	(void)value;
	(void)e;
	signal(SIGSEGV, SIG_DFL); /* and not the frame's, which would go on with its tests */
	raise(SIGSEGV);
	return 0;
}

static int says_what_was_asked(const struct machine *m, const char *object, char *said, size_t size,
			       struct err *e)
{
	(void)m;
	(void)e;
	return text_copy(said, size, strcmp(object, "box") == 0 ? "in" : "out") ? 0 : -EFBIG;
}

static const struct agent odd_agents[] = {
	{ .name = "slow", .call = ask_for_ever, .look = says_what_was_asked },
	{ .name = "dies", .call = ask_died, .look = NULL },
	{ .name = NULL },
};

static int ask_one(struct call *c, const char *agent, const char *object, uint32_t timeout_ms,
		   bool look, struct err *e)
{
	own_txn struct txn t;

	assert_int_equal(txn_open(&t, "authorise"), 0);
	struct step *s = txn_add(&t, STEP_ASK, e, "ask %s", agent);

	text_copy(s->agent, sizeof(s->agent), agent);
	text_copy(s->target, sizeof(s->target), object);
	text_copy(s->value, sizeof(s->value), "in");
	s->timeout_ms = timeout_ms;
	if (look) {
		assert_int_equal(look_set(&s->after, LOOK_AGENT, "out", e, "%s", object), 0);
		text_copy(s->after.agent, sizeof(s->after.agent), agent);
	}
	return txn_run(&c->r, &t, &c->o, e);
}

/* An agent that never answers, or dies: said so, and nobody waits for it. */
static void agents_that_fail(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	struct root r;

	(void)state;
	root_make(&r);
	begin(c, &r);
	c->h.agents = odd_agents;
	assert_int_equal(ask_one(c, "slow", "box", 50, true, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.text, "stopped after"));
	assert_int_equal(ask_one(c, "slow", "other", 50, true, &e), 0); /* it is so already */
	assert_int_equal(c->o.states[0], STATE_ALREADY);
	assert_int_equal(ask_one(c, "dies", "box", 0, false, &e), -ECHILD);
	assert_int_equal(ask_one(c, "nobody", "box", 0, false, &e), -ENOSYS);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	journal_close(&c->j);
	free(c);
	root_remove(&r);
}

static struct root *moving;

/* It leaves in the middle, and comes back where no device was. */
static int act_and_move(struct hand *h, const struct step *s, struct err *e)
{
	int rc = act_and_leave(h, s, e);

	put_file(moving, "sys/bus/pci/devices/0000:0d:00.0/vendor", "0x1002\n");
	put_file(moving, "sys/bus/pci/devices/0000:0d:00.0/device", "0x73bf\n");
	return rc;
}

static void back_at_another_address(void **state)
{
	struct call *c = calloc(1, sizeof(*c));
	struct err e = { 0 };
	own_txn struct txn t;
	struct root r;

	(void)state;
	stage(&r);
	/* another card of its kind, which was there all the time */
	put_file(&r, "sys/bus/pci/devices/0000:05:00.0/vendor", "0x1002\n");
	put_file(&r, "sys/bus/pci/devices/0000:05:00.0/device", "0x73bf\n");
	begin(c, &r);
	make_binding(&t, &r.m);
	strcpy(t.device, "0000:01:00.0");
	strcpy(t.ids, "1002:73bf");
	strcpy(t.alike, "0000:01:00.0 0000:05:00.0 ");
	be_odd(&c->h, 0, 0, 0);
	odd.act = act_and_move;
	leaving = moving = &r;
	assert_int_equal(txn_run(&c->r, &t, &c->o, &e), -ENXIO);
	leaving = moving = NULL;
	assert_non_null(strstr(e.text, "a device with its ids (1002:73bf) is at 0000:0d:00.0 now"));
	journal_close(&c->j);
	free(c);
	root_remove(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_and_undone),
		cmocka_unit_test(modes_come_back),
		cmocka_unit_test(refused_anywhere),
		cmocka_unit_test(an_undo_goes_on),
		cmocka_unit_test(pulled_in_the_middle),
		cmocka_unit_test(back_at_another_address),
		cmocka_unit_test(undone_without_it),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(kept_when_it_fails),
		cmocka_unit_test(changed_meanwhile),
		cmocka_unit_test(changed_since),
		cmocka_unit_test(left_alone_while_it_hangs),
		cmocka_unit_test(agents_that_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	{ "slow", ask_for_ever, says_what_was_asked },
	{ "dies", ask_died, NULL },
	{ NULL, NULL, NULL },
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
		cmocka_unit_test(done_and_undone),
		cmocka_unit_test(killed_everywhere),
		cmocka_unit_test(refused_anywhere),
		cmocka_unit_test(kept_when_it_fails),
		cmocka_unit_test(changed_meanwhile),
		cmocka_unit_test(changed_since),
		cmocka_unit_test(left_alone_while_it_hangs),
		cmocka_unit_test(agents_that_fail),
		cmocka_unit_test(torn_anywhere),
		cmocka_unit_test(hostile),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(undone_once),
		cmocka_unit_test(another_boot),
		cmocka_unit_test(fates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Who opens a device: what it hands over, what it makes for who has it, and that nobody waits for it when it hangs. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/fetch.h"
#include "bar-forward/post.h"
#include "bar-forward/share.h"
#include "base/text.h"
#include "tests/unit/harness.h"

#define LONG_MS 60000

struct device {
	struct dev_facts facts;
	int fd;
};

/* What its device does: of the child, which has it by its fork. */
static struct {
	int open_rc, reset_rc, present_rc;
	bool opening_hangs, dies, reset_hangs;
} now;

static void hang(void)
{
	const struct timespec second = { .tv_sec = 1 };

	for (;;)
		nanosleep(&second, NULL);
}

static int fake_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	(void)beside;
	if (now.opening_hangs)
		hang();
	if (now.dies)
		abort();
	if (now.open_rc)
		return err_set(e, now.open_rc, "%s is not to be had", what);
	*d = calloc(1, sizeof(**d));
	text_copy((*d)->facts.name, sizeof((*d)->facts.name), what);
	(*d)->fd = memfd_create("fake", MFD_CLOEXEC);
	return (*d)->fd < 0 ? -errno : 0;
}

static const struct dev_facts *fake_facts(const struct device *d)
{
	return &d->facts;
}

static uint32_t fake_share(const struct device *d, int fds[DEV_FDS_MAX])
{
	fds[0] = d->fd;
	return 1;
}

/* What it changes is seen by who has the descriptor. */
static int fake_reset(struct device *d, struct err *e)
{
	if (now.reset_hangs)
		hang();
	if (now.reset_rc)
		return err_set(e, now.reset_rc, "no reset for %s", d->facts.name);
	return pwrite(d->fd, "reset", 5, 0) == 5 ? 0 : -EIO;
}

static int fake_present(struct device *d)
{
	(void)d;
	return now.present_rc;
}

static const struct device_ops fake_ops = { .name = "fake",
					    .open = fake_open,
					    .facts = fake_facts,
					    .share = fake_share,
					    .reset = fake_reset,
					    .present = fake_present };

/* The opener's and the holder's ends of their line, both here. */
struct scene {
	struct fetchers all;
	struct dev_handed *handed;
	int opener, holder;
	struct as_user us;
	struct log log;
};

static int begin(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	int ends[2];

	memset(&now, 0, sizeof(now));
	s->handed = mmap(NULL, sizeof(*s->handed), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(s->handed != MAP_FAILED);
	assert_int_equal(post_pair(ends), 0);
	s->opener = ends[0];
	s->holder = ends[1];
	s->us = (struct as_user) { .uid = geteuid(), .gid = getegid() };
	log_init(&s->log, "test", 0, 0);
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct scene *s = *state;

	fetch_close(&s->all);
	for (uint32_t i = 0; i < FETCHERS_MAX; i++) /* however busy the machine is */
		while (s->all.pid[i])
			fetch_reap(&s->all);
	munmap(s->handed, sizeof(*s->handed));
	close(s->opener);
	close(s->holder);
	free(s);
	return 0;
}

static void leave(void *arg)
{
	(void)arg;
}

static int start(struct scene *s, int32_t order, const char *policy, struct err *e)
{
	const struct fetch_opts o = { .ops = &fake_ops,
				      .what = "card",
				      .policy = policy,
				      .user = &s->us,
				      .log = &s->log,
				      .to = s->handed,
				      .line = s->opener,
				      .order = order };

	return fetch_start(&s->all, &o, leave, NULL, e);
}

/* What it says; its descriptors. */
static struct line heard(struct scene *s, int fds[POST_FDS], uint32_t *n)
{
	struct pollfd p = { .fd = s->holder, .events = POLLIN };
	struct line l;

	assert_int_equal(poll(&p, 1, LONG_MS), 1);
	assert_true(post_take(s->holder, &l, sizeof(l), fds, n, 0) > 0);
	assert_int_equal(l.kind, LINE_MADE);
	return l;
}

static bool died(struct scene *s)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	while (s->all.newest)
		if (fetch_reap(&s->all))
			return true;
		else
			nanosleep(&moment, NULL);
	return false;
}

/* --- tests --- */

static void hands_over(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };
	char word[8] = "";
	int fds[POST_FDS];
	uint32_t n;
	struct line l;

	assert_int_equal(start(s, 7, "/dev/null", NULL), 0);
	l = heard(s, fds, &n);
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.pid, 7);
	assert_int_equal(l.next, FETCH_POLICY | FETCH_CALLS);
	assert_int_equal(n, 3);
	assert_string_equal(s->handed->facts.name, "card");

	/* it makes what it is asked for, until nobody is there to ask */
	assert_int_equal(fetch_call(&fds[1], FETCH_LOOK, LONG_MS, &e), 0);
	assert_int_equal(fetch_call(&fds[1], FETCH_RESET, LONG_MS, &e), 0);
	assert_int_equal(pread(fds[2], word, 5, 0), 5);
	assert_string_equal(word, "reset");
	close(fds[1]);
	assert_true(died(s));
	assert_false(fetch_reap(&s->all));
	fds[1] = -1;
	assert_int_equal(fetch_call(&fds[1], FETCH_LOOK, LONG_MS, &e), -EPIPE);
	close(fds[0]);
	close(fds[2]);
}

static void passes_on_what_it_is_told(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };
	int fds[POST_FDS];
	uint32_t n;

	now.reset_rc = -EIO;
	now.present_rc = -ENODEV;
	assert_int_equal(start(s, 1, NULL, NULL), 0);
	assert_int_equal(heard(s, fds, &n).next, FETCH_CALLS);
	assert_int_equal(n, 2);
	assert_int_equal(fetch_call(&fds[0], FETCH_RESET, LONG_MS, &e), -EIO);
	assert_string_equal(e.text, "no reset for card");
	assert_int_equal(fetch_call(&fds[0], FETCH_LOOK, LONG_MS, &e), -ENODEV);
	/* one that is killed is not waited for */
	kill(s->all.newest, SIGKILL);
	assert_true(died(s));
	assert_int_equal(fetch_call(&fds[0], FETCH_LOOK, LONG_MS, &e), -EPIPE);
	assert_int_equal(fds[0], -1);
	close(fds[1]);
}

static void says_why_not(void **state)
{
	struct scene *s = *state;
	int fds[POST_FDS];
	struct line l;
	uint32_t n;

	now.open_rc = -ENODEV;
	assert_int_equal(start(s, 1, NULL, NULL), 0);
	l = heard(s, fds, &n);
	assert_int_equal(l.rc, -ENODEV);
	assert_string_equal(l.text, "card is not to be had");
	assert_int_equal(n, 0);
	now.open_rc = 0;
	assert_int_equal(start(s, 2, "/no/such/policy", NULL), 0);
	l = heard(s, fds, &n);
	assert_int_equal(l.rc, -ENOENT);
	assert_non_null(strstr(l.text, "/no/such/policy"));
	assert_int_equal(n, 0);
	now.dies = true;
	assert_int_equal(start(s, 3, NULL, NULL), 0);
	assert_true(died(s));
	assert_int_equal(s->all.order, 3);
}

/* Whoever asks goes on without it, and the next one is another. */
static void hangs(void **state)
{
	struct scene *s = *state;
	struct err e = { 0 };
	int fds[POST_FDS];
	uint32_t n;

	now.reset_hangs = true;
	assert_int_equal(start(s, 1, NULL, NULL), 0);
	heard(s, fds, &n);
	assert_int_equal(fetch_call(&fds[0], FETCH_RESET, 20, &e), -ETIMEDOUT);
	assert_string_equal(e.text, "it does not end");
	assert_int_equal(fds[0], -1);
	close(fds[1]);

	now.opening_hangs = true;
	assert_int_equal(start(s, 2, NULL, NULL), 0);
	now = (__typeof__(now)) { 0 };
	assert_int_equal(start(s, 3, NULL, NULL), 0);
	assert_int_equal(heard(s, fds, &n).pid, 3);
	assert_int_equal(fetch_call(&fds[0], FETCH_RESET, LONG_MS, &e), 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hands_over, begin, end),
		cmocka_unit_test_setup_teardown(passes_on_what_it_is_told, begin, end),
		cmocka_unit_test_setup_teardown(says_why_not, begin, end),
		cmocka_unit_test_setup_teardown(hangs, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

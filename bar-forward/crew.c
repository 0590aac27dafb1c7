/* SPDX-License-Identifier: MIT */
#include "bar-forward/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bar-forward/post.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define START_MS   5000 /* for a worker to come up, and to take a device */
#define KILL_MS    500  /* for one that is killed to die, unless the kernel keeps it */
#define REST_MS    200  /* for one to see that its client is gone */
#define FAILED_MAX 5
#define FUTILE_MAX 20 /* deaths without a message done, and so long ago the first of them */
#define FUTILE_NS  CREW_ACCESS_NS

/* --- the share --- */

int crew_share(int *fd, struct share **s)
{
	own_fd int made = memfd_create("berth-share", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	if (made < 0 || ftruncate(made, sizeof(struct share)) < 0 ||
	    fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	p = mmap(NULL, sizeof(struct share), PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
	if (p == MAP_FAILED)
		return -errno;
	*s = p;
	*fd = take_fd(&made);
	return 0;
}

/* --- the opener --- */

static void line_send(struct crew *c, const struct line *l)
{
	size_t size = offsetof(struct line, text) + strlen(l->text) + 1;

	if (post_send(c->line, l, size, NULL, 0, 0))
		c->orphan = c->news.end = true;
}

void crew_tell(struct crew *c, enum line_kind kind, int rc, const char *text)
{
	struct line l = { .kind = kind, .rc = rc };

	text_copy(l.text, sizeof(l.text), text ? text : "");
	line_send(c, &l);
}

static void ask_kill(struct crew *c, int32_t pid)
{
	line_send(c, &(struct line) { .kind = LINE_KILL, .pid = pid });
}

static void ask_spawn(struct crew *c)
{
	line_send(c, &(struct line) { .kind = LINE_SPAWN });
}

/* --- hands --- */

static const struct hand nobody = { .call = -1 };

static void let_go(struct hand *h)
{
	own_close_fd(&h->call);
	*h = nobody;
}

static void dismiss(struct crew *c, struct hand *h)
{
	if (h->pid)
		ask_kill(c, h->pid);
	let_go(h);
}

static void call(struct hand *h, const struct call *k, const int *fds, uint32_t n)
{
	/* One that is dead is told of by the opener. */
	post_send(h->call, k, offsetof(struct call, text), fds, n, 0);
}

static void give(struct crew *c, struct hand *h)
{
	struct call k = { .kind = CALL_CLIENT };
	int fds[3 + DEV_FDS_MAX] = { c->share_fd, c->client };
	uint32_t n = 2;

	if (!h->pid || !h->hello || h->given || c->client < 0 || !c->d)
		return;
	if (c->trace && c->trace->head) {
		fds[n++] = c->trace->fd;
		k.value = 1;
	}
	n += c->ops->share(c->d, fds + n);
	h->given = true;
	call(h, &k, fds, n);
}

/* Whoever can takes over; it rests until it is told to go. */
static void promote(struct crew *c)
{
	struct hand *from = c->next.ready ? &c->next : &c->spare;

	if (c->work.pid || !from->ready)
		return;
	c->work = *from;
	*from = nobody;
	c->resting = true;
	if (c->gone_ns) {
		uint64_t gap = telem_now_ns() - c->gone_ns;

		if (gap > c->gap_ns)
			c->gap_ns = gap;
		c->restarts++;
		c->gone_ns = 0;
	}
	if (!c->spare.pid)
		ask_spawn(c);
}

/* --- what comes from workers --- */

static void upgraded(struct crew *c, int rc)
{
	crew_tell(c, LINE_UPGRADE, rc, NULL);
	if (rc) {
		dismiss(c, &c->next);
		return;
	}
	dismiss(c, &c->spare);
	if (!c->next.ready) { /* nobody is served */
		dismiss(c, &c->work);
		c->work = c->next;
		c->next = nobody;
	} else if (c->work.pid) {
		/* It dies like any other, and what it was at goes on. */
		ask_kill(c, c->work.pid);
	}
	ask_spawn(c);
}

static void started(struct crew *c, struct hand *h, const struct call *k)
{
	bool fits = k->value == SHARE_VERSION && k->offset == sizeof(struct share);

	h->hello = fits;
	c->failures = 0;
	if (h != &c->next) {
		if (h == &c->work)
			give(c, h);
		return;
	}
	if (!fits || c->client < 0 || !c->d)
		upgraded(c, fits ? 0 : -EPROTO);
	else
		give(c, h);
}

static void is_ready(struct crew *c, struct hand *h, int rc)
{
	h->ready = rc == 0;
	if (h == &c->next)
		upgraded(c, rc);
	else if (rc)
		dismiss(c, h);
	else if (h == &c->work)
		c->resting = true;
}

static void take_call(struct crew *c, struct hand *h, const struct call *k)
{
	switch (k->kind) {
	case CALL_HELLO:
		started(c, h, k);
		return;
	case CALL_READY:
		is_ready(c, h, k->rc);
		return;
	case CALL_SAY:
		c->say(c->arg, (enum session_said)k->how, k->text);
		return;
	default:
		break;
	}
	if (h != &c->work)
		return;
	c->news.asked |= k->kind == CALL_ASK;
	c->news.lost |= k->kind == CALL_LOST;
	c->news.ones |= k->kind == CALL_ONES;
	if (k->kind == CALL_BROKEN) {
		c->news.broken = true;
		c->news.broken_rc = k->rc;
	}
	if (k->kind == CALL_DONE && c->waiting) {
		c->done = true;
		c->answer = *k;
	}
	c->resting |= k->kind == CALL_ASK || k->kind == CALL_LOST || k->kind == CALL_BROKEN ||
		      k->kind == CALL_DONE;
}

static void read_hand(struct crew *c, struct hand *h)
{
	int32_t pid = h->pid;
	struct call k;

	/* A sentence each for a flood of them. */
	for (int i = 0; i < 64 && h->pid == pid && pid; i++) {
		long n = post_take(h->call, &k, sizeof(k), NULL, NULL, 1);

		if (n == 0) { /* it is dead, and the opener is about to say so, or worse */
			own_close_fd(&h->call);
			ask_kill(c, pid);
		}
		if (n <= 0)
			return;
		k.text[sizeof(k.text) - 1] = '\0';
		take_call(c, h, &k);
	}
}

/* --- what comes from the opener --- */

static void take_worker(struct crew *c, const struct line *l, int fd)
{
	struct hand *h = l->next                       ? &c->next
			 : !c->work.pid && !c->gone_ns ? &c->work
			 : !c->spare.pid               ? &c->spare
						       : NULL;

	if (l->next && c->next.pid)
		dismiss(c, &c->next);
	if (h)
		*h = (struct hand) { .pid = l->pid, .call = fd };
	else {
		ask_kill(c, l->pid);
		close(fd);
	}
}

static void take_death(struct crew *c, const struct line *l)
{
	struct hand *all[] = { &c->work, &c->spare, &c->next };
	struct hand *h = NULL;

	for (uint32_t i = 0; i < 3; i++)
		if (all[i]->pid == l->pid)
			h = all[i];
	if (!h) /* one that was sent away */
		return;
	read_hand(c, h); /* what it said before */
	if (h->pid != l->pid)
		return;
	c->failures += !h->hello && l->status != SIGKILL; /* nor do those that somebody kills */
	if (h == &c->work && h->ready) {
		c->news.died = true;
		c->futile = c->messages == c->share->note.messages ? c->futile + 1 : 0;
		if (!c->futile)
			c->fruit_ns = l->at_ns;
		c->messages = c->share->note.messages;
		c->death = *l;
		c->gone_ns = l->at_ns;
	}
	if (h == &c->next)
		crew_tell(c, LINE_UPGRADE, -ECHILD, NULL);
	else if (c->failures < FAILED_MAX && !(h == &c->work && c->spare.pid))
		ask_spawn(c);
	let_go(h);
}

static void take_made(struct crew *c, const struct line *l, const int *fds, uint32_t n)
{
	c->is_made = true;
	c->made = (struct crew_made) { .with = l->next, .n = n };
	memcpy(c->made.fds, fds, n * sizeof(*fds));
	c->made.why.rc = l->rc;
	text_copy(c->made.why.text, sizeof(c->made.why.text), l->text);
}

static void take_line(struct crew *c, const struct line *l, const int *fds, uint32_t n)
{
	/* What came of an order that was given up comes late. */
	if (l->kind == LINE_MADE && c->ordered && !c->is_made && l->pid == c->orders) {
		take_made(c, l, fds, n);
		return;
	}
	if (l->kind == LINE_WORKER && n == 1) {
		take_worker(c, l, fds[0]);
		return;
	}
	if (l->kind == LINE_POLICY && n == 1) {
		own_close_fd(&c->news.policy);
		c->news.policy = fds[0];
		return;
	}
	if (l->kind == LINE_TRACE) {
		own_close_fd(&c->news.trace_fd);
		c->news.trace = true;
		c->news.trace_fd = n ? fds[0] : -1;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
	if (l->kind == LINE_DIED)
		take_death(c, l);
	else if (l->kind == LINE_END)
		c->news.end = true;
	else if (l->kind == LINE_NONE)
		c->failures = FAILED_MAX;
}

static void read_line(struct crew *c)
{
	int fds[POST_FDS];
	struct line l;
	uint32_t n;
	long got;

	while ((got = post_take(c->line, &l, sizeof(l), fds, &n, 1)) > 0)
		take_line(c, &l, fds, n);
	if (got == 0)
		c->orphan = c->news.end = true;
}

void crew_read(struct crew *c)
{
	read_hand(c, &c->work);
	read_hand(c, &c->spare);
	read_hand(c, &c->next);
	read_line(c);
	if (c->second || c->gone_ns)
		give(c, &c->spare);
	/* A death that was not judged yet comes first. */
	if (!c->news.died)
		promote(c);
}

void crew_polled(const struct crew *c, struct pollfd p[CREW_POLLED])
{
	p[0] = (struct pollfd) { .fd = c->line, .events = POLLIN };
	p[1] = (struct pollfd) { .fd = c->work.call, .events = POLLIN };
	p[2] = (struct pollfd) { .fd = c->spare.call, .events = POLLIN };
	p[3] = (struct pollfd) { .fd = c->next.call, .events = POLLIN };
}

static void wait_until(struct crew *c, uint64_t until)
{
	struct pollfd p[CREW_POLLED];
	uint64_t now = telem_now_ns();

	if (now >= until)
		return;
	crew_polled(c, p);
	poll(p, CREW_POLLED, (int)((until - now) / 1000000) + 1);
	crew_read(c);
}

int crew_order(struct crew *c, enum line_kind what, int ms, struct crew_made *to, struct err *e)
{
	uint64_t until = telem_now_ns() + (uint64_t)ms * 1000000;

	c->ordered = true;
	c->is_made = false;
	c->orders++;
	line_send(c, &(struct line) { .kind = what, .pid = c->orders });
	while (!c->is_made && !c->news.end && telem_now_ns() < until)
		wait_until(c, until);
	c->ordered = false;
	if (!c->is_made)
		return c->news.end ? err_set(e, -EINTR, "the bridge ends")
				   : err_set(e, -ETIMEDOUT, "it is not open after %d s", ms / 1000);
	*to = c->made;
	return to->why.rc ? err_set(e, to->why.rc, "%s", to->why.text) : 0;
}

/* --- beginning and end --- */

void crew_open(struct crew *c, int line, int share_fd, struct share *share)
{
	*c = (struct crew) { .line = line,
			     .share_fd = share_fd,
			     .share = share,
			     .client = -1,
			     .work = nobody,
			     .spare = nobody,
			     .next = nobody,
			     .news = { .policy = -1, .trace_fd = -1 } };
}

void crew_close(struct crew *c)
{
	dismiss(c, &c->work);
	dismiss(c, &c->spare);
	dismiss(c, &c->next);
	own_close_fd(&c->news.policy);
	own_close_fd(&c->news.trace_fd);
}

static int until_true(struct crew *c, const bool *true_now, uint64_t until, struct err *e)
{
	while (!*true_now) {
		if (c->orphan)
			return err_set(e, -EINTR, "the bridge ends");
		if (c->failures >= FAILED_MAX)
			return err_set(e, -ECHILD, "workers do not come up");
		if (telem_now_ns() >= until)
			return err_set(e, -ETIMEDOUT, "a worker does not come up");
		wait_until(c, until);
	}
	return 0;
}

int crew_await(struct crew *c, int ms, struct err *e)
{
	return until_true(c, &c->work.hello, telem_now_ns() + (uint64_t)ms * 1000000, e);
}

int crew_begin(struct crew *c, int client, struct device *d, struct err *e)
{
	uint64_t until = telem_now_ns() + START_MS * UINT64_C(1000000);
	int rc;

	c->client = client;
	c->d = d;
	c->known.is = false;
	c->share->version = SHARE_VERSION;
	c->share->size = sizeof(struct share);
	text_copy(c->share->backend, sizeof(c->share->backend), c->ops->name);
	c->share->facts = *c->ops->facts(d);
	c->share->n_left = 0;
	crew_clear(c);
	rc = crew_await(c, START_MS, e);
	if (!rc) {
		give(c, &c->work);
		rc = until_true(c, &c->work.ready, until, e);
	}
	if (rc)
		crew_end(c);
	return rc;
}

void crew_second(struct crew *c)
{
	c->second = true;
	give(c, &c->spare);
}

void crew_end(struct crew *c)
{
	const struct crew_news kept = { .policy = c->news.policy,
					.end = c->news.end,
					.trace = c->news.trace,
					.trace_fd = c->news.trace_fd };

	c->client = -1;
	c->d = NULL;
	c->known.is = c->waiting = c->resting = c->second = false;
	c->gone_ns = 0;
	c->futile = 0;
	if (c->work.given || !c->work.pid) {
		dismiss(c, &c->work);
		ask_spawn(c);
	}
	if (c->spare.given) {
		dismiss(c, &c->spare);
		ask_spawn(c);
	}
	if (!c->work.pid && c->spare.pid) {
		c->work = c->spare;
		c->spare = nobody;
	}
	c->news = kept;
	crew_clear(c);
}

/* --- at work --- */

void crew_go(struct crew *c)
{
	if (c->news.died)
		return;
	promote(c); /* a spare that is ready goes on at once, not with the next that happens */
	if (!c->work.ready || !c->resting)
		return;
	c->resting = false;
	call(&c->work, &(struct call) { .kind = CALL_GO }, NULL, 0);
}

bool crew_stop(struct crew *c)
{
	uint64_t until = telem_now_ns() + KILL_MS * UINT64_C(1000000);

	if (!c->work.pid)
		return true;
	ask_kill(c, c->work.pid);
	while (!c->news.died && !c->orphan && telem_now_ns() < until)
		wait_until(c, until);
	if (c->news.died)
		return true;
	let_go(&c->work); /* when it dies, it dies before it returns from the kernel */
	return false;
}

bool crew_failed(const struct crew *c)
{
	if (c->futile > FUTILE_MAX && telem_now_ns() - c->fruit_ns > FUTILE_NS)
		return true;
	if (c->work.pid || !c->d)
		return false;
	return c->failures >= FAILED_MAX ||
	       (c->gone_ns && telem_now_ns() - c->gone_ns > CREW_ACCESS_NS);
}

void crew_rest(struct crew *c)
{
	uint64_t until = telem_now_ns() + REST_MS * UINT64_C(1000000);

	while (c->work.pid && !c->resting && !c->orphan && telem_now_ns() < until)
		wait_until(c, until);
	if (c->work.pid && !c->resting)
		crew_stop(c);
	c->news.died = false;
}

void crew_retire(struct crew *c)
{
	dismiss(c, &c->work);
	dismiss(c, &c->next);
	if (c->spare.given)
		dismiss(c, &c->spare);
	c->d = NULL;
	c->resting = false;
	c->gone_ns = 0;
}

void crew_renew(struct crew *c)
{
	if (c->spare.given) {
		dismiss(c, &c->spare);
		ask_spawn(c);
	}
	if (c->work.given) /* it dies like any other */
		ask_kill(c, c->work.pid);
}

struct doubt crew_judge(struct crew *c, bool asked)
{
	struct share_note *n = &c->share->note;
	const struct counted counted = { c->death.rchar, c->death.wchar };
	struct evidence e = { .counted = c->death.counted ? &counted : NULL,
			      .by_device = c->ops->ran,
			      .asked = asked };
	uint64_t result = 0;
	struct doubt v;

	if (c->ops->ran && c->d && atomic_load(&n->phase) == SHARE_ACCESS)
		e.ran = c->ops->ran(c->d, n->access.mark, &result);
	v = doubt_of(n, &e);
	if (atomic_load(&n->floor) == FLOOR_WORKER)
		atomic_store(&n->floor, FLOOR_FREE);
	/* What it had noted is not the next one's, whose counts are others. */
	atomic_store(&n->phase, SHARE_IDLE);
	c->news.died = false;
	if (v.kind != DOUBT_RAN)
		return v;
	if (c->ops->ran && !n->access.write)
		memcpy(n->access.data, &result, sizeof(result));
	if (asked)
		memcpy(c->answer.data, n->access.data, sizeof(n->access.data));
	else
		c->known.a = n->access;
	c->known.is |= !asked;
	return v;
}

void crew_clear(struct crew *c)
{
	struct share_note *n = &c->share->note;

	n->multi_done = 0;
	atomic_store(&n->since_ns, 0);
	atomic_store(&n->phase, SHARE_IDLE);
	atomic_store(&n->floor, FLOOR_FREE);
	c->known.is = false;
}

static bool is_known(struct crew *c, const struct session_access *a)
{
	const struct share_access *k = &c->known.a;

	if (!c->known.is || k->region != a->region || k->offset != a->offset ||
	    k->width != a->width || !k->write != !a->write)
		return false;
	c->known.is = false;
	if (!a->write)
		memcpy(a->bytes, k->data, a->width);
	return true;
}

/* One access by the one that is at work now. 1: it died, and nothing happened. */
static int one_access(struct crew *c, const struct session_access *a, uint64_t until)
{
	struct call k = { .kind = CALL_ACCESS,
			  .region = a->region,
			  .width = a->width,
			  .write = a->write,
			  .offset = a->offset };

	if (a->write)
		memcpy(k.data, a->bytes, a->width);
	c->waiting = true;
	c->done = c->resting = false;
	call(&c->work, &k, NULL, 0);
	while (!c->done && !c->news.died && !c->orphan && telem_now_ns() < until)
		wait_until(c, until);
	if (!c->done && !c->news.died && !crew_stop(c))
		return -ENODEV;
	c->waiting = false;
	if (!c->done) {
		enum doubt_kind v = crew_judge(c, true).kind;

		c->answer.rc = 0;
		if (v == DOUBT_UNKNOWN)
			return -ENODEV;
		if (v != DOUBT_RAN)
			return telem_now_ns() < until ? 1 : -ENODEV;
	}
	if (!c->answer.rc && !a->write)
		memcpy(a->bytes, c->answer.data, a->width);
	return c->answer.rc;
}

int crew_access(struct crew *c, const struct session_access *a)
{
	uint64_t until = telem_now_ns() + CREW_ACCESS_NS;
	int rc;

	if (a->width > 8)
		return -EIO;
	if (is_known(c, a))
		return 0;
	do {
		promote(c);
		if (until_true(c, &c->work.ready, until, NULL) || !c->resting)
			return -ENODEV;
		rc = one_access(c, a, until);
	} while (rc > 0);
	c->waiting = false;
	return rc;
}

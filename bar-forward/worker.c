/* SPDX-License-Identifier: MIT */
#include "bar-forward/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar-forward/counted.h"
#include "bar-forward/post.h"
#include "bar-forward/sandbox.h"
#include "bar-forward/session.h"
#include "bar-forward/share.h"
#include "bar-forward/stream.h"
#include "base/own.h"
#include "base/sanitized.h"
#include "base/telem.h"
#include "base/text.h"

#define SEND_MS 2000

struct worker {
	int call, io;
	struct share *share;
	const struct device_ops *ops;
	struct device_ops mine; /* the same, but a lost device is not closed */
	struct stream stream;
	struct trace trace;
	uint64_t pid;     /* until it is recorded that we make the accesses; then 0 */
	struct session s; /* just enough of one for accesses to BARs */
	struct counted now;
	bool by_bytes;     /* the kernel's counts say what ran */
	bool asked;        /* the access is the holder's */
	bool lost, failed; /* failed: an access was refused, so that `now` is to be read anew */
};

bool worker_asked(int argc, char **argv)
{
	return argc == 1 && strcmp(argv[0], WORKER_NAME) == 0;
}

/* Nobody to talk to: nobody to work for. */
static void tell(struct worker *w, const struct call *c, size_t size)
{
	int rc = post_send(w->call, c, size, NULL, 0, c->kind == CALL_SAY);

	if (rc && rc != -EAGAIN)
		_exit(0);
}

static void tell_kind(struct worker *w, enum call_kind kind, int rc)
{
	tell(w, &(struct call) { .kind = kind, .rc = rc }, offsetof(struct call, text));
}

static void say(void *arg, enum session_said how, const char *sentence)
{
	struct call c = { .kind = CALL_SAY, .how = how };
	struct worker *w = arg;

	if (w->lost) /* the holder says so */
		return;
	text_copy(c.text, sizeof(c.text), sentence);
	tell(w, &c, offsetof(struct call, text) + strlen(c.text) + 1);
}

/* --- an access, noted --- */

static void count_anew(struct worker *w)
{
	uint64_t mine;

	if (counted_read(w->io, &w->now, &mine))
		w->now.read += mine;
	w->failed = false;
}

/* Death comes between two instructions: nothing may be moved across this one, in neither direction. */
static void phase(struct worker *w, enum share_phase p)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&w->share->note.phase, p, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

static int noted_access(void *arg, struct device *d, const struct session_access *a)
{
	struct worker *w = arg;
	struct share_note *n = &w->share->note;
	int rc;

	/* What came before in this message is kept elsewhere: in multi_done. */
	phase(w, SHARE_IDLE);
	n->access.offset = a->offset;
	n->access.region = a->region;
	n->access.width = a->width;
	n->access.write = a->write;
	n->access.asked = w->asked;
	n->access.turn = n->multi_done;
	n->access.before = a->write ? w->now.written : w->now.read;
	n->access.mark = w->by_bytes ? 0 : w->ops->mark(d);
	if (a->write)
		memcpy(n->access.data, a->bytes, a->width);
	phase(w, SHARE_ACCESS);
	rc = a->write ? w->ops->write(d, a->region, a->offset, n->access.data, a->width)
		      : w->ops->read(d, a->region, a->offset, n->access.data, a->width);
	if (rc) {
		w->failed = true;
		w->lost = rc == -ENODEV;
	}
	if (w->lost)
		w->s.o.trace = NULL; /* nor is it recorded twice */
	if (rc)
		return rc;
	if (a->write && w->by_bytes)
		w->now.written += a->width;
	else if (w->by_bytes)
		w->now.read += a->width;
	if (!a->write)
		memcpy(a->bytes, n->access.data, a->width);
	return 0;
}

/* --- messages --- */

static bool is_left(const struct share *s, const struct vu_access *a, bool write)
{
	for (uint32_t i = 0; i < s->n_left && i < SHARE_LEFT; i++) {
		const struct share_range *r = &s->left[i];

		if (r->bar == a->region && (write || !r->writes_only) &&
		    a->offset < r->offset + r->size && r->offset < a->offset + a->count)
			return true;
	}
	return false;
}

static bool is_bars(const struct share *s, const struct vu_access *a, bool write)
{
	return a->region <= DEV_BAR5 && a->count <= 8 && !is_left(s, a, write);
}

/* A message of accesses to BARs, and of nothing else. */
static bool is_ours(const struct worker *w, const struct incoming *in)
{
	struct vu_request r;
	struct vu_access a;
	struct vu_header h;

	memcpy(&h, in->bytes, sizeof(h));
	/* Not even looked at: what has JSON in it, and our own commands' answers. */
	if (in->n_fds || (h.flags & VU_TYPE_MASK) != VU_TYPE_COMMAND ||
	    (h.command != VU_REGION_READ && h.command != VU_REGION_WRITE &&
	     h.command != VU_REGION_WRITE_MULTI) ||
	    vu_parse(in->bytes, 0, &r, NULL))
		return false;
	if (r.command != VU_REGION_WRITE_MULTI)
		return is_bars(w->share, &r.access, r.command == VU_REGION_WRITE);
	for (uint64_t i = 0; i < r.multi.count; i++)
		if (vu_multi_write(&r, i, &a) || !is_bars(w->share, &a, true))
			return false;
	return true;
}

/* The holder sends, too: its own commands. */
static void take_floor(struct worker *w)
{
	uint32_t is;

	for (;;) {
		is = FLOOR_FREE;
		if (atomic_compare_exchange_strong(&w->share->note.floor, &is, FLOOR_WORKER))
			return;
		sched_yield();
	}
}

static int reply(struct worker *w, const struct answer *a)
{
	struct share_note *n = &w->share->note;
	int rc;

	take_floor(w);
	n->reply.before = w->now.written;
	n->reply.length = a->size;
	phase(w, SHARE_ANSWER);
	rc = stream_send(&w->stream, a->bytes, a->size, -1);
	atomic_store(&n->floor, FLOOR_FREE);
	if (rc)
		return rc;
	w->now.written += a->size;
	session_answered(&w->s);
	return 0;
}

static int take(struct worker *w, const struct incoming *in)
{
	struct share_note *n = &w->share->note;
	int rc;

	n->take.before = w->now.read;
	n->take.length = in->size;
	phase(w, SHARE_TAKE);
	rc = stream_take(&w->stream, in);
	if (rc)
		return rc;
	w->now.read += in->size;
	n->messages++;
	n->multi_done = 0;
	atomic_store_explicit(&n->since_ns, 0, memory_order_relaxed);
	phase(w, SHARE_IDLE);
	return 0;
}

static bool is_ones(const struct answer *a)
{
	for (size_t i = VU_READ_HEAD; i < a->size; i++)
		if (a->bytes[i] != 0xff)
			return false;
	return a->size > VU_READ_HEAD;
}

/* One message. False: the holder is to go on. */
static bool serve_one(struct worker *w)
{
	struct share *s = w->share;
	struct incoming in;
	struct vu_header h;
	struct answer a;
	struct err e = { 0 };
	int rc = stream_peek(&w->stream, &in, &e);
	bool ours = !rc && is_ours(w, &in);

	stream_drop(&in);
	if (!ours) {
		tell_kind(w, CALL_ASK, 0);
		return false;
	}
	if (!atomic_load_explicit(&s->note.since_ns, memory_order_relaxed))
		atomic_store_explicit(&s->note.since_ns, telem_now_ns(), memory_order_relaxed);
	w->s.o.policy = &s->policy[atomic_load(&s->policy_at) & 1];
	memcpy(&h, in.bytes, sizeof(h)); /* messages lie where the one before ended */
	session_message(&w->s, &in, &a, &e);
	if (w->lost) {
		tell_kind(w, CALL_LOST, 0);
		return false;
	}
	if (w->failed)
		count_anew(w);
	if (a.size && (rc = reply(w, &a))) {
		tell_kind(w, CALL_BROKEN, rc);
		return false;
	}
	if (take(w, &in)) {
		tell_kind(w, CALL_BROKEN, -EPIPE);
		return false;
	}
	if (h.command == VU_REGION_READ && is_ones(&a))
		tell_kind(w, CALL_ONES, 0);
	return true;
}

/* --- calls --- */

static void access_asked(struct worker *w, struct call *c)
{
	const struct session_access a = { .write = c->write,
					  .region = c->region,
					  .width = c->width,
					  .offset = c->offset,
					  .bytes = c->data };

	if (c->width > sizeof(c->data) || !w->s.d)
		_exit(1);
	w->asked = true;
	c->rc = noted_access(w, w->s.d, &a);
	if (w->failed)
		count_anew(w);
	c->kind = CALL_DONE;
	tell(w, c, offsetof(struct call, text));
	phase(w, SHARE_IDLE);
	w->asked = false;
}

static void go(struct worker *w)
{
	if (w->pid)
		trace_event(&w->trace, TRACE_WORKER, telem_now_ns(), w->pid);
	w->pid = 0;
	memcpy(w->s.shaped.size, w->share->region, sizeof(w->share->region));
	stream_forget(&w->stream); /* the holder has taken messages */
	while (serve_one(w))
		;
}

/* session_lose() closes the device, and here it is only told. */
static void close_lost(struct device *d)
{
	(void)d;
}

static int is_there(struct device *d)
{
	(void)d;
	return 0;
}

static const struct device_ops *find(const struct device_ops *const *backends, const char *name)
{
	for (; *backends; backends++)
		if (strncmp((*backends)->name, name, sizeof(((struct share *)NULL)->backend)) == 0)
			return *backends;
	return NULL;
}

static int map_share(struct worker *w, int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct share))
		return -EPROTO;
	p = mmap(NULL, sizeof(struct share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	w->share = p;
	close(fd);
	return w->share->version == SHARE_VERSION && w->share->size == sizeof(struct share)
		       ? 0
		       : -EPROTO;
}

static int join(struct worker *w, const struct call *c, const int *fds, uint32_t n, struct err *e)
{
	struct device *d = NULL;
	uint32_t next = 2;
	int rc = 0;

	w->s.facts = w->share->facts; /* as they are now, whoever writes there */
	w->s.facts.name[sizeof(w->s.facts.name) - 1] = '\0';
	if (c->value) /* there is a recording */
		rc = trace_join(&w->trace, fds[next++], e);
	if (!rc)
		rc = w->ops->join(&d, w->s.facts.name, &w->s.facts, fds + next, n - next, e);
	if (!rc)
		rc = stream_open(&w->stream, fds[1], SEND_MS, e);
	if (!rc)
		rc = stream_reserve(&w->stream, SHARE_MESSAGE);
	w->stream.ahead = !rc;
	w->s.d = d;
	return rc;
}

/* Who is to be served, by which device. */
static int begin(struct worker *w, const struct call *c, const int *fds, uint32_t n,
		 const struct device_ops *const *backends)
{
	struct err e = { 0 };
	int rc = n < 3 ? -EPROTO : map_share(w, fds[0]);

	if (rc)
		return rc;
	w->ops = find(backends, w->share->backend);
	if (!w->ops || !w->ops->join)
		return -EPROTO;
	w->by_bytes = !w->ops->mark;
	w->mine = *w->ops;
	w->mine.close = close_lost;
	w->mine.present = is_there; /* the holder looks */
	w->s = (struct session) { .step = SESSION_INFORMED,
				  .max_data = VU_DATA_MAX,
				  .reply_fd = -1,
				  .reply = w->share->reply };
	w->s.o = (struct session_opts) { .ops = &w->mine,
					 .count = &w->share->count,
					 .trace = &w->trace,
					 .now = telem_now_ns,
					 .say = say,
					 .arg = w,
					 .access = noted_access,
					 .multi_done = &w->share->note.multi_done };
	w->pid = (uint64_t)getpid();
	rc = join(w, c, fds, n, &e);
	if (rc)
		say(w, SESSION_WARNING, e.text);
	count_anew(w);
	return rc ? rc : sandbox_enter(SANDBOX_WORKER, &e);
}

/* Other processes of "nobody" have no business with ours. What the kernel counts of us is open by now. */
static void hide(void)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (!SANITIZED && getsockopt(WORKER_FD, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	    who.uid != geteuid())
		prctl(PR_SET_DUMPABLE, 0);
}

/* A process that was started otherwise has no such socket. */
static bool has_call(void)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(WORKER_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_SEQPACKET;
}

int worker_run(const struct device_ops *const *backends)
{
	own_free struct worker *w = calloc(1, sizeof(*w));
	struct err e = { 0 };
	int fds[POST_FDS];
	struct call c;
	uint32_t n;

	if (!w || !has_call())
		return 2;
	signal(SIGPIPE, SIG_IGN);
	w->call = WORKER_FD;
	w->io = counted_open(0);
	hide();
	if (sandbox_enter(SANDBOX_SPARE, &e))
		return 1;
	c = (struct call) { .kind = CALL_HELLO,
			    .rc = w->io < 0 ? -ENOENT : 0,
			    .value = SHARE_VERSION,
			    .offset = sizeof(struct share) };
	tell(w, &c, offsetof(struct call, text));
	while (post_take(w->call, &c, sizeof(c), fds, &n, 0) > 0) {
		if (c.kind == CALL_CLIENT && !w->share)
			tell_kind(w, CALL_READY, begin(w, &c, fds, n, backends));
		else if (c.kind == CALL_GO && w->s.d)
			go(w);
		else if (c.kind == CALL_ACCESS)
			access_asked(w, &c);
	}
	return 0;
}

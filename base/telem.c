/* SPDX-License-Identifier: MIT */
/* The page itself: created, written, read, checked. Where pages live is telem_dir.c. */
#include "base/telem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/own.h"
#include "base/text.h"

uint64_t telem_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* Counted after the last ')' because the name may hold anything. */
int telem_start_time(int32_t pid, uint64_t *ticks)
{
	char path[64], buf[1024];

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	char *p = strrchr(buf, ')');

	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return -ESRCH;
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	*ticks = strtoull(p + 1, NULL, 10);
	return 0;
}

void telem_boot_id(uint8_t id[16])
{
	char buf[64] = "";
	own_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	size_t out = 0;

	memset(id, 0, 16);
	for (ssize_t i = 0; i + 1 < n && out < 16; i++) {
		unsigned byte;

		if (buf[i] != '-' && sscanf(buf + i, "%2x", &byte) == 1) {
			id[out++] = (uint8_t)byte;
			i++;
		}
	}
}

size_t telem_size(uint32_t kind)
{
	if (kind == TELEM_RUN)
		return offsetof(struct telem_page, run) + sizeof(struct telem_run);
	if (kind == TELEM_BRIDGE)
		return offsetof(struct telem_page, bridge) + sizeof(struct telem_bridge);
	return 0;
}

static int fill_file(int fd, const char *tmp, const char *path, enum telem_kind kind,
		     struct telem_page **page, struct err *e)
{
	const size_t size = telem_size(kind);

	if (ftruncate(fd, (off_t)size) < 0)
		return err_set(e, -errno, "cannot size the telemetry page %s: %s", path,
			       strerror(errno));
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return err_set(e, -errno, "cannot map the telemetry page %s: %s", path,
			       strerror(errno));
	*page = at;
	struct telem_header *h = &(*page)->header;

	h->magic = TELEM_MAGIC;
	h->version = TELEM_VERSION;
	h->kind = kind;
	h->size = (uint32_t)size;
	h->writer_pid = getpid();
	telem_boot_id(h->boot_id);
	h->heartbeat_ns = telem_now_ns();
	if (telem_start_time(h->writer_pid, &h->writer_start))
		h->writer_start = 0;
	if (rename(tmp, path) == 0)
		return 0;
	munmap(at, size);
	return err_set(e, -errno, "cannot place the telemetry page %s: %s", path, strerror(errno));
}

int telem_create(struct telem_writer *w, const char *path, enum telem_kind kind, struct err *e)
{
	char tmp[sizeof(w->path) + 16];

	*w = (struct telem_writer) { .size = telem_size(kind) };
	if (!text_copy(w->path, sizeof(w->path), path))
		return err_set(e, -ENAMETOOLONG, "the telemetry path is longer than %zu bytes",
			       sizeof(w->path) - 1);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	unlink(tmp); /* of a writer that died between open and rename */
	own_fd int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return err_set(e, -errno,
			       "cannot create the telemetry page %s: %s; set BERTH_RUNTIME_DIR "
			       "to a folder you can write",
			       tmp, strerror(errno));
	int rc = fill_file(fd, tmp, path, kind, &w->page, e);

	if (rc) {
		unlink(tmp);
		w->page = NULL;
	}
	return rc;
}

/* The mapped words that two processes touch at once. */
static _Atomic uint32_t *seq_of(struct telem_page *p)
{
	return (_Atomic uint32_t *)&p->header.seq;
}

void telem_begin(struct telem_writer *w)
{
	uint32_t seq = atomic_load_explicit(seq_of(w->page), memory_order_relaxed);

	atomic_store_explicit(seq_of(w->page), seq + 1, memory_order_relaxed);
	/* The odd number must be visible before any change of the body is. */
	atomic_thread_fence(memory_order_seq_cst);
}

void telem_end(struct telem_writer *w)
{
	uint32_t seq = atomic_load_explicit(seq_of(w->page), memory_order_relaxed);

	telem_beat(w);
	atomic_store_explicit(seq_of(w->page), seq + 1, memory_order_release);
}

void telem_beat(struct telem_writer *w)
{
	atomic_store_explicit((_Atomic uint64_t *)&w->page->header.heartbeat_ns, telem_now_ns(),
			      memory_order_relaxed);
}

void telem_close(struct telem_writer *w)
{
	if (w->page)
		munmap(w->page, w->size);
	w->page = NULL;
}

void telem_remove(struct telem_writer *w)
{
	if (w->page)
		unlink(w->path);
	telem_close(w);
}

void telem_sample(struct telem_writer *w, uint64_t t_ns)
{
	struct telem_run *r = &w->page->run;

	r->ring[r->ring_next % TELEM_RING] = (struct telem_sample) {
		.t_ns = t_ns,
		.prompt_tokens = r->counts.prompt_tokens,
		.generated_tokens = r->counts.generated_tokens,
	};
	r->ring_next = (r->ring_next + 1) % TELEM_RING;
}

static void clean_run(struct telem_run *r)
{
	r->model[sizeof(r->model) - 1] = '\0';
	r->plan_id[sizeof(r->plan_id) - 1] = '\0';
	r->name[sizeof(r->name) - 1] = '\0';
	text_clean(r->model);
	text_clean(r->plan_id);
	text_clean(r->name);
	if (r->state >= TELEM_STATE_COUNT)
		r->state = TELEM_FAILED;
	if (r->n_devices > TELEM_DEVICES_MAX)
		r->n_devices = TELEM_DEVICES_MAX;
	for (uint32_t i = 0; i < r->n_devices; i++) {
		struct telem_device *d = &r->devices[i];

		d->pci[sizeof(d->pci) - 1] = '\0';
		d->name[sizeof(d->name) - 1] = '\0';
		text_clean(d->pci);
		text_clean(d->name);
	}
	r->ring_next %= TELEM_RING;
}

int telem_check(struct telem_page *page, size_t size, struct err *e)
{
	struct telem_header *h = &page->header;
	size_t want;

	if (size < sizeof(*h) || h->magic != TELEM_MAGIC)
		return err_set(e, -EBADMSG, "not a telemetry page");
	if (h->version != TELEM_VERSION)
		return err_set(e, -EBADMSG,
			       "telemetry page version %" PRIu32 "; this berth reads %d",
			       h->version, TELEM_VERSION);
	want = telem_size(h->kind);
	if (!want)
		return err_set(e, -EBADMSG,
			       "telemetry page of kind %" PRIu32
			       "; this berth reads runs (%d) and bridges (%d)",
			       h->kind, TELEM_RUN, TELEM_BRIDGE);
	if (h->size != want || size != want)
		return err_set(e, -EBADMSG,
			       "telemetry page of kind %" PRIu32 " with %zu bytes; it has %zu",
			       h->kind, size, want);
	if (h->kind == TELEM_RUN)
		clean_run(&page->run);
	else
		telem_bridge_clean(&page->bridge);
	return 0;
}

static enum telem_life life_of(const struct telem_header *h)
{
	uint64_t start, now = telem_now_ns();
	uint8_t boot[16];

	telem_boot_id(boot);
	if (memcmp(boot, h->boot_id, sizeof(boot)) != 0 || h->writer_pid <= 0)
		return TELEM_DEAD;
	if (telem_start_time(h->writer_pid, &start) || start != h->writer_start)
		return TELEM_DEAD;
	return now > h->heartbeat_ns && now - h->heartbeat_ns > TELEM_STALE_NS ? TELEM_STALE
									       : TELEM_ALIVE;
}

/*
 * Copy until seq is even and unchanged across the copy. By pread, not through a mapping: a page that
 * its owner truncates while we read would end a mapped reader with SIGBUS.
 */
static int copy_stable(int fd, struct telem_page *out, size_t size)
{
	const off_t seq_at = offsetof(struct telem_header, seq);
	uint32_t after;

	for (int i = 0; i < TELEM_TRIES; i++) {
		if (pread(fd, out, size, 0) != (ssize_t)size)
			return -EBADMSG;
		atomic_thread_fence(memory_order_acquire);
		if (pread(fd, &after, sizeof(after), seq_at) != sizeof(after))
			return -EBADMSG;
		if (out->header.seq == after && !(after & 1))
			return 0;
		if (i > TELEM_TRIES / 2)
			nanosleep(&(struct timespec) { .tv_nsec = 20000 }, NULL);
	}
	return -EBUSY;
}

/* On a busy machine a writer may stand for a while in the middle; only one that is dead never goes on. */
static int copy_patiently(int fd, struct telem_page *out, size_t size)
{
	const struct timespec moment = { .tv_nsec = TELEM_MOMENT_NS };
	int rc = copy_stable(fd, out, size);

	for (int i = 0; rc == -EBUSY && i < TELEM_MOMENTS && life_of(&out->header) != TELEM_DEAD;
	     i++) {
		nanosleep(&moment, NULL);
		rc = copy_stable(fd, out, size);
	}
	return rc;
}

static bool is_a_size(off_t size)
{
	return size == (off_t)telem_size(TELEM_RUN) || size == (off_t)telem_size(TELEM_BRIDGE);
}

int telem_read(const char *path, struct telem_page *out, enum telem_life *life, struct err *e)
{
	struct stat st;
	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	*life = TELEM_DEAD;
	if (fd < 0)
		return err_set(e, -errno, "cannot open the telemetry page %s: %s", path,
			       strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_a_size(st.st_size))
		return err_set(e, -EBADMSG, "%s is not a telemetry page", path);
	int rc = copy_patiently(fd, out, (size_t)st.st_size);

	if (rc == -EBADMSG)
		return err_set(e, rc, "%s shrank while it was read", path);
	*life = life_of(&out->header);
	if (rc)
		return err_set(e, rc, "the telemetry page %s is held mid-write", path);
	rc = telem_check(out, (size_t)st.st_size, e);
	return rc ? err_at(e, rc, "%s", path) : 0;
}

static double rate(uint64_t from, uint64_t to, uint64_t ns)
{
	return to < from ? -1 : (double)(to - from) * 1e9 / (double)ns;
}

struct telem_rates telem_rates(const struct telem_run *run, uint64_t now_ns, uint64_t window_ns)
{
	const struct telem_sample *first = NULL, *last = NULL;

	for (uint32_t i = 0; i < TELEM_RING; i++) {
		const struct telem_sample *s = &run->ring[(run->ring_next + i) % TELEM_RING];

		if (!s->t_ns || s->t_ns > now_ns || now_ns - s->t_ns > window_ns)
			continue;
		if (!first)
			first = s;
		last = s;
	}
	if (!first || last->t_ns <= first->t_ns)
		return (struct telem_rates) { -1, -1 };
	uint64_t ns = last->t_ns - first->t_ns;

	return (struct telem_rates) {
		.prompt = rate(first->prompt_tokens, last->prompt_tokens, ns),
		.generated = rate(first->generated_tokens, last->generated_tokens, ns),
	};
}

double telem_mean_rate(uint64_t generated_tokens, uint64_t ns)
{
	return ns && generated_tokens > 1 ? (double)(generated_tokens - 1) * 1e9 / (double)ns : -1;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/device.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

_Static_assert(TRACE_REGIONS == DEV_REGIONS && TRACE_IRQS == DEV_IRQS, "as VFIO has them");

/* Slots that a record looks for before it is lost: one is passed over where a process died in it. */
#define TRIES 4

static _Atomic uint64_t *atomic64(uint64_t *p)
{
	return (_Atomic uint64_t *)p;
}

static _Atomic uint32_t *atomic32(uint32_t *p)
{
	return (_Atomic uint32_t *)p;
}

/* --- the file --- */

static int map(struct trace *t, uint64_t slots, struct err *e)
{
	uint64_t bytes = TRACE_HEAD_BYTES + slots * sizeof(struct trace_slot);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);

	if (at == MAP_FAILED)
		return err_set(e, -errno, "cannot map the recording: %s", strerror(errno));
		/* Where the kernel can, its pages are made now and not access by access; where it cannot, nothing is lost. */
#ifdef MADV_POPULATE_WRITE
	madvise(at, bytes, MADV_POPULATE_WRITE);
#endif
	t->head = at;
	t->slot = (struct trace_slot *)((char *)at + TRACE_HEAD_BYTES);
	t->slots = slots;
	t->bytes = bytes;
	return 0;
}

static void fill_head(struct trace *t, const struct trace_about *a)
{
	struct trace_head *h = t->head;
	struct timespec day;

	clock_gettime(CLOCK_REALTIME, &day);
	*h = (struct trace_head) { .magic = TRACE_MAGIC,
				   .version = TRACE_VERSION,
				   .head_bytes = TRACE_HEAD_BYTES,
				   .slot_bytes = sizeof(struct trace_slot),
				   .slots = t->slots,
				   .started_ns = a->now_ns,
				   .clock_ns = (uint64_t)day.tv_sec * UINT64_C(1000000000) +
					       (uint64_t)day.tv_nsec,
				   .writer_pid = a->writer_pid ? a->writer_pid : getpid(),
				   .on = 1 };
	telem_boot_id(h->boot_id);
	if (telem_start_time(h->writer_pid, &h->writer_start))
		h->writer_start = 0;
	text_copy(h->device, sizeof(h->device), a->device ? a->device : "");
	text_copy(h->backend, sizeof(h->backend), a->backend ? a->backend : "");
	text_copy(h->socket, sizeof(h->socket), a->socket ? a->socket : "");
	text_copy(h->guest, sizeof(h->guest), a->guest ? a->guest : "");
}

static int make_file(struct trace *t, const char *path, uint64_t size,
		     const struct trace_about *about, struct err *e)
{
	uint64_t slots = (size - TRACE_HEAD_BYTES) / sizeof(struct trace_slot);
	int rc = posix_fallocate(t->fd, 0,
				 (off_t)(TRACE_HEAD_BYTES + slots * sizeof(struct trace_slot)));

	if (rc)
		return err_set(e, -rc, "cannot have %" PRIu64 " bytes for the recording %s: %s",
			       size, path, strerror(rc));
	rc = map(t, slots, e);
	if (!rc)
		fill_head(t, about);
	return rc;
}

/* Whether the process that a recording names is there, and is not `writer`. */
static bool is_anothers(const struct trace_head *h, int32_t writer)
{
	uint64_t start = 0;
	uint8_t boot[16];

	telem_boot_id(boot);
	return h->on && h->writer_pid > 0 && h->writer_pid != writer &&
	       memcmp(boot, h->boot_id, sizeof(boot)) == 0 &&
	       telem_start_time(h->writer_pid, &start) == 0 && start == h->writer_start;
}

int trace_may_place(const char *path, int32_t writer, struct err *e)
{
	own_free struct trace_head *h = calloc(1, sizeof(*h));
	struct stat st;
	own_fd int fd = -1;

	/* Looked at before it is opened: opening a device may do something. What cannot be looked at is told by who creates. */
	if (stat(path, &st) || (S_ISREG(st.st_mode) && !st.st_size))
		return 0;
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EISDIR, "%s is there already, and is no file", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (!h || fd < 0)
		return err_set(e, h ? -errno : -ENOMEM, "cannot look at %s: %s", path,
			       strerror(h ? errno : ENOMEM));
	if (pread(fd, h, sizeof(*h), 0) < (ssize_t)offsetof(struct trace_head, next) ||
	    h->magic != TRACE_MAGIC)
		return err_set(e, -EBADMSG,
			       "%s is there already, and is no recording; move it away", path);
	if (is_anothers(h, writer))
		return err_set(e, -EBUSY, "process %d records in %s", (int)h->writer_pid, path);
	return 0;
}

int trace_create(struct trace *t, const char *path, uint64_t size, const struct trace_about *about,
		 struct err *e)
{
	char fresh[4096];
	int rc = trace_may_place(path, about->writer_pid ? about->writer_pid : getpid(), e);

	*t = (struct trace) { .fd = -1 };
	if (rc)
		return rc;
	if (size < TRACE_HEAD_BYTES + TRACE_SLOTS_MIN * sizeof(struct trace_slot) ||
	    size / sizeof(struct trace_slot) > TRACE_SLOTS_MAX)
		return err_set(e, -EINVAL,
			       "a recording of %" PRIu64 " bytes; at least %zu, at most 3T", size,
			       TRACE_HEAD_BYTES + TRACE_SLOTS_MIN * sizeof(struct trace_slot));
	if (snprintf(fresh, sizeof(fresh), "%s.new-%d", path, (int)getpid()) >= (int)sizeof(fresh))
		return err_set(e, -ENAMETOOLONG, "the recording's path is too long");
	unlink(fresh); /* of a process of the same number that was killed here */
	t->fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		return err_set(e, -errno, "cannot create the recording %s: %s", path,
			       strerror(errno));
	rc = make_file(t, path, size, about, e);
	if (!rc && rename(fresh, path))
		rc = err_set(e, -errno, "cannot place the recording %s: %s", path, strerror(errno));
	if (rc) {
		unlink(fresh);
		trace_close(t);
	}
	return rc;
}

static int check_joined(int fd, struct trace_head *h, struct err *e)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) || pread(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h) ||
	    h->magic != TRACE_MAGIC || h->version != TRACE_VERSION ||
	    h->slot_bytes != sizeof(struct trace_slot) || h->head_bytes != TRACE_HEAD_BYTES)
		return err_set(e, -EBADMSG, "this is no recording that can be gone on with");
	if (h->slots < TRACE_SLOTS_MIN || h->slots > TRACE_SLOTS_MAX)
		return err_set(e, -EBADMSG, "the recording has %" PRIu64 " slots", h->slots);
	bytes = TRACE_HEAD_BYTES + h->slots * sizeof(struct trace_slot);
	if ((uint64_t)st.st_size < bytes || (uint64_t)st.st_blocks * 512 < bytes)
		return err_set(e, -EBADMSG, "not all of the recording has room on the disk");
	return 0;
}

int trace_join(struct trace *t, int fd, struct err *e)
{
	struct trace_head h;
	int rc = check_joined(fd, &h, e);

	*t = (struct trace) { .fd = fd };
	if (!rc)
		rc = map(t, h.slots, e);
	if (rc)
		trace_close(t);
	return rc;
}

void trace_stop(struct trace *t)
{
	if (t->head)
		atomic_store_explicit(atomic32(&t->head->on), 0, memory_order_relaxed);
}

bool trace_has(const struct trace *t, enum trace_kind kind)
{
	for (uint64_t i = 0; t->head && i < t->slots; i++) {
		uint64_t word = atomic_load_explicit(atomic64(&t->slot[i].word),
						     memory_order_acquire);

		if (!word)
			break;
		if (!(word & 1) && t->slot[i].kind == kind)
			return true;
	}
	return false;
}

void trace_close(struct trace *t)
{
	if (t->head)
		munmap(t->head, t->bytes);
	if (t->head || t->fd > 0)
		own_close_fd(&t->fd);
	*t = (struct trace) { .fd = -1 };
}

/* --- records --- */

/* The slot of a ticket, marked as being written; NULL: another process is in it, or died there, or has gone past. */
static struct trace_slot *claim(struct trace *t, uint64_t ticket)
{
	struct trace_slot *s = &t->slot[ticket % t->slots];
	uint64_t was = atomic_load_explicit(atomic64(&s->word), memory_order_relaxed);

	if (was & 1 || was > 2 * ticket)
		return NULL;
	if (!atomic_compare_exchange_strong_explicit(atomic64(&s->word), &was, 2 * ticket + 1,
						     memory_order_acquire, memory_order_relaxed))
		return NULL;
	/* What is stored next must not be seen before the mark. */
	atomic_thread_fence(memory_order_release);
	return s;
}

static void publish(struct trace_slot *s, uint64_t ticket)
{
	atomic_store_explicit(atomic64(&s->word), 2 * ticket + 2, memory_order_release);
}

static uint64_t take_tickets(struct trace *t, uint64_t n)
{
	return atomic_fetch_add_explicit(atomic64(&t->head->next), n, memory_order_relaxed);
}

static bool fill(struct trace *t, uint64_t ticket, const struct trace_slot *record)
{
	struct trace_slot *s = claim(t, ticket);

	if (!s)
		return false;
	memcpy((char *)s + sizeof(s->word), (const char *)record + sizeof(s->word),
	       sizeof(*s) - sizeof(s->word));
	publish(s, ticket);
	return true;
}

static void lose(struct trace *t)
{
	atomic_fetch_add_explicit(atomic64(&t->head->lost), 1, memory_order_relaxed);
}

void trace_put(struct trace *t, const struct trace_slot *record)
{
	for (int i = 0; i < TRIES; i++)
		if (fill(t, take_tickets(t, 1), record))
			return;
	lose(t);
}

/* Slots that follow each other: the access, and its bytes. */
static void put_long(struct trace *t, struct trace_slot *record, const uint8_t *bytes,
		     uint32_t count)
{
	uint64_t n = (count + TRACE_DATA_BYTES - 1) / TRACE_DATA_BYTES;
	uint64_t ticket = take_tickets(t, n + 1);

	if (!fill(t, ticket, record))
		lose(t);
	for (uint64_t i = 0; i < n; i++) {
		struct trace_slot data = { .kind = TRACE_DATA };
		uint32_t done = (uint32_t)i * TRACE_DATA_BYTES, left = count - done;

		data.width = (uint8_t)(left < TRACE_DATA_BYTES ? left : TRACE_DATA_BYTES);
		memcpy(&data.ns, bytes + done, data.width);
		if (!fill(t, ticket + 1 + i, &data))
			lose(t);
	}
}

void trace_bytes(struct trace *t, const struct trace_slot *record, const uint8_t *bytes,
		 uint32_t count)
{
	struct trace_slot r = *record;

	if (count <= 8) {
		r.width = (uint8_t)count;
		r.value = 0;
		memcpy(&r.value, bytes, count);
		trace_put(t, &r);
		return;
	}
	r.width = 0;
	r.value = count;
	if (count > TRACE_DATA_MAX || count / TRACE_DATA_BYTES >= t->slots / 4) {
		r.flags |= TRACE_CUT;
		trace_put(t, &r);
	} else {
		put_long(t, &r, bytes, count);
	}
}

/* --- the head --- */

static void describe(struct trace_device *w, const struct dev_facts *f, uint32_t generation,
		     const uint8_t *config, uint32_t size)
{
	w->generation = generation;
	for (uint32_t i = 0; i < DEV_REGIONS; i++) {
		const struct dev_region *r = &f->region[i];

		w->region[i] = (struct trace_region) {
			.size = r->size,
			.flags = (r->read ? 1u : 0) | (r->write ? 2u : 0) | (r->io ? 4u : 0),
		};
	}
	for (uint32_t i = 0; i < DEV_IRQS; i++) {
		const struct dev_irq *q = &f->irq[i];

		w->irq[i] = (struct trace_irq) {
			.count = q->count,
			.flags = (q->eventfd ? 1u : 0) | (q->maskable ? 2u : 0) |
				 (q->automasked ? 4u : 0) | (q->noresize ? 8u : 0),
		};
	}
	w->flags = (f->reset ? 1u : 0) | (f->wide ? 2u : 0);
	w->config_size = size;
	memcpy(w->config, config, size);
}

void trace_device(struct trace *t, const struct dev_facts *facts, uint32_t generation,
		  const uint8_t *config, uint32_t size)
{
	struct trace_device *w;
	uint32_t seq;

	if (!t || !t->head)
		return;
	w = &t->head->what;
	/* Odd from here on; one that was left odd by a process that died is gone over. */
	seq = atomic_load_explicit(atomic32(&w->seq), memory_order_relaxed) | 1;
	atomic_store_explicit(atomic32(&w->seq), seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	describe(w, facts, generation, config, size < sizeof(w->config) ? size : 4096);
	atomic_store_explicit(atomic32(&w->seq), seq + 1, memory_order_release);
}

void trace_counts(const struct trace *t, uint64_t *bytes, uint64_t *lost)
{
	if (!t || !t->head) {
		*bytes = *lost = TELEM_UNKNOWN;
		return;
	}
	*bytes = atomic_load_explicit(atomic64(&t->head->next), memory_order_relaxed) *
		 sizeof(struct trace_slot);
	*lost = atomic_load_explicit(atomic64(&t->head->lost), memory_order_relaxed);
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/traceread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

/* Beyond this no writer comes: 2^56 events take two thousand years at one each microsecond. */
#define TICKETS_MAX (UINT64_C(1) << 56)

/* --- the head --- */

static int garbled(struct err *e, const char *name, const char *what, uint64_t n)
{
	return err_set(e, -EBADMSG, "%s is no recording that can be read: %s %" PRIu64, name, what,
		       n);
}

static int check_head(struct trace_reader *r, const char *name, struct err *e)
{
	struct trace_head *h = &r->head;
	struct stat st;

	if (h->magic != TRACE_MAGIC)
		return err_set(e, -EBADMSG, "%s is no recording of a bridge", name);
	if (h->version != TRACE_VERSION || h->head_bytes != TRACE_HEAD_BYTES ||
	    h->slot_bytes != sizeof(struct trace_slot))
		return garbled(e, name, "it has version", h->version);
	if (h->slots < 1 || h->slots > TRACE_SLOTS_MAX)
		return garbled(e, name, "its slots are", h->slots);
	if (fstat(r->fd, &st) || st.st_size < TRACE_HEAD_BYTES ||
	    ((uint64_t)st.st_size - TRACE_HEAD_BYTES) / sizeof(struct trace_slot) < h->slots)
		return garbled(e, name, "it is cut off before the end of slot", h->slots);
	return 0;
}

static void clean_head(struct trace_head *h)
{
	struct {
		char *text;
		size_t size;
	} const texts[] = { { h->device, sizeof(h->device) },
			    { h->backend, sizeof(h->backend) },
			    { h->socket, sizeof(h->socket) },
			    { h->guest, sizeof(h->guest) } };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		texts[i].text[texts[i].size - 1] = '\0';
		text_clean(texts[i].text);
	}
	if (h->what.seq & 1) /* half of it was written */
		memset(&h->what, 0, sizeof(h->what));
	if (h->what.config_size != 256)
		h->what.config_size = h->what.config_size >= 4096 ? 4096 : 0;
}

int trace_reader_take(struct trace_reader **out, int fd, const char *name, struct err *e)
{
	own_fd int taken = fd;
	own_free struct trace_reader *r = calloc(1, sizeof(*r));
	ssize_t n;
	int rc;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->fd = taken;
	n = pread(taken, &r->head, sizeof(r->head), 0);
	if (n < 0)
		return err_set(e, -errno, "cannot read %s: %s", name, strerror(errno));
	if (n < (ssize_t)sizeof(r->head))
		return err_set(e, -EBADMSG, "%s is no recording of a bridge: it has %zd bytes",
			       name, n);
	rc = check_head(r, name, e);
	if (rc)
		return rc;
	clean_head(&r->head);
	r->slots = r->head.slots;
	rc = trace_reader_look(r, e);
	if (rc)
		return rc;
	r->at = r->first;
	take_fd(&taken);
	*out = take_ptr(&r);
	return 0;
}

int trace_reader_open(struct trace_reader **r, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(e, -errno, "cannot open the recording %s: %s", path,
			       strerror(errno));
	return trace_reader_take(r, fd, path, e);
}

void trace_reader_close(struct trace_reader *r)
{
	if (r)
		own_close_fd(&r->fd);
	free(r);
}

bool trace_reader_live(const struct trace_reader *r)
{
	const struct trace_head *h = &r->head;
	uint64_t start = 0;
	uint8_t boot[16];

	telem_boot_id(boot);
	return memcmp(boot, h->boot_id, sizeof(boot)) == 0 && h->writer_pid > 0 &&
	       telem_start_time(h->writer_pid, &start) == 0 && start == h->writer_start;
}

/* --- blocks of slots --- */

static int read_next(const struct trace_reader *r, uint64_t *next)
{
	ssize_t n = pread(r->fd, next, sizeof(*next), offsetof(struct trace_head, next));

	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(*next))
		return -EBADMSG;
	if (*next > TICKETS_MAX)
		*next = TICKETS_MAX;
	return 0;
}

int trace_reader_look(struct trace_reader *r, struct err *e)
{
	uint64_t next;
	int rc = read_next(r, &next);

	if (rc)
		return err_set(e, rc, "cannot read the recording: %s", strerror(-rc));
	if (next < r->next) /* it goes forward, or is not believed */
		next = r->next;
	r->next = next;
	r->first = next > r->slots ? next - r->slots : 0;
	return 0;
}

static int read_slots(const struct trace_reader *r, struct trace_slot *to, uint64_t ticket,
		      uint32_t n)
{
	off_t at = (off_t)(TRACE_HEAD_BYTES + ticket % r->slots * sizeof(*to));
	ssize_t got = pread(r->fd, to, n * sizeof(*to), at);

	if (got < 0)
		return -errno;
	/* Of a file that was cut while we read it the rest is not there, and says so itself. */
	if ((size_t)got < n * sizeof(*to))
		memset((char *)to + got, 0, n * sizeof(*to) - (size_t)got);
	return 0;
}

/*
 * What of the block can be believed. A slot that was whole the first time was whole throughout the second, unless the
 * ring came round meanwhile: whoever writes over it has taken its ticket before.
 */
static int judge_block(struct trace_reader *r)
{
	uint64_t next;
	int rc = read_next(r, &next);

	for (uint32_t i = 0; !rc && i < r->n_block; i++) {
		bool over = next > r->block_at + i + r->slots;

		if (over || r->block[i].word != r->again[i].word)
			r->again[i].word = 0;
		r->overtaken |= over;
	}
	return rc;
}

/* The slots from `ticket` on, up to where the ring turns, read twice. */
static int load(struct trace_reader *r, uint64_t ticket)
{
	uint64_t n = r->next - ticket, turn = r->slots - ticket % r->slots;
	int rc;

	n = n < turn ? n : turn;
	r->n_block = (uint32_t)(n < TRACE_BLOCK ? n : TRACE_BLOCK);
	r->block_at = ticket;
	rc = read_slots(r, r->block, ticket, r->n_block);
	if (!rc)
		rc = read_slots(r, r->again, ticket, r->n_block);
	if (!rc)
		rc = judge_block(r);
	if (rc)
		r->n_block = 0;
	return rc;
}

/* The slot of a ticket, if it is whole; NULL with *rc 0: it is not. */
static const struct trace_slot *slot_of(struct trace_reader *r, uint64_t ticket, int *rc)
{
	const struct trace_slot *s;

	*rc = 0;
	if (ticket < r->block_at || ticket - r->block_at >= r->n_block)
		*rc = load(r, ticket);
	if (*rc)
		return NULL;
	s = &r->again[ticket - r->block_at];
	return s->word == 2 * ticket + 2 ? s : NULL;
}

/* --- records --- */

static bool is_access(uint8_t kind)
{
	return kind == TRACE_READ || kind == TRACE_WRITE;
}

/* Whether a slot can be the first of a record. */
static bool is_sound(const struct trace_slot *s)
{
	if (s->kind == TRACE_NONE || s->kind == TRACE_DATA || s->kind >= TRACE_KINDS)
		return false;
	if (is_access(s->kind))
		return s->region < TRACE_REGIONS && s->width <= 8 &&
		       (s->width || (s->value > 8 && s->value <= UINT32_MAX));
	if (s->kind == TRACE_IRQ || s->kind == TRACE_IRQ_SET)
		return s->region < TRACE_IRQS;
	return s->kind != TRACE_MARK || s->width <= 24;
}

/* What follows an access of many bytes. Where a slot of it is missing, so are the bytes from there on. */
static int gather(struct trace_reader *r, struct trace_record *rec)
{
	uint64_t ticket = rec->ticket + 1;
	int rc = 0;

	while (rec->held < rec->count && ticket < r->next) {
		const struct trace_slot *s = slot_of(r, ticket, &rc);
		uint32_t left = rec->count - rec->held;
		uint32_t want = left < TRACE_DATA_BYTES ? left : TRACE_DATA_BYTES;

		if (!s || s->kind != TRACE_DATA || s->width != want)
			break;
		memcpy(rec->bytes + rec->held, &s->ns, want);
		rec->held += want;
		ticket++;
	}
	return rc;
}

static int read_bytes(struct trace_reader *r, struct trace_record *rec)
{
	const struct trace_slot *s = &rec->s;

	if (s->kind == TRACE_MARK) {
		rec->count = rec->held = s->width;
		memcpy(rec->bytes, &s->offset, s->width);
	} else if (is_access(s->kind) && s->width) {
		rec->count = rec->held = s->width;
		memcpy(rec->bytes, &s->value, s->width);
	} else if (is_access(s->kind)) {
		rec->count = (uint32_t)s->value;
		if (!(s->flags & TRACE_CUT) && rec->count <= TRACE_DATA_MAX)
			return gather(r, rec);
	}
	return 0;
}

static int give(struct trace_reader *r, const struct trace_slot *s, uint64_t ticket,
		struct trace_record *rec)
{
	int rc;

	rec->ticket = ticket;
	rec->s = *s;
	rec->count = rec->held = 0;
	rc = read_bytes(r, rec);
	return rc ? rc : 1;
}

static int fell_behind(struct trace_reader *r, struct err *e)
{
	uint64_t before = r->at;
	int rc = trace_reader_look(r, e);

	/* A quarter of the ring ahead of the writer, so as not to be overtaken at once again. */
	r->at = r->first + (r->next > r->slots ? r->slots / 4 : 0);
	if (r->at < before)
		r->at = before;
	r->skipped += r->at - before;
	r->n_block = 0;
	r->overtaken = false;
	return rc;
}

int trace_reader_next(struct trace_reader *r, struct trace_record *rec, struct err *e)
{
	while (r->at < r->next) {
		uint64_t ticket = r->at;
		int rc;
		const struct trace_slot *s = slot_of(r, ticket, &rc);

		if (rc)
			return err_set(e, rc, "cannot read the recording: %s", strerror(-rc));
		if (r->overtaken && !s) {
			rc = fell_behind(r, e);
			if (rc)
				return rc;
			continue;
		}
		r->at++;
		if (s && is_sound(s)) {
			rc = give(r, s, ticket, rec);
			return rc < 0 ? err_set(e, rc, "cannot read the recording: %s",
						strerror(-rc))
				      : rc;
		}
		if (!s)
			r->skipped++;
	}
	return 0;
}

/* --- times --- */

/* The time of the first record from `ticket` on, looking no further than `end`; 0: there is none. */
static uint64_t time_from(struct trace_reader *r, uint64_t ticket, uint64_t end)
{
	int rc = 0;

	for (; ticket < end && !rc; ticket++) {
		const struct trace_slot *s = slot_of(r, ticket, &rc);

		if (s && is_sound(s))
			return s->ns;
	}
	return 0;
}

int trace_reader_seek(struct trace_reader *r, uint64_t ns, struct err *e)
{
	uint64_t low, high;
	int rc = trace_reader_look(r, e);

	if (rc)
		return rc;
	low = r->first;
	high = r->next;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, t = time_from(r, middle, high);

		if (t && t < ns)
			low = middle + 1;
		else
			high = middle;
	}
	r->at = low;
	return 0;
}

uint64_t trace_reader_end(struct trace_reader *r)
{
	uint64_t ticket = r->next;

	while (ticket > r->first) {
		uint64_t from = ticket - r->first > TRACE_BLOCK ? ticket - TRACE_BLOCK : r->first;
		uint64_t last = 0;

		for (uint64_t t = from; t < ticket; t++) {
			int rc;
			const struct trace_slot *s = slot_of(r, t, &rc);

			if (rc)
				return 0;
			if (s && is_sound(s))
				last = s->ns;
		}
		if (last)
			return last;
		ticket = from;
	}
	return 0;
}

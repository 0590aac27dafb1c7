/* SPDX-License-Identifier: MIT */
/* berth bridge record: the recording of a bridge that runs, begun, ended, kept, marked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bar-forward/control.h"
#include "bar-forward/trace.h"
#include "bar-forward/tracefilter.h"
#include "bar-forward/tracing.h"
#include "bar-forward/whichbridge.h"
#include "base/own.h"
#include "base/telem.h"
#include "base/text.h"

#define MARK_BYTES 24
#define BEGIN_MS   5000

static json_t *question(const char *what)
{
	json_t *o = json_answer("berth.bridge.control/1");

	json_put_text(o, "do", what);
	return o;
}

/* --- start, stop --- */

static int hand_over(const struct whichbridge *w, const char *path, int fd, struct err *e)
{
	own_free char *whole = realpath(path, NULL);
	json_t *o = question("record");
	int rc;

	json_put_text(o, "path", whole ? whole : path);
	rc = control_ask(w->page, o, fd, e);
	json_decref(o);
	return rc;
}

/* The bridge has the file; it is in use once its device, and who makes the accesses of its client, have told of themselves. */
static bool is_begun(const struct trace *t, const struct telem_bridge *b)
{
	const struct timespec pause = { 0, 5000000 };
	bool working = b->client_pid > 0 && b->worker_pid > 0;

	for (int i = 0; i < BEGIN_MS / 5; i++) {
		if (trace_has(t, TRACE_DEVICE) && (!working || trace_has(t, TRACE_WORKER)))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static int start(const struct ask *a, const struct whichbridge *w, struct err *e)
{
	struct telem_page page;
	enum telem_life life;
	struct trace t;
	int rc = telem_read(w->page, &page, &life, e);

	if (rc)
		return rc;
	const struct trace_about about = { .device = page.bridge.pci,
					   .backend = page.bridge.backend,
					   .socket = page.bridge.socket,
					   .guest = page.bridge.guest,
					   .now_ns = telem_now_ns(),
					   .writer_pid = w->pid };

	rc = trace_create(&t, a->words[2], a->o->record_size, &about, e);
	if (rc)
		return rc;
	rc = hand_over(w, a->words[2], t.fd, e);
	if (rc)
		unlink(a->words[2]);
	else if (!is_begun(&t, &page.bridge))
		log_warn(a->log, "process %d does not record in %s yet", (int)w->pid, a->words[2]);
	else
		log_note(a->log, "process %d records in %s", (int)w->pid, a->words[2]);
	trace_close(&t);
	return rc;
}

static int stop(const struct ask *a, const struct whichbridge *w, struct err *e)
{
	json_t *o = question("stop");
	int rc = control_ask(w->page, o, -1, e);

	json_decref(o);
	if (!rc)
		log_note(a->log, "process %d records no more", (int)w->pid);
	return rc;
}

/* --- save: what is in the ring, in its order, as a recording that is just so long --- */

struct saving {
	FILE *to;
	uint64_t n; /* slots written */
};

static int put_slot(struct saving *s, struct trace_slot *slot)
{
	slot->word = 2 * s->n + 2;
	s->n++;
	return fwrite(slot, sizeof(*slot), 1, s->to) == 1 ? 0 : -EIO;
}

static int put_record(struct saving *s, const struct trace_record *rec)
{
	struct trace_slot slot = rec->s;
	int rc;

	if (!slot.width && rec->held < rec->count)
		slot.flags |= TRACE_CUT;
	rc = put_slot(s, &slot);
	if (slot.width || slot.flags & TRACE_CUT)
		return rc;
	for (uint32_t at = 0; !rc && at < rec->held; at += TRACE_DATA_BYTES) {
		uint32_t left = rec->held - at;
		struct trace_slot data = { .kind = TRACE_DATA };

		data.width = (uint8_t)(left < TRACE_DATA_BYTES ? left : TRACE_DATA_BYTES);
		memcpy(&data.ns, rec->bytes + at, data.width);
		rc = put_slot(s, &data);
	}
	return rc;
}

static int put_head(struct saving *s, const struct trace_head *was)
{
	struct trace_head *h = malloc(sizeof(*h));
	struct trace_slot none = { 0 };
	int rc = h ? 0 : -ENOMEM;

	if (rc)
		return rc;
	*h = *was;
	h->slots = s->n ? s->n : 1;
	h->next = s->n;
	h->on = 0;
	h->writer_pid = 0;
	if (!s->n && fwrite(&none, sizeof(none), 1, s->to) != 1)
		rc = -EIO;
	if (!rc && (fseeko(s->to, 0, SEEK_SET) || fwrite(h, sizeof(*h), 1, s->to) != 1))
		rc = -EIO;
	free(h);
	return rc;
}

static int copy(struct saving *s, struct trace_reader *r, const struct trace_filter *f,
		struct err *e)
{
	static struct trace_record rec;
	int rc = fseeko(s->to, TRACE_HEAD_BYTES, SEEK_SET) ? -errno : 0;

	while (!rc) {
		int got = trace_reader_next(r, &rec, e);

		if (got < 0)
			return got;
		if (!got)
			break;
		if (trace_filter_wants(f, &rec.s))
			rc = put_record(s, &rec);
	}
	if (!rc)
		rc = put_head(s, &r->head);
	if (!rc && (fflush(s->to) || fsync(fileno(s->to))))
		rc = -EIO;
	return rc ? err_set(e, rc, "cannot write the copy: %s", strerror(errno ? errno : -rc)) : 0;
}

static int save_at(const struct ask *a, struct trace_reader *r, const struct trace_filter *f,
		   const char *path, struct err *e)
{
	char fresh[PATH_MAX];
	struct saving s = { 0 };
	int rc, fd;

	if (snprintf(fresh, sizeof(fresh), "%s.new-%d", path, (int)getpid()) >= (int)sizeof(fresh))
		return err_set(e, -ENAMETOOLONG, "the path is too long");
	rc = trace_may_place(path, 0, e);
	if (rc)
		return rc;
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	s.to = fd < 0 ? NULL : fdopen(fd, "w");
	if (!s.to)
		return err_set(e, -errno, "cannot create %s: %s", path, strerror(errno));
	rc = copy(&s, r, f, e);
	if (fclose(s.to) && !rc)
		rc = err_set(e, -EIO, "cannot write %s: %s", path, strerror(errno));
	if (!rc && rename(fresh, path))
		rc = err_set(e, -errno, "cannot place %s: %s", path, strerror(errno));
	if (rc)
		unlink(fresh);
	else
		log_note(a->log, "%s has %" PRIu64 " slots", path, s.n);
	return rc;
}

static int save(const struct ask *a, struct err *e)
{
	struct trace_reader *r;
	struct trace_filter f;
	int rc = tracing_open(a, a->words[0], &r, &f, e);

	if (rc)
		return rc;
	rc = save_at(a, r, &f, a->words[2], e);
	trace_reader_close(r);
	return rc;
}

/* --- mark: into the ring itself, as any other who records --- */

static int mark(const struct ask *a, struct err *e)
{
	struct trace_slot s = { .kind = TRACE_MARK, .ns = telem_now_ns() };
	size_t n = strlen(a->words[2]);
	struct trace t;
	char path[4096];
	int rc = whichbridge_recording(a->words[0], path, e), fd;

	if (rc)
		return rc;
	if (n > MARK_BYTES || !n)
		return err_set(e, -EINVAL, "a mark has 1 to %d bytes, not %zu", MARK_BYTES, n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "cannot open the recording %s: %s", path,
			       strerror(errno));
	rc = trace_join(&t, fd, e);
	if (rc)
		return err_at(e, rc, "%s", path);
	s.width = (uint8_t)n;
	memcpy(&s.offset, a->words[2], n);
	trace_put(&t, &s);
	trace_close(&t);
	return 0;
}

/* --- what is on --- */

/* By the recording's own head: the bridge's page tells of it some time later. */
static int show(const struct ask *a, const struct whichbridge *w, struct err *e)
{
	struct trace_reader *r;
	struct err unsaid = { 0 };
	char path[4096];
	int rc;

	if (whichbridge_recording(a->words[0], path, &unsaid)) {
		printf("process %d records nothing\n", (int)w->pid);
		return 0;
	}
	rc = trace_reader_open(&r, path, e);
	if (rc)
		return rc;
	printf("process %d records in %s: %" PRIu64 " slots written, %" PRIu64 " records lost\n",
	       (int)w->pid, path, r->next, r->head.lost);
	trace_reader_close(r);
	return 0;
}

static const struct act {
	const char *name;
	bool wants_word, of_live; /* of_live: the bridge itself is asked */
} acts[] = {
	{ "start", true, true },
	{ "stop", false, true },
	{ "save", true, false },
	{ "mark", true, false },
};

static int find_act(const struct ask *a, const struct act **which, struct err *e)
{
	*which = NULL;
	if (!a->words[1])
		return 0;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (strcmp(acts[i].name, a->words[1]) == 0)
			*which = &acts[i];
	if (!*which)
		return err_set(e, VERB_USAGE,
			       "record cannot '%s': start FILE, stop, save FILE or "
			       "mark TEXT",
			       a->words[1]);
	if ((*which)->wants_word != (a->words[2] != NULL))
		return err_set(e, VERB_USAGE, "record %s takes %s word", a->words[1],
			       (*which)->wants_word ? "one more" : "no further");
	return 0;
}

int record_verb(const struct ask *a, struct err *e)
{
	const struct act *which;
	struct whichbridge w;
	int rc = find_act(a, &which, e);

	if (rc)
		return rc;
	if (which && !which->of_live)
		return which->name[0] == 's' ? save(a, e) : mark(a, e);
	rc = whichbridge_find(&w, a->words[0], e);
	if (!rc && which && w.life == TELEM_DEAD)
		rc = err_set(e, -ENODEV, "the bridge of process %d does not run any more",
			     (int)w.pid);
	if (rc)
		return rc;
	if (!which)
		return show(a, &w, e);
	return which->wants_word ? start(a, &w, e) : stop(a, &w, e);
}

/* SPDX-License-Identifier: MIT */
/* A region as a client sees it: what it may reach there, and how it gets to the device. */
#include <inttypes.h>
#include <string.h>

#include "bar-forward/session_priv.h"

#define WIDE    8
#define LOOK_NS UINT64_C(100000000)

static const char *region_name(uint32_t region)
{
	return telem_region_name(region);
}

static bool is_bar(uint32_t region)
{
	return region <= DEV_BAR5;
}

/* Widths that are one access: a device's registers are never split, never merged. */
static bool is_one_access(const struct session *s, const struct vu_access *a)
{
	uint32_t most = s->facts.region[a->region].io ? 4 : WIDE;

	return a->count <= most && (a->count & (a->count - 1)) == 0 && a->offset % a->count == 0;
}

static int check(const struct session *s, const struct vu_access *a, bool write, struct err *e)
{
	const struct dev_region *r;

	if (a->region >= DEV_REGIONS || !s->shaped.size[a->region])
		return err_set(e, -EINVAL, "there is no region %" PRIu32, a->region);
	r = &s->facts.region[a->region];
	if (write ? !r->write : !r->read)
		return err_set(e, -EINVAL, "%s cannot be %s", region_name(a->region),
			       write ? "written" : "read");
	if (a->offset >= s->shaped.size[a->region] ||
	    a->count > s->shaped.size[a->region] - a->offset)
		return err_set(e, -EINVAL,
			       "%" PRIu32 " bytes at 0x%" PRIx64 " of %s, which has 0x%" PRIx64,
			       a->count, a->offset, region_name(a->region),
			       s->shaped.size[a->region]);
	if (is_bar(a->region) && !is_one_access(s, a))
		return err_set(e, -EINVAL,
			       "%" PRIu32 " bytes at 0x%" PRIx64
			       " of %s are no access of a register",
			       a->count, a->offset, region_name(a->region));
	return 0;
}

/*
 * It is counted and recorded before its answer is sent, so that whoever has the answer finds it there. What it took is known
 * after that, unless nobody waits for an answer, or for one to this access alone: the next of several begins where it ended.
 */
static void count(struct session *s, const struct vu_access *a, enum telem_access what,
		  const uint8_t *bytes)
{
	bool traced = trace_is_on(s->o.trace), awaited = what != TELEM_POSTED && !s->several;
	uint64_t ended = traced || !awaited ? s->o.now() : 0;

	telem_count(s->o.count, a->region, what);
	if (traced)
		session_record_access(s, a, what, bytes, s->began_ns, ended);
	s->unanswered = awaited;
	if (awaited)
		return;
	telem_took(s->o.count, ended - s->began_ns);
	s->began_ns = ended;
}

void session_answered(struct session *s)
{
	if (s->unanswered)
		telem_took(s->o.count, s->o.now() - s->began_ns);
	s->unanswered = false;
}

/* What the device answered: gone is a state, anything else an error that is counted. */
static int judge(struct session *s, const struct vu_access *a, const char *verb, int rc,
		 struct err *e)
{
	if (rc == 0)
		return 0;
	if (rc == -ENODEV) {
		session_lose(s, "does not answer");
		return 0;
	}
	s->o.count->counts.errors++;
	s->seen = (struct session_seen) { TRACE_FAILED, (uint64_t)-rc };
	return err_set(e, rc, "cannot %s %" PRIu32 " bytes at 0x%" PRIx64 " of %s: %s", verb,
		       a->count, a->offset, region_name(a->region), strerror(-rc));
}

/* --- the device --- */

static int dev_access(const struct session *s, const struct session_access *a)
{
	if (s->o.access)
		return s->o.access(s->o.arg, s->d, a);
	return a->write ? s->o.ops->write(s->d, a->region, a->offset, a->bytes, a->width)
			: s->o.ops->read(s->d, a->region, a->offset, a->bytes, a->width);
}

int session_dev_read(const struct session *s, uint32_t region, uint64_t offset, uint8_t *bytes,
		     uint32_t width)
{
	const struct session_access a = {
		.region = region, .width = width, .offset = offset, .bytes = bytes
	};

	return dev_access(s, &a);
}

int session_dev_write(const struct session *s, uint32_t region, uint64_t offset,
		      const uint8_t *bytes, uint32_t width)
{
	uint8_t copy[WIDE];
	const struct session_access a = {
		.write = true, .region = region, .width = width, .offset = offset, .bytes = copy
	};

	memcpy(copy, bytes, width);
	return dev_access(s, &a);
}

/* --- rules --- */

/* A guest can try as often as it likes: the first are told, the others only to who asked for details. */
static void tell_denied(struct session *s, const struct vu_access *a, const struct rule *r)
{
	bool first = s->denials < SESSION_SAID;

	session_say(s, first ? SESSION_NOTE : SESSION_DETAIL,
		    "the rule of line %" PRIu32 " denies a write of %" PRIu32 " bytes at 0x%" PRIx64
		    " of %s",
		    r->line, a->count, a->offset, region_name(a->region));
	if (first && ++s->denials == SESSION_SAID)
		session_say(s, SESSION_NOTE,
			    "from here on what is denied is counted, and told where -v was given");
}

static const struct rule *rule_of(struct session *s, const struct vu_access *a, bool write)
{
	const struct rule *r = s->o.policy
				       ? policy_find(s->o.policy, a->region, a->offset, a->count)
				       : NULL;

	if (!r)
		return NULL;
	if (r->act == POLICY_DENY) {
		s->o.count->regions[a->region].denied++;
		s->seen.flags |= TRACE_DENIED;
		if (write)
			tell_denied(s, a, r);
	}
	if (r->act == POLICY_LOG) {
		s->o.count->regions[a->region].logged++;
		s->seen.flags |= TRACE_LOGGED;
		session_say(s, SESSION_DETAIL, "%s of %" PRIu32 " bytes at 0x%" PRIx64 " of %s",
			    write ? "write" : "read", a->count, a->offset, region_name(a->region));
	}
	return r;
}

/* --- ROM and configuration space, in pieces --- */

static uint32_t piece_width(uint64_t offset, uint32_t left)
{
	uint32_t width = 4;

	while (width > left || offset % width)
		width /= 2;
	return width;
}

static int config_read(struct session *s, uint32_t at, uint32_t width, uint8_t *to)
{
	int rc = 0;

	memset(to, 0, width);
	if (cfg_asks(&s->cfg, at, width))
		rc = session_dev_read(s, DEV_CONFIG, at, to, width);
	if (rc == 0)
		cfg_read(&s->cfg, at, width, to);
	return rc;
}

static int config_write(struct session *s, uint32_t at, uint32_t width, const uint8_t *from)
{
	uint8_t bytes[4], real[4];
	int rc = session_dev_read(s, DEV_CONFIG, at, real, width);

	memcpy(bytes, from, width);
	if (rc == 0 && cfg_write(&s->cfg, at, width, bytes, real))
		rc = session_dev_write(s, DEV_CONFIG, at, bytes, width);
	return rc;
}

static int pieces_read(struct session *s, const struct vu_access *a, uint8_t *to, struct err *e)
{
	for (uint32_t done = 0, width; done < a->count && s->d; done += width) {
		uint64_t at = a->offset + done;

		width = piece_width(at, a->count - done);
		int rc = a->region == DEV_CONFIG
				 ? config_read(s, (uint32_t)at, width, to + done)
				 : session_dev_read(s, a->region, at, to + done, width);

		rc = judge(s, a, "read", rc, e);
		if (rc)
			return rc;
	}
	return 0;
}

static int pieces_write(struct session *s, const struct vu_access *a, struct err *e)
{
	for (uint32_t done = 0, width; done < a->count && s->d; done += width) {
		uint32_t at = (uint32_t)a->offset + done;

		width = piece_width(at, a->count - done);
		int rc = judge(s, a, "write", config_write(s, at, width, a->data + done), e);

		if (rc)
			return rc;
	}
	return 0;
}

/* --- BARs --- */

/*
 * What lies behind a window's data register now. The index is asked of the device, not remembered: a reset or another window
 * on the same register may have changed it.
 */
static int window_place(struct session *s, const struct vu_access *a, int64_t *place)
{
	const struct quirk *q;
	uint32_t i = 0, index = 0, asked = UINT32_MAX; /* which register gave it */

	while ((q = quirks_next(&s->shaped.quirks, QUIRK_WINDOW, &i))) {
		if (q->bar != a->region || a->offset < q->at || a->offset + a->count > q->at + 4)
			continue;
		int rc = q->index == asked
				 ? 0
				 : session_dev_read(s, q->bar, q->index, (uint8_t *)&index, 4);

		if (rc)
			return rc;
		asked = q->index;
		*place = quirk_target(q, index);
		if (*place >= 0) {
			*place += (int64_t)(a->offset - q->at);
			return 0;
		}
	}
	return 0;
}

/* Which byte of configuration space an access of a BAR really is; -1: none, it is the BAR's own. 0 or the device's errno. */
static int config_place(struct session *s, const struct vu_access *a, int64_t *place)
{
	const struct quirk *q = quirks_at(&s->shaped.quirks, QUIRK_MIRROR, a->region, a->offset,
					  a->count);
	int rc = 0;

	*place = -1;
	if (q)
		*place = (int64_t)(a->offset - q->at);
	else if (quirks_at(&s->shaped.quirks, QUIRK_WINDOW, a->region, a->offset, a->count))
		rc = window_place(s, a, place);
	/* A device without the large space has nothing behind the small one. */
	if (*place >= 0 && (uint64_t)*place + a->count > s->cfg.size)
		*place = -1;
	return rc;
}

static int bar_read(struct session *s, const struct vu_access *a, uint8_t *to, struct err *e)
{
	const struct rule *r = rule_of(s, a, false);
	struct vu_access in_config = { .region = DEV_CONFIG, .count = a->count };
	int64_t place;
	int rc;

	if (r && r->act == POLICY_DENY) {
		policy_denied(r, to, a->count);
		return 0;
	}
	rc = config_place(s, a, &place);
	if (!rc && place >= 0) {
		in_config.offset = (uint64_t)place;
		return pieces_read(s, &in_config, to, e);
	}
	if (!rc)
		rc = session_dev_read(s, a->region, a->offset, to, a->count);
	return judge(s, a, "read", rc, e);
}

/* What the guest wrote into mapped pages reaches the device before this read is answered, and so before what follows. */
static int keep_order(struct session *s)
{
	const struct quirk *q = s->shaped.order;
	uint8_t unread[WIDE];

	return q && grants_any(&s->shaped.grants)
		       ? session_dev_read(s, q->bar, q->at, unread, q->bytes)
		       : 0;
}

/* Wholly within what a row lets by: a wider write would reach configuration next to it. */
static bool passes(const struct session *s, const struct vu_access *a)
{
	const struct quirk *q = quirks_at(&s->shaped.quirks, QUIRK_PASS, a->region, a->offset,
					  a->count);

	return q && a->offset >= q->at && a->offset + a->count <= (uint64_t)q->at + q->bytes;
}

static int bar_write(struct session *s, const struct vu_access *a, struct err *e)
{
	const struct rule *r = rule_of(s, a, true);
	struct vu_access in_config = { .region = DEV_CONFIG, .count = a->count };
	uint8_t bytes[WIDE];
	int64_t place;
	int rc;

	if (r && r->act == POLICY_DENY)
		return 0;
	memcpy(bytes, a->data, a->count);
	if (r && r->act == POLICY_MASK) {
		policy_mask(r, a->offset, bytes, a->count);
		s->seen.flags |= TRACE_MASKED;
		memcpy(&s->seen.extra, bytes, a->count);
	}
	rc = config_place(s, a, &place);
	if (!rc && place >= 0 && !passes(s, a)) {
		in_config.offset = (uint64_t)place;
		in_config.data = bytes;
		return pieces_write(s, &in_config, e);
	}
	if (!rc)
		rc = keep_order(s);
	if (!rc)
		rc = session_dev_write(s, a->region, a->offset, bytes, a->count);
	return judge(s, a, "write", rc, e);
}

/*
 * All-ones may be what a register holds, what an access gives that nobody answered in time, or the device's absence. Only
 * the last is a state: it is looked for, at most ten times a second.
 */
static void doubt(struct session *s, const uint8_t *bytes, uint32_t n)
{
	uint64_t now;

	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] != 0xff)
			return;
	now = s->o.now();
	if (now - s->looked_ns < LOOK_NS)
		return;
	s->looked_ns = now;
	session_look(s);
}

/* --- for the session --- */

int session_read(struct session *s, const struct vu_access *a, uint8_t *to, struct err *e)
{
	int rc = check(s, a, false, e);

	if (rc)
		return rc;
	s->seen = (struct session_seen) { 0 };
	if (s->d)
		rc = is_bar(a->region) ? bar_read(s, a, to, e) : pieces_read(s, a, to, e);
	if (s->d && !rc && is_bar(a->region))
		doubt(s, to, a->count);
	if (!s->d) /* also when it went in the middle */
		memset(to, 0xff, a->count);
	count(s, a, TELEM_READ, to);
	return rc;
}

int session_write(struct session *s, const struct vu_access *a, bool posted, struct err *e)
{
	int rc = check(s, a, true, e);

	if (rc)
		return rc;
	s->seen = (struct session_seen) { 0 };
	if (s->d && a->region != DEV_CONFIG && !is_bar(a->region))
		return err_set(e, -EINVAL, "%s cannot be written", region_name(a->region));
	if (s->d)
		rc = is_bar(a->region) ? bar_write(s, a, e) : pieces_write(s, a, e);
	count(s, a, posted ? TELEM_POSTED : TELEM_WRITE, a->data);
	return rc;
}

/* SPDX-License-Identifier: MIT */
#include "bar-forward/tracesteps.h"

#include <inttypes.h>
#include <string.h>

#include "base/telem_bridge.h"
#include "base/text.h"

#define SHOWN 3 /* values of a step in its words */

static uint64_t mix(uint64_t hash, uint64_t v)
{
	hash = (hash ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 31;
}

static uint64_t hash_bytes(const uint8_t *bytes, uint32_t n)
{
	uint64_t hash = n;

	for (uint32_t i = 0; i < n; i++)
		hash = mix(hash, bytes[i]);
	return hash;
}

/* --- making them --- */

static void add_value(struct step *s, uint64_t v)
{
	s->hash = mix(s->hash, v);
	if (s->n >= STEP_TAIL)
		memmove(s->tail, s->tail + 1, (STEP_TAIL - 1) * sizeof(*s->tail));
	s->tail[s->n < STEP_TAIL ? s->n : STEP_TAIL - 1] = v;
	s->n++;
}

static uint64_t newest(const struct step *s)
{
	return s->tail[(s->n < STEP_TAIL ? s->n : STEP_TAIL) - 1];
}

static void make(struct step *s, const struct trace_record *rec)
{
	const struct trace_slot *r = &rec->s;
	bool access = r->kind != TRACE_RESET;

	*s = (struct step) { .offset = access ? r->offset : 0,
			     .ns = r->ns,
			     .times = 1,
			     .bytes = rec->count,
			     .kind = r->kind,
			     .region = access ? r->region : 0 };
	add_value(s, r->width ? r->value : hash_bytes(rec->bytes, rec->held));
}

bool step_is_like(const struct step *a, const struct step *b)
{
	return a->offset == b->offset && a->region == b->region && a->kind == b->kind &&
	       a->bytes == b->bytes;
}

/* One more read of the register that was read last. */
static bool goes_on(struct step *last, const struct step *s)
{
	if (s->kind != TRACE_READ || !step_is_like(last, s))
		return false;
	if (newest(last) != s->tail[0])
		add_value(last, s->tail[0]);
	last->times++;
	return true;
}

/* Whether the last `p` steps are reads, and the same as the `p` before them. */
static bool is_round(const struct steps *st, uint32_t p)
{
	const struct step *a = &st->ahead[st->n - 2 * p], *b = &st->ahead[st->n - p];

	for (uint32_t i = 0; i < p; i++)
		if (a[i].kind != TRACE_READ || !step_is_like(&a[i], &b[i]) || a[i].n != b[i].n ||
		    a[i].hash != b[i].hash)
			return false;
	return true;
}

static void drop_round(struct steps *st)
{
	for (uint32_t p = 2; p <= STEP_CYCLE && 2 * p <= st->n; p++) {
		if (!is_round(st, p))
			continue;
		for (uint32_t i = 0; i < p; i++)
			st->ahead[st->n - 2 * p + i].times += st->ahead[st->n - p + i].times;
		st->n -= p;
		return;
	}
}

static bool is_step(const struct trace_slot *s)
{
	return s->kind == TRACE_READ || s->kind == TRACE_WRITE || s->kind == TRACE_RESET;
}

static int fill(struct steps *st, struct err *e)
{
	while (!st->ended && st->n <= STEPS_AHEAD) {
		int rc = trace_reader_next(st->reader, &st->record, e);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			st->ended = true;
			break;
		}
		if (!is_step(&st->record.s) || !trace_filter_wants(&st->filter, &st->record.s))
			continue;
		struct step s;

		make(&s, &st->record);
		if (st->n && goes_on(&st->ahead[st->n - 1], &s))
			continue;
		/* The one before is whole now: with it a round may be. */
		drop_round(st);
		if (st->n && goes_on(&st->ahead[st->n - 1], &s))
			continue;
		st->ahead[st->n++] = s;
	}
	if (st->ended)
		drop_round(st);
	return 0;
}

int steps_next(struct steps *st, struct step *s, struct err *e)
{
	int rc = fill(st, e);

	if (rc || !st->n)
		return rc;
	*s = st->ahead[0];
	st->n--;
	memmove(st->ahead, st->ahead + 1, st->n * sizeof(*st->ahead));
	return 1;
}

/* --- comparing them --- */

bool step_is_same(const struct step *a, const struct step *b)
{
	uint32_t both = a->n < b->n ? a->n : b->n;
	uint32_t na = a->n < STEP_TAIL ? a->n : STEP_TAIL, nb = b->n < STEP_TAIL ? b->n : STEP_TAIL;

	if (!step_is_like(a, b))
		return false;
	if (a->n == b->n)
		return a->hash == b->hash;
	/* One polled longer: what the other saw is the end of it. */
	return both <= STEP_TAIL &&
	       memcmp(a->tail + na - both, b->tail + nb - both, both * sizeof(*a->tail)) == 0;
}

const char *step_words(char words[256], const struct step *s)
{
	uint32_t held = s->n < STEP_TAIL ? s->n : STEP_TAIL;
	uint32_t first = held > SHOWN ? held - SHOWN : 0;
	struct text t;

	text_init(&t, words, 256);
	text_add(&t, "%-5s ", trace_kind_name(s->kind));
	if (s->kind == TRACE_RESET)
		return text_trim(words);
	text_add(&t, "%s+0x%" PRIx64,
		 s->region < TELEM_REGIONS ? telem_region_name(s->region) : "VGA", s->offset);
	if (s->bytes > 8) {
		text_add(&t, ", %" PRIu32 " bytes", s->bytes);
	} else {
		text_add(&t, "/%" PRIu32 " =%s", s->bytes, s->n > SHOWN ? " ..." : "");
		for (uint32_t i = first; i < held; i++)
			text_add(&t, " 0x%0*" PRIx64, 2 * (int)s->bytes, s->tail[i]);
	}
	if (s->times > 1)
		text_add(&t, " (%" PRIu32 " times)", s->times);
	return words;
}

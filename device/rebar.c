/* SPDX-License-Identifier: MIT */
#include "device/rebar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/guard.h"
#include "device/let_go.h"
#include "device/windows.h"

#define BARS      6
#define RESIZE_MS 30000
#define REMOVE_MS 30000

/* Drivers that make the BAR as large as they can when they start, and the option against it. */
static const struct {
	const char *driver, *option;
} growers[] = {
	{ "amdgpu", "amdgpu.rebar=0" },       /* amdgpu_device_resize_fb_bar() */
	{ "xe", "xe.vram_bar_size=-1" },      /* xe_vram.c, resize_vram_bar() */
	{ "i915", "i915.lmem_bar_size=MIB" }, /* i915_resize_lmem_bar() */
};

struct plan {
	const struct scene *s;
	const struct func *f;
	int bar;
	uint64_t size, now;
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n_slot;
	const struct func *away[PINS_MAX]; /* taken away first, found again after */
	uint32_t n_away;
};

/* --- what was asked --------------------------------------------------------------------------------- */

/* "1", "bar1", "BAR 1" is two words and not taken. */
static int parse_bar_number(const char *word, int *bar)
{
	const char *digit = strncasecmp(word, "bar", 3) == 0 ? word + 3 : word;

	if (*digit < '0' || *digit >= '0' + BARS || digit[1])
		return -EINVAL;
	*bar = *digit - '0';
	return 0;
}

static void list_bars(struct text *t, const struct func *f)
{
	for (int i = 0; i < BARS; i++)
		if (f->resizable >> i & 1)
			text_add(t, "%s%d", t->len ? ", " : "", i);
}

static void list_sizes(struct text *t, uint64_t sizes)
{
	char size[TEXT_SIZE_MAX];

	for (int bit = 0; bit + 20 <= 62; bit++)
		if (sizes >> bit & 1)
			text_add(t, "%s%s", t->len ? ", " : "",
				 text_size(size, UINT64_C(1) << (bit + 20)));
}

static int check_bar(struct plan *p, const char *word, struct err *e)
{
	char buf[64] = "";
	struct text t;

	text_init(&t, buf, sizeof(buf));
	if (parse_bar_number(word, &p->bar))
		return err_set(e, -EINVAL, "'%.40s' is no BAR: give a number from 0 to %d", word,
			       BARS - 1);
	if (p->f->resizable >> p->bar & 1)
		return 0;
	list_bars(&t, p->f);
	if (!t.len)
		return err_set(
			e, -EINVAL,
			"no BAR of %s can be resized: the card, or this kernel, does not offer it",
			p->f->pci);
	return err_set(e, -EINVAL, "BAR %d of %s cannot be resized; of this card: %s", p->bar,
		       p->f->pci, buf);
}

/* The bit that is written: 2^(bit+20) bytes; -1: no such size. */
static int bit_of(uint64_t size)
{
	return size >= UINT64_C(1) << 20 && !(size & (size - 1)) ? __builtin_ctzll(size) - 20 : -1;
}

static int check_size(struct plan *p, const char *word, struct err *e)
{
	uint64_t sizes = p->f->sizes[p->bar];
	char buf[256] = "";
	struct text t;

	text_init(&t, buf, sizeof(buf));
	if (text_parse_size(word, &p->size))
		return err_set(e, -EINVAL, "'%.40s' is no size: write 16G or 256M", word);
	if (!sizes && p->f->awake == AWAKE_NO)
		return err_set(e, -EAGAIN,
			       "%s sleeps, and its sizes are not known before it is awake: "
			       "'berth device sleep %s forbid' wakes it",
			       p->f->pci, p->f->pci);
	if (!sizes)
		return err_set(e, -ENODATA, "which sizes BAR %d of %s can have could not be read",
			       p->bar, p->f->pci);
	int bit = bit_of(p->size);

	list_sizes(&t, sizes);
	if (bit < 0 || !(sizes >> bit & 1))
		return err_set(e, -EINVAL, "BAR %d of %s cannot have %.40s; it lists %s", p->bar,
			       p->f->pci, word, buf);
	return 0;
}

/* --- room ------------------------------------------------------------------------------------------- */

static void list_pins(struct text *t, const struct room *r)
{
	char size[TEXT_SIZE_MAX];
	uint32_t shown = r->n_pins < 4 ? r->n_pins : 4,
		 more = r->n_pins - shown + r->n_pins_left_out;

	for (uint32_t i = 0; i < shown; i++)
		text_add(t, "%s%s (%s%s)", i ? ", " : "", r->pins[i].func->pci,
			 r->pins[i].empty_port ? "an empty port, " : "",
			 text_size(size, r->pins[i].bytes));
	if (more)
		text_add(t, " and %u more", more);
}

static bool helps(const struct plan *p, const struct func *const *away, uint32_t n, struct room *r)
{
	room_find(p->s, p->f, p->bar, p->size, away, n, r);
	return r->verdict == ROOM_UNKNOWN || r->verdict == ROOM_FITS;
}

/*
 * What can be taken away for a moment: ports with nothing in them, other functions of the card. One of them, if that is
 * enough, else all. *r is the room there is then; false: not even that helps.
 */
static bool take_away(struct plan *p, struct room *r)
{
	const struct func *can[PINS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_pins; i++)
		if (r->pins[i].empty_port || r->pins[i].same_card)
			can[n++] = r->pins[i].func;
	for (uint32_t i = 0; i < n; i++) {
		if (!helps(p, &can[i], 1, r))
			continue;
		p->away[p->n_away++] = can[i];
		return true;
	}
	memcpy(p->away, can, n * sizeof(can[0]));
	p->n_away = n;
	return n && helps(p, can, n, r);
}

static void list_away(struct text *t, const struct plan *p)
{
	for (uint32_t i = 0; i < p->n_away; i++)
		text_add(t, "%s%s", t->len ? ", " : "", p->away[i]->pci);
}

static int no_room(const struct plan *p, const struct room *r, bool can_help, struct err *e)
{
	char need[TEXT_SIZE_MAX], gap[TEXT_SIZE_MAX], have[TEXT_SIZE_MAX];
	char pins[256] = "", away[256] = "";
	struct text t, list;

	if (r->verdict == ROOM_CLOSED)
		return err_set(
			e, -EBUSY,
			"bridge %s above %s has no %swindow at all: 'berth doctor bar %s' says what helps",
			r->bridge->pci, p->f->pci, r->prefetch ? "prefetchable " : "", p->f->pci);
	text_init(&t, pins, sizeof(pins));
	list_pins(&t, r);
	text_init(&list, away, sizeof(away));
	list_away(&list, p);
	return err_set(
		e, -EBUSY,
		"BAR %d of %s and what moves with it need %s, but of the %s behind bridge %s only %s are free in "
		"one piece%s%s; %s%s%s",
		p->bar, p->f->pci, text_size(need, r->need_bytes), text_size(have, r->window.size),
		r->bridge->pci, text_size(gap, r->gap_bytes), t.len ? ": there is " : "", pins,
		can_help ? "--force takes away " : "'berth doctor bar ",
		can_help ? away : p->f->pci,
		can_help ? " first, and finds it again after" : "' says what helps");
}

static void warn_of_room(const struct room *r, struct txn *t)
{
	if (r->verdict == ROOM_UNKNOWN)
		txn_warn(
			t,
			"Whether the processor's own window has room for it is not shown; where it has not, the "
			"kernel says so and everything is put back");
	else if (r->nearest)
		txn_warn(
			t,
			"Something else lies in the window of bridge %s: older kernels resize no BAR then; where "
			"this one does not, everything is put back",
			r->bridge->pci);
}

/* Whether there is room, or with --force would be. */
static int find_room(struct plan *p, bool force, struct txn *t, struct err *e)
{
	struct room now, then;

	if (!helps(p, NULL, 0, &now)) {
		then = now;
		bool can_help = take_away(p, &then);

		if (!can_help || !force)
			return no_room(p, can_help ? &now : &then, can_help, e);
		now = then;
	}
	warn_of_room(&now, t);
	return 0;
}

/* --- steps ------------------------------------------------------------------------------------------ */

static bool is_away(const struct plan *p, const struct func *f)
{
	for (uint32_t i = 0; i < p->n_away; i++)
		if (p->away[i] == f)
			return true;
	return false;
}

/* The file that finds a function again: of the bridge above it, or, on a root bus, of all. */
static int rescan_of(char target[STEP_TARGET], const struct func *f, struct err *e)
{
	if (!f->above[0])
		return step_put_sized(target, STEP_TARGET, e, "sys/bus/pci/rescan");
	return step_put_sized(target, STEP_TARGET, e, "sys/bus/pci/devices/%s/rescan", f->above);
}

static int put_away(const struct func *f, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "take %s away for now", f->pci);
	int rc;

	if (!st)
		return -EFBIG;
	st->timeout_ms = REMOVE_MS;
	st->undo = UNDO_OTHER;
	rc = step_put(st->target, e, "sys/bus/pci/devices/%s/remove", f->pci);
	rc = rc ? rc : step_put(st->value, e, "1");
	rc = rc ? rc : look_set(&st->after, LOOK_GONE, "", e, "%s", f->dir);
	rc = rc ? rc : rescan_of(st->undo_target, f, e);
	rc = rc ? rc : step_put(st->undo_value, e, "1");
	return rc ? rc : look_set(&st->undone, LOOK_HERE, "", e, "%s", f->dir);
}

static int resize(const struct plan *p, struct txn *t, struct err *e)
{
	char size[TEXT_SIZE_MAX], want[24];
	struct step *st = txn_add(t, STEP_WRITE, e, "give BAR %d of %s %s", p->bar, p->f->pci,
				  text_size(size, p->size));
	int rc;

	if (!st)
		return -EFBIG;
	st->timeout_ms = RESIZE_MS;
	st->undo = UNDO_OTHER;
	snprintf(want, sizeof(want), "%" PRIu64, p->size);
	rc = step_put(st->target, e, "sys/bus/pci/devices/%s/resource%d_resize", p->f->pci, p->bar);
	rc = rc ? rc : step_put(st->value, e, "%d", bit_of(p->size));
	rc = rc ? rc : look_set(&st->after, LOOK_AGENT, want, e, "bar %d %s", p->bar, p->f->pci);
	rc = rc ? rc : step_put(st->after.agent, e, "pci");
	rc = rc ? rc : step_put(st->undo_target, e, "%s", st->target);
	rc = rc ? rc : step_put(st->undo_value, e, "%d", bit_of(p->now));
	snprintf(want, sizeof(want), "%" PRIu64, p->now);
	rc = rc ? rc : look_set(&st->undone, LOOK_AGENT, want, e, "bar %d %s", p->bar, p->f->pci);
	return rc ? rc : step_put(st->undone.agent, e, "pci");
}

static int see_nested(const struct plan *p, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_AWAIT, e,
				  "see that its BARs lie inside the windows above");
	int rc;

	if (!st)
		return -EFBIG;
	rc = look_set(&st->after, LOOK_AGENT, "yes", e, "nested %s", p->f->pci);
	st->undo = UNDO_OTHER; /* nothing was done */
	return rc ? rc : step_put(st->after.agent, e, "pci");
}

static int see_back(const struct func *f, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_AWAIT, e, "see that %s is back", f->pci);

	if (!st)
		return -EFBIG;
	st->timeout_ms = REMOVE_MS;
	st->undo = UNDO_OTHER; /* nothing was done */
	return look_set(&st->after, LOOK_HERE, "", e, "%s", f->dir);
}

static int find_again(const struct plan *p, struct txn *t, struct err *e)
{
	struct step *st;
	int rc;

	if (!p->n_away)
		return 0;
	st = txn_add(t, STEP_WRITE, e, "find again what was taken away");
	if (!st)
		return -EFBIG;
	st->timeout_ms = REMOVE_MS;
	st->undo = UNDO_OTHER; /* to be found is nothing to take back */
	rc = rescan_of(st->target, p->away[0], e);
	rc = rc ? rc : step_put(st->value, e, "1");
	rc = rc ? rc : look_set(&st->after, LOOK_HERE, "", e, "%s", p->away[0]->dir);
	for (uint32_t i = 1; i < p->n_away && !rc; i++)
		rc = see_back(p->away[i], t, e);
	return rc;
}

static int put_steps(const struct plan *p, struct txn *t, struct err *e)
{
	const struct func *order[SCENE_SLOT_MAX];
	int rc = 0;

	memcpy(order, p->slot, p->n_slot * sizeof(order[0]));
	let_go_order(order, p->n_slot);
	for (uint32_t i = 0; i < p->n_slot && !rc; i++)
		rc = let_go_step(order[i], is_away(p, order[i]), t, e);
	for (uint32_t i = 0; i < p->n_away && !rc; i++)
		rc = put_away(p->away[i], t, e);
	rc = rc ? rc : resize(p, t, e);
	rc = rc ? rc : see_nested(p, t, e);
	rc = rc ? rc : find_again(p, t, e);
	for (uint32_t i = p->n_slot; i-- > 0 && !rc;)
		if (!is_away(p, order[i])) /* what was found again has found its driver, too */
			rc = take_back_step(order[i], t, e);
	return rc;
}

static void warn_of_growers(const struct plan *p, struct txn *t)
{
	for (size_t i = 0; i < sizeof(growers) / sizeof(growers[0]) && p->size < p->now; i++)
		if (strcmp(p->f->driver, growers[i].driver) == 0)
			txn_warn(
				t,
				"%s may make the BAR large again as it starts; the option against it is %s",
				growers[i].driver, growers[i].option);
}

static void title(struct txn *t, const struct plan *p, const char *verb)
{
	char size[TEXT_SIZE_MAX];

	snprintf(t->done, sizeof(t->done), "BAR %d of %s %s %s.", p->bar, p->f->pci, verb,
		 text_size(size, p->size));
}

int rebar_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	struct plan p = { .s = s };
	int rc = scene_select(s, a->words[0], &p.f, e);

	rc = rc ? rc : guard_class(s, p.f, HARM_DRIVER, a->o.any, e);
	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), p.f->pci);
	rc = check_bar(&p, a->words[1], e);
	rc = rc ? rc : check_size(&p, a->words[2], e);
	if (rc)
		return rc;
	p.now = res_size(&p.f->res[p.bar]);
	title(t, &p, "has");
	if (p.now == p.size)
		return 0;
	if (bit_of(p.now) < 0)
		return err_set(e, -ENODATA, "how large BAR %d of %s is could not be read", p.bar,
			       p.f->pci);
	p.n_slot = scene_slot(s, p.f, p.slot, SCENE_SLOT_MAX);
	rc = find_room(&p, a->o.force, t, e);
	rc = rc ? rc : guard_check(s, p.slot, p.n_slot, HARM_DRIVER, a->o.force, t, e);
	rc = rc ? rc : put_steps(&p, t, e);
	warn_of_growers(&p, t);
	title(t, &p, "now has");
	return rc;
}

void rebar_words(struct text *t, const struct scene *s, const struct func *f)
{
	char sizes[256], now[TEXT_SIZE_MAX];
	size_t began = t->len;
	struct text list;

	(void)s;
	for (int i = 0; i < BARS; i++) {
		if (!(f->resizable >> i & 1))
			continue;
		text_init(&list, sizes, sizeof(sizes));
		list_sizes(&list, f->sizes[i]);
		text_add(t, "%sBAR %d has %s", t->len > began ? "; " : "", i,
			 res_size(&f->res[i]) ? text_size(now, res_size(&f->res[i]))
					      : "no size that is told");
		if (list.len)
			text_add(t, " of %s", sizes);
		else
			text_add(t, "; its sizes are known while it is awake");
	}
	if (t->len == began)
		text_add(t, "no BAR of it can be resized");
}

/* SPDX-License-Identifier: MIT */
#include "device/reset.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/agent_pci.h"
#include "device/guard.h"
#include "device/let_go.h"

#define SET_MAX 64
#define WORDS   8

/* The kernel waits up to 60 s for a function to answer after a reset (PCIE_RESET_READY_POLL_MS, drivers/pci/pci.h). */
#define RESET_MS 75000
#define ALIVE_MS 10000

/* clang-format off */
/*
 * pci_reset_fn_methods[] of drivers/pci/pci.c. A method that firmware or a quirk brings may reset the chip that all
 * functions of a card are part of (vendor-reset does, and many a _RST): then all let go.
 */
static const struct {
	const char *name;
	enum reach reach;
	const char *weak; /* what it leaves; NULL: nothing */
} methods[] = {
	{ "device_specific", REACH_CARD, NULL },
	{ "acpi", REACH_CARD, NULL },
	{ "flr", REACH_FUNCTION, NULL },
	{ "af_flr", REACH_FUNCTION, NULL },
	/* PCI PM 5.4.1: how much D3hot and back clears is left to the device. */
	{ "pm", REACH_FUNCTION, "a card may keep most of its state through a pm reset, which only puts it to sleep and wakes it" },
	{ "bus", REACH_BUS, NULL },
	{ "cxl_bus", REACH_BUS, NULL },
};
/* clang-format on */

static int find_method(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strlen(methods[i].name) == len && memcmp(methods[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

int reset_reach(const char *method)
{
	int i = find_method(method, strlen(method));

	return i < 0 ? -1 : (int)methods[i].reach;
}

/* What is to be reset, and how. */
struct plan {
	const struct scene *s;
	const struct func *f;
	const char *method; /* asked for; NULL: the kernel's order */
	char offer[64];     /* the words of reset_method that can work now */
	enum reach reach;
	const struct func
		*bridge; /* its reset_subordinate resets all below; NULL: the function's own file */
	const struct func *set[SET_MAX]; /* whose drivers let go, and who must come back */
	uint32_t n;
};

/* --- which method ----------------------------------------------------------------------------------- */

static bool lists(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; *at;) {
		size_t n = strcspn(at, " ");

		if (n == len && memcmp(at, word, n) == 0)
			return true;
		at += n + strspn(at + n, " ");
	}
	return false;
}

/* Of one newer than this table nobody knows. */
static enum reach reach_of(const char *word, size_t len)
{
	int i = find_method(word, len);

	return i < 0 ? REACH_CARD : methods[i].reach;
}

/* The kernel takes the next of the list when one does not work: as far as the farthest of them. */
static enum reach reach_of_list(const char *list)
{
	enum reach r = REACH_FUNCTION;

	for (const char *at = list; *at;) {
		size_t n = strcspn(at, " ");

		r = reach_of(at, n) > r ? reach_of(at, n) : r;
		at += n + strspn(at + n, " ");
	}
	return r;
}

static bool has_file(const struct scene *s, const struct func *f, const char *name)
{
	char path[sizeof(f->dir) + 32];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return s->m && machine_exists(s->m, path);
}

/* Whoever is on its bus besides; NULL: nobody. */
static const struct func *bus_mate(const struct plan *p)
{
	for (uint32_t i = 0; i < p->s->n_funcs; i++) {
		const struct func *o = &p->s->funcs[i];

		if (o != p->f && strcmp(o->above, p->f->above) == 0 && !o->physfn[0])
			return o;
	}
	return NULL;
}

/*
 * The kernel made its list before it knew of the others on the bus: "bus" stands there, and is refused (ENOTTY, and
 * EINVAL when it is written back) as soon as somebody shares it.
 */
static void take_offer(struct plan *p)
{
	bool shared = bus_mate(p);
	struct text t;

	text_init(&t, p->offer, sizeof(p->offer));
	for (const char *at = p->f->reset_method; *at;) {
		size_t n = strcspn(at, " ");
		int i = find_method(at, n);

		if (!shared || i < 0 || methods[i].reach != REACH_BUS)
			text_add(&t, "%s%.*s", t.len ? " " : "", (int)n, at);
		at += n + strspn(at + n, " ");
	}
}

/*
 * The kernel resets a bus below one function only while nobody else is on it. For all of a bus there is the bridge's
 * reset_subordinate, since Linux 6.13 and in some that are older.
 */
static int take_bridge(struct plan *p, struct err *e)
{
	const struct func *mate = bus_mate(p);
	const struct func *above = scene_func(p->s, p->f->above);

	if (!above)
		return err_set(
			e, -EPERM,
			"%s is on the processor's own bus, beside %s: that bus cannot be reset",
			p->f->pci, mate->pci);
	if (!has_file(p->s, above, "reset_subordinate"))
		return err_set(
			e, -EPERM,
			"%s shares its bus with %s, and this kernel resets no bus that is shared "
			"(newer ones do, by the bridge above)",
			p->f->pci, mate->pci);
	p->bridge = above;
	return 0;
}

static int refuse_method(const struct plan *p, struct err *e)
{
	if (reset_reach(p->method) < 0)
		return err_set(e, -EINVAL,
			       "'%.40s' is no way to reset anything; the kernel offers for %s: %s",
			       p->method, p->f->pci, p->offer);
	return err_set(e, -EINVAL, "%s cannot be reset by %s; the kernel offers: %s", p->f->pci,
		       p->method, p->offer);
}

/* What the kernel offers for the function itself does not do it: the bus is asked for, or nothing else is left. */
static bool only_bus(const struct plan *p)
{
	if (p->method)
		return reset_reach(p->method) == REACH_BUS;
	return !p->f->has_reset || (p->f->reset_method[0] && !p->offer[0]);
}

static int check_offer(const struct plan *p, struct err *e)
{
	const struct func *f = p->f;

	if (!f->has_reset)
		return err_set(
			e, -EPERM,
			"the kernel knows no way to reset %s: only taking its power off and on does",
			f->pci);
	if (!f->has_reset_method && p->method)
		return err_set(
			e, -EPERM,
			"this kernel lets nobody choose how %s is reset (Linux 5.15 does); leave --method away",
			f->pci);
	if (f->has_reset_method && !f->reset_method[0])
		return err_set(e, -EPERM,
			       "somebody switched all resets of %s off: "
			       "'echo default > /sys/bus/pci/devices/%s/reset_method' allows them",
			       f->pci, f->pci);
	return p->method && !lists(p->offer, p->method) ? refuse_method(p, e) : 0;
}

/* A shared bus is reset by the bridge above, whatever the function lists. */
static int choose(struct plan *p, struct err *e)
{
	take_offer(p);
	if (only_bus(p) && bus_mate(p) && (p->method || p->f->above[0])) {
		p->reach = REACH_BUS;
		return take_bridge(p, e);
	}
	int rc = check_offer(p, e);

	if (rc)
		return rc;
	if (p->method)
		p->reach = reach_of(p->method, strlen(p->method));
	else /* a kernel that tells no methods may do whatever it can do to a card */
		p->reach = p->f->has_reset_method ? reach_of_list(p->offer) : REACH_CARD;
	return 0;
}

/* --- whom it concerns ------------------------------------------------------------------------------- */

static int gather(struct plan *p, struct err *e)
{
	if (p->bridge)
		p->n = scene_below(p->s, p->bridge, p->set, SET_MAX);
	else if (p->reach == REACH_FUNCTION)
		p->set[p->n++] = p->f;
	else
		p->n = scene_slot(p->s, p->f, p->set, SET_MAX);
	if (p->n > SET_MAX)
		return err_set(e, -EFBIG, "%u functions would be reset; at most %d can be", p->n,
			       SET_MAX);
	return 0;
}

static void warn(const struct plan *p, struct txn *t)
{
	const char *word = p->method ? p->method : p->offer;
	int i = find_method(word, strcspn(word, " "));

	if (!p->bridge && i >= 0 && methods[i].weak)
		txn_warn(t, "%s", methods[i].weak);
	if (p->bridge && p->n > 1)
		txn_warn(t, "All %u functions below %s are reset together", p->n, p->bridge->pci);
}

/* --- steps ------------------------------------------------------------------------------------------ */

/* `before` is what goes back when it is taken back: without what would be refused. */
static int write_method(const struct plan *p, const char *value, const char *before, struct txn *t,
			struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "let %s be reset by %s", p->f->pci, value);
	int rc;

	if (!st)
		return -EFBIG;
	st->undo = UNDO_OTHER;
	rc = step_put(st->target, e, "sys/bus/pci/devices/%s/reset_method", p->f->pci);
	rc = rc ? rc : step_put(st->value, e, "%s", value);
	rc = rc ? rc : txn_before(t, p->s->m, e);
	rc = rc ? rc : look_set(&st->after, LOOK_TEXT, value, e, "%s", st->target);
	rc = rc ? rc : step_put(st->undo_target, e, "%s", st->target);
	rc = rc ? rc : step_put(st->undo_value, e, "%s", before);
	return rc ? rc : look_set(&st->undone, LOOK_TEXT, before, e, "%s", st->target);
}

static int write_reset(const struct plan *p, struct txn *t, struct err *e)
{
	struct step *st = p->bridge
				  ? txn_add(t, STEP_WRITE, e, "reset all below %s", p->bridge->pci)
				  : txn_add(t, STEP_WRITE, e, "reset %s", p->f->pci);
	int rc;

	if (!st)
		return -EFBIG;
	st->timeout_ms = RESET_MS;
	st->undo = UNDO_NEVER;
	rc = step_put(st->why, e, "a reset cannot be taken back");
	rc = rc ? rc
		: step_put(st->target, e, "sys/bus/pci/devices/%s/%s",
			   p->bridge ? p->bridge->pci : p->f->pci,
			   p->bridge ? "reset_subordinate" : "reset");
	return rc ? rc : step_put(st->value, e, "1");
}

/* What its registers say now; false: it sleeps, or nobody may read them. */
static bool header_now(const struct plan *p, const struct func *f, char text[PCI_HEADER_TEXT])
{
	char path[sizeof(f->dir) + 16];
	uint8_t bytes[PCI_HEADER_BYTES];

	if (f->awake != AWAKE_YES || f->physfn[0] || !p->s->m)
		return false;
	snprintf(path, sizeof(path), "%s/config", f->dir);
	if (machine_read_bytes(p->s->m, path, bytes, sizeof(bytes)) != (long)sizeof(bytes) ||
	    (bytes[0] == 0xff && bytes[1] == 0xff))
		return false;
	pci_header_text(bytes, text);
	return true;
}

static int see_it_back(const struct plan *p, const struct func *f, struct txn *t, struct err *e)
{
	struct step *st;
	char now[PCI_HEADER_TEXT];
	bool all = header_now(p, f, now);
	int rc;

	/* Its ids are its physical function's to say. */
	if (f->physfn[0])
		return 0;
	st = txn_add(t, STEP_AWAIT, e, "see that %s came back as it was", f->pci);
	if (!st)
		return -EFBIG;
	st->timeout_ms = ALIVE_MS;
	if (!all)
		snprintf(now, sizeof(now), "%04x:%04x", f->vendor & 0xffff, f->device & 0xffff);
	rc = look_set(&st->after, LOOK_AGENT, now, e, "%s %s", all ? "config" : "ids", f->pci);
	rc = rc ? rc : step_put(st->after.agent, e, "pci");
	st->undo = UNDO_OTHER; /* nothing was done */
	return rc;
}

static int put_steps(const struct plan *p, struct txn *t, struct err *e)
{
	const struct func *order[SET_MAX];
	bool chosen = p->method && !p->bridge && strcmp(p->method, p->offer) != 0;
	int rc = 0;

	memcpy(order, p->set, p->n * sizeof(order[0]));
	let_go_order(order, p->n);
	for (uint32_t i = 0; i < p->n && !rc; i++)
		rc = let_go_step(order[i], false, t, e);
	if (!rc && chosen)
		rc = write_method(p, p->method, p->offer, t, e);
	rc = rc ? rc : write_reset(p, t, e);
	for (uint32_t i = 0; i < p->n && !rc; i++)
		rc = see_it_back(p, p->set[i], t, e);
	if (!rc && chosen)
		rc = write_method(p, p->offer, p->method, t, e);
	for (uint32_t i = p->n; i-- > 0 && !rc;)
		rc = take_back_step(order[i], t, e);
	return rc;
}

int reset_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	struct plan p = { .s = s, .method = a->o.method };
	int rc = scene_select(s, a->words[0], &p.f, e);

	rc = rc ? rc : guard_class(s, p.f, HARM_RESET, a->o.any, e);
	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), p.f->pci);
	rc = choose(&p, e);
	rc = rc ? rc : gather(&p, e);
	rc = rc ? rc : guard_check(s, p.set, p.n, HARM_RESET, a->o.force, t, e);
	if (rc)
		return rc;
	warn(&p, t);
	rc = put_steps(&p, t, e);
	snprintf(t->done, sizeof(t->done), "%s was reset and is as it was.",
		 p.bridge ? "Every function" : p.f->pci);
	return rc;
}

void reset_words(struct text *t, const struct scene *s, const struct func *f)
{
	struct plan p = { .s = s, .f = f };
	struct err e = { 0 };

	if (choose(&p, &e))
		text_add(t, "no: %s", e.text);
	else if (p.bridge)
		text_add(t, "bus, all below %s together", p.bridge->pci);
	else
		text_add(t, "%s", p.offer[0] ? p.offer : "as the kernel chooses");
}

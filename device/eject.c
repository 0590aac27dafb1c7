/* SPDX-License-Identifier: MIT */
#include "device/eject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "device/guard.h"
#include "device/let_go.h"
#include "device/port.h"
#include "device/tb.h"

#define SET_MAX        256
#define RUN_TIMEOUT_MS 45000 /* `berth stop` itself waits for 30 s */
#define REMOVE_MS      30000

/* What leaves. */
struct leaving {
	const struct func *port; /* stays */
	enum way_out way;
	int router; /* the box, in report->usb4; -1: none, or not known */
	bool row;   /* the first of several in a row, all of which leave */
	const struct func *all[SET_MAX];
	uint32_t n;
	const struct func *top; /* one that hangs right at the port */
	struct pci_slot slot;
	struct port_power power;
};

/* --- what it is about ------------------------------------------------------------------------------- */

static int find_leaving(const struct scene *s, const struct func *f, struct leaving *l,
			struct err *e)
{
	l->router = tb_router_behind(s, f->pci);
	if (l->router < 0) {
		l->router = tb_row(s, f->pci);
		l->row = l->router >= 0;
	}
	l->way = port_of(s, f, l->router, &l->port);
	if (l->way == WAY_NONE)
		return err_set(
			e, -EPERM,
			"%s cannot be unplugged while the machine is on: no port above it serves hot-plug. "
			"'berth device unbind %s' takes it from its driver",
			f->pci, f->pci);
	l->n = scene_below(s, l->port, l->all, SET_MAX);
	if (l->n > SET_MAX)
		return err_set(e, -EFBIG,
			       "%u functions are below port %s; at most %d can be ejected", l->n,
			       l->port->pci, SET_MAX);
	if (l->way == WAY_TUNNEL)
		return 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->all[i]->above, l->port->pci) == 0 && !l->top)
			l->top = l->all[i];
	if (l->top)
		port_slot(s, l->top->pci, &l->slot);
	if (l->way == WAY_FIRMWARE)
		l->power = (struct port_power) { .known = true, .controlled = true };
	else if (l->slot.power[0])
		port_power(s, l->port, &l->power);
	return 0;
}

/* --- who uses it ------------------------------------------------------------------------------------ */

static const struct scene_run *run_of(const struct scene *s, const struct hold *h)
{
	for (uint32_t i = 0; i < s->n_runs; i++) {
		const struct scene_run *r = &s->runs[i];

		if (r->name[0] && h->pid && r->pid == h->pid)
			return r;
	}
	return NULL;
}

static bool is_of(const struct leaving *l, const struct func *f)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->all[i] == f)
			return true;
	return false;
}

/* What the agent "run" calls it. */
static void object_of(const struct scene_run *r, char object[80])
{
	if (r->uid == RUN_OURS)
		snprintf(object, 80, "%s", r->name);
	else
		snprintf(object, 80, "%" PRIu32 ":%s", r->uid, r->name);
}

static bool is_asked(const struct txn *t, const char *object)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->steps[i].op == STEP_ASK && strcmp(t->steps[i].target, object) == 0)
			return true;
	return false;
}

static int stop_run(const struct scene_run *r, bool force, struct txn *t, struct err *e)
{
	char object[80], whose[32] = "";
	struct step *st;
	int rc;

	object_of(r, object);
	if (is_asked(t, object))
		return 0;
	if (r->uid != RUN_OURS)
		snprintf(whose, sizeof(whose), " of user %" PRIu32, r->uid);
	st = txn_add(t, STEP_ASK, e, "ask run %s%s to stop", r->name, whose);
	if (!st)
		return -EFBIG;
	if (force)
		txn_warn(t, "run %s%s loses its device if it does not stop", r->name, whose);
	st->may_fail = force;
	st->timeout_ms = RUN_TIMEOUT_MS;
	rc = step_put(st->agent, e, "run");
	rc = rc ? rc : step_put(st->target, e, "%s", object);
	rc = rc ? rc : step_put(st->value, e, "stop");
	rc = rc ? rc : look_set(&st->after, LOOK_AGENT, "ended", e, "%s", object);
	rc = rc ? rc : step_put(st->after.agent, e, "run");
	st->undo = UNDO_NEVER;
	return rc ? rc : step_put(st->why, e, "a run that stopped is started by berth launch");
}

static int stop_runs(const struct scene *s, const struct leaving *l, bool force, struct txn *t,
		     struct err *e)
{
	for (uint32_t i = 0; i < s->n_holds; i++) {
		const struct hold *h = &s->holds[i];
		const struct scene_run *r = h->func < s->n_funcs && is_of(l, &s->funcs[h->func])
						    ? run_of(s, h)
						    : NULL;
		int rc = r ? stop_run(r, force, t, e) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

/* The guard, but for what runs of ours hold: these are asked to stop before anything else. */
static int check_users(const struct scene *s, const struct leaving *l, bool force, struct txn *t,
		       struct err *e)
{
	struct scene others = *s;
	own_free struct hold *holds = calloc(s->n_holds + 1, sizeof(*holds));

	if (!holds)
		return -ENOMEM;
	others.holds = holds;
	others.n_holds = 0;
	for (uint32_t i = 0; i < s->n_holds; i++)
		if (!run_of(s, &s->holds[i]))
			holds[others.n_holds++] = s->holds[i];
	return guard_check(&others, l->all, l->n, HARM_DEVICE, force, t, e);
}

/* --- steps ------------------------------------------------------------------------------------------ */

static int unbind_all(const struct leaving *l, struct txn *t, struct err *e)
{
	const struct func *order[SET_MAX];
	int rc = 0;

	memcpy(order, l->all, l->n * sizeof(order[0]));
	let_go_order(order, l->n);
	for (uint32_t i = 0; i < l->n && !rc; i++)
		rc = let_go_step(order[i], true, t, e);
	return rc;
}

static int remove_one(const struct leaving *l, const struct func *f, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "remove %s%s", f->pci,
				  f->bridge ? " and all below it" : "");
	int rc;

	if (!st)
		return -EFBIG;
	st->timeout_ms = REMOVE_MS;
	st->undo = UNDO_OTHER;
	rc = step_put(st->target, e, "sys/bus/pci/devices/%s/remove", f->pci);
	rc = rc ? rc : step_put(st->value, e, "1");
	rc = rc ? rc : look_set(&st->after, LOOK_GONE, "", e, "%s", f->dir);
	rc = rc ? rc : step_put(st->undo_target, e, "sys/bus/pci/devices/%s/rescan", l->port->pci);
	rc = rc ? rc : step_put(st->undo_value, e, "1");
	return rc ? rc : look_set(&st->undone, LOOK_HERE, "", e, "%s", f->dir);
}

/* What hangs right at the port, the highest function first: a card's sound before its display. */
static int remove_all(const struct leaving *l, struct txn *t, struct err *e)
{
	const struct func *tops[SET_MAX];
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->all[i]->above, l->port->pci) == 0 && !l->all[i]->physfn[0])
			tops[n++] = l->all[i];
	let_go_order(tops, n);
	for (uint32_t i = 0; i < n && !rc; i++)
		rc = remove_one(l, tops[i], t, e);
	return rc;
}

/* The power of a slot that can switch it, or may: where nobody can tell, a slot that stays on is no failure. */
static int power_off(const struct leaving *l, struct txn *t, struct err *e)
{
	struct step *st;
	int rc;

	if (strcmp(l->slot.power, "1") != 0 || (l->power.known && !l->power.controlled))
		return 0;
	st = txn_add(t, STEP_WRITE, e, "switch slot %s off", l->slot.name);
	if (!st)
		return -EFBIG;
	st->may_fail = !l->power.known;
	st->known = true;
	st->undo = UNDO_OTHER;
	rc = step_put(st->target, e, "sys/bus/pci/slots/%s/power", l->slot.name);
	rc = rc ? rc : step_put(st->value, e, "0");
	rc = rc ? rc : step_put(st->before, e, "1");
	rc = rc ? rc : look_set(&st->after, LOOK_TEXT, "0", e, "%s", st->target);
	rc = rc ? rc : step_put(st->undo_target, e, "%s", st->target);
	rc = rc ? rc : step_put(st->undo_value, e, "1");
	/* A card that was plugged in again by hand has switched it on. */
	return rc ? rc : look_set(&st->undone, LOOK_HERE, "", e, "%s", l->top->dir);
}

/* --- the end ---------------------------------------------------------------------------------------- */

/* One GPU of the tunnel says which box it is likely in; NULL: none does. */
static const struct tb_router *likely_box(const struct scene *s, const struct leaving *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct gpu *g = scene_gpu(s, l->all[i]);

		if (g && g->tunnel.router >= 0 &&
		    (uint32_t)g->tunnel.router < s->report->usb4.n_routers)
			return &s->report->usb4.routers[g->tunnel.router];
	}
	return NULL;
}

static const char *name_of(const struct scene *s, const struct leaving *l)
{
	const struct tb_router *r = l->router >= 0 ? &s->report->usb4.routers[l->router] : NULL;

	if (l->row)
		return "the boxes";
	if (r && fact_text_known(&r->device_name))
		return r->device_name.v;
	return l->way == WAY_TUNNEL ? "the box" : "it";
}

/* A box of USB4 may carry USB besides PCIe, which no PCI function shows. */
static void warn_of_usb(const struct scene *s, const struct leaving *l, struct txn *t)
{
	const struct tb_router *r = l->router >= 0 ? &s->report->usb4.routers[l->router]
						   : likely_box(s, l);

	if (l->way == WAY_TUNNEL && (!r || !fact_known(&r->generation) || r->generation.v >= 4))
		txn_warn(
			t,
			"USB devices plugged into %s may reach this machine past PCI, where berth does not "
			"see them: unmount their disks first",
			name_of(s, l));
}

/* True when every step is: then the functions are gone, and the power is off where the slot has a switch. */
static void say_the_end(const struct scene *s, const struct leaving *l, struct txn *t)
{
	if (l->way < WAY_HOTPLUG || (l->power.known && l->power.surprise))
		snprintf(t->done, sizeof(t->done), "You may unplug %s now.", name_of(s, l));
	else if (l->power.known && l->power.controlled)
		snprintf(t->done, sizeof(t->done), "Slot %s is off: you may take the card out now.",
			 l->slot.name);
	else
		snprintf(
			t->done, sizeof(t->done),
			"Nothing uses it any more. Take it out only if its slot is made for that; whether it still "
			"has power, berth cannot tell.");
}

/*
 * The authorisation of a box is taken back only where it is certain which box it is. A domain that cannot take it back
 * has its cable.
 */
static int let_box_go(const struct scene *s, const struct leaving *l, struct txn *t, struct err *e)
{
	const struct tb_router *likely;
	struct err why = { 0 };
	int rc;

	if (l->way != WAY_TUNNEL)
		return 0;
	if (l->router < 0) {
		likely = likely_box(s, l);
		txn_warn(t,
			 "Which box it is in is not certain, so that its authorisation stays%s%s%s",
			 likely ? "; it is likely " : "", likely ? likely->name : "",
			 likely ? ", which 'berth device deauthorise' lets go" : "");
		return 0;
	}
	rc = tb_steps_deauthorise(s, (uint32_t)l->router, t, &why);
	if (rc == -EOPNOTSUPP)
		txn_warn(t, "%s", why.text);
	else if (rc)
		return err_set(e, rc, "%s", why.text);
	return 0;
}

/*
 * One function of what was named: a device, or a box. Of a box the GPU, which nobody need allow by --any; what else is
 * in it leaves with it.
 */
static int find_named(const struct scene *s, const struct ask *a, const struct func **f,
		      struct txn *t, struct err *e)
{
	const struct func *set[SET_MAX];
	struct err no_device = { 0 }, no_box = { 0 };
	int rc = scene_select(s, a->words[0], f, &no_device);

	if (!rc) {
		text_copy(t->device, sizeof(t->device), (*f)->pci);
		return guard_class(s, *f, HARM_DEVICE, a->o.any, e);
	}
	int box = tb_select(s, a->words[0], &no_box);

	if (box < 0) /* who gives an address means a device */
		return err_set(e, box == -EINVAL ? box : rc, "%s",
			       box == -EINVAL ? no_box.text : no_device.text);
	uint32_t n = tb_behind(s, (uint32_t)box, set, SET_MAX);
	const char *name = s->report->usb4.routers[box].name;

	if (!n)
		return err_set(
			e, -ENODEV,
			"nothing of %s is on the PCI bus; 'berth device deauthorise %s' lets it go",
			name, name);
	text_copy(t->device, sizeof(t->device), name);
	*f = set[0];
	for (uint32_t i = n; i-- > 0;)
		*f = set[i]->shown ? set[i] : *f;
	int in = tb_router_behind(s, (*f)->pci), row = tb_row(s, (*f)->pci);

	if (in == box || (in < 0 && row >= 0 && tb_in_row(s, (uint32_t)box, (uint32_t)row)))
		return 0;
	return err_set(e, -EINVAL,
		       "what is in %s is not certain; name a device in it by its PCI address, as "
		       "'berth device list' has it",
		       name);
}

int eject_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	const struct func *f;
	struct leaving l;
	int rc = find_named(s, a, &f, t, e);

	memset(&l, 0, sizeof(l));
	if (rc)
		return rc;
	rc = find_leaving(s, f, &l, e);
	rc = rc ? rc : check_users(s, &l, a->o.force, t, e);
	rc = rc ? rc : stop_runs(s, &l, a->o.force, t, e);
	rc = rc ? rc : unbind_all(&l, t, e);
	rc = rc ? rc : remove_all(&l, t, e);
	rc = rc ? rc : power_off(&l, t, e);
	rc = rc ? rc : let_box_go(s, &l, t, e);
	if (rc)
		return rc;
	warn_of_usb(s, &l, t);
	say_the_end(s, &l, t);
	return 0;
}

void eject_words(struct text *t, const struct scene *s, const struct func *f)
{
	static const char *const ways[] = {
		[WAY_TUNNEL] = "with its box",
		[WAY_REMOVABLE] = "removable",
		[WAY_HOTPLUG] = "hot-plug slot",
		[WAY_FIRMWARE] = "hot-plug slot",
	};
	const struct func *port;
	enum way_out way = port_of(s, f, tb_router_behind(s, f->pci), &port);

	if (way == WAY_NONE)
		text_add(t, "no: no port above it serves hot-plug");
	else
		text_add(t, "%s, below port %s", ways[way], port->pci);
}

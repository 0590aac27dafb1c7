/* SPDX-License-Identifier: MIT */
/*
 * authorise, deauthorise: letting a Thunderbolt or USB4 box in, so that what is in it gets onto the PCI bus, and out.
 *
 * boltd is asked where it runs or can be started, because it keeps who is trusted and the keys; sysfs is written
 * where there is none (thunderbolt.rst of the kernel's admin guide). A box is authorised for this time only, unless
 * --enrol is given; nobody's policy is ever changed.
 */
#include <stdio.h>
#include <string.h>

#include "device/guard.h"
#include "device/tb.h"
#include "device/verb.h"

#define BUS "sys/bus/thunderbolt/devices"

#define AUTHORISE_MS                                                                               \
	20000 /* the kernel builds a tunnel meanwhile, and the box may be asked for its key */

struct way {
	uint32_t router;
	const struct tb_router *r;
	const struct tb_domain *d; /* NULL: not known */
	const struct box *box;
	const struct bolt_device *bolt; /* NULL: boltd knows nothing of it */
	bool by_bolt;
};

static bool is_text(const struct fact_text *f, const char *text)
{
	return fact_text_known(f) && strcmp(f->v, text) == 0;
}

static int find_way(const struct scene *s, const char *device, struct way *w, struct err *e)
{
	int i = tb_select(s, device, e);

	if (i < 0)
		return i;
	*w = (struct way) { .router = (uint32_t)i, .r = &s->report->usb4.routers[i] };
	w->box = &s->boxes.box[i];
	w->d = w->r->domain >= 0 ? &s->report->usb4.domains[w->r->domain] : NULL;
	w->bolt = boxes_bolt(&s->boxes, w->router);
	w->by_bolt = s->boxes.bolt.here >= BOLT_STARTABLE && w->box->uid[0];
	return 0;
}

/* --- authorise: what forbids it --- */

/* Levels at which the kernel offers no PCIe tunnel at all: security of sysfs-bus-thunderbolt. */
static int check_level(const struct way *w, struct err *e)
{
	static const char *const forbid[] = { "dponly", "usbonly", "nopcie" };

	for (size_t i = 0; w->d && i < sizeof(forbid) / sizeof(forbid[0]); i++)
		if (is_text(&w->d->security, forbid[i]))
			return err_set(
				e, -EPERM,
				"the firmware allows no PCIe through Thunderbolt (security level of "
				"%s: %s), and nothing in Linux can change that; set 'user "
				"authorisation' in the firmware's setup",
				w->d->name, forbid[i]);
	return 0;
}

static int check_parent(const struct scene *s, const struct way *w, struct err *e)
{
	const struct usb4 *u = &s->report->usb4;

	for (uint32_t i = 0; i < u->n_routers; i++)
		if (strcmp(u->routers[i].name, w->r->parent) == 0 && !u->routers[i].host &&
		    fact_known(&u->routers[i].authorized) && u->routers[i].authorized.v == 0)
			return err_set(e, -EPERM,
				       "%s is plugged into %s, which is not authorised; authorise "
				       "that one first",
				       w->r->name, u->routers[i].name);
	return 0;
}

/* Keys are boltd's: it makes, keeps and proves them. Without one the kernel lets a box in unproven. */
static int check_key(const struct way *w, bool force, struct txn *t, struct err *e)
{
	if (w->by_bolt || !w->d || !is_text(&w->d->security, "secure"))
		return 0;
	if (!force)
		return err_set(
			e, -ENOKEY,
			"the security level of %s asks for a key, and no boltd runs to keep one; "
			"start it (systemctl start bolt), or --force lets the box in without proof "
			"that it is the one you know",
			w->d->name);
	txn_warn(t, "%s is let in without a key: nothing proves that it is the box you know",
		 w->r->name);
	return 0;
}

static int check_enrol(const struct scene *s, const struct way *w, struct err *e)
{
	if (!w->by_bolt)
		return err_set(e, -EOPNOTSUPP, "only boltd enrols, and it is not here%s%s",
			       s->boxes.bolt.why[0] ? ": " : "", s->boxes.bolt.why);
	if (w->bolt && w->bolt->stored)
		return err_set(
			e, -EINVAL,
			"%s is enrolled already, with the policy '%s', which stays as it is; "
			"leave --enrol out",
			w->r->name, w->bolt->policy[0] ? w->bolt->policy : "not told");
	return 0;
}

/* --- authorise: what is worth knowing before --- */

static void warn_memory(const struct way *w, struct txn *t)
{
	if (!w->d || !fact_known(&w->d->iommu_dma_protection))
		return;
	if (!w->d->iommu_dma_protection.v)
		txn_warn(
			t,
			"no IOMMU guards memory here (iommu_dma_protection of %s is 0): what is in "
			"this box may read and write all of it",
			w->d->name);
}

static void warn_policy(const struct scene *s, const struct way *w, bool enrol, struct txn *t)
{
	const struct bolt_state *b = &s->boxes.bolt;

	if (b->here == BOLT_UNKNOWN)
		txn_warn(t, "boltd was not asked: %s", b->why);
	else if (w->bolt && w->bolt->stored)
		txn_warn(t, "boltd knows this box: enrolled with the policy '%s', which stays",
			 w->bolt->policy[0] ? w->bolt->policy : "not told");
	else if (b->here == BOLT_RUNS && enrol)
		txn_warn(t,
			 "boltd will let this box in by itself from now on, by its own default "
			 "policy ('%s')",
			 b->default_policy[0] ? b->default_policy : "not told");
	else if (b->here == BOLT_RUNS)
		txn_warn(t, "for this time only: boltd has not enrolled this box (--enrol does)");
}

/* --- authorise: how --- */

static bool can_go_back(const struct way *w)
{
	return w->d && fact_known(&w->d->deauthorization) && w->d->deauthorization.v == 1;
}

static const char no_way_back[] = "this controller cannot deauthorise a box; pull its cable";

/* An enrolment is forgotten; what was not authorised before is not afterwards, where the controller can. */
static int undo_ask(const struct way *w, bool enrol, struct step *p, struct err *e)
{
	bool lets_go = w->r->authorized.v == 0 && can_go_back(w);
	int rc = step_put(p->undo_target, e, "%s", w->box->uid);

	if (!enrol && !lets_go) {
		p->undo = UNDO_NEVER;
		return step_put(p->why, e, "%s", no_way_back);
	}
	p->undo = UNDO_OTHER;
	if (!rc)
		rc = step_put(p->undo_value, e, "%s",
			      !enrol    ? "deauthorise"
			      : lets_go ? "forget deauthorise"
					: "forget");
	if (rc)
		return rc;
	if (lets_go)
		return look_set(&p->undone, LOOK_TEXT, "0", e, BUS "/%s/authorized", w->r->name);
	rc = look_set(&p->undone, LOOK_AGENT, "authorized", e, "%s", w->box->uid);
	return rc ? rc : step_put(p->undone.agent, e, "bolt");
}

static int ask_bolt(const struct way *w, bool enrol, const char *title, struct txn *t,
		    struct err *e)
{
	bool stored = enrol || (w->bolt && w->bolt->stored);
	struct step *p = txn_add(t, STEP_ASK, e, "ask boltd to %s %s",
				 enrol ? "enrol" : "authorise", title);

	if (!p)
		return -EFBIG;
	int rc = step_put(p->agent, e, "bolt");

	if (!rc)
		rc = step_put(p->target, e, "%s", w->box->uid);
	if (!rc)
		rc = step_put(p->value, e, "%s", enrol ? "enrol" : "authorise");
	if (!rc)
		rc = look_set(&p->after, LOOK_AGENT, stored ? "authorized enrolled" : "authorized",
			      e, "%s", w->box->uid);
	if (!rc)
		rc = step_put(p->after.agent, e, "bolt");
	if (!rc && w->bolt) {
		p->known = true;
		rc = step_put(p->before, e, "%s%s", w->bolt->status,
			      w->bolt->stored ? " enrolled" : "");
	}
	p->timeout_ms = AUTHORISE_MS;
	return rc ? rc : undo_ask(w, enrol, p, e);
}

static int write_sysfs(const struct scene *s, const struct way *w, const char *title, struct txn *t,
		       struct err *e)
{
	struct step *p = txn_add(t, STEP_WRITE, e, "authorise %s", title);

	if (!p)
		return -EFBIG;
	int rc = step_put(p->target, e, BUS "/%s/authorized", w->r->name);

	if (!rc)
		rc = step_put(p->value, e, "1");
	if (!rc)
		rc = txn_before(t, s->m, e);
	if (!rc)
		rc = look_set(&p->after, LOOK_TEXT, "1", e, "%s", p->target);
	p->timeout_ms = AUTHORISE_MS;
	p->undo = can_go_back(w) ? UNDO_BEFORE : UNDO_NEVER;
	if (!rc && p->undo == UNDO_NEVER)
		rc = step_put(p->why, e, "%s", no_way_back);
	return rc;
}

int authorise_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	char title[96];
	struct text words;
	struct way w;
	int rc = find_way(s, a->words[0], &w, e);

	if (!rc)
		rc = check_level(&w, e);
	if (!rc && a->o.enrol)
		rc = check_enrol(s, &w, e);
	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), w.r->name);
	if (!fact_known(&w.r->authorized))
		return err_set(e, -ENODATA, "the kernel does not tell whether %s is authorised",
			       w.r->name);
	if (w.r->authorized.v > 0 && !a->o.enrol)
		return 0;
	rc = check_parent(s, &w, e);
	if (!rc)
		rc = check_key(&w, a->o.force, t, e);
	if (rc)
		return rc;
	warn_memory(&w, t);
	warn_policy(s, &w, a->o.enrol, t);
	text_init(&words, title, sizeof(title));
	tb_title(&words, s, w.router);
	rc = w.by_bolt ? ask_bolt(&w, a->o.enrol, title, t, e) : write_sysfs(s, &w, title, t, e);
	snprintf(t->done, sizeof(t->done),
		 "%s is authorised; what is in it shows within seconds: berth probe", w.r->name);
	return rc;
}

/* --- deauthorise --- */

int deauthorise_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	const struct func *set[256];
	struct way w;
	int rc = find_way(s, a->words[0], &w, e);

	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), w.r->name);
	if (fact_known(&w.r->authorized) && w.r->authorized.v == 0)
		return 0;
	uint32_t n = tb_behind(s, w.router, set, sizeof(set) / sizeof(set[0]));

	if (n == 0)
		txn_warn(t, "which PCI functions are in %s could not be told", w.r->name);
	rc = guard_check(s, set, n, HARM_DEVICE, a->o.force, t, e);
	if (rc)
		return rc;
	rc = tb_steps_deauthorise(s, w.router, t, e);
	if (!rc && w.bolt && w.bolt->stored && strcmp(w.bolt->policy, "manual") != 0)
		txn_warn(
			t,
			"boltd has enrolled this box (policy '%s') and lets it in again when it is "
			"plugged in anew",
			w.bolt->policy);
	snprintf(t->done, sizeof(t->done), "%s is deauthorised", w.r->name);
	return rc;
}

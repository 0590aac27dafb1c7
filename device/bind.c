/* SPDX-License-Identifier: MIT */
/*
 * Which driver has a card. Order matters twice: the functions of a card depend on each other (a GPU's sound goes
 * before the GPU, and comes after it), and undone backwards every step must find what it needs (a driver takes a
 * function back only once the override is gone).
 */
#include "device/bind.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/bars.h"
#include "device/guard.h"
#include "device/modules.h"
#include "device/persist.h"
#include "device/verb.h"

#define DRIVERS "sys/bus/pci/drivers"

/* What becomes of one function. */
struct change {
	const struct func *f;
	char driver[40]; /* wanted; "": the kernel's choice */
	bool nothing;    /* it stays as it is */
};

struct move {
	const struct scene *s;
	const struct ask *a;
	const struct func *f; /* the one that was named */
	bool keep;            /* the driver holds devices for guests */
	bool none;            /* no driver shall have it: unbind */
	bool choice;          /* the kernel's choice: "default" */
	char real[MODULE_NAME_MAX], module[MODULE_NAME_MAX];
	bool load;
	uint32_t n;
	struct change c[SCENE_SLOT_MAX];
};

/* --- the module ------------------------------------------------------------------------------------------- */

static int step_load(const struct move *m, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_ASK, e, "load the module %s", m->module);
	int rc = st ? step_put(st->target, e, "%s", m->module) : -EFBIG;

	if (!rc)
		rc = step_put(st->agent, e, "module");
	if (!rc)
		rc = step_put(st->value, e, "loaded");
	if (!rc)
		rc = look_set(&st->after, LOOK_HERE, "", e, DRIVERS "/%s", m->real);
	if (rc)
		return rc;
	/* Who loaded it does not matter: it stays, and takes nothing that it is not given. */
	st->undo = UNDO_OTHER;
	st->timeout_ms = BIND_MS;
	return 0;
}

/* --- what is to become of each function -------------------------------------------------------------------- */

static void decide_one(const struct move *m, struct change *c)
{
	const struct func *f = c->f;
	bool named = f == m->f, held = driver_keeps(f->driver);

	if (m->none || m->keep) {
		text_copy(c->driver, sizeof(c->driver), m->none ? "none" : m->real);
	} else if (!m->choice && named) {
		text_copy(c->driver, sizeof(c->driver), m->real);
	} else if (!held && !f->override[0] && f->driver[0]) {
		/* A host's driver has it: nobody asked to take that away. */
		c->nothing = true;
		return;
	}
	/* An override by another name would win at the next chance. */
	if (m->none)
		c->nothing = !f->driver[0] &&
			     (!m->a->o.persist || strcmp(f->override, c->driver) == 0);
	else if (c->driver[0])
		c->nothing = strcmp(f->driver, c->driver) == 0 &&
			     (!f->override[0] || strcmp(f->override, c->driver) == 0);
}

/* Bridges of a card stay: what lies below them would go with them. */
static void decide(struct move *m, bool only)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(m->s, m->f, slot, SCENE_SLOT_MAX);

	for (uint32_t i = 0; i < n; i++) {
		if ((only && slot[i] != m->f) || slot[i]->class >> 16 == 0x06)
			continue;
		struct change *c = &m->c[m->n++];

		*c = (struct change) { .f = slot[i] };
		decide_one(m, c);
		/* Its link is gone from the beginning of an unbind that hangs: no sign that all is done. */
		c->nothing &= !slot[i]->stuck;
	}
}

static uint32_t changing(const struct move *m, const struct func **set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++)
		if (!m->c[i].nothing)
			set[n++] = m->c[i].f;
	return n;
}

/* --- checks ---------------------------------------------------------------------------------------------------- */

static int find_driver(struct move *m, const char *name, struct err *e)
{
	char nearest[MODULE_NAME_MAX];

	if (!driver_name_ok(name))
		return err_set(e, -EINVAL, "'%.60s' is no name of a driver, such as vfio-pci",
			       name);
	switch (driver_look(m->s->m, name, m->real, m->module)) {
	case DRIVER_LOADED:
		break;
	case DRIVER_MODULE:
	case DRIVER_UNTOLD:
		m->load = true;
		break;
	case DRIVER_UNKNOWN:
		driver_nearest(m->s->m, name, nearest);
		if (nearest[0])
			return err_set(e, -EINVAL, "there is no driver '%s' here; there is '%s'",
				       name, nearest);
		return err_set(
			e, -EINVAL,
			"there is no driver '%s' here: none is registered by that name, and no module "
			"has it",
			name);
	}
	m->keep = driver_keeps(m->real);
	return 0;
}

static bool takes_without_iommu(const struct machine *m)
{
	char yes[8];

	return machine_read(m, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", yes,
			    sizeof(yes)) > 0 &&
	       yes[0] == 'Y';
}

/* vfio-pci takes nothing that no IOMMU confines. */
static int check_iommu(const struct move *m, struct err *e)
{
	if (!strstr(m->real, "vfio"))
		return 0;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->c[i].f->iommu_group < 0 && !takes_without_iommu(m->s->m))
			return err_set(
				e, -ENOSYS,
				"no IOMMU serves %s, so %s would not take it: switch VT-d or AMD-Vi "
				"on, in the firmware's setup and the kernel",
				m->c[i].f->pci, m->real);
	return 0;
}

static bool is_moved(const struct move *m, const struct func *f)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->c[i].f == f)
			return true;
	return false;
}

/* A guest gets a group, or nothing of it: what stays with the host keeps it from all. */
static void warn_group(const struct move *m, struct txn *t)
{
	const struct func *group[SCENE_SLOT_MAX];
	uint32_t n = scene_group(m->s, m->f->iommu_group, group, SCENE_SLOT_MAX);
	char list[160] = "";
	struct text w;

	text_init(&w, list, sizeof(list));
	for (uint32_t i = 0; i < n; i++) {
		const struct func *o = group[i];

		/* vfio counts as viable what has no driver, a guest's driver, or is a bridge. */
		if (is_moved(m, o) || o->class >> 16 == 0x06 || !o->driver[0] ||
		    driver_keeps(o->driver))
			continue;
		text_add(&w, "%s%s (%s)", w.len ? ", " : "", o->pci, o->driver);
	}
	if (w.len)
		txn_warn(
			t,
			"IOMMU group %d also has %s: while that stays with the host, no virtual machine can "
			"take %s",
			m->f->iommu_group, list, m->f->pci);
}

static void warn_setting(const struct move *m, struct txn *t)
{
	char saved[40];

	for (uint32_t i = 0; i < m->n; i++)
		if (persist_read(m->s->m, m->c[i].f->pci, saved, sizeof(saved)) &&
		    strcmp(saved, m->c[i].driver) != 0)
			txn_warn(
				t,
				"/etc/driverctl.d/pci-%s gives it to %s again at the next start, but for "
				"--persist",
				m->c[i].f->pci, saved);
}

/* --- the transaction ----------------------------------------------------------------------------------------------- */

/* From the last function to the first, as the kernel removes a card: its sound before the GPU. */
static int add_unbinds(const struct move *m, struct txn *t, struct err *e)
{
	for (uint32_t i = m->n; i-- > 0;) {
		const struct change *c = &m->c[i];
		int rc = c->nothing || !c->f->driver[0] || strcmp(c->f->driver, c->driver) == 0
				 ? 0
				 : bind_step_unbind(c->f, t, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* While none has a driver, so that the first to come is the one that shall have it. */
static int add_overrides(const struct move *m, struct txn *t, struct err *e)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct change *c = &m->c[i];

		if (c->nothing || !c->f->overridable || strcmp(c->f->override, c->driver) == 0)
			continue;
		int rc = bind_step_override(c->f, c->driver, t, e);

		if (rc)
			return rc;
	}
	return 0;
}

static int add_binds(const struct move *m, struct txn *t, struct err *e)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct change *c = &m->c[i];
		int rc = c->nothing || (c->driver[0] && strcmp(c->f->driver, c->driver) == 0)
				 ? 0
				 : bind_step_bind(c->f, c->driver, t, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* Also of functions that have the driver already. */
static int add_bars(const struct move *m, struct txn *t, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; m->a->o.bars && i < m->n && !rc; i++)
		rc = bars_steps(m->s, m->c[i].f, m->a->o.bars, t, e);
	return rc;
}

static int add_settings(const struct move *m, struct txn *t, struct err *e)
{
	for (uint32_t i = 0; i < m->n; i++) {
		const struct change *c = &m->c[i];
		char saved[40];

		/* A host's driver that the kernel would choose anyway needs no file. */
		bool guest = m->none || m->keep;
		const char *want = guest ? c->driver : c->f == m->f && !m->choice ? m->real : "";

		if (!persist_read(m->s->m, c->f->pci, saved, sizeof(saved)))
			saved[0] = '\0';
		if (strcmp(saved, want) == 0)
			continue;
		int rc = persist_steps(m->s, c->f, want, t, e);

		if (rc)
			return rc;
	}
	return 0;
}

/* What is in the initramfs comes before udev, and so before the setting. */
static void say_start(const struct move *m, struct txn *t)
{
	const char *host = m->f->driver;
	struct text w;

	if (!m->keep || !host[0] || driver_keeps(host))
		return;
	text_init(&w, t->done, sizeof(t->done));
	text_add(
		&w,
		"at the next start %s may have it for a moment; where that must not be: 'softdep %s pre: %s' in "
		"/etc/modprobe.d, and the initramfs made anew",
		host, host, m->real);
}

static int check_overridable(const struct move *m, struct err *e)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (!m->c[i].nothing && !m->c[i].f->overridable)
			return err_set(
				e, -ENOSYS,
				"%s has no driver_override: the kernel cannot be told who shall have it",
				m->c[i].f->pci);
	return 0;
}

static int plan(struct move *m, struct txn *t, struct err *e)
{
	const struct func *set[SCENE_SLOT_MAX];
	uint32_t n = changing(m, set);
	int rc = m->none ? 0 : check_iommu(m, e);

	if (!rc && (!m->none || m->a->o.persist))
		rc = check_overridable(m, e);
	if (!rc && n)
		rc = guard_check(m->s, set, n, HARM_DRIVER, m->a->o.force, t, e);
	if (!rc && n && m->load)
		rc = step_load(m, t, e);
	if (!rc)
		rc = add_unbinds(m, t, e);
	if (!rc && (!m->none || m->a->o.persist))
		rc = add_overrides(m, t, e);
	if (!rc && !m->none)
		rc = add_binds(m, t, e);
	if (!rc)
		rc = add_bars(m, t, e);
	if (!rc && m->a->o.persist)
		rc = add_settings(m, t, e);
	if (rc)
		return rc;
	if (m->a->o.persist)
		say_start(m, t);
	else
		warn_setting(m, t);
	return 0;
}

static int begin(struct move *m, const struct scene *s, const struct ask *a, struct txn *t,
		 struct err *e)
{
	*m = (struct move) { .s = s, .a = a };
	int rc = scene_select(s, a->words[0], &m->f, e);

	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), m->f->pci);
	return guard_class(s, m->f, HARM_DRIVER, a->o.any, e);
}

int bind_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	struct move m;
	int rc = begin(&m, s, a, t, e);

	if (rc)
		return rc;
	/* As driverctl's files mean it: no driver shall have it. */
	if (strcmp(a->words[1], "none") == 0)
		return unbind_plan(s, a, t, e);
	m.choice = strcmp(a->words[1], "default") == 0;
	if (!m.choice)
		rc = find_driver(&m, a->words[1], e);
	if (!rc)
		rc = bars_check(a->o.bars, m.real, e);
	if (rc)
		return rc;
	decide(&m, a->o.only);
	if (m.keep)
		warn_group(&m, t);
	return plan(&m, t, e);
}

int unbind_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	struct move m;
	int rc = begin(&m, s, a, t, e);

	if (rc)
		return rc;
	m.none = true;
	decide(&m, a->o.only);
	return plan(&m, t, e);
}

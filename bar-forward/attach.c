/* SPDX-License-Identifier: MIT */
#include "bar-forward/attach.h"

#include <stdio.h>
#include <string.h>

#include "bar-forward/ask.h"
#include "bar-forward/list.h"
#include "bar-forward/ready.h"
#include "bar-forward/shape.h"
#include "kmod/uapi.h"

/* So often detach looks for something that attach did. */
#define MODE_CHANGES 8

/* Under which name the journal keeps it: `undo --for` finds what attach did, whatever was done since. */
static void name_of(const struct bridge_facts *f, char name[64])
{
	snprintf(name, 64, "bridge %s", f->pci);
}

/* Only a live machine changed; a folder's and a dry run's is as it was. */
static bool was_real(const struct ask *a)
{
	return a->m->live && !a->o->dry_run;
}

static void tell_attached(const struct ask *a, const struct bridge_facts *f,
			  const struct readiness *r)
{
	const struct finding *no = ready_refusal(r);

	if (no)
		log_warn(a->log, "it cannot be served yet: %s: %s%s%s", no->check, no->words,
			 no->fix[0] ? "; " : "", no->fix);
	else
		log_note(a->log, "%s is ready to be served to a virtual machine", f->pci);
}

/* What the guest's memory wants is looked at before the card is taken from its driver: no step of attach mends it. */
static int check_limits(const struct ask *a, const struct bridge_facts *f,
			const struct readiness *r, struct err *e)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct finding *w = &r->list[i];

		if (strcmp(w->check, "memory") == 0 && w->verdict == VERDICT_NO && !a->o->force)
			return err_set(e, -EPERM,
				       "%s is not attached: %s; %s, or give --force to attach it "
				       "all the same",
				       f->pci, w->words, w->fix);
		if (strcmp(w->check, "maps") == 0 && w->verdict == VERDICT_NOTE)
			log_note(a->log, "maps: %s; %s", w->words, w->fix);
	}
	return 0;
}

int attach_verb(const struct ask *a, struct err *e)
{
	const struct options *o = a->o;
	struct bridge_facts f;
	struct readiness r;
	char name[64];
	int rc;

	if (o->driver && !driver_is_vfio(o->driver))
		return err_set(
			e, -EINVAL,
			"--driver %s is none of vfio's, such as vfio-pci, so nothing could be served",
			o->driver);
	if (o->mode != GRANT_AUTO && (!o->driver || strcmp(o->driver, BERTH_VFIO_DRIVER) != 0))
		return err_set(
			e, VERB_USAGE,
			"attach heeds --mode only with --driver %s, which can keep BARs from being mapped",
			BERTH_VFIO_DRIVER);
	rc = judge_one(a, a->words[0], &f, &r, e);
	if (!rc)
		rc = check_limits(a, &f, &r, e);
	if (rc)
		return rc;
	name_of(&f, name);
	const char *bars = o->mode == GRANT_AUTO ? NULL : grant_mode_names[o->mode];
	const struct ask_words w = { { "bind", f.pci, o->driver ? o->driver : "vfio-pci", "--for",
				       name, bars ? "--bars" : NULL, bars,
				       o->force ? "--force" : NULL, o->any ? "--any" : NULL,
				       o->dry_run ? "--dry-run" : NULL, o->json ? "--json" : NULL,
				       o->quiet ? "-q" : NULL, o->machine ? "--machine" : NULL,
				       o->machine } };

	rc = run_device(&w, e);
	if (rc || !was_real(a))
		return rc;
	rc = judge_one(a, f.pci, &f, &r, e);
	if (!rc)
		tell_attached(a, &f, &r);
	return rc;
}

/* Its driver would be taken from under a guest that runs, and the kernel waits for that guest with locks taken. */
static int check_unused(const struct bridge_facts *f, const struct readiness *r, struct err *e)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (strcmp(r->list[i].check, "users") == 0 && r->list[i].verdict == VERDICT_NO)
			return err_set(e, -EBUSY, "%s is in use: %s; %s, or --force", f->pci,
				       r->list[i].words, r->list[i].fix);
	return 0;
}

int detach_verb(const struct ask *a, struct err *e)
{
	const struct options *o = a->o;
	struct bridge_facts f;
	struct readiness r;
	char name[64];
	int rc = judge_one(a, a->words[0], &f, &r, e);

	if (!rc && !o->force)
		rc = check_unused(&f, &r, e);
	if (rc)
		return rc;
	name_of(&f, name);
	const struct ask_words w = { { "undo", "--for", name, o->force ? "--force" : NULL,
				       o->dry_run ? "--dry-run" : NULL, o->json ? "--json" : NULL,
				       o->quiet ? "-q" : NULL, o->machine ? "--machine" : NULL,
				       o->machine } };

	/* Of our module attach may have changed the mode since, each time by a transaction of its own. */
	for (int i = 0; i < MODE_CHANGES; i++) {
		rc = run_device(&w, e);
		if (rc || !was_real(a))
			return rc;
		rc = judge_one(a, f.pci, &f, &r, e);
		if (rc)
			return rc;
		if (strcmp(f.driver, BERTH_VFIO_DRIVER) != 0)
			break;
	}
	/* `undo --for` of nothing is no failure there */
	if (driver_is_vfio(f.driver))
		return err_set(
			e, -ENOENT,
			"%s still has %s, and nothing of `attach` is left to take back; "
			"`berth device bind %s default` gives it to this machine's own driver",
			f.pci, f.driver, f.pci);
	if (f.removable)
		log_note(a->log, "before it is unplugged: berth device eject %s", f.pci);
	return 0;
}

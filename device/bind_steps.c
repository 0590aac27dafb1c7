/* SPDX-License-Identifier: MIT */
/* The steps by which a function changes its driver; each can be taken back. */
#include "device/bind.h"

#define DEVICES "sys/bus/pci/devices"
#define DRIVERS "sys/bus/pci/drivers"

int bind_step_unbind(const struct func *f, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "unbind %s from %s", f->pci, f->driver);
	int rc = st ? step_put(st->target, e, DRIVERS "/%s/unbind", f->driver) : -EFBIG;

	if (!rc)
		rc = step_put(st->value, e, "%s", f->pci);
	if (!rc)
		rc = look_set(&st->after, LOOK_LINK, "", e, DEVICES "/%s/driver", f->pci);
	if (!rc)
		rc = step_put(st->undo_target, e, DRIVERS "/%s/bind", f->driver);
	if (!rc)
		rc = step_put(st->undo_value, e, "%s", f->pci);
	if (!rc)
		rc = look_set(&st->undone, LOOK_LINK, f->driver, e, DEVICES "/%s/driver", f->pci);
	if (rc)
		return rc;
	st->undo = UNDO_OTHER;
	st->timeout_ms = BIND_MS;
	return 0;
}

int bind_step_override(const struct func *f, const char *driver, struct txn *t, struct err *e)
{
	struct step *st = driver[0]
				  ? txn_add(t, STEP_WRITE, e, "let only %s have %s", driver, f->pci)
				  : txn_add(t, STEP_WRITE, e, "let any driver have %s", f->pci);
	int rc = st ? step_put(st->target, e, DEVICES "/%s/driver_override", f->pci) : -EFBIG;

	if (!rc)
		rc = step_put(st->value, e, "%s", driver);
	if (!rc)
		rc = look_set(&st->after, LOOK_TEXT, driver, e, "%s", st->target);
	/* As the scene has read it, in a child: reading it here could hang. */
	if (!rc)
		rc = step_put(st->before, e, "%s", f->override);
	if (rc)
		return rc;
	st->known = true;
	st->undo = UNDO_BEFORE;
	return 0;
}

/* Which driver comes is not known before; whichever it is can be told to let go. */
static int step_choose(const struct func *f, struct txn *t, struct err *e)
{
	struct step *st = txn_add(t, STEP_WRITE, e, "let the kernel choose a driver for %s",
				  f->pci);
	int rc = st ? step_put(st->target, e, "sys/bus/pci/drivers_probe") : -EFBIG;

	if (!rc)
		rc = step_put(st->value, e, "%s", f->pci);
	if (!rc)
		rc = step_put(st->undo_target, e, DEVICES "/%s/driver/unbind", f->pci);
	if (!rc)
		rc = step_put(st->undo_value, e, "%s", f->pci);
	if (!rc)
		rc = look_set(&st->undone, LOOK_LINK, "", e, DEVICES "/%s/driver", f->pci);
	if (rc)
		return rc;
	st->undo = UNDO_OTHER;
	st->timeout_ms = BIND_MS;
	return 0;
}

int bind_step_bind(const struct func *f, const char *driver, struct txn *t, struct err *e)
{
	if (!driver[0])
		return step_choose(f, t, e);
	struct step *st = txn_add(t, STEP_WRITE, e, "bind %s to %s", f->pci, driver);
	int rc = st ? step_put(st->target, e, DRIVERS "/%s/bind", driver) : -EFBIG;

	if (!rc)
		rc = step_put(st->value, e, "%s", f->pci);
	if (!rc)
		rc = look_set(&st->after, LOOK_LINK, driver, e, DEVICES "/%s/driver", f->pci);
	if (!rc)
		rc = step_put(st->undo_target, e, DRIVERS "/%s/unbind", driver);
	if (!rc)
		rc = step_put(st->undo_value, e, "%s", f->pci);
	/* Another may have it by then, which nobody asked to take it away from. */
	if (!rc)
		rc = look_set(&st->undone, LOOK_LINK, driver, e, DEVICES "/%s/driver", f->pci);
	if (rc)
		return rc;
	st->undone.not = true;
	st->undo = UNDO_OTHER;
	st->timeout_ms = BIND_MS;
	return 0;
}

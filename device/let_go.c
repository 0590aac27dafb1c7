/* SPDX-License-Identifier: MIT */
#include "device/let_go.h"

#include <stdlib.h>
#include <string.h>

#include "device/bind.h"

#define DEVICES "sys/bus/pci/devices"

static uint32_t depth(const struct func *f)
{
	uint32_t n = 0;

	for (const char *p = f->dir; *p; p++)
		n += *p == '/';
	return n;
}

static bool is_display(const struct func *f)
{
	return f->class >> 16 == 0x03;
}

static int by_letting_go(const void *a, const void *b)
{
	const struct func *x = *(const struct func *const *)a, *y = *(const struct func *const *)b;

	if (!x->physfn[0] != !y->physfn[0])
		return x->physfn[0] ? -1 : 1;
	if (is_display(x) != is_display(y))
		return is_display(x) ? 1 : -1;
	if (depth(x) != depth(y))
		return depth(x) > depth(y) ? -1 : 1;
	return strcmp(y->pci, x->pci);
}

void let_go_order(const struct func **set, uint32_t n)
{
	if (n)
		qsort(set, n, sizeof(*set), by_letting_go);
}

/*
 * A function that comes back may be taken by another driver than the one a person chose for it: its choice went with
 * it. So the choice is taken away as a step of its own, which undo turns around, and what has taken the function by
 * then lets it go first.
 */
static int choice_steps(const struct func *f, struct txn *t, struct err *e)
{
	struct step *s;
	int rc;

	if (!f->override[0])
		return 0;
	s = txn_add(t, STEP_WRITE, e, "take back the choice of %s for %s", f->override, f->pci);
	if (!s)
		return -EFBIG;
	rc = step_put(s->target, e, DEVICES "/%s/driver_override", f->pci);
	rc = rc ? rc : step_put(s->before, e, "%s", f->override);
	s->known = true; /* its value is nothing, which takes the choice away */
	s->undo = UNDO_BEFORE;
	if (rc)
		return rc;
	s = txn_add(t, STEP_AWAIT, e, "see that %s is free", f->pci);
	if (!s)
		return -EFBIG;
	rc = look_set(&s->after, LOOK_LINK, "", e, DEVICES "/%s/driver", f->pci);
	rc = rc ? rc : step_put(s->undo_target, e, DEVICES "/%s/driver/unbind", f->pci);
	rc = rc ? rc : step_put(s->undo_value, e, "%s", f->pci);
	s->undo = UNDO_OTHER;
	s->undone = s->after;
	return rc;
}

int let_go_step(const struct func *f, bool gone, struct txn *t, struct err *e)
{
	int rc = f->driver[0] && !f->bridge ? bind_step_unbind(f, t, e) : 1;

	if (rc || !gone)
		return rc == 1 ? 0 : rc;
	/* drivers_probe leaves a function alone that has a driver, where bind would answer EBUSY. */
	rc = step_put(t->steps[t->n - 1].undo_target, e, "sys/bus/pci/drivers_probe");
	return rc ? rc : choice_steps(f, t, e);
}

int take_back_step(const struct func *f, struct txn *t, struct err *e)
{
	return f->driver[0] && !f->bridge ? bind_step_bind(f, f->driver, t, e) : 0;
}

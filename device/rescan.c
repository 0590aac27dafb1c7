/* SPDX-License-Identifier: MIT */
/*
 * Looking for devices that are not listed. The kernel holds one lock for all of that: while the removal of a device
 * waits for a virtual machine that still has it, a rescan waits too, and nothing ends it.
 */
#include <stdio.h>

#include "base/own.h"
#include "base/text.h"
#include "device/bind.h"
#include "device/verb.h"

/* A bus with many bridges to size took seconds. */
#define RESCAN_MS 60000

static int check_waiting(const struct scene *s, struct err *e)
{
	if (s->n_waits) {
		const struct scene_wait *w = &s->waits[0];

		return err_set(
			e, -EBUSY,
			"process %u (%s) still has %s open, whose device is being taken away: a rescan would "
			"wait for it, and could not be ended; shut it down first",
			w->pid, w->who, w->what);
	}
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (s->funcs[i].stuck)
			return err_set(
				e, -EBUSY,
				"%s is locked by the kernel: its driver lets go of it, or hangs; a rescan might "
				"wait for it, and could not be ended",
				s->funcs[i].pci);
	return 0;
}

int rescan_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	const struct func *bridge = NULL;
	int rc = a->n_words ? scene_select(s, a->words[0], &bridge, e) : 0;

	if (!rc && bridge && !bridge->bridge)
		rc = err_set(
			e, -EINVAL,
			"%s is no bridge but a device (%s): give the bridge above it%s%s, or nothing for "
			"all buses",
			bridge->pci, class_words(bridge->class), bridge->above[0] ? ", " : "",
			bridge->above);
	if (!rc)
		rc = check_waiting(s, e);
	if (rc)
		return rc;
	struct step *st = bridge ? txn_add(t, STEP_WRITE, e, "look for devices below %s",
					   bridge->pci)
				 : txn_add(t, STEP_WRITE, e, "look for devices on all PCI buses");

	rc = !st      ? -EFBIG
	     : bridge ? step_put(st->target, e, "sys/bus/pci/devices/%s/rescan", bridge->pci)
		      : step_put(st->target, e, "sys/bus/pci/rescan");
	if (!rc)
		rc = step_put(st->value, e, "1");
	if (!rc)
		rc = step_put(st->why, e, "what a rescan has found stays; eject takes it away");
	if (rc)
		return rc;
	if (bridge)
		text_copy(t->device, sizeof(t->device), bridge->pci);
	/* For rescan_after(): the file itself cannot be read. */
	snprintf(st->before, sizeof(st->before), "%u", s->n_funcs + s->n_funcs_left_out);
	st->undo = UNDO_NEVER;
	st->timeout_ms = RESCAN_MS;
	return 0;
}

void rescan_after(const struct machine *m, const struct ask *a, struct txn *t)
{
	own_free char **names = NULL;
	int now = machine_list(m, "sys/bus/pci/devices", &names);
	uint64_t before;
	struct text w;

	(void)a;
	if (now < 0 || text_parse_u64(t->steps[0].before, &before) || before > INT32_MAX)
		return;
	text_init(&w, t->done, sizeof(t->done));
	if ((uint64_t)now > before)
		text_add(&w,
			 "%d more PCI functions than before; 'berth device list --any' shows all",
			 now - (int)before);
	else
		text_add(&w, "nothing new was found");
}

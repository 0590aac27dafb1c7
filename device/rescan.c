/* SPDX-License-Identifier: MIT */
/*
 * Looking for devices that are not listed. The kernel holds one lock for all of that: while the removal of a device
 * waits for a virtual machine that still has it, a rescan waits too, and nothing ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "device/bind.h"
#include "device/verb.h"

/* A bus with many bridges to size took seconds. */
#define RESCAN_MS 60000

#define DEVICES   "sys/bus/pci/devices"
#define FOUND_MAX 3 /* in one sentence */

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

/* " 0000:00:00.0 0000:00:01.0 "; NULL: out of memory, or nobody tells. The caller frees it. */
static char *list_devices(const struct machine *m)
{
	own_free char **names = NULL;
	int n = machine_list(m, DEVICES, &names);
	size_t size = n < 0 ? 0 : (size_t)n * 26 + 2;
	char *seen = size ? malloc(size) : NULL;
	struct text w;

	if (!seen)
		return NULL;
	text_init(&w, seen, size);
	text_add(&w, " ");
	for (int i = 0; i < n; i++)
		if (addr_ok(names[i]))
			text_add(&w, "%.24s ", names[i]);
	return seen;
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
	st->undo = UNDO_NEVER;
	st->timeout_ms = RESCAN_MS;
	t->seen = list_devices(s->m);
	return 0;
}

/* "VGA display 1002:744c"; what its files say, which are hostile in a captured machine but not waited for. */
static void add_found(struct text *w, const struct machine *m, const char *pci)
{
	static const char *const names[] = { "class", "vendor", "device" };
	uint64_t v[3] = { 0 };
	char path[80];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), DEVICES "/%.24s/%s", pci, names[i]);
		if (machine_read_u64(m, path, &v[i]) || v[i] > 0xffffff)
			v[i] = 0;
	}
	text_add(w, "%s%s (%s %04x:%04x)", w->len ? ", " : "found ", pci,
		 class_words((uint32_t)v[0]), (unsigned)v[1] & 0xffff, (unsigned)v[2] & 0xffff);
}

void rescan_after(const struct machine *m, const struct ask *a, struct txn *t)
{
	own_free char **names = NULL;
	int n = machine_list(m, DEVICES, &names), found = 0;
	struct text w;

	(void)a;
	if (n < 0 || !t->seen)
		return;
	text_init(&w, t->done, sizeof(t->done));
	for (int i = 0; i < n; i++) {
		char word[40];

		snprintf(word, sizeof(word), " %.24s ", names[i]);
		if (!addr_ok(names[i]) || strstr(t->seen, word))
			continue;
		if (found++ < FOUND_MAX)
			add_found(&w, m, names[i]);
	}
	if (found > FOUND_MAX)
		text_add(&w, " and %d more; 'berth device list --any' shows all",
			 found - FOUND_MAX);
	if (!found)
		text_add(&w, "nothing new was found");
}

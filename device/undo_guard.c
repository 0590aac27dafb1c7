/* SPDX-License-Identifier: MIT */
/* Whom an undo would take a device from: what berth itself has bound is in use like anything else. */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "device/guard.h"
#include "device/tb.h"
#include "device/undo.h"

#define FUNCTIONS "sys/bus/pci/devices/"
#define BOXES     "sys/bus/thunderbolt/devices/"

/* The name between `head` and `tail` of a path, in `name`; false: it is none of these. */
static bool named(const char *path, const char *head, const char *tail, char *name, size_t size)
{
	size_t n = strlen(path), h = strlen(head), l = strlen(tail);

	if (n <= h + l || n - h - l >= size || strncmp(path, head, h) != 0 ||
	    strcmp(path + n - l, tail) != 0)
		return false;
	memcpy(name, path + h, n - h - l);
	name[n - h - l] = '\0';
	return !strchr(name, '/');
}

static bool is_unbind(const struct step *s)
{
	size_t n = strlen(s->target);

	return strncmp(s->target, "sys/bus/pci/", 12) == 0 && n > 7 &&
	       strcmp(s->target + n - 7, "/unbind") == 0;
}

/* What one step takes from whoever uses it: `set` gets the functions, at most `max`. */
static uint32_t taken(const struct scene *s, const struct step *st, enum harm *harm,
		      const struct func **set, uint32_t max)
{
	char name[64];

	if (st->op != STEP_WRITE)
		return 0;
	*harm = HARM_DEVICE;
	if (named(st->target, BOXES, "/authorized", name, sizeof(name)))
		for (uint32_t i = 0; strcmp(st->value, "0") == 0 && i < s->report->usb4.n_routers;
		     i++)
			if (strcmp(s->report->usb4.routers[i].name, name) == 0)
				return tb_behind(s, i, set, max);
	if (is_unbind(st)) {
		*harm = HARM_DRIVER;
		set[0] = scene_func(s, st->value);
		return set[0] && set[0]->driver[0];
	}
	set[0] = named(st->target, FUNCTIONS, "/remove", name, sizeof(name)) ? scene_func(s, name)
									     : NULL;
	return set[0] != NULL;
}

bool undo_takes(const struct txn *t)
{
	char name[64];

	for (uint32_t i = 0; i < t->n; i++) {
		const struct step *s = &t->steps[i];

		if (s->op == STEP_WRITE &&
		    (is_unbind(s) || named(s->target, FUNCTIONS, "/remove", name, sizeof(name)) ||
		     named(s->target, BOXES, "/authorized", name, sizeof(name))))
			return true;
	}
	return false;
}

/* Functions of one harm are asked for together, so that a card in use is told once. */
int undo_guard(const struct scene *s, bool force, struct txn *t, struct err *e)
{
	own_free const struct func **set = calloc(SCENE_SLOT_MAX * 2, sizeof(struct func *));
	const struct func **of[] = { [HARM_DRIVER] = set, [HARM_DEVICE] = set + SCENE_SLOT_MAX };
	uint32_t n[] = { [HARM_DRIVER] = 0, [HARM_DEVICE] = 0 };
	enum harm harm = HARM_DRIVER;

	if (!set)
		return err_set(e, -ENOMEM, "out of memory");
	/* Backwards, which is the order of the functions again: the first is the one that is named. */
	for (uint32_t i = t->n; i-- > 0;) {
		const struct func *some[SCENE_SLOT_MAX];
		uint32_t more = taken(s, &t->steps[i], &harm, some, SCENE_SLOT_MAX);

		for (uint32_t k = 0; k < more && n[harm] < SCENE_SLOT_MAX; k++)
			of[harm][n[harm]++] = some[k];
	}
	int rc = guard_return(s, of[HARM_DRIVER], n[HARM_DRIVER], HARM_DRIVER, force, t, e);

	return rc ? rc : guard_return(s, of[HARM_DEVICE], n[HARM_DEVICE], HARM_DEVICE, force, t, e);
}

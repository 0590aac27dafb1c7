/* SPDX-License-Identifier: MIT */
#include "device/sleep.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "device/guard.h"

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/*
 * What is written for each choice. Linux, Documentation/power/pci.rst and power/runtime_pm.rst: `control` on
 * keeps a device awake, and thereby every bridge above it; d3cold_allowed 0 of one function keeps its power
 * on while it sleeps (pci_bridge_d3_update asks all below a bridge).
 */
static const struct choice {
	const char *word;
	const char *control, *cold; /* NULL: left as it is */
	bool slot; /* of every function of its card: one that is awake keeps all awake */
	const char *says;
} choices[] = {
	{ "allow", "auto", "1", true, "may sleep, and be switched off while it does" },
	{ "shallow", "auto", "0", true, "may sleep, and keeps its power" },
	{ "forbid", "on", NULL, false, "stays awake" },
};

void sleep_rule_path(char *path, size_t size, const struct func *f)
{
	snprintf(path, size, "etc/udev/rules.d/85-berth-sleep-%s.rules", f->pci);
}

/* --- steps --- */

static int set(const struct scene *s, const struct func *f, const char *file, const char *now,
	       const char *want, struct txn *t, struct err *e)
{
	struct step *step;
	int rc;

	if (!want || !now[0] || strcmp(now, want) == 0)
		return 0;
	step = txn_add(t, STEP_WRITE, e, "set %s of %s to %s", file, f->pci, want);
	if (!step)
		return e->rc;
	rc = step_put(step->target, e, "%s/%s", f->dir, file);
	if (rc == 0)
		rc = step_put(step->value, e, "%s", want);
	if (rc == 0 && s->m)
		rc = txn_before(t, s->m, e);
	if (rc == 0)
		rc = look_set(&step->after, LOOK_TEXT, want, e, "%s/%s", f->dir, file);
	step->undo = step->known ? UNDO_BEFORE : UNDO_NEVER;
	return rc || step->known ? rc : step_put(step->why, e, "what it was is not known");
}

static int set_both(const struct scene *s, const struct func *f, const struct choice *c,
		    struct txn *t, struct err *e)
{
	const char *cold = f->d3cold_allowed < 0 ? "" : f->d3cold_allowed ? "1" : "0";
	int rc = set(s, f, "d3cold_allowed", cold, c->cold, t, e);

	return rc ? rc : set(s, f, "power/control", f->power_control, c->control, t, e);
}

/* Whether all that is below the bridge belongs to one card: then it is for that card alone. */
static bool leads_only_to(const struct scene *s, const struct func *bridge, const struct func *f)
{
	const struct func *below[SCENE_SLOT_MAX];
	uint32_t n = scene_below(s, bridge, below, SCENE_SLOT_MAX);

	if (n > SCENE_SLOT_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!below[i]->bridge && strncmp(below[i]->pci, f->pci, strlen(f->pci) - 1) != 0)
			return false;
	return true;
}

/* A bridge that somebody keeps awake, or powered, keeps its card so. */
static int set_bridges(const struct scene *s, const struct func *f, const struct choice *c,
		       struct txn *t, struct err *e)
{
	const struct choice up = { .control = c->control,
				   .cold = strcmp(c->cold, "1") == 0 ? "1" : NULL };
	const struct func *bridge = f;
	int rc = 0;

	while (rc == 0 && bridge->above[0] && (bridge = scene_func(s, bridge->above)) &&
	       leads_only_to(s, bridge, f))
		rc = set_both(s, bridge, &up, t, e);
	return rc;
}

static int set_card(const struct scene *s, const struct func *f, const struct choice *c,
		    struct txn *t, struct err *e)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n;
	int rc = 0;

	if (!c->slot)
		return set_both(s, f, c, t, e);
	n = scene_slot(s, f, slot, SCENE_SLOT_MAX);
	for (uint32_t i = 0; i < n && i < SCENE_SLOT_MAX && rc == 0; i++)
		rc = set_both(s, slot[i], c, t, e);
	return rc ? rc : set_bridges(s, f, c, t, e);
}

/* --- for good --- */

/* udev(7): by address and ids, so that another device at this place is left alone; drivers set it as they bind. */
static void rule_line(struct text *t, const struct func *f, const struct choice *c)
{
	text_add(t,
		 "ACTION==\"add|bind\", SUBSYSTEM==\"pci\", KERNEL==\"%s\", "
		 "ATTR{vendor}==\"0x%04x\", ATTR{device}==\"0x%04x\"",
		 f->pci, f->vendor, f->device);
	if (c->cold)
		text_add(t, ", ATTR{d3cold_allowed}=\"%s\"", c->cold);
	text_add(t, ", ATTR{power/control}=\"%s\"\n", c->control);
}

static int rule_text(char *to, size_t size, const struct scene *s, const struct func *f,
		     const struct choice *c, struct err *e)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = c->slot ? scene_slot(s, f, slot, SCENE_SLOT_MAX) : 0;
	struct text t;

	text_init(&t, to, size);
	text_add(&t,
		 "# Written by berth device sleep %s %s --persist; undo, or the same verb, changes "
		 "it.\n",
		 f->pci, c->word);
	for (uint32_t i = 0; i < n && i < SCENE_SLOT_MAX; i++)
		if (slot[i]->power_control[0])
			rule_line(&t, slot[i], c);
	if (n == 0)
		rule_line(&t, f, c);
	return t.cut ? err_set(e, -EFBIG, "%s has too many functions for one rule", f->pci) : 0;
}

static int persist(const struct scene *s, const struct func *f, const struct choice *c,
		   struct txn *t, struct err *e)
{
	struct step *step = txn_add(t, STEP_SAVE, e, "write the rule by which %s %s from now on",
				    f->pci, c->says);
	int rc;

	if (!step)
		return e->rc;
	sleep_rule_path(step->target, sizeof(step->target), f);
	rc = rule_text(step->value, sizeof(step->value), s, f, c, e);
	if (rc == 0 && s->m)
		rc = txn_before(t, s->m, e);
	/* The look is the content itself: an older rule is there, too. */
	step->undo = UNDO_BEFORE;
	if (rc == 0 && step->known && !step->was_gone && strcmp(step->before, step->value) == 0)
		t->n--; /* it is written already */
	return rc;
}

static void warn_of_rule(const struct scene *s, const struct func *f, struct txn *t)
{
	char path[STEP_TARGET];

	sleep_rule_path(path, sizeof(path), f);
	if (s->m && machine_exists(s->m, path))
		txn_warn(t, "/%s sets it again at the next start; --persist changes that, too",
			 path);
}

/* --- the verb --- */

static const struct choice *choice_of(const char *word)
{
	for (size_t i = 0; i < N_OF(choices); i++)
		if (strcmp(choices[i].word, word) == 0)
			return &choices[i];
	return NULL;
}

int sleep_plan(const struct scene *s, const struct ask *a, struct txn *t, struct err *e)
{
	const struct choice *c = choice_of(a->words[1]);
	const struct func *f;
	int rc;

	if (!c)
		return err_set(e, VERB_USAGE, "'%.40s' is none of allow, shallow, forbid",
			       a->words[1]);
	rc = scene_select(s, a->words[0], &f, e);
	if (rc == 0)
		rc = guard_class(s, f, HARM_POWER, a->o.any, e);
	if (rc)
		return rc;
	text_copy(t->device, sizeof(t->device), f->pci);
	if (!f->power_control[0])
		return err_set(e, -EOPNOTSUPP, "the kernel cannot let %s sleep, nor keep it awake",
			       f->pci);
	rc = set_card(s, f, c, t, e);
	if (rc == 0 && a->o.persist)
		rc = persist(s, f, c, t, e);
	else if (rc == 0)
		warn_of_rule(s, f, t);
	if (rc == 0)
		snprintf(t->done, sizeof(t->done), "%s %s", f->pci, c->says);
	return rc;
}

void sleep_words(struct text *t, const struct scene *s, const struct func *f)
{
	char path[STEP_TARGET];

	if (!f->power_control[0]) {
		text_add(t, "not told");
		return;
	}
	if (strcmp(f->power_control, "on") == 0)
		text_add(t, "forbidden");
	else
		text_add(t, "allowed%s",
			 f->d3cold_allowed == 0   ? ", shallow"
			 : f->d3cold_allowed == 1 ? ", off altogether"
						  : "");
	sleep_rule_path(path, sizeof(path), f);
	if (s->m && machine_exists(s->m, path))
		text_add(t, "; kept by /%s", path);
}

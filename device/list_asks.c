/* SPDX-License-Identifier: MIT */
/* What each verb can do with a device: short words for `list`, by what the scene has and the guard says. */
#include <stdlib.h>
#include <string.h>

#include "device/eject.h"
#include "device/guard.h"
#include "device/list.h"
#include "device/power.h"
#include "device/rebar.h"
#include "device/reset.h"
#include "device/sleep.h"
#include "device/tb.h"

/*
 * What stands in the way, without what follows: the users are listed above. A refusal begins with the address of the
 * function that it is about, which may be another one of the slot.
 */
static void add_refusal(struct text *t, const struct func *f, const struct err *e)
{
	size_t n = strlen(f->pci);
	bool mine = strncmp(e->text, f->pci, n) == 0 && e->text[n] == ' ';
	const char *why = mine ? e->text + n + 1 : e->text;
	size_t whom = mine ? 0 : strcspn(why, " ");

	if (strstr(why, "--force"))
		text_add(t, "only with --force: %s%.*s", mine ? "it " : "",
			 (int)(whom + strcspn(why + whom, ":;")), why);
	else
		text_add(t, "no: %s", why);
}

static void bind_words(struct text *t, const struct scene *s, const struct func *f)
{
	const struct func *slot[SCENE_SLOT_MAX];
	uint32_t n = scene_slot(s, f, slot, SCENE_SLOT_MAX);
	struct err e = { 0 };

	if (guard_class(s, f, HARM_DRIVER, true, &e) ||
	    guard_check(s, slot, n, HARM_DRIVER, false, NULL, &e))
		add_refusal(t, f, &e);
	else if (!f->overridable)
		text_add(t, "no: the kernel has no driver_override for it");
	else
		text_add(t, f->iommu_group < 0 ? "to any driver but vfio's: no IOMMU serves it"
					       : "to any driver, or none");
}

static void box_words(struct text *t, const struct scene *s, const struct func *f)
{
	int box = tb_router_behind(s, f->pci);

	if (box < 0)
		return;
	tb_title(t, s, (uint32_t)box);
	text_add(t, ": ");
	tb_words(s, (uint32_t)box, t);
}

/* clang-format off */
const struct ask_row asks[] = {
	{ "bind", bind_words },
	{ "power", power_words },
	{ "sleep", sleep_words },
	{ "box", box_words },
	{ "eject", eject_words },
	{ "reset", reset_words },
	{ "rebar", rebar_words },
	{ NULL, NULL },
};
/* clang-format on */

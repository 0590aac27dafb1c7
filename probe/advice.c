/* SPDX-License-Identifier: MIT */
/*
 * Advice that must not stand side by side. Where two remedies exclude each other, one wins by its row's
 * order and the other is withdrawn, with the reason: one change at a time, then look again.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "probe/doctor_priv.h"

/* clang-format off */
static const struct {
	unsigned wins, loses;
} exclusive[] = {
	/* R and K: each is right on some machine; both together never are. The kernel's default first. */
	{ ADVICE_HOST_RESET_ON, ADVICE_HOST_RESET_OFF },
	{ ADVICE_REALLOC_OFF, ADVICE_REALLOC_ON },
	{ ADVICE_REALLOC_ON, ADVICE_HOST_RESET_OFF },
	/* R: a too large reservation leaves nothing for the card; shrink before growing. */
	{ ADVICE_WINDOWS_LESS, ADVICE_WINDOWS_MORE },
	/* Safety before convenience. */
	{ ADVICE_IOMMU_ON, ADVICE_IOMMU_OFF },
	{ ADVICE_FOR_GUEST, ADVICE_IOMMU_OFF },
	{ ADVICE_KERNEL_OLDER, ADVICE_KERNEL_NEWER },
	/* A driver that starts with a small BAR comes before a large BAR. */
	{ ADVICE_BAR_SMALL, ADVICE_BAR_LARGE },
	{ ADVICE_FOR_HOST, ADVICE_FOR_GUEST },
	{ ADVICE_ASPM_KERNEL, ADVICE_ASPM_OFF },
	{ ADVICE_PORTS_AWAKE, ADVICE_PORTS_SLEEP },
	{ ADVICE_PERSIST, ADVICE_UNPLUG },
};
/* clang-format on */

/* By bit; in JSON. */
static const char *const names[] = {
	"host-reset-off", "host-reset-on", "realloc-on",  "realloc-off",  "windows-more",
	"windows-less",   "iommu-on",      "iommu-off",   "kernel-newer", "kernel-older",
	"bar-large",      "bar-small",     "for-host",    "for-guest",    "aspm-kernel",
	"aspm-off",       "ports-awake",   "ports-sleep", "persist",      "unplug",
};

_Static_assert(ADVICE_UNPLUG == 1 << (ARRAY_LEN(names) - 1), "one name a bit");

json_t *advice_json(unsigned advice)
{
	json_t *a = json_array();

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (advice >> i & 1)
			json_array_append_new(a, json_string(names[i]));
	return a;
}

static bool row_excludes(size_t i, unsigned winner, unsigned loser)
{
	return (winner & exclusive[i].wins) && (loser & exclusive[i].loses);
}

bool advice_excludes(unsigned a, unsigned b)
{
	for (size_t i = 0; i < ARRAY_LEN(exclusive); i++)
		if (row_excludes(i, a, b) || row_excludes(i, b, a))
			return true;
	return false;
}

/* Advice about one card does not bind another; about the kernel's options it does. */
static unsigned binding(const struct finding *a, const struct finding *b)
{
	const unsigned of_card = ADVICE_FOR_HOST | ADVICE_FOR_GUEST | ADVICE_BAR_LARGE |
				 ADVICE_BAR_SMALL | ADVICE_PERSIST | ADVICE_UNPLUG;
	bool both = !a->device[0] || !b->device[0] || strcmp(a->device, b->device) == 0;

	return both ? ~0u : ~of_card;
}

bool findings_contradict(const struct findings *f, const struct finding **a,
			 const struct finding **b)
{
	for (uint32_t i = 0; i < f->n; i++)
		for (uint32_t j = i + 1; j < f->n; j++) {
			unsigned mask = binding(&f->list[i], &f->list[j]);

			if (!advice_excludes(f->list[i].advice & mask, f->list[j].advice & mask))
				continue;
			*a = &f->list[i];
			*b = &f->list[j];
			return true;
		}
	return false;
}

static void withdraw(struct finding *loser, const struct finding *winner)
{
	loser->kind = REMEDY_NONE;
	loser->advice = 0;
	loser->undo[0] = '\0';
	snprintf(loser->remedy, sizeof(loser->remedy),
		 "First what %s asks for, as the usual remedy here would undo it; then look again.",
		 winner->check->id);
}

void findings_reconcile(struct findings *f)
{
	for (size_t row = 0; row < ARRAY_LEN(exclusive); row++)
		for (uint32_t i = 0; i < f->n; i++)
			for (uint32_t j = 0; j < f->n; j++) {
				unsigned mask = binding(&f->list[i], &f->list[j]);

				if (row_excludes(row, f->list[i].advice & mask,
						 f->list[j].advice & mask))
					withdraw(&f->list[j], &f->list[i]);
			}
}

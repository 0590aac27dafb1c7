/* SPDX-License-Identifier: MIT */
/* Checks of the card's reset, its power, and the kernel's habits. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bar-forward/ready_priv.h"

/* --- reset --- */

/* Ways that reset one function and nothing else. pm alone keeps most of a GPU as it is. */
static const char *alone(const char *methods, bool has_reset)
{
	static const char *const good[] = { "device_specific", "acpi", "flr", "af_flr" };
	char list[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *rest = NULL;

		text_copy(list, sizeof(list), methods);
		for (char *word = strtok_r(list, " ", &rest); word;
		     word = strtok_r(NULL, " ", &rest))
			if (strcmp(word, good[i]) == 0)
				return good[i];
	}
	/* Kernels before 5.15 do not say how. */
	return has_reset && !methods[0] ? "a way that this kernel does not name" : NULL;
}

/* Whether all that a hot reset of the bus reaches is the card's own; *who: one that is not. */
static bool bus_is_ours(const struct bridge_facts *f, uint32_t *n, const char **who)
{
	*n = 1;
	for (uint32_t i = 0; i < f->n_mates; i++) {
		const struct mate *m = &f->mates[i];

		if (!m->on_bus)
			continue;
		if (!m->in_slot) {
			*who = m->pci;
			return false;
		}
		++*n;
	}
	return true;
}

bool check_reset(const struct bridge_facts *f, struct finding *w)
{
	const char *how = alone(f->reset_method, f->has_reset), *who = NULL;
	bool weak = strstr(f->reset_method, "pm");
	uint32_t n;

	if (how)
		find_say(w, VERDICT_YES, "by itself, by %s", how);
	else if (f->virtual_function)
		find_say(w, VERDICT_NOTE, "none: after a guest it stays as the guest left it");
	else if (f->root_bus)
		find_say(
			w, VERDICT_NOTE,
			"%s: no bridge is above it that could reset it, so it stays as a guest left it",
			weak ? "only a weak one, by pm" : "none");
	else if (!bus_is_ours(f, &n, &who))
		find_say(
			w, VERDICT_NOTE,
			"%s: a hot reset would reach %s on the same bus, too, so it stays as a guest left it",
			weak ? "only a weak one, by pm" : "none", who);
	else if (n == 1)
		find_say(w, VERDICT_YES, "a hot reset, which reaches nothing else");
	else
		find_say(w, VERDICT_YES,
			 "a hot reset of the whole slot: all its %" PRIu32 " functions, or none",
			 n);
	return true;
}

/* --- power --- */

bool check_power(const struct bridge_facts *f, struct finding *w)
{
	bool may = fact_known(&f->d3cold_allowed) && f->d3cold_allowed.v;

	if (!fact_known(&f->d3cold_allowed)) {
		find_say(w, VERDICT_UNTOLD, "whether it may lose its power while idle is not told");
	} else if (!may) {
		find_say(w, VERDICT_YES, "it keeps its power (d3cold_allowed is 0)");
	} else if (fact_known(&f->idle_d3) && !f->idle_d3.v) {
		find_say(w, VERDICT_YES, "vfio-pci keeps it awake (disable_idle_d3)");
	} else if (f->removable) {
		find_say(
			w, VERDICT_NOTE,
			"it may lose its power while nobody has it open, and in a box not every tunnel brings it back");
		find_fix(w, "berth device sleep %s shallow", f->pci);
	} else {
		find_say(
			w, VERDICT_YES,
			"it may lose its power while nobody has it open, and gets it back when somebody does");
	}
	return true;
}

/* --- accesses of 8 bytes --- */

/*
 * vfio-pci reads and writes 8 bytes at once since "vfio/pci: Support 8-byte PCI loads and stores" (6.11); on x86 the
 * code was compiled out until "Enable iowrite64 and ioread64 for vfio pci" (2b938e3db335, 6.14; in stable 6.13.4 and
 * 6.12.16). The stable series before 6.11 have the second without the first, which changes nothing.
 */
static const struct {
	unsigned major, minor, patch;
	bool only_series; /* of this series alone; later ones have rows of their own */
} wide_since[] = {
	{ 6, 12, 16, true },
	{ 6, 13, 4, true },
	{ 6, 14, 0, false },
};

int kernel_is_wide(const char *release)
{
	unsigned major, minor, patch = 0;

	if (sscanf(release, "%3u.%3u.%5u", &major, &minor, &patch) < 2)
		return -1;
	for (size_t i = 0; i < sizeof(wide_since) / sizeof(wide_since[0]); i++) {
		bool same = major == wide_since[i].major && minor == wide_since[i].minor;

		if (same && patch >= wide_since[i].patch)
			return 1;
		if (!wide_since[i].only_series &&
		    (major > wide_since[i].major ||
		     (major == wide_since[i].major && minor > wide_since[i].minor)))
			return 1;
	}
	return 0;
}

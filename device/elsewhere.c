/* SPDX-License-Identifier: MIT */
#include "device/elsewhere.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

#define DEVICES "sys/bus/pci/devices"

void elsewhere_note(const struct scene *s, struct txn *t)
{
	const struct func *f = scene_func(s, t->device);
	struct text alike;

	if (!f || !f->vendor)
		return;
	snprintf(t->ids, sizeof(t->ids), "%04" PRIx32 ":%04" PRIx32, f->vendor & 0xffff,
		 f->device & 0xffff);
	text_init(&alike, t->alike, sizeof(t->alike));
	for (uint32_t i = 0; i < s->n_funcs; i++)
		if (s->funcs[i].vendor == f->vendor && s->funcs[i].device == f->device)
			text_add(&alike, "%s ", s->funcs[i].pci);
	if (alike.cut) /* too many of a kind to tell which is which */
		t->ids[0] = '\0';
}

static bool has_ids(const struct machine *m, const char *pci, const char *ids)
{
	char path[sizeof(DEVICES) + MACHINE_NAME_MAX + 16], now[32];
	uint64_t vendor, device;

	snprintf(path, sizeof(path), DEVICES "/%s/vendor", pci);
	if (machine_read_u64(m, path, &vendor))
		return false;
	snprintf(path, sizeof(path), DEVICES "/%s/device", pci);
	if (machine_read_u64(m, path, &device))
		return false;
	snprintf(now, sizeof(now), "%04" PRIx64 ":%04" PRIx64, vendor, device);
	return strcmp(now, ids) == 0;
}

/* Whether `pci` is one of the words of a list, each with a blank behind it. */
static bool listed(const char *list, const char *pci)
{
	size_t n = strlen(pci);

	for (const char *at = list; (at = strstr(at, pci)); at += n)
		if ((at == list || at[-1] == ' ') && at[n] == ' ')
			return true;
	return false;
}

bool elsewhere_find(const struct machine *m, const struct txn *t, char at[24])
{
	char path[sizeof(DEVICES) + sizeof(t->device) + 1];
	own_free char **names = NULL;

	snprintf(path, sizeof(path), DEVICES "/%s", t->device);
	if (!*t->ids || !*t->device || machine_exists(m, path))
		return false;
	int n = machine_list(m, DEVICES, &names);

	for (int i = 0; i < n; i++)
		if (strlen(names[i]) < 24 && !listed(t->alike, names[i]) &&
		    has_ids(m, names[i], t->ids)) {
			text_copy(at, 24, names[i]);
			return true;
		}
	return false;
}

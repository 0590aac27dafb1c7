/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "launch/loss.h"

void losses_open(struct losses *l)
{
	if (l->open || machine_open(&l->machine, NULL, NULL))
		return;
	l->open = true;
	presence_open(&l->events, NULL);
}

void losses_close(struct losses *l)
{
	if (!l->open)
		return;
	presence_close(l->events);
	machine_close(&l->machine);
	*l = (struct losses) { 0 };
}

int losses_fd(const struct losses *l)
{
	return l->events ? presence_fd(l->events) : -1;
}

void losses_forget(struct losses *l)
{
	struct device_loss one;
	int rc = l->events ? presence_next(l->events, &one) : 0;

	while (rc == 1 || rc == -ENOBUFS)
		rc = presence_next(l->events, &one);
}

bool plan_uses(const struct plan *p, const char *pci)
{
	for (uint32_t d = 0; d < p->n_devices; d++)
		if (p->devices[d].pci[0] && strcasecmp(p->devices[d].pci, pci) == 0)
			return true;
	return false;
}

static bool is_lost(struct loss *loss, const char *pci, const char *how)
{
	text_copy(loss->pci, sizeof(loss->pci), pci);
	snprintf(loss->sentence, sizeof(loss->sentence),
		 "the device %s %s while the engine used it", pci, how);
	return true;
}

bool losses_look(const struct losses *l, const struct plan *p, struct loss *loss)
{
	for (uint32_t d = 0; l->open && d < p->n_devices; d++) {
		const char *pci = p->devices[d].pci;
		enum presence is = pci[0] ? presence_of(&l->machine, pci) : PRESENCE_UNKNOWN;

		if (is == PRESENCE_GONE)
			return is_lost(loss, pci, "left the bus");
		if (is == PRESENCE_DEAD)
			return is_lost(loss, pci, "stopped to answer (all it reads are ones)");
	}
	return false;
}

bool losses_hear(struct losses *l, const struct plan *p, struct loss *loss)
{
	struct device_loss one;
	bool found = false;
	int rc = l->events ? presence_next(l->events, &one) : 0;

	for (; rc == 1 || rc == -ENOBUFS; rc = presence_next(l->events, &one)) {
		if (rc == -ENOBUFS)
			found = found || losses_look(l, p, loss);
		else if (!found && plan_uses(p, one.pci))
			found = is_lost(loss, one.pci, one.how);
	}
	return found;
}

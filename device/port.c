/* SPDX-License-Identifier: MIT */
#include "device/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"

#define SLOTS       "sys/bus/pci/slots"
#define CAP_EXPRESS 0x10
#define SLOT_CAP    0x14 /* of that capability */
#define SLOT_PCP    0x02 /* power controller present */
#define SLOT_HPS    0x20 /* hot-plug surprise */
#define FLAGS_SLOT                                                                                 \
	0x01 /* bit 8 of the capability's flags, in their second byte: a slot is implemented */

/* Port services of the kernel that mean hot-plug, at a root port and at a switch's port (portdrv.h). */
static const char *const services[] = { "pcie004", "pcie204" };

uint32_t port_chain(const struct scene *s, const struct func *f,
		    const struct func *chain[CHAIN_MAX])
{
	uint32_t n = 0;

	for (const struct func *b = scene_func(s, f->above); b && n < CHAIN_MAX;
	     b = scene_func(s, b->above))
		chain[n++] = b;
	return n;
}

/* --- what the kernel shows of slots --- */

static bool has_service(const struct scene *s, const struct func *bridge)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		char path[sizeof(bridge->dir) + 48];

		snprintf(path, sizeof(path), "%s/%s:%s", bridge->dir, bridge->pci, services[i]);
		if (machine_exists(s->m, path))
			return true;
	}
	return false;
}

static long read_slot(const struct scene *s, const char *name, const char *file, char *buf,
		      size_t size)
{
	char path[sizeof(SLOTS) + MACHINE_NAME_MAX + 16];

	if ((size_t)snprintf(path, sizeof(path), SLOTS "/%s/%s", name, file) >= sizeof(path))
		return -ENAMETOOLONG;
	return machine_read(s->m, path, buf, size);
}

void port_slot(const struct scene *s, const char *pci, struct pci_slot *slot)
{
	size_t len = strcspn(pci, ".");
	own_free char **names = NULL;
	int n = s->m ? machine_list(s->m, SLOTS, &names) : 0;

	*slot = (struct pci_slot) { 0 };
	for (int i = 0; i < n; i++) {
		char address[32];

		if (read_slot(s, names[i], "address", address, sizeof(address)) < 0 ||
		    strlen(address) != len || strncmp(address, pci, len) != 0 ||
		    strlen(names[i]) >= sizeof(slot->name))
			continue;
		text_copy(slot->name, sizeof(slot->name), names[i]);
		if (read_slot(s, names[i], "power", slot->power, sizeof(slot->power)) < 0)
			slot->power[0] = '\0';
		return;
	}
}

bool port_hotplugs(const struct scene *s, const struct func *bridge)
{
	return s->m && bridge->bridge && has_service(s, bridge);
}

void port_power(const struct scene *s, const struct func *bridge, struct port_power *p)
{
	char path[sizeof(bridge->dir) + 16];
	uint8_t bytes[256];
	struct config c;

	*p = (struct port_power) { 0 };
	snprintf(path, sizeof(path), "%s/config", bridge->dir);
	long n = s->m && bridge->awake == AWAKE_YES
			 ? machine_read_bytes(s->m, path, bytes, sizeof(bytes))
			 : -EAGAIN;

	if (n < 0 || config_parse(bytes, (size_t)n, &c))
		return;
	for (uint32_t i = 0; i < c.n_caps; i++) {
		size_t at = c.caps[i].at;

		if (c.caps[i].id != CAP_EXPRESS || at >= 0x100 || at + SLOT_CAP + 4 > (size_t)n)
			continue;
		uint8_t cap = bytes[at + SLOT_CAP];

		p->known = true;
		p->controlled = bytes[at + 3] & FLAGS_SLOT && cap & SLOT_PCP;
		p->surprise = bytes[at + 3] & FLAGS_SLOT && cap & SLOT_HPS;
		return;
	}
}

/* --- which port --- */

static int index_of(const struct func *const *chain, uint32_t n, const char *pci)
{
	for (uint32_t i = 0; i < n; i++)
		if (pci[0] && strcmp(chain[i]->pci, pci) == 0)
			return (int)i;
	return -1;
}

/* The upper end of the first tunnelled hop: as the probe found for a GPU, which may be another one of the box. */
static int tunnel_top(const struct scene *s, const struct func *const *chain, uint32_t n,
		      int router)
{
	const struct usb4 *u = &s->report->usb4;

	for (uint32_t i = 0; i < s->report->n_gpus; i++) {
		const struct tunnel *t = &s->report->gpus[i].tunnel;
		int at = t->tunnelled ? index_of(chain, n, t->port) : -1;

		if (at >= 0)
			return at;
	}
	if (router < 0 || (uint32_t)router >= u->n_routers || u->routers[router].domain < 0)
		return -1;
	const struct tb_domain *d = &u->domains[u->routers[router].domain];

	for (uint32_t i = 0; i < d->n_ports; i++) {
		int at = index_of(chain, n, d->ports[i]);

		if (at >= 0)
			return at;
	}
	return -1;
}

/* The port above the topmost function that is called removable; -1: none is. */
static int above_removable(const struct func *f, const struct func *const *chain, uint32_t n)
{
	int at = -1;

	if (strcmp(f->removable, "removable") == 0)
		at = n ? 0 : -1;
	for (uint32_t i = 0; i + 1 < n; i++)
		if (strcmp(chain[i]->removable, "removable") == 0)
			at = (int)i + 1;
	return at;
}

/*
 * The port above a slot that firmware powers and ejects (ACPI), and no port service does: laptops, and virtual machines. A
 * slot on the root bus has no port above it that could stay.
 */
static int above_powered(const struct scene *s, const struct func *f,
			 const struct func *const *chain, uint32_t n)
{
	struct pci_slot slot;

	for (uint32_t i = 0; i < n; i++) {
		port_slot(s, i ? chain[i - 1]->pci : f->pci, &slot);
		if (slot.power[0])
			return (int)i;
	}
	return -1;
}

enum way_out port_of(const struct scene *s, const struct func *f, int router,
		     const struct func **port)
{
	const struct func *chain[CHAIN_MAX];
	uint32_t n = port_chain(s, f, chain);
	int at = tunnel_top(s, chain, n, router);

	*port = NULL;
	if (at >= 0) {
		*port = chain[at];
		return WAY_TUNNEL;
	}
	at = above_removable(f, chain, n);
	if (at >= 0) {
		*port = chain[at];
		return WAY_REMOVABLE;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!port_hotplugs(s, chain[i]))
			continue;
		*port = chain[i];
		return WAY_HOTPLUG;
	}
	at = above_powered(s, f, chain, n);
	if (at < 0)
		return WAY_NONE;
	*port = chain[at];
	return WAY_FIRMWARE;
}

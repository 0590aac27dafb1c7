/* SPDX-License-Identifier: MIT */
/*
 * Where a device can be taken out: the port that stays when it goes, and the power of its slot. Read through the
 * scene's machine; only the configuration space of a port that is awake is read.
 */
#ifndef BERTH_DEVICE_PORT_H
#define BERTH_DEVICE_PORT_H

#include "device/scene.h"

#define CHAIN_MAX 32

/* A folder of sys/bus/pci/slots: its name is what stands on the machine's back, or a number. */
struct pci_slot {
	char name[64]; /* "": the kernel has no slot for it */
	char power[8]; /* "1", "0"; "": it has no such file */
};

/* What the port's slot capability says (PCIe 7.5.3.9). */
struct port_power {
	bool known;      /* false: the port sleeps, or only root may read it */
	bool controlled; /* it can switch the slot's power */
	bool surprise;   /* what is in it may leave unannounced */
};

/* The bridges above, the nearest first; the count. */
uint32_t port_chain(const struct scene *s, const struct func *f,
		    const struct func *chain[CHAIN_MAX]);

/* Whether the kernel serves hot-plug at a bridge. */
bool port_hotplugs(const struct scene *s, const struct func *bridge);

/* The slot below a bridge, by the address of what is in it: its domain, bus and device. */
void port_slot(const struct scene *s, const char *pci, struct pci_slot *slot);

void port_power(const struct scene *s, const struct func *bridge, struct port_power *p);

enum way_out {
	WAY_NONE,      /* it is soldered, or in a slot that must be off first */
	WAY_TUNNEL,    /* a box at a Thunderbolt or USB4 port */
	WAY_REMOVABLE, /* the kernel calls it removable, by whatever cable */
	WAY_HOTPLUG,   /* a slot that serves hot-plug */
	WAY_FIRMWARE,  /* a slot that firmware powers and ejects: the port knows nothing of it */
};

/*
 * By which port a function leaves the machine: *port stays, all below it goes. Of boxes in a row that is the machine's
 * own port, as nobody knows for certain which of them it is in; `router` is the index of the one in report->usb4 when
 * that is certain, else -1.
 */
enum way_out port_of(const struct scene *s, const struct func *f, int router,
		     const struct func **port);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Whether a device can be given to a guest over vfio-user: what is known of it, and a table of checks that judge
 * that. Pure: the facts are plain data, which collect.h reads and a test may fill by hand.
 */
#ifndef BERTH_READY_H
#define BERTH_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fact.h"
#include "base/text.h"

#define MATES_MAX 64
#define USERS_MAX 16

/* Another function that goes where this one goes, or is reset when this one is. */
struct mate {
	char pci[24];    /* of what is not on PCI: its name, cut to fit */
	uint32_t class;  /* 0: not PCI, or unreadable */
	char driver[40]; /* "": none */
	char reset_method[64];
	bool has_reset; /* it can be reset by itself */
	bool in_slot;   /* a function of the same card */
	bool in_group;  /* of the same IOMMU group */
	bool on_bus;    /* of the same bus: a hot reset reaches it */
};

struct user {
	char kind
		[24]; /* as in berth.device.list/1: "process", "mount", "virtual machine", "bridge", "display" */
	char words[160];
};

/* How the group's file in /dev answers to whoever runs this. */
enum node_state {
	NODE_UNTOLD = 0, /* vfio has none yet, or it is a captured machine's */
	NODE_OURS,       /* may be opened */
	NODE_DENIED,
	NODE_MISSING, /* vfio has the device, and the file is not there */
};

struct bridge_facts {
	char pci[24];
	char name[128]; /* "": none known */
	char kind[48];  /* "VGA display" */
	char driver[40];
	uint32_t class;
	bool root_bus; /* no bridge above it */
	bool virtual_function;
	int32_t group; /* -1: none */
	bool noiommu;  /* vfio's mode without an IOMMU */
	char reset_method[64];
	bool has_reset;
	struct fact boot_vga;       /* 1: the firmware's display */
	struct fact d3cold_allowed; /* 1: its port may cut its power */
	struct fact idle_d3;        /* 1: vfio-pci lets what nobody has open sleep */
	bool removable;             /* in a box, behind an external port */
	char attach
		[256]; /* what `berth device bind` would say: "to any driver, or none"; "": not told */
	uint32_t n_users;
	struct user users[USERS_MAX];
	uint32_t n_users_left_out;
	uint32_t n_mates;
	struct mate mates[MATES_MAX];
	uint32_t n_mates_left_out;

	char kernel[64];           /* "6.12.4"; "": not told */
	struct fact irqs_remapped; /* 1: interrupts pass the IOMMU */
	struct fact irqs_unsafe;   /* 1: vfio is told to do without */
	struct fact coherent;      /* 1: the IOMMU makes DMA that does not snoop snoop */
	struct fact memlock_bytes; /* what a process of this user may lock; INT64_MAX: all */
	struct fact dma_entries;   /* DMA maps that type 1 takes for one container */
	struct fact guest_bytes;   /* memory of the guest, as it was asked for */
	enum node_state node;
	char node_path[64]; /* "/dev/vfio/14"; "": none */

	struct fact kmod_abi; /* of berth_vfio, where it has the device */
	char kmod_bars[128];  /* how it gives them: "0 trap, 1 map"; "": not told */
};

enum verdict {
	VERDICT_YES = 0,
	VERDICT_NOTE,   /* it works; what else it means */
	VERDICT_UNTOLD, /* nobody could tell */
	VERDICT_ATTACH, /* `berth bridge attach` does it */
	VERDICT_FORCE,  /* attach does it with --force only: `words` say what that breaks */
	VERDICT_NO,
	VERDICT_COUNT
};
const char *ready_verdict_name(
	enum verdict v); /* "yes", "note", "untold", "attach", "force", "no" */

struct finding {
	const char *check; /* "iommu": in JSON, and does not change */
	enum verdict verdict;
	char words[400];
	char fix[200]; /* a command, or what to do; "": nothing */
	bool served; /* a no only because a bridge has it already, which is no matter to that bridge's client */
};

#define FINDINGS_MAX 16

struct readiness {
	enum verdict state; /* VERDICT_YES, ATTACH, FORCE or NO: the worst of them */
	uint32_t n;
	struct finding list[FINDINGS_MAX];
};

/* Every check that means something for this device, in the table's order. */
void ready_judge(const struct bridge_facts *f, struct readiness *r);

/* The first finding that is a no; NULL: none. */
const struct finding *ready_refusal(const struct readiness *r);
/* The same for a virtual machine, which may connect to the bridge that has it. */
const struct finding *ready_refusal_of_guest(const struct readiness *r);

/* Whether a driver is vfio's: it lets a program have the device. */
bool driver_is_vfio(const char *driver);

#endif

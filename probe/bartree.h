/* SPDX-License-Identifier: MIT */
/*
 * What to do about a BAR that found no room, or too little. The field's advice contradicts itself because
 * each piece is right on its own machine; what decides is whether firmware built the PCIe tunnel before
 * the kernel ran.
 */
#ifndef BERTH_PROBE_BARTREE_H
#define BERTH_PROBE_BARTREE_H

#include "probe/doctor_priv.h"

enum tri { TRI_UNKNOWN, TRI_NO, TRI_YES };

struct bar_case {
	bool unassigned; /* a memory BAR has no address */
	bool small;      /* it could be larger, or is far smaller than the memory behind it */
	bool tunnelled;
	enum tri seen_early;          /* the card was found before the Thunderbolt driver ran */
	enum tri host_reset;          /* thunderbolt.host_reset; its default is yes */
	bool realloc_on, realloc_off; /* pci=realloc and pci=realloc=off on the command line */
	bool windows_set;             /* pci=hpmmio* or hpbussize is there already */
	bool port_up_failed;          /* a Thunderbolt port did not come up */
	enum tri nested;              /* every BAR and window lies inside the window above it */
	struct kver kernel;
};

enum bar_advice {
	BAR_FINE,
	BAR_FIRMWARE,        /* a card in a slot */
	BAR_NOT_NESTED,      /* the windows contradict each other: no driver may be loaded */
	BAR_LOOK_FIRST,      /* what decides is not known */
	BAR_FIRMWARE_TUNNEL, /* keep what firmware built */
	BAR_KEPT_TUNNEL,     /* it is kept already: a replug loses it until the next cold boot */
	BAR_ONLY_REALLOC,    /* realloc and no host reset together */
	BAR_REALLOC_COLD,    /* a machine that needs realloc */
	BAR_HOT_ADD,         /* leave the host reset, reserve a little */
	BAR_HOT_ADD_RESIZE,  /* and then make room by removing empty siblings */
	BAR_HOT_ADD_KERNEL,  /* or a kernel that looks at the BAR's possible sizes */
	BAR_ADVICE_COUNT
};

/* Pure. */
enum bar_advice bartree_decide(const struct bar_case *c);

struct bar_answer {
	const char *name; /* "firmware tunnel": for people and tests */
	enum remedy_kind kind;
	const char *remedy, *undo;
	unsigned advice;
};

const struct bar_answer *bartree_answer(enum bar_advice a);

/* The case of one GPU. */
void bartree_case(const struct evidence *ev, const struct gpu *g, struct bar_case *c);

/* Give a finding about a GPU's BARs the remedy of the tree. */
void bartree_advise(const struct evidence *ev, struct finding *f);

/* Whether a BAR could be larger; the size it could have in *most. */
bool bar_could_grow(const struct bar *b, uint64_t *most);

/*
 * Where the kernel finds no room for a BAR after boot, it empties the BAR's line in `resource`, as if there
 * were none (seen on 6.1 and 6.12); its log alone remembers. The line that says so, or NULL.
 */
const struct kline *bar_forgotten(const struct evidence *ev, const struct gpu *g);

/* The BAR that shows the card's memory: the largest prefetchable one; NULL: none. */
const struct bar *gpu_memory_bar(const struct gpu *g);

/* Whether all of a GPU's BARs lie inside the windows above, and each window inside the next. */
enum tri windows_nested(const struct evidence *ev, const struct gpu *g);

#endif

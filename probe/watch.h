/* SPDX-License-Identifier: MIT */
/*
 * Hot-plug events: from the kernel's uevents to what happened to a GPU or a Thunderbolt router. The
 * deciding is pure; src_udev.c receives, watch.c looks up and prints.
 */
#ifndef BERTH_PROBE_WATCH_H
#define BERTH_PROBE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/probe.h"

/* One uevent, as the kernel sent it; texts are empty where it has no such key. Hostile. */
struct uevent {
	char action[24];    /* "add", "remove", "bind", "unbind", "change" */
	char subsystem[24]; /* "pci", "drm", "thunderbolt" */
	char sysname[64];   /* "0000:03:00.0", "card1", "0-1" */
	char devpath[512];
	char driver[64];
	uint32_t class;  /* PCI_CLASS; UINT32_MAX: none */
	int authorized;  /* AUTHORIZED; -1: none */
	char wedged[64]; /* WEDGED: how the driver wants to be recovered */
	bool hotplug;    /* a connector's display came or went */
};

enum watch_kind {
	WATCH_NONE = 0, /* nothing for us */
	WATCH_APPEAR,
	WATCH_VANISH,
	WATCH_BIND,
	WATCH_UNBIND,
	WATCH_AUTHORISE, /* of a Thunderbolt or USB4 router */
	WATCH_DEAUTHORISE,
	WATCH_CHANGE,
	WATCH_COUNT
};

struct watch_event {
	enum watch_kind kind;
	char pci[24];    /* empty for a router */
	char router[64]; /* "0-1"; empty for a GPU */
	char name[120];  /* of the GPU or router; may be empty */
	char driver[64]; /* bound now, or till now when it was unbound; may be empty */
	char what[96];   /* of a change; may be empty */
	json_t *changes; /* facts of the GPU that differ from the last look, as in berth.probe.diff/1, or NULL */
};

/*
 * Pure. `known` is the report before the event: it tells the name of what vanished, and whether a
 * router was authorised. False: nothing for us.
 */
bool watch_decide(const struct uevent *u, const struct report *known, struct watch_event *w);

/* Pure: does this tell of a device that cannot be used any more? */
bool presence_decide(const struct uevent *u, struct device_loss *loss);

const char *watch_kind_name(enum watch_kind k); /* "appear", "vanish", "bind", ... */

/* "berth.probe.watch/1". time is RFC 3339. */
json_t *watch_to_json(const struct watch_event *w, const char *time);
/* One sentence without its end of line. */
void watch_text(struct text *t, const struct watch_event *w, const char *time);

/* --- receiving: src_udev.c --- */

struct watcher;

/* Listen to pci, drm and thunderbolt. -ENOSYS: built without libudev. */
int watcher_open(struct watcher **w, struct err *e);
void watcher_close(struct watcher *w); /* NULL is fine */
int watcher_fd(const struct watcher *w);
/* The next event. 1: *u is one; 0: none is waiting; -ENOBUFS: some were lost; else a negative errno. */
int watcher_next(struct watcher *w, struct uevent *u);

#endif

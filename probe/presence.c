/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe_priv.h"
#include "probe/watch.h"

#define LIST        "sys/bus/pci/devices"
#define HEADER_SIZE 64 /* of the configuration: as much as anybody may read */

/*
 * What no device answers reads as ones (PCI 3.0, 6.1). Not the ids alone: those of a virtual function are
 * ones, too (SR-IOV 1.1, 3.4.1.1).
 */
static bool answers_nothing(const struct machine *m, const char *dir)
{
	char path[PATH_SIZE];
	uint8_t header[HEADER_SIZE];
	size_t ones = 0;

	if (snprintf(path, sizeof(path), "%s/config", dir) >= (int)sizeof(path) ||
	    machine_read_bytes(m, path, header, sizeof(header)) != (long)sizeof(header))
		return false;
	while (ones < sizeof(header) && header[ones] == 0xff)
		ones++;
	return ones == sizeof(header);
}

enum presence presence_look(const struct machine *m, const char *pci, char dir[PATH_SIZE],
			    enum awake *awake)
{
	const struct source s = { .m = m };

	dir[0] = '\0';
	*awake = AWAKE_UNKNOWN;
	if (!addr_ok(pci))
		return PRESENCE_UNKNOWN;
	if (sysfs_dir(&s, pci, dir, PATH_SIZE) == -ENOENT) {
		dir[0] = '\0';
		return machine_exists(m, LIST) ? PRESENCE_GONE : PRESENCE_UNKNOWN;
	}
	*awake = sysfs_awake(&s, dir);
	/*
	 * Any read of the configuration wakes the path to it. Asked again afterwards: it may have gone to
	 * sleep while we read, which reads as all ones, too.
	 */
	if (*awake == AWAKE_YES && answers_nothing(m, dir)) {
		*awake = sysfs_awake(&s, dir);
		if (*awake == AWAKE_YES)
			return PRESENCE_DEAD;
	}
	return PRESENCE_HERE;
}

enum presence presence_of(const struct machine *m, const char *pci)
{
	char dir[PATH_SIZE];
	enum awake awake;

	return presence_look(m, pci, dir, &awake);
}

bool presence_usable(const struct machine *m, const char *pci)
{
	char path[PATH_SIZE], driver[PATH_SIZE];

	snprintf(path, sizeof(path), LIST "/%s/driver", pci);
	return presence_of(m, pci) == PRESENCE_HERE &&
	       machine_link(m, path, driver, sizeof(driver)) >= 0;
}

/* --- events --- */

struct presence_events {
	struct watcher *watcher;
};

/* "card1", "renderD128": a device's own node, and none of its connectors ("card1-DP-3"). */
static bool is_node(const char *name)
{
	size_t n = strncmp(name, "renderD", 7) == 0 ? 7 : strncmp(name, "card", 4) == 0 ? 4 : 0;

	return n && name[n] && strspn(name + n, "0123456789") == strlen(name + n);
}

bool presence_decide(const struct uevent *u, struct device_loss *loss)
{
	bool pci = strcmp(u->subsystem, "pci") == 0, drm = strcmp(u->subsystem, "drm") == 0;

	*loss = (struct device_loss) { 0 };
	if (pci && addr_ok(u->sysname))
		text_copy(loss->pci, sizeof(loss->pci), u->sysname);
	else if (drm && is_node(u->sysname))
		addr_of_path(loss->pci, sizeof(loss->pci), u->devpath);
	if (!loss->pci[0])
		return false;
	if (pci && strcmp(u->action, "remove") == 0)
		text_copy(loss->how, sizeof(loss->how), "left the bus");
	else if ((pci && strcmp(u->action, "unbind") == 0) ||
		 (drm && strcmp(u->action, "remove") == 0))
		text_copy(loss->how, sizeof(loss->how), "was let go by its driver");
	/* "none": it has recovered by itself (drm-uapi, "Device Wedging") */
	else if (drm && strcmp(u->action, "change") == 0 && u->wedged[0] &&
		 strcmp(u->wedged, "none") != 0)
		snprintf(loss->how, sizeof(loss->how),
			 "was given up by its driver, which wants it recovered by %.30s",
			 u->wedged);
	return loss->how[0] != 0;
}

int presence_open(struct presence_events **out, struct err *e)
{
	struct presence_events *p = calloc(1, sizeof(*p));
	int rc = p ? watcher_open(&p->watcher, e) : err_set(e, -ENOMEM, "out of memory");

	*out = NULL;
	if (rc)
		free(p);
	else
		*out = p;
	return rc;
}

void presence_close(struct presence_events *p)
{
	if (!p)
		return;
	watcher_close(p->watcher);
	free(p);
}

int presence_fd(const struct presence_events *p)
{
	return watcher_fd(p->watcher);
}

int presence_next(struct presence_events *p, struct device_loss *loss)
{
	struct uevent u;
	int rc;

	while ((rc = watcher_next(p->watcher, &u)) == 1)
		if (presence_decide(&u, loss))
			return 1;
	return rc;
}

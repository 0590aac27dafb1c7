/* SPDX-License-Identifier: MIT */
/*
 * libudev, for uevents as the kernel sends them: no udev daemon has to run, as in a small VM or a
 * container. It is optional: without it, all else of the probe works.
 */
#include <stdlib.h>
#include <string.h>

#include "probe/probe_priv.h"
#include "probe/watch.h"

#ifdef HAVE_libudev
#include <libudev.h>

struct watcher {
	struct udev *udev;
	struct udev_monitor *monitor;
};

static const char *const subsystems[] = { "pci", "drm", "thunderbolt" };

int watcher_open(struct watcher **out, struct err *e)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int rc = 0;

	*out = NULL;
	if (w)
		w->udev = udev_new();
	if (w && w->udev)
		w->monitor = udev_monitor_new_from_netlink(w->udev, "kernel");
	if (!w || !w->monitor) {
		watcher_close(w);
		return err_set(e, -EACCES, "the kernel's device events cannot be received here");
	}
	for (size_t i = 0; i < ARRAY_LEN(subsystems) && !rc; i++)
		rc = udev_monitor_filter_add_match_subsystem_devtype(w->monitor, subsystems[i],
								     NULL);
	if (!rc)
		rc = udev_monitor_enable_receiving(w->monitor);
	if (rc < 0) {
		watcher_close(w);
		return err_set(e, rc, "the kernel's device events cannot be received: %s",
			       strerror(-rc));
	}
	*out = w;
	return 0;
}

void watcher_close(struct watcher *w)
{
	if (!w)
		return;
	if (w->monitor)
		udev_monitor_unref(w->monitor);
	if (w->udev)
		udev_unref(w->udev);
	free(w);
}

int watcher_fd(const struct watcher *w)
{
	return udev_monitor_get_fd(w->monitor);
}

static void take(char *to, size_t size, const char *text)
{
	text_copy(to, size, text ? text : "");
	text_clean(to);
}

static const char *property(struct udev_device *d, const char *name)
{
	return udev_device_get_property_value(d, name);
}

static void fill(struct uevent *u, struct udev_device *d)
{
	const char *class = property(d, "PCI_CLASS"), *authorized = property(d, "AUTHORIZED");
	const char *hotplug = property(d, "HOTPLUG");

	*u = (struct uevent) { .class = UINT32_MAX, .authorized = -1 };
	take(u->action, sizeof(u->action), udev_device_get_action(d));
	take(u->subsystem, sizeof(u->subsystem), udev_device_get_subsystem(d));
	take(u->sysname, sizeof(u->sysname), udev_device_get_sysname(d));
	take(u->devpath, sizeof(u->devpath), udev_device_get_devpath(d));
	take(u->driver, sizeof(u->driver), property(d, "DRIVER"));
	take(u->wedged, sizeof(u->wedged), property(d, "WEDGED"));
	if (class)
		u->class = (uint32_t)strtoul(class, NULL, 16);
	if (authorized)
		u->authorized = atoi(authorized);
	u->hotplug = hotplug && strcmp(hotplug, "1") == 0;
}

int watcher_next(struct watcher *w, struct uevent *u)
{
	errno = 0;
	struct udev_device *d = udev_monitor_receive_device(w->monitor);

	if (!d)
		return errno == ENOBUFS ? -ENOBUFS : 0;
	fill(u, d);
	udev_device_unref(d);
	return 1;
}

#else

int watcher_open(struct watcher **w, struct err *e)
{
	*w = NULL;
	return err_set(e, -ENOSYS,
		       "this berth was built without libudev; run 'make deps' and build it anew");
}

void watcher_close(struct watcher *w)
{
	(void)w;
}

int watcher_fd(const struct watcher *w)
{
	(void)w;
	return -1;
}

int watcher_next(struct watcher *w, struct uevent *u)
{
	(void)w;
	(void)u;
	return 0;
}

#endif

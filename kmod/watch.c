// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that have vanished. Who pulls a device out of a slot takes all its functions, but the
 * kernel removes one after the other, and the first whose program does not close holds up the
 * rest: the others' programs would never hear of it. The kernel marks all of them before, so
 * whenever it unbinds a driver or takes a function off its bus, whosever it is, all functions
 * that are open look for the mark.
 *
 * A work item looks: the kernel tells with locks of a bus, a slot and a device held, and to tell
 * a program VFIO waits for a lock under which it waits for resets of that other function.
 */
#include <linux/device/bus.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include "kmod/berth_vfio_priv.h"
#include "kmod/trace.h"

/*
 * Holds the list of functions that are open. Under it those of pages.c, and vfio_pci_core's of
 * interrupts.
 */
static DEFINE_MUTEX(watch_lock);
static LIST_HEAD(watched);

/**
 * bv_lose - nobody touches the function any more
 * @b: the function, which need not be open
 */
void bv_lose(struct bv_device *b)
{
	bv_pages_gone(b);
	bv_revoke_gone(b);
}

static void look(struct bv_device *b)
{
	if (b->lost || b->core.pdev->error_state != pci_channel_io_perm_failure)
		return;
	WRITE_ONCE(b->lost, true);
	bv_lose(b);
	trace_berth_vfio_lost(b->core.pdev, 0);
	vfio_pci_core_request(&b->core.vdev, 0);
}

static void look_runs(struct work_struct *work)
{
	struct bv_device *b;

	mutex_lock(&watch_lock);
	list_for_each_entry(b, &watched, watch)
		look(b);
	mutex_unlock(&watch_lock);
}

static DECLARE_WORK(look_work, look_runs);

/**
 * bv_watch_look - soon tell the programs of all functions that have vanished; each hears of it once
 */
void bv_watch_look(void)
{
	schedule_work(&look_work);
}

static int bus_event(struct notifier_block *nb, unsigned long action, void *dev)
{
	if (action != BUS_NOTIFY_UNBIND_DRIVER && action != BUS_NOTIFY_DEL_DEVICE)
		return NOTIFY_DONE;
	bv_watch_look();
	return NOTIFY_OK;
}

static struct notifier_block watcher = { .notifier_call = bus_event };

/**
 * bv_watch_start - when the module is loaded
 *
 * Return: 0 or an errno.
 */
int bv_watch_start(void)
{
	return bus_register_notifier(&pci_bus_type, &watcher);
}

/**
 * bv_watch_stop - when it goes, and nothing is open
 */
void bv_watch_stop(void)
{
	bus_unregister_notifier(&pci_bus_type, &watcher);
	cancel_work_sync(&look_work);
}

/**
 * bv_watch_open - look after a function whose session has begun
 * @b: the function
 */
void bv_watch_open(struct bv_device *b)
{
	mutex_lock(&watch_lock);
	list_add(&b->watch, &watched);
	look(b);
	mutex_unlock(&watch_lock);
}

/**
 * bv_watch_close - its session ends
 * @b: the function
 */
void bv_watch_close(struct bv_device *b)
{
	mutex_lock(&watch_lock);
	list_del(&b->watch);
	mutex_unlock(&watch_lock);
}

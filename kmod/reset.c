// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets that neither the program nor vfio_pci_core asks for: root's by sysfs, or of more than this
 * function. The kernel tells of them before and after. vfio_pci_core does not listen, so maps would
 * show a device that is being reset; and a function that is opened or closed just then has its
 * configuration saved by one when the other has wiped it, and is without addresses afterwards.
 *
 * So such a reset waits until an open or a close that is under way is done, and holds memory_lock,
 * as vfio_pci_core's own resets do: who touches the function waits.
 *
 * Both locks are only tried. Their holders may wait for what the reset holds: a program that writes
 * configuration space has memory_lock, and waits until the reset is done. And what another driver
 * of the same slot resets has memory_lock from vfio_pci_core.
 */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "kmod/berth_vfio_priv.h"
#include "kmod/trace.h"

/*
 * So long is tried, in milliseconds: an open or a close resets by itself; an access is short.
 */
#define TURN_MS   10000
#define MEMORY_MS 100

static DEFINE_SPINLOCK(owners_lock);
static LIST_HEAD(owners);

/**
 * bv_reset_own - what follows may reset functions, and vfio_pci_core sees to it
 * @owner: room, until bv_reset_owned
 */
void bv_reset_own(struct bv_reset_owner *owner)
{
	owner->task = current;
	spin_lock(&owners_lock);
	list_add(&owner->entry, &owners);
	spin_unlock(&owners_lock);
}

/**
 * bv_reset_owned - the end of bv_reset_own
 * @owner: the same
 */
void bv_reset_owned(struct bv_reset_owner *owner)
{
	spin_lock(&owners_lock);
	list_del(&owner->entry);
	spin_unlock(&owners_lock);
}

static bool is_own(void)
{
	const struct bv_reset_owner *owner;
	bool own = false;

	spin_lock(&owners_lock);
	list_for_each_entry(owner, &owners, entry)
		own |= owner->task == current;
	spin_unlock(&owners_lock);
	return own;
}

static bool turn_take(struct bv_device *b)
{
	int i;

	for (i = 0; !mutex_trylock(&b->reset.turn); i++) {
		if (i == TURN_MS)
			return false;
		usleep_range(1000, 1100);
	}
	return true;
}

static bool memory_take(struct bv_device *b)
{
	int i;

	for (i = 0; !down_write_trylock(&b->core.memory_lock); i++) {
		if (i == MEMORY_MS)
			return false;
		usleep_range(1000, 1100);
	}
	return true;
}

/**
 * bv_reset_prepare - a function is about to be reset, whoever wants it, and of whatever more
 * @pdev: the function, whose lock the kernel holds until bv_reset_done
 */
void bv_reset_prepare(struct pci_dev *pdev)
{
	struct bv_device *b = bv_of_pci(pdev);

	b->reset.foreign = !is_own();
	if (b->reset.foreign) {
		b->reset.has_turn = turn_take(b);
		b->reset.has_memory = memory_take(b);
		bv_revoke_unmap(b);
	}
	bv_pages_stop(b);
}

/**
 * bv_reset_done - the end of bv_reset_prepare
 * @pdev: the function
 */
void bv_reset_done(struct pci_dev *pdev)
{
	struct bv_device *b = bv_of_pci(pdev);

	bv_pages_go(b);
	if (!b->reset.foreign)
		return;
	if (b->reset.has_memory)
		up_write(&b->core.memory_lock);
	if (b->reset.has_turn)
		mutex_unlock(&b->reset.turn);
	trace_berth_vfio_reset(pdev, 0);
}

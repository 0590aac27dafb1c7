// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mode "revocable": while the device must not be touched, or is gone, its BARs' maps show a
 * page of all ones, where vfio_pci_core raises SIGBUS, or leaves the map on what has gone.
 *
 * vfio_pci_core fills a map page by page, as the program touches it, and takes all pages away
 * before it switches memory off, lets the device sleep, or resets it. We stand before its fault
 * handler: where that says SIGBUS, and where it is not to be asked any more, the scratch page
 * goes in. Whoever makes the device reachable again calls bv_revoke_settle(), which takes the
 * scratch page away, so that the next touch finds the device.
 *
 * What a program writes to the scratch page cannot vanish at once: a shared map that is not
 * writable would be made so by the kernel. So it is one page for each session, which nobody else
 * ever sees, and a timer fills it with ones again while it is mapped.
 *
 * Locks: mmap_lock, then bv_revoke.lock, then vfio_pci_core's memory_lock. A fault holds both of
 * the latter for reading; who brings the device back holds the first for writing, and never asks
 * for it with memory_lock held.
 *
 * Who takes the device away waits for neither. The kernel tells of errors of a bus, and of slots
 * that are empty, with locks of its own held that whoever resets the function wants while it has
 * memory_lock, and for that a fault waits with bv_revoke.lock in its hand. So it says that the
 * device is away, and then takes the pages; a fault brings its page, and then looks whether the
 * device is away. One of them sees the other.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "kmod/berth_vfio_priv.h"
#include "kmod/trace.h"

#ifdef BV_HAVE_VFIO_INODE

/*
 * Half of what uapi.h promises: a timer of the kernel comes a tick late, and a busy machine
 * later.
 */
#define REFILL_MS (BERTH_VFIO_ECHO_MS / 2)

static void scratch_fill(struct bv_revoke *r)
{
	memset(page_address(r->scratch), 0xff, PAGE_SIZE);
}

/* Not later than it would come: a program that touches page after page does not put it off. */
static void timer_go(struct bv_revoke *r)
{
	timer_reduce(&r->timer, jiffies + msecs_to_jiffies(REFILL_MS));
}

/**
 * bv_revoke_unmap - take away the pages of all maps of all BARs, KVM's, too
 * @b: the function; who touches one of its pages faults, and waits for the lock that the caller
 *   holds, bv_revoke.lock or memory_lock, or finds what the caller has said before: bv_revoked()
 */
void bv_revoke_unmap(struct bv_device *b)
{
	loff_t from = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX);
	loff_t to = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX);

	if (READ_ONCE(b->revocable))
		unmap_mapping_range(b->core.vdev.inode->i_mapping, from, to - from, true);
}

static vm_fault_t scratch_fault(struct bv_device *b, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct bv_revoke *r = &b->revoke;
	vm_fault_t ret = VM_FAULT_NOPAGE;

	down_read(&b->core.memory_lock);
	/* Before the look: who has brought the device back since then sees it, and waits for us. */
	smp_store_mb(r->mapped, true);
	timer_go(r);
	/* Else the device has come back since vfio_pci_core said no: the program tries again. */
	if (bv_revoked(b) || bv_off(b))
		ret = vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(r->scratch),
					  vm_get_page_prot(vma->vm_flags));
	up_read(&b->core.memory_lock);
	return ret;
}

/* vfio_pci_core's answer, unless the device has been taken away meanwhile. */
static vm_fault_t device_fault(struct bv_device *b, struct vm_fault *vmf, unsigned int order)
{
	const struct vm_operations_struct *core = b->revoke.core_ops;
	vm_fault_t ret;

	if (bv_revoked(b))
		return VM_FAULT_SIGBUS;
	ret = order ? core->huge_fault(vmf, order) : core->fault(vmf);
	/* The page, then the look: who takes the device away says so, and then takes pages. */
	smp_mb();
	if (!bv_revoked(b))
		return ret;
	bv_revoke_unmap(b);
	return VM_FAULT_SIGBUS;
}

static vm_fault_t any_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vfio_pci_core_device *core = vma->vm_private_data;
	struct bv_device *b = container_of(core, struct bv_device, core);
	struct bv_revoke *r = &b->revoke;
	vm_fault_t ret;
	bool device;

	down_read(&r->lock);
	ret = device_fault(b, vmf, order);
	device = ret != VM_FAULT_SIGBUS;
	if (!device)
		ret = order ? VM_FAULT_FALLBACK : scratch_fault(b, vmf);
	up_read(&r->lock);
	trace_berth_vfio_fault(core->pdev,
			       VFIO_PCI_OFFSET_TO_INDEX((u64)vma->vm_pgoff << PAGE_SHIFT),
			       ((u64)vma->vm_pgoff << PAGE_SHIFT & VFIO_PCI_OFFSET_MASK) +
				       (vmf->address - vma->vm_start),
			       order, device, (__force u32)ret);
	return ret;
}

static vm_fault_t page_fault(struct vm_fault *vmf)
{
	return any_fault(vmf, 0);
}

/**
 * bv_revoke_map - make a map of a BAR that vfio_pci_core has made revocable
 * @b: the function
 * @vma: the map, of which no page is there yet
 *
 * Return: 0; EOPNOTSUPP: vfio_pci_core makes maps of a kind that is not known here.
 */
int bv_revoke_map(struct bv_device *b, struct vm_area_struct *vma)
{
	struct bv_revoke *r = &b->revoke;
	int ret = 0;

	mutex_lock(&b->lock);
	if (!r->core_ops && vma->vm_ops && vma->vm_ops->fault) {
		r->ops = *vma->vm_ops;
		r->ops.fault = page_fault;
		if (r->ops.huge_fault)
			r->ops.huge_fault = any_fault;
		r->core_ops = vma->vm_ops;
	}
	if (!r->core_ops || r->core_ops != vma->vm_ops)
		ret = -EOPNOTSUPP;
	else
		vma->vm_ops = &r->ops;
	mutex_unlock(&b->lock);
	return ret;
}

/**
 * bv_revoke_gone - the function is gone for good: from now on its maps show ones, and its BARs
 * are not read and written any more
 * @b: the function, which need not be open
 */
void bv_revoke_gone(struct bv_device *b)
{
	/* It is a full barrier, as device_fault() wants it. */
	if (atomic_xchg(&b->revoke.gone, 1))
		return;
	bv_revoke_unmap(b);
	trace_berth_vfio_revoke(b->core.pdev, 0);
}

/**
 * bv_revoke_wipe - the bus has failed, and the kernel will reset all that is on it: what the
 * function was told by its configuration is lost, and vfio_pci_core does not tell it again
 * @b: the function
 */
void bv_revoke_wipe(struct bv_device *b)
{
	/* A full barrier, too. */
	atomic_inc_return(&b->revoke.wiped);
	bv_revoke_unmap(b);
}

/**
 * bv_revoke_mend - look whether the function answers to its addresses again: vfio_pci_core gives
 * them back when the program switches memory on
 * @b: the function, which is open
 */
void bv_revoke_mend(struct bv_device *b)
{
	struct pci_dev *pdev = b->core.pdev;
	int wiped = atomic_read(&b->revoke.wiped);
	u16 command;

	/* Until the bus is reset, a register does not tell what it will be after that. */
	if (!wiped || pci_channel_offline(pdev))
		return;
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (!PCI_POSSIBLE_ERROR(command) &&
	    (pdev->no_command_memory || command & PCI_COMMAND_MEMORY))
		atomic_cmpxchg(&b->revoke.wiped, wiped, 0);
}

/**
 * bv_revoke_settle - take the scratch page out of maps if the device may be touched again
 * @b: the function, which is open; the caller holds no lock of vfio_pci_core's
 */
void bv_revoke_settle(struct bv_device *b)
{
	struct bv_revoke *r = &b->revoke;

	if (!READ_ONCE(r->mapped) || bv_revoked(b) || bv_off(b))
		return;
	down_write(&r->lock);
	if (r->mapped && !bv_revoked(b)) {
		WRITE_ONCE(r->mapped, false);
		bv_revoke_unmap(b);
		/* The timer may not come again. */
		scratch_fill(r);
		trace_berth_vfio_restore(b->core.pdev, 0);
	}
	up_write(&r->lock);
}

/* A device that wakes by itself tells nobody but vfio_pci_core, so the timer looks. */
static void timer_fires(struct timer_list *t)
{
	struct bv_revoke *r = container_of(t, struct bv_revoke, timer);
	struct bv_device *b = container_of(r, struct bv_device, revoke);

	scratch_fill(r);
	if (!READ_ONCE(r->mapped))
		return;
	if (!bv_revoked(b) && !bv_off(b))
		schedule_work(&r->work);
	timer_go(r);
}

static void work_runs(struct work_struct *work)
{
	struct bv_revoke *r = container_of(work, struct bv_revoke, work);

	bv_revoke_settle(container_of(r, struct bv_device, revoke));
}

/**
 * bv_revoke_init - for a function that is bound
 * @b: the function
 */
void bv_revoke_init(struct bv_device *b)
{
	init_rwsem(&b->revoke.lock);
	INIT_WORK(&b->revoke.work, work_runs);
}

/**
 * bv_revoke_open - a session begins: its scratch page
 * @b: the function
 *
 * Return: 0, or ENOMEM.
 */
int bv_revoke_open(struct bv_device *b)
{
	struct bv_revoke *r = &b->revoke;

	atomic_set(&r->wiped, 0);
	if (!b->revocable)
		return 0;
	r->scratch = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!r->scratch)
		return -ENOMEM;
	scratch_fill(r);
	timer_setup(&r->timer, timer_fires, 0);
	return 0;
}

/**
 * bv_revoke_close - a session ends: nothing is mapped any more
 * @b: the function, of which vfio_pci_core still knows all
 */
void bv_revoke_close(struct bv_device *b)
{
	struct bv_revoke *r = &b->revoke;

	if (!r->scratch)
		return;
	WRITE_ONCE(r->mapped, false);
	timer_shutdown_sync(&r->timer);
	cancel_work_sync(&r->work);
	__free_page(r->scratch);
	r->scratch = NULL;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors through which chosen pages of a BAR can be mapped, and nothing else: for a program
 * that shall have the pages and not the function. Whoever has the function open asks for them.
 *
 * A descriptor does not keep the function open. Its pages are taken back when the function is
 * closed or removed, when an error stops it, and when its holder says so; and while its memory is
 * off, it sleeps or is reset, nobody reaches it. What is mapped meanwhile is a page of ones that
 * belongs to the descriptor: a program never gets a signal for it. Each descriptor has an inode
 * of its own, so that its mappings, and no others, can be found.
 *
 * Locks, from the outside: mmap_lock, memory_lock (of vfio_pci_core), pages.gate; and pages.lock,
 * inside of memory_lock, with which descriptors are walked and unmapped.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "kmod/berth_vfio_priv.h"
#include "kmod/config.h"
#include "kmod/trace.h"

/* What is written to the page of ones can be read back for that long, and that again. */
#define REFILL_MS 10

/**
 * struct bv_pages - a descriptor
 * @entry: in the function's list, until they are taken back
 * @b: the function; a reference to it is held, as to @pdev
 * @pdev: the same, as others call it
 * @live: they have not been taken back; changes under pages.gate, and never to true
 * @mapping: whose mappings are the descriptor's
 * @ones: what is mapped in place of the device
 * @wants_ones: @ones is mapped somewhere
 * @refill: makes @ones ones again, and takes it away when the device can be had
 * @bar: of which BAR
 * @n: how many ranges
 * @ranges: offsets in the BAR; whole pages, in order
 */
struct bv_pages {
	struct list_head entry;
	struct bv_device *b;
	struct pci_dev *pdev;
	bool live;
	struct address_space *mapping;
	struct page *ones;
	bool wants_ones;
	struct delayed_work refill;
	u32 bar;
	u32 n;
	struct berth_vfio_range ranges[];
};

static struct vfsmount *pages_mount;
static int pages_mounts;

static int pages_fs_init(struct fs_context *fc)
{
	if (!init_pseudo(fc, 0x62766670))
		return -ENOMEM;
	fc->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	return 0;
}

static struct file_system_type pages_fs = {
	.name = BERTH_VFIO_DRIVER,
	.owner = THIS_MODULE,
	.init_fs_context = pages_fs_init,
	.kill_sb = kill_anon_super,
};

/* --- what is mapped: the device, or ones --- */

/**
 * bv_off - whether a function's memory may not be touched: off by its program, asleep, or gone
 * @b: the function, which is open; the caller holds memory_lock
 *
 * Return: so it is.
 */
bool bv_off(const struct bv_device *b)
{
	const struct vfio_pci_core_device *core = &b->core;
	u16 command = le16_to_cpup((const __le16 *)&core->vconfig[PCI_COMMAND]);

	return core->pm_runtime_engaged ||
	       (__force int)core->pdev->current_state >= (__force int)PCI_D3hot ||
	       pci_channel_offline(core->pdev) ||
	       !(core->pdev->no_command_memory || command & PCI_COMMAND_MEMORY);
}

/* The caller holds memory_lock and pages.gate. */
static bool reachable(const struct bv_pages *p)
{
	return p->live && !p->b->pages.stopped && !bv_off(p->b);
}

static void ones_fill(struct bv_pages *p)
{
	memset(page_address(p->ones), 0xff, PAGE_SIZE);
}

/*
 * A page of ones that comes while this runs is seen by the next refill: it is told after it is
 * mapped.
 */
static void pages_unmap(struct bv_pages *p)
{
	WRITE_ONCE(p->wants_ones, false);
	unmap_mapping_range(p->mapping, 0, 0, 1);
}

static bool ones_are_needed(struct bv_pages *p)
{
	struct bv_device *b = p->b;
	bool needed = true;

	/* Whoever has it for long may wait for us: a reset, with memory off. */
	if (!down_read_trylock(&b->core.memory_lock))
		return true;
	down_read(&b->pages.gate);
	if (reachable(p))
		needed = false;
	up_read(&b->pages.gate);
	up_read(&b->core.memory_lock);
	return needed;
}

/*
 * A function may wake by itself, without anything that we are told of: so ones that are needed no
 * longer go from here, too.
 */
static void refill(struct work_struct *work)
{
	struct bv_pages *p = container_of(to_delayed_work(work), struct bv_pages, refill);

	if (!ones_are_needed(p) || !mapping_mapped(p->mapping))
		pages_unmap(p);
	ones_fill(p);
	if (READ_ONCE(p->wants_ones))
		queue_delayed_work(system_highpri_wq, &p->refill, msecs_to_jiffies(REFILL_MS));
}

static vm_fault_t ones_insert(struct bv_pages *p, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	vm_fault_t ret = vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(p->ones),
					     vm_get_page_prot(vma->vm_flags));

	WRITE_ONCE(p->wants_ones, true);
	queue_delayed_work(system_highpri_wq, &p->refill, msecs_to_jiffies(REFILL_MS));
	return ret;
}

static unsigned long pfn_at(const struct bv_pages *p, pgoff_t page)
{
	return (pci_resource_start(p->pdev, p->bar) >> PAGE_SHIFT) + page;
}

/*
 * With its neighbours, which stay if they are there already; one that cannot be had will fault
 * for itself.
 */
static vm_fault_t device_insert(struct bv_pages *p, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long block = ALIGN_DOWN(vmf->address, PMD_SIZE);
	unsigned long end = min(block + PMD_SIZE, vma->vm_end);
	unsigned long at;
	vm_fault_t ret = vmf_insert_pfn(vma, vmf->address, pfn_at(p, vmf->pgoff));

	if (ret != VM_FAULT_NOPAGE)
		return ret;
	for (at = max(block, vma->vm_start); at < end; at += PAGE_SIZE)
		if (vmf_insert_pfn(vma, at, pfn_at(p, linear_page_index(vma, at))) !=
		    VM_FAULT_NOPAGE)
			break;
	return ret;
}

/* A reset holds memory_lock, so who touches the pages meanwhile waits for its end. */
static vm_fault_t pages_fault(struct vm_fault *vmf)
{
	struct bv_pages *p = vmf->vma->vm_file->private_data;
	struct bv_device *b = p->b;
	bool device;
	vm_fault_t ret;

	down_read(&b->core.memory_lock);
	down_read(&b->pages.gate);
	device = reachable(p);
	ret = device ? device_insert(p, vmf) : ones_insert(p, vmf);
	up_read(&b->pages.gate);
	up_read(&b->core.memory_lock);
	trace_berth_vfio_page(p->pdev, p->bar, (u64)vmf->pgoff << PAGE_SHIFT, device);
	return ret;
}

static const struct vm_operations_struct pages_vm_ops = {
	.fault = pages_fault,
};

/* --- the descriptor --- */

static bool chosen(const struct bv_pages *p, u64 offset, u64 length)
{
	u32 i;

	for (i = 0; i < p->n; i++)
		if (offset >= p->ranges[i].offset && length <= p->ranges[i].length &&
		    offset - p->ranges[i].offset <= p->ranges[i].length - length)
			return true;
	return false;
}

static void vma_flags(struct vm_area_struct *vma)
{
	const unsigned long set = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;

#ifdef BV_HAVE_VM_FLAGS
	vm_flags_set(vma, set);
#else
	vma->vm_flags |= set;
#endif
}

/*
 * That a descriptor for reading is not mapped for writing is seen to by its mode: such a map has
 * no VM_MAYWRITE either, and is shared nevertheless. That nothing of it is run is seen to by its
 * file system.
 */
static int pages_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct bv_pages *p = file->private_data;
	u64 length = vma->vm_end - vma->vm_start;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!READ_ONCE(p->live))
		return -ENODEV;
	if (vma->vm_pgoff > ULONG_MAX >> PAGE_SHIFT ||
	    !chosen(p, (u64)vma->vm_pgoff << PAGE_SHIFT, length))
		return -EPERM;
	vma_flags(vma);
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_ops = &pages_vm_ops;
	return 0;
}

static void pages_free(struct bv_pages *p)
{
	pci_dev_put(p->pdev);
	vfio_put_device(&p->b->core.vdev);
	__free_page(p->ones);
	kfree(p);
}

/* Nothing is mapped any more: each mapping held the file. */
static int pages_release(struct inode *inode, struct file *file)
{
	struct bv_pages *p = file->private_data;
	struct bv_device *b = p->b;

	mutex_lock(&b->pages.lock);
	if (p->live)
		list_del(&p->entry);
	mutex_unlock(&b->pages.lock);
	cancel_delayed_work_sync(&p->refill);
	pages_free(p);
	simple_release_fs(&pages_mount, &pages_mounts);
	return 0;
}

static void pages_fdinfo(struct seq_file *m, struct file *file)
{
	const struct bv_pages *p = file->private_data;
	u32 i;

	seq_printf(m, "berth-bar:\t%u\n", p->bar);
	for (i = 0; i < p->n; i++)
		seq_printf(m, "berth-pages:\t0x%llx-0x%llx\n", p->ranges[i].offset,
			   p->ranges[i].offset + p->ranges[i].length - 1);
	seq_printf(m, "berth-taken-back:\t%d\n", !READ_ONCE(p->live));
}

static const struct file_operations pages_fops = {
	.owner = THIS_MODULE,
	.mmap = pages_mmap,
	.release = pages_release,
	.llseek = noop_llseek,
	.show_fdinfo = pages_fdinfo,
};

/* --- which pages a program may ask for --- */

static bool ranges_fit(const struct bv_device *b, const struct bv_pages *p)
{
	u64 size = pci_resource_len(b->core.pdev, p->bar), free = 0;
	u32 i;

	for (i = 0; i < p->n; i++) {
		const struct berth_vfio_range *r = &p->ranges[i];

		if (!r->length || !PAGE_ALIGNED(r->offset) || !PAGE_ALIGNED(r->length) ||
		    r->offset < free || r->offset >= size || r->length > size - r->offset)
			return false;
		free = r->offset + r->length;
	}
	return true;
}

static bool meets(const struct berth_vfio_range *r, u64 first, u64 size)
{
	return size && first < r->offset + r->length && r->offset < first + size;
}

/*
 * The pages that hold the table of MSI-X, or what is pending: who writes them directs interrupts.
 */
static bool has_msix(const struct bv_device *b, const struct bv_pages *p)
{
	struct pci_dev *pdev = b->core.pdev;
	u32 pending, i;

	if (!pdev->msix_cap)
		return false;
	if (pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pending) ||
	    PCI_POSSIBLE_ERROR(pending))
		return true;
	for (i = 0; i < p->n; i++) {
		if (p->bar == b->core.msix_bar &&
		    meets(&p->ranges[i], b->core.msix_offset, b->core.msix_size))
			return true;
		/* A bit for each vector, in words of 64. */
		if (p->bar == (pending & PCI_MSIX_PBA_BIR) &&
		    meets(&p->ranges[i], pending & PCI_MSIX_PBA_OFFSET,
			  ALIGN(b->core.msix_size / PCI_MSIX_ENTRY_SIZE, 64) / 8))
			return true;
	}
	return false;
}

/* Of a trapped BAR only what a rule opens. */
static bool policy_lets(const struct bv_device *b, const struct bv_pages *p)
{
	u32 i;

	if (b->mode[p->bar] != BV_TRAP)
		return true;
	for (i = 0; i < p->n; i++)
		if (!bv_rules_map(b, p->bar, p->ranges[i].offset,
				  p->ranges[i].offset + p->ranges[i].length - 1))
			return false;
	return true;
}

/* What bv_bars_take() could not have may be free by now. */
static int bar_take(struct bv_device *b, u32 bar)
{
#if defined(BV_HAVE_GET_IOMAP)
	return b->core.barmap[bar] ? 0 : -EBUSY;
#elif defined(BV_HAVE_SETUP_BARMAP)
	return vfio_pci_core_setup_barmap(&b->core, bar);
#else
	struct pci_dev *pdev = b->core.pdev;
	int ret;

	if (b->core.barmap[bar])
		return 0;
	ret = pci_request_selected_regions(pdev, 1 << bar, "vfio-pci");
	if (ret)
		return ret;
	b->core.barmap[bar] = pci_iomap(pdev, bar, 0);
	if (!b->core.barmap[bar]) {
		pci_release_selected_regions(pdev, 1 << bar);
		return -ENOMEM;
	}
	return 0;
#endif
}

/**
 * bv_bars_take - have vfio_pci_core take all BARs for itself, as newer ones do by themselves
 * @b: the function, which is being opened
 *
 * Older ones take a BAR when it is first used, without a lock, so that one of two programs that
 * use it at once is told EBUSY. A BAR that another driver has fails whenever it is used.
 */
void bv_bars_take(struct bv_device *b)
{
	u32 i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		if (pci_resource_len(b->core.pdev, i))
			bar_take(b, i);
}

static int pages_check(struct bv_device *b, const struct bv_pages *p)
{
	if (!(b->mappable & BIT(p->bar)) || !ranges_fit(b, p))
		return -EINVAL;
	if (!policy_lets(b, p) || has_msix(b, p))
		return -EPERM;
	return bar_take(b, p->bar);
}

/* --- from the request to the descriptor --- */

/* *p is freed by pages_free. */
static int pages_alloc(struct bv_device *b, const struct berth_vfio_pages *ask,
		       const struct berth_vfio_range __user *from, struct bv_pages **out)
{
	struct bv_pages *p = kzalloc(struct_size(p, ranges, ask->n), GFP_KERNEL_ACCOUNT);

	if (!p)
		return -ENOMEM;
	p->ones = alloc_page(GFP_KERNEL_ACCOUNT);
	if (!p->ones) {
		kfree(p);
		return -ENOMEM;
	}
	ones_fill(p);
	p->bar = ask->bar;
	p->n = ask->n;
	INIT_DELAYED_WORK(&p->refill, refill);
	get_device(&b->core.vdev.device);
	p->b = b;
	p->pdev = pci_dev_get(b->core.pdev);
	if (copy_from_user(p->ranges, from, ask->n * sizeof(*from))) {
		pages_free(p);
		return -EFAULT;
	}
	*out = p;
	return 0;
}

static struct file *pages_file(struct bv_pages *p, bool write)
{
	struct inode *inode;
	struct file *file;
	int ret = simple_pin_fs(&pages_fs, &pages_mount, &pages_mounts);

	if (ret)
		return ERR_PTR(ret);
	inode = alloc_anon_inode(pages_mount->mnt_sb);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto undo_pin;
	}
	/* The file's end gives the module back. */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(inode, pages_mount, "[berth_vfio]", write ? O_RDWR : O_RDONLY,
				 &pages_fops);
	if (IS_ERR(file))
		goto undo_inode;
	file->private_data = p;
	p->mapping = file->f_mapping;
	return file;
undo_inode:
	module_put(THIS_MODULE);
	iput(inode);
undo_pin:
	simple_release_fs(&pages_mount, &pages_mounts);
	return file;
}

static int pages_begin(struct bv_device *b, struct bv_pages *p)
{
	int ret = -ENODEV;

	mutex_lock(&b->pages.lock);
	if (!b->pages.gone) {
		p->live = true;
		list_add(&p->entry, &b->pages.list);
		ret = 0;
	}
	mutex_unlock(&b->pages.lock);
	return ret;
}

/* From here on the file owns what was allocated. */
static int pages_install(struct bv_device *b, struct bv_pages *p, bool write)
{
	struct file *file;
	int fd = get_unused_fd_flags(O_CLOEXEC), ret;

	if (fd < 0) {
		pages_free(p);
		return fd;
	}
	file = pages_file(p, write);
	if (IS_ERR(file)) {
		pages_free(p);
		ret = PTR_ERR(file);
		goto undo_fd;
	}
	ret = pages_begin(b, p);
	if (ret) {
		fput(file);
		goto undo_fd;
	}
	fd_install(fd, file);
	return fd;
undo_fd:
	put_unused_fd(fd);
	return ret;
}

static int ask_check(const struct berth_vfio_pages *ask)
{
	const u32 all = BERTH_VFIO_PAGES_READ | BERTH_VFIO_PAGES_WRITE;

	if (ask->flags & ~all || !(ask->flags & BERTH_VFIO_PAGES_READ) ||
	    ask->bar >= PCI_STD_NUM_BARS || !ask->n)
		return -EINVAL;
	if (ask->n > BERTH_VFIO_RANGES)
		return -E2BIG;
	return ask->argsz < struct_size(ask, ranges, ask->n) ? -EINVAL : 0;
}

/**
 * bv_pages_give - BERTH_VFIO_PAGES: a descriptor for chosen pages
 * @b: the function, which is open
 * @arg: the program's struct berth_vfio_pages
 *
 * Return: the descriptor; EINVAL: no such BAR, flag or size, a BAR that cannot be mapped, ranges
 * that are not whole pages of it in order; E2BIG: too many; EPERM: the BAR is trapped and no rule
 * opens them, or they hold the table of MSI-X; EFAULT; ENODEV: the function is gone; ENOMEM,
 * EMFILE; EBUSY: another driver has the BAR.
 */
long bv_pages_give(struct bv_device *b, unsigned long arg)
{
	struct berth_vfio_pages __user *from = (void __user *)arg;
	struct berth_vfio_pages ask;
	struct bv_pages *p;
	int ret;

	if (copy_from_user(&ask, from, sizeof(ask)))
		return -EFAULT;
	ret = ask_check(&ask);
	if (!ret)
		ret = pages_alloc(b, &ask, from->ranges, &p);
	if (ret)
		return ret;
	ret = pages_check(b, p);
	if (ret) {
		pages_free(p);
		return ret;
	}
	ret = pages_install(b, p, ask.flags & BERTH_VFIO_PAGES_WRITE);
	trace_berth_vfio_pages(b->core.pdev, min(ret, 0));
	return ret;
}

/* --- when they are not to be had --- */

/**
 * bv_pages_end - take back the pages of all descriptors of a function, for good
 * @b: the function; memory_lock is not held
 *
 * Return: of how many.
 */
int bv_pages_end(struct bv_device *b)
{
	struct bv_pages *p, *next;
	int n = 0;

	mutex_lock(&b->pages.lock);
	down_write(&b->pages.gate);
	list_for_each_entry(p, &b->pages.list, entry)
		WRITE_ONCE(p->live, false);
	up_write(&b->pages.gate);
	list_for_each_entry_safe(p, next, &b->pages.list, entry) {
		list_del(&p->entry);
		pages_unmap(p);
		n++;
	}
	mutex_unlock(&b->pages.lock);
	if (n)
		trace_berth_vfio_taken_back(b->core.pdev, n);
	return n;
}

/**
 * bv_pages_gone - as bv_pages_end, and there will be no more
 * @b: the function, which is being removed
 */
void bv_pages_gone(struct bv_device *b)
{
	mutex_lock(&b->pages.lock);
	b->pages.gone = true;
	mutex_unlock(&b->pages.lock);
	bv_pages_end(b);
}

static void pages_unmap_all(struct bv_device *b)
{
	struct bv_pages *p;

	mutex_lock(&b->pages.lock);
	list_for_each_entry(p, &b->pages.list, entry)
		pages_unmap(p);
	mutex_unlock(&b->pages.lock);
}

/**
 * bv_pages_stop - until bv_pages_go, whatever is mapped is ones: what comes may turn the memory off
 * @b: the function; who calls may hold memory_lock
 */
void bv_pages_stop(struct bv_device *b)
{
	down_write(&b->pages.gate);
	b->pages.stopped++;
	up_write(&b->pages.gate);
	pages_unmap_all(b);
}

/**
 * bv_pages_go - the end of bv_pages_stop: who touches the pages gets the device, if it can be had
 * @b: the function
 */
void bv_pages_go(struct bv_device *b)
{
	down_write(&b->pages.gate);
	b->pages.stopped--;
	up_write(&b->pages.gate);
	pages_unmap_all(b);
}

/**
 * bv_pages_init - of a function that is bound
 * @b: the function
 */
void bv_pages_init(struct bv_device *b)
{
	mutex_init(&b->pages.lock);
	init_rwsem(&b->pages.gate);
	INIT_LIST_HEAD(&b->pages.list);
}

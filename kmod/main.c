// SPDX-License-Identifier: GPL-2.0-only
/*
 * berth_vfio: a driver of PCI functions for programs, as vfio-pci is, that can keep programs from
 * mapping BARs, and see and judge each access. What is not named in this folder is
 * vfio_pci_core's own.
 *
 * It has no table of PCI ids, so nothing chooses it for a device: who wants it writes its name to
 * the function's driver_override.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "kmod/berth_vfio_priv.h"
#include "kmod/config.h"
#include "kmod/trace.h"

static enum bv_mode default_mode = BV_TRAP;

static int default_mode_set(const char *text, const struct kernel_param *kp)
{
	return bv_mode_parse(text, &default_mode);
}

static int default_mode_get(char *page, const struct kernel_param *kp)
{
	return sysfs_emit(page, "%s\n", bv_mode_name(default_mode));
}

static const struct kernel_param_ops default_mode_ops = {
	.set = default_mode_set,
	.get = default_mode_get,
};
module_param_cb(mode, &default_mode_ops, NULL, 0644);
MODULE_PARM_DESC(mode,
		 "How BARs are given when a function is bound: trap (default), map, or revocable");

/* --- a session: from the first open of a function to the last close --- */

static bool is_io(const struct bv_device *b, u32 bar)
{
	return pci_resource_flags(b->core.pdev, bar) & IORESOURCE_IO;
}

/* From here on nothing changes what the session may do. */
static void session_lock(struct bv_device *b)
{
	u32 i;

	mutex_lock(&b->lock);
	b->open = true;
	b->traps = false;
	b->closes_io = false;
	b->revocable = false;
	b->lost = false;
	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (!pci_resource_len(b->core.pdev, i) || is_io(b, i))
			continue;
		b->traps |= b->mode[i] == BV_TRAP;
		b->revocable |= b->mode[i] == BV_REVOCABLE;
	}
	for (i = 0; i < b->n_rules; i++) {
		const struct bv_rule *r = &b->rules[i];

		b->traps |= r->bar != BV_CONFIG;
		b->closes_io |= (r->verb == BV_DENY || r->verb == BV_READ_ONLY) &&
				!is_io(b, r->bar);
	}
	bv_access_plain(b);
	mutex_unlock(&b->lock);
}

static void session_unlock(struct bv_device *b)
{
	mutex_lock(&b->lock);
	b->open = false;
	mutex_unlock(&b->lock);
}

/*
 * Only after finish_enable, which looks for itself what can be mapped. The VGA region leads to the
 * registers by another way.
 */
static void session_close_ways(struct bv_device *b)
{
	u32 i;

	b->mappable = 0;
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		b->mappable |= b->core.bar_mmap_supported[i] ? BIT(i) : 0;
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		if (b->mode[i] == BV_TRAP)
			b->core.bar_mmap_supported[i] = false;
	if (b->traps)
		b->core.has_vga = false;
}

static int session_begin(struct bv_device *b)
{
	int ret = bv_revoke_open(b);

	if (ret)
		return ret;
	ret = vfio_pci_core_enable(&b->core);
	if (ret) {
		bv_revoke_close(b);
		return ret;
	}
	vfio_pci_core_finish_enable(&b->core);
	bv_bars_take(b);
	session_close_ways(b);
	bv_watch_open(b);
	return 0;
}

/* Both reset the function, and no other reset may come between. */
static void turn_begin(struct bv_device *b, struct bv_reset_owner *owner)
{
	mutex_lock(&b->reset.turn);
	bv_reset_own(owner);
}

static void turn_end(struct bv_device *b, struct bv_reset_owner *owner)
{
	bv_reset_owned(owner);
	mutex_unlock(&b->reset.turn);
}

static int bv_open(struct vfio_device *vdev)
{
	struct bv_device *b = bv_of(vdev);
	struct bv_reset_owner owner;
	int ret;

	turn_begin(b, &owner);
	session_lock(b);
	ret = session_begin(b);
	if (ret)
		session_unlock(b);
	turn_end(b, &owner);
	trace_berth_vfio_open(b->core.pdev, ret);
	return ret;
}

static void bv_close(struct vfio_device *vdev)
{
	struct bv_device *b = bv_of(vdev);
	struct bv_reset_owner owner;

	bv_watch_close(b);
	bv_pages_end(b);
	bv_revoke_close(b);
	turn_begin(b, &owner);
	vfio_pci_core_close_device(vdev);
	session_unlock(b);
	turn_end(b, &owner);
	trace_berth_vfio_close(b->core.pdev, 0);
}

static int bv_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	struct bv_device *b = bv_of(vdev);
	u64 at = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 index = VFIO_PCI_OFFSET_TO_INDEX(at);
	int ret;

	if (index < PCI_STD_NUM_BARS && b->mode[index] == BV_TRAP &&
	    pci_resource_len(b->core.pdev, index))
		ret = -EPERM;
	else
		ret = vfio_pci_core_mmap(vdev, vma);
	if (!ret && index < PCI_STD_NUM_BARS && b->mode[index] == BV_REVOCABLE)
		ret = bv_revoke_map(b, vma);
	trace_berth_vfio_map(b->core.pdev, index, at & VFIO_PCI_OFFSET_MASK,
			     vma->vm_end - vma->vm_start, ret);
	return ret;
}

/* --- regions: while BARs are trapped there is no ROM, whose BAR may hold registers --- */

static bool hides(const struct bv_device *b, u32 index)
{
	return b->traps && index == VFIO_PCI_ROM_REGION_INDEX;
}

static void region_hide(struct vfio_region_info *info)
{
	info->flags = 0;
	info->size = 0;
	info->cap_offset = 0;
	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
}

#ifdef BV_HAVE_REGION_INFO_CAPS
static int bv_region_info(struct vfio_device *vdev, struct vfio_region_info *info,
			  struct vfio_info_cap *caps)
{
	if (!hides(bv_of(vdev), info->index))
		return vfio_pci_ioctl_get_region_info(vdev, info, caps);
	region_hide(info);
	return 0;
}
#else
static long hidden_region_info(struct vfio_region_info __user *arg, struct vfio_region_info *info)
{
	if (info->argsz < offsetofend(struct vfio_region_info, offset))
		return -EINVAL;
	region_hide(info);
	return copy_to_user(arg, info, offsetofend(struct vfio_region_info, offset)) ? -EFAULT : 0;
}

/*
 * A program that changes its request while it is read gains nothing: regions are closed where
 * they are read and written.
 */
static long bv_region_info(struct vfio_device *vdev, unsigned long arg)
{
	struct vfio_region_info __user *at = (void __user *)arg;
	struct vfio_region_info info;

	if (copy_from_user(&info, at, offsetofend(struct vfio_region_info, offset)))
		return -EFAULT;
	if (hides(bv_of(vdev), info.index))
		return hidden_region_info(at, &info);
	return vfio_pci_core_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO, arg);
}
#endif

static long bv_revoke(struct bv_device *b, unsigned long arg)
{
	return arg ? -EINVAL : bv_pages_end(b);
}

static long own_reset(struct bv_device *b, unsigned int cmd, unsigned long arg)
{
	struct bv_reset_owner owner;
	long ret;

	bv_reset_own(&owner);
	ret = vfio_pci_core_ioctl(&b->core.vdev, cmd, arg);
	bv_reset_owned(&owner);
	trace_berth_vfio_reset(b->core.pdev, ret);
	return ret;
}

static long bv_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct bv_device *b = bv_of(vdev);
	long ret;

	/*
	 * The kernel would write a BAR behind the trap, or one that is taken back. The program
	 * could name another BAR after we looked, so all are refused.
	 */
	if (cmd == VFIO_DEVICE_IOEVENTFD && (b->traps || b->revocable))
		return -EPERM;
	if (cmd == BERTH_VFIO_PAGES)
		return bv_pages_give(b, arg);
	if (cmd == BERTH_VFIO_REVOKE)
		return bv_revoke(b, arg);
#ifndef BV_HAVE_REGION_INFO_CAPS
	if (cmd == VFIO_DEVICE_GET_REGION_INFO)
		return bv_region_info(vdev, arg);
#endif
	if (cmd == VFIO_DEVICE_RESET || cmd == VFIO_DEVICE_PCI_HOT_RESET)
		ret = own_reset(b, cmd, arg);
	else
		ret = vfio_pci_core_ioctl(vdev, cmd, arg);
	/* Who asks to be told of the function's end may come after it. */
	if (cmd == VFIO_DEVICE_SET_IRQS && !ret && READ_ONCE(b->lost))
		vfio_pci_core_request(vdev, 0);
	bv_revoke_settle(b);
	return ret;
}

/*
 * A function that sleeps is woken by its program, or by an event: then the pages are there again
 * by themselves.
 */
static int bv_feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t size)
{
	struct bv_device *b = bv_of(vdev);
	int ret;

	bv_pages_stop(b);
	ret = vfio_pci_core_ioctl_feature(vdev, flags, arg, size);
	bv_pages_go(b);
	bv_revoke_settle(b);
	return ret;
}

/* --- a function's time with the driver --- */

static int bv_init(struct vfio_device *vdev)
{
	struct bv_device *b = bv_of(vdev);
	int ret = vfio_pci_core_init_dev(vdev);
	u32 i;

	if (ret)
		return ret;
	b->stats = alloc_percpu(struct bv_stats);
	if (!b->stats) {
		vfio_pci_core_release_dev(vdev);
		return -ENOMEM;
	}
	mutex_init(&b->lock);
	mutex_init(&b->reset.turn);
	bv_pages_init(b);
	bv_revoke_init(b);
	for (i = 0; i < PCI_STD_NUM_BARS; i++)
		b->mode[i] = is_io(b, i) ? BV_TRAP : default_mode;
	return 0;
}

/* The core's comes last: on some kernels it frees the device. */
static void bv_release(struct vfio_device *vdev)
{
	struct bv_device *b = bv_of(vdev);

	kfree(b->rules);
	free_percpu(b->stats);
	mutex_destroy(&b->lock);
	vfio_pci_core_release_dev(vdev);
}

static const struct vfio_device_ops bv_ops = {
	.name = BERTH_VFIO_DRIVER,
	.init = bv_init,
	.release = bv_release,
	.open_device = bv_open,
	.close_device = bv_close,
	.ioctl = bv_ioctl,
	.device_feature = bv_feature,
	.read = bv_read,
	.write = bv_write,
	.mmap = bv_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
#ifdef BV_HAVE_REGION_INFO_CAPS
	.get_region_info_caps = bv_region_info,
#endif
#ifdef BV_HAVE_MATCH_TOKEN
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#endif
#ifdef BV_HAVE_IOMMUFD
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
#endif
#ifdef BV_HAVE_DETACH_IOAS
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
#endif
#ifdef BV_HAVE_PASID
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
#endif
};

static int bv_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bv_device *b;
	int ret;

	b = vfio_alloc_device(bv_device, core.vdev, &pdev->dev, &bv_ops);
	if (IS_ERR(b))
		return PTR_ERR(b);
	dev_set_drvdata(&pdev->dev, &b->core);
	ret = vfio_pci_core_register_device(&b->core);
	if (ret)
		vfio_put_device(&b->core.vdev);
	return ret;
}

/*
 * Waits until the last program has closed the function, so its maps go first. sysfs's files are
 * gone by then.
 */
static void bv_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	bv_lose(container_of(core, struct bv_device, core));
	vfio_pci_core_unregister_device(core);
	trace_berth_vfio_remove(pdev, 0);
	vfio_put_device(&core->vdev);
}

/*
 * The kernel tells with the list of its buses held, which a reset wants while it has memory_lock:
 * so nothing here waits for who waits for that. An error for which nothing is reset harms no map.
 */
static pci_ers_result_t bv_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct bv_device *b = bv_of_pci(pdev);

	if (state != pci_channel_io_normal) {
		bv_pages_end(b);
		bv_revoke_wipe(b);
	}
	bv_watch_look();
	return vfio_pci_core_aer_err_detected(pdev, state);
}

/* Told in the same way: if the device can be had, revoke.c's timer brings it back to the maps. */
static void bv_error_resume(struct pci_dev *pdev)
{
	bv_revoke_mend(bv_of_pci(pdev));
}

static const struct pci_error_handlers bv_err_handlers = {
	.error_detected = bv_error_detected,
	.reset_prepare = bv_reset_prepare,
	.reset_done = bv_reset_done,
	.resume = bv_error_resume,
};

static struct pci_driver bv_driver = {
	.name = BERTH_VFIO_DRIVER,
	.probe = bv_probe,
	.remove = bv_remove,
	.dev_groups = bv_groups,
	.err_handler = &bv_err_handlers,
	.driver_managed_dma = true,
};

static int __init bv_module_init(void)
{
	int ret = bv_watch_start();

	if (ret)
		return ret;
	ret = pci_register_driver(&bv_driver);
	if (ret)
		bv_watch_stop();
	return ret;
}
module_init(bv_module_init);

static void __exit bv_module_exit(void)
{
	pci_unregister_driver(&bv_driver);
	bv_watch_stop();
}
module_exit(bv_module_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO for PCI functions whose BARs are trapped");

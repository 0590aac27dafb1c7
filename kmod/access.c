// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes of a function's regions: what the mode and the policy refuse, and what is
 * counted and told of the rest, which vfio_pci_core does.
 */
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/pci_regs.h>
#include <linux/uaccess.h>

#include "kmod/berth_vfio_priv.h"

#define CREATE_TRACE_POINTS
#include "kmod/trace.h"

struct access {
	char __user *buf;
	size_t count;
	loff_t *at;
	bool write;
};

static __always_inline ssize_t core_rw(struct bv_device *b, const struct access *a)
{
	if (a->write)
		return vfio_pci_core_write(&b->core.vdev, a->buf, a->count, a->at);
	return vfio_pci_core_read(&b->core.vdev, a->buf, a->count, a->at);
}

/*
 * What the program's buffer holds, for the trace. It belongs to the program, which may change it
 * while the access is under way: docs/kmod.md says so.
 */
static u64 value_of(const struct access *a)
{
	u64 value = 0;

	if (a->count > sizeof(value) || copy_from_user(&value, a->buf, a->count))
		return 0;
	return value;
}

static void tell(struct bv_device *b, const struct access *a, u32 bar, u64 offset,
		 const struct bv_rule *rule, ssize_t result)
{
	bool logged = rule && rule->verb == BV_LOG;
	u64 value;

	if (!trace_berth_vfio_access_enabled() && !(logged && trace_berth_vfio_log_enabled()))
		return;
	value = a->write || result > 0 ? value_of(a) : 0;
	trace_berth_vfio_access(b->core.pdev, bar, offset, a->count, a->write, value, result);
	if (logged)
		trace_berth_vfio_log(b->core.pdev, bar, offset, a->count, a->write, value, result);
}

static noinline void count_odd(struct bv_counts __percpu *n, size_t asked, ssize_t result)
{
	size_t size = asked < BV_SIZES ? asked : 0;

	if (result <= 0) {
		this_cpu_inc(n->failed);
		return;
	}
	this_cpu_inc(n->size[size]);
	this_cpu_add(n->bytes, result - (ssize_t)size);
}

/* Each processor has its own: two that access a device share no line of a cache. */
static __always_inline void count(struct bv_counts __percpu *n, size_t asked, ssize_t result)
{
	if (likely(result == (ssize_t)asked && asked < BV_SIZES))
		this_cpu_inc(n->size[asked]);
	else
		count_odd(n, asked, result);
}

static ssize_t timed_rw(struct bv_device *b, const struct access *a, u32 bar)
{
	struct bv_counts __percpu *n = &b->stats->n[bar][a->write];
	u64 start, took;
	ssize_t result;

	if (!READ_ONCE(b->timing))
		return core_rw(b, a);
	start = ktime_get_ns();
	result = core_rw(b, a);
	took = ktime_get_ns() - start;
	if (result > 0)
		this_cpu_inc(n->latency[min_t(u32, took ? ilog2(took) : 0, BV_BUCKETS - 1)]);
	return result;
}

/* Bytes of a trapped BAR: the policy, then the device. */
static ssize_t bar_rw(struct bv_device *b, const struct access *a, u32 bar)
{
	u64 offset = *a->at & VFIO_PCI_OFFSET_MASK;
	const struct bv_rule *rule = bv_rule_hit(b, bar, offset, a->count, a->write);
	bool io = pci_resource_flags(b->core.pdev, bar) & IORESOURCE_IO;
	ssize_t result;

	if ((rule && rule->verb != BV_LOG) || (io && b->closes_io)) {
		this_cpu_inc(b->stats->n[bar][a->write].denied);
		result = -EPERM;
	} else {
		result = timed_rw(b, a, bar);
		count(&b->stats->n[bar][a->write], a->count, result);
	}
	tell(b, a, bar, offset, rule, result);
	return result;
}

/* --- configuration space --- */

/* What vfio_pci_core's map has for bytes of no capability that it knows. */
#define NO_CAPABILITY 0xff

/*
 * A byte that may be a window to registers, or the switch of one: of a vendor's capability, as
 * virtio's, which leads to every BAR by an offset that is written to it; or of none, where many
 * devices have an index and a value. vfio_pci_core lets all writes to those through, and knows
 * the rest.
 */
static bool is_window(const struct bv_device *b, u64 offset)
{
	u8 id = b->core.pci_config_map[offset];

	if (id == NO_CAPABILITY)
		return true;
	if (offset < PCI_CFG_SPACE_SIZE)
		return id == PCI_CAP_ID_VNDR;
	return id == PCI_EXT_CAP_ID_VNDR || id == PCI_EXT_CAP_ID_DVSEC;
}

/* By which memory is turned off, or the function goes to sleep. */
static bool is_switch(const struct bv_device *b, u64 offset)
{
	return offset == PCI_COMMAND || offset == PCI_COMMAND + 1 ||
	       (offset >= PCI_STD_HEADER_SIZEOF && offset < PCI_CFG_SPACE_SIZE &&
		b->core.pci_config_map[offset] == PCI_CAP_ID_PM);
}

static ssize_t stopped_rw(struct bv_device *b, const struct access *a)
{
	ssize_t result;

	bv_pages_stop(b);
	result = core_rw(b, a);
	bv_revoke_mend(b);
	bv_pages_go(b);
	return result;
}

static ssize_t config_write(struct bv_device *b, const struct access *a)
{
	u64 size = b->core.pdev->cfg_size, offset = *a->at & VFIO_PCI_OFFSET_MASK;
	u64 end = min_t(u64, size, offset + min_t(u64, a->count, size));
	bool stops = false;

	for (; offset < end; offset++) {
		if (b->traps && is_window(b, offset) && !bv_rules_open(b, offset))
			return -EPERM;
		stops |= is_switch(b, offset);
	}
	return stops ? stopped_rw(b, a) : core_rw(b, a);
}

static ssize_t region_rw(struct vfio_device *vdev, const struct access *a)
{
	struct bv_device *b = bv_of(vdev);
	u64 index = VFIO_PCI_OFFSET_TO_INDEX((u64)*a->at);

	if (*a->at < 0)
		return -EINVAL;
	if (!a->count)
		return core_rw(b, a);
	if (b->revocable && index != VFIO_PCI_CONFIG_REGION_INDEX && bv_revoked(b))
		return -EIO;
	if (index < PCI_STD_NUM_BARS && b->mode[index] == BV_TRAP)
		return bar_rw(b, a, index);
	if (b->traps && index == VFIO_PCI_ROM_REGION_INDEX)
		return -EPERM;
	if (a->write && index == VFIO_PCI_CONFIG_REGION_INDEX)
		return config_write(b, a);
	return core_rw(b, a);
}

static noinline ssize_t any_read(struct vfio_device *vdev, char __user *buf, size_t size,
				 loff_t *at)
{
	struct access a = { .buf = buf, .count = size, .at = at };

	return region_rw(vdev, &a);
}

static noinline ssize_t any_write(struct vfio_device *vdev, const char __user *buf, size_t size,
				  loff_t *at)
{
	struct access a = { .buf = (char __user *)buf, .count = size, .at = at, .write = true };
	ssize_t ret = region_rw(vdev, &a);

	/* It may have switched memory on, or woken the device. */
	bv_revoke_settle(bv_of(vdev));
	return ret;
}

/* --- the way of nearly all accesses: to BARs of which nobody wants more than the number --- */

/**
 * bv_access_plain - find the BARs whose accesses are only counted
 * @b: the function, whose lock the caller holds; what holds while it is open has been found
 */
void bv_access_plain(struct bv_device *b)
{
	bool plain;
	u32 i;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		plain = b->mode[i] == BV_TRAP && !b->timing && !b->revocable &&
			!bv_rules_judge(b, i) &&
			!(b->closes_io && pci_resource_flags(b->core.pdev, i) & IORESOURCE_IO);
		WRITE_ONCE(b->plain[i], plain ? b->stats->n[i] : NULL);
	}
}

/*
 * The counts of the BAR, of reads and writes, if the access has only to be counted. As each
 * instruction here is one of each access, there is nothing else on the way: the size tells how many
 * bytes were moved, and a tracepoint that is off is no instruction but a hole for one.
 */
static __always_inline struct bv_counts __percpu *plain_counts(const struct bv_device *b,
							       const struct access *a)
{
	u64 index = VFIO_PCI_OFFSET_TO_INDEX((u64)*a->at);

	if (index >= PCI_STD_NUM_BARS || !a->count || trace_berth_vfio_access_enabled())
		return NULL;
	return READ_ONCE(b->plain[index]);
}

static __always_inline ssize_t counted_rw(struct bv_device *b, const struct access *a,
					  struct bv_counts __percpu *n)
{
	ssize_t result = core_rw(b, a);

	count(n + a->write, a->count, result);
	return result;
}

/**
 * bv_read - read of a region, as vfio_device_ops want it
 * @vdev: the function
 * @buf: the program's buffer
 * @size: its size
 * @at: the region, and the offset in it, as VFIO_DEVICE_GET_REGION_INFO gave them
 *
 * Return: the bytes read; EPERM: the mode or the policy forbids it; else what vfio_pci_core says.
 */
ssize_t bv_read(struct vfio_device *vdev, char __user *buf, size_t size, loff_t *at)
{
	struct access a = { .buf = buf, .count = size, .at = at };
	struct bv_counts __percpu *n = plain_counts(bv_of(vdev), &a);

	return likely(n) ? counted_rw(bv_of(vdev), &a, n) : any_read(vdev, buf, size, at);
}

/**
 * bv_write - write to a region, as vfio_device_ops want it
 * @vdev: the function
 * @buf: the program's buffer
 * @size: its size
 * @at: the region, and the offset in it
 *
 * Return: the bytes written; EPERM: the mode or the policy forbids it; else what vfio_pci_core
 * says.
 */
ssize_t bv_write(struct vfio_device *vdev, const char __user *buf, size_t size, loff_t *at)
{
	struct access a = { .buf = (char __user *)buf, .count = size, .at = at, .write = true };
	struct bv_counts __percpu *n = plain_counts(bv_of(vdev), &a);

	return likely(n) ? counted_rw(bv_of(vdev), &a, n) : any_write(vdev, buf, size, at);
}

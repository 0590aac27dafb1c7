// SPDX-License-Identifier: GPL-2.0-only
/* The folder "berth" of a bound function: uapi.h says what its files mean. */
#include <linux/kstrtox.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "kmod/berth_vfio_priv.h"

static const char *const modes[] = {
	[BV_MAP] = BERTH_VFIO_MAP,
	[BV_TRAP] = BERTH_VFIO_TRAP,
	[BV_REVOCABLE] = BERTH_VFIO_REVOCABLE,
};

struct bar_attr {
	struct device_attribute attr;
	u32 bar;
};

static u32 bar_of(struct device_attribute *attr)
{
	return container_of(attr, struct bar_attr, attr)->bar;
}

static struct bv_device *device_of(struct device *dev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(dev);

	return container_of(core, struct bv_device, core);
}

/**
 * bv_mode_name - the name of a mode, as people write it
 * @mode: the mode
 *
 * Return: a constant.
 */
const char *bv_mode_name(enum bv_mode mode)
{
	return modes[mode];
}

/**
 * bv_mode_parse - a mode by its name
 * @name: the name; a newline may follow
 * @mode: set when 0 is returned
 *
 * Return: 0; EINVAL: no such name; EOPNOTSUPP: this module, or this kernel, cannot give it.
 */
int bv_mode_parse(const char *name, enum bv_mode *mode)
{
	int at = sysfs_match_string(modes, name);

	if (at < 0)
		return at;
	if (at == BV_REVOCABLE && !IS_ENABLED(BV_HAVE_VFIO_INODE))
		return -EOPNOTSUPP;
	*mode = at;
	return 0;
}

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *page)
{
	struct bv_device *b = device_of(dev);
	enum bv_mode mode;

	mutex_lock(&b->lock);
	mode = b->mode[bar_of(attr)];
	mutex_unlock(&b->lock);
	return sysfs_emit(page, "%s\n", bv_mode_name(mode));
}

static bool has_rules(const struct bv_device *b, u32 bar)
{
	u32 i;

	for (i = 0; i < b->n_rules; i++)
		if (b->rules[i].bar == bar)
			return true;
	return false;
}

/* An I/O BAR is never mapped by anybody; and rules hold only what is trapped. */
static int mode_set(struct bv_device *b, u32 bar, enum bv_mode mode)
{
	if (b->open)
		return -EBUSY;
	if (mode != BV_TRAP &&
	    (has_rules(b, bar) || pci_resource_flags(b->core.pdev, bar) & IORESOURCE_IO))
		return -EINVAL;
	b->mode[bar] = mode;
	return 0;
}

static ssize_t mode_store(struct device *dev, struct device_attribute *attr, const char *text,
			  size_t size)
{
	struct bv_device *b = device_of(dev);
	enum bv_mode mode;
	int ret = bv_mode_parse(text, &mode);

	if (ret)
		return ret;
	mutex_lock(&b->lock);
	ret = mode_set(b, bar_of(attr), mode);
	mutex_unlock(&b->lock);
	return ret ? ret : size;
}

static void counts_add(struct bv_counts *sum, const struct bv_counts *n)
{
	int i;

	for (i = 0; i < BV_SIZES; i++)
		sum->size[i] += READ_ONCE(n->size[i]);
	for (i = 0; i < BV_BUCKETS; i++)
		sum->latency[i] += READ_ONCE(n->latency[i]);
	sum->bytes += READ_ONCE(n->bytes);
	sum->failed += READ_ONCE(n->failed);
	sum->denied += READ_ONCE(n->denied);
}

/* All processors' counts of one BAR and direction. Each is read whole, while they may go on. */
static void counts_sum(const struct bv_device *b, u32 bar, bool write, struct bv_counts *sum)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu)
		counts_add(sum, &per_cpu_ptr(b->stats, cpu)->n[bar][write]);
}

static ssize_t counters_emit(char *page, ssize_t used, const char *what, const struct bv_counts *n)
{
	u64 other = 0, bytes = n->bytes;
	ssize_t from = used;
	u32 i;

	for (i = 0; i < BV_SIZES; i++) {
		bytes += i * n->size[i];
		if (is_power_of_2(i))
			used += sysfs_emit_at(page, used, "%s_%u %llu\n", what, i, n->size[i]);
		else
			other += n->size[i];
	}
	used += sysfs_emit_at(page, used, "%s_other %llu\n%s_bytes %llu\n", what, other, what,
			      bytes);
	used += sysfs_emit_at(page, used, "%s_failed %llu\n%s_denied %llu\n", what, n->failed, what,
			      n->denied);
	return used - from;
}

static ssize_t counters_show(struct device *dev, struct device_attribute *attr, char *page)
{
	struct bv_counts sum;
	ssize_t used = 0;
	u32 i;

	for (i = 0; i < 2; i++) {
		counts_sum(device_of(dev), bar_of(attr), i, &sum);
		used += counters_emit(page, used, i ? "write" : "read", &sum);
	}
	return used;
}

static ssize_t latency_show(struct device *dev, struct device_attribute *attr, char *page)
{
	struct bv_counts sum;
	ssize_t used = 0;
	int write, i;

	for (write = 0; write < 2; write++) {
		counts_sum(device_of(dev), bar_of(attr), write, &sum);
		for (i = 0; i < BV_BUCKETS; i++)
			if (sum.latency[i])
				used += sysfs_emit_at(page, used, "%s %llu %llu\n",
						      write ? "write" : "read", 1ULL << i,
						      sum.latency[i]);
	}
	return used;
}

static ssize_t abi_show(struct device *dev, struct device_attribute *attr, char *page)
{
	return sysfs_emit(page, "%d\n", BERTH_VFIO_ABI);
}
static DEVICE_ATTR_RO(abi);

static ssize_t timing_show(struct device *dev, struct device_attribute *attr, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(device_of(dev)->timing));
}

static ssize_t timing_store(struct device *dev, struct device_attribute *attr, const char *text,
			    size_t size)
{
	struct bv_device *b = device_of(dev);
	bool on;
	int ret = kstrtobool(text, &on);

	if (ret)
		return ret;
	mutex_lock(&b->lock);
	WRITE_ONCE(b->timing, on);
	bv_access_plain(b);
	mutex_unlock(&b->lock);
	return size;
}
static DEVICE_ATTR_RW(timing);

static ssize_t policy_show(struct device *dev, struct device_attribute *attr, char *page)
{
	struct bv_device *b = device_of(dev);
	ssize_t used;

	mutex_lock(&b->lock);
	used = bv_rules_print(b, page);
	mutex_unlock(&b->lock);
	return used;
}

/* Takes the rules, which it owns from then on, or frees. */
static int policy_set(struct bv_device *b, const char *text, struct bv_rule *rules)
{
	int n = -EBUSY;

	mutex_lock(&b->lock);
	if (!b->open)
		n = bv_rules_parse(b, text, rules);
	if (n >= 0) {
		swap(b->rules, rules);
		b->n_rules = n;
	}
	mutex_unlock(&b->lock);
	kfree(rules);
	return n;
}

/* sysfs hands on at most a page of what is written, and would take a longer table for two. */
static ssize_t policy_store(struct device *dev, struct device_attribute *attr, const char *text,
			    size_t size)
{
	struct bv_rule *rules;
	int n;

	if (size >= PAGE_SIZE - 1)
		return -E2BIG;
	if (strlen(text) != size)
		return -EINVAL;
	rules = kcalloc(BERTH_VFIO_RULES, sizeof(*rules), GFP_KERNEL);
	if (!rules)
		return -ENOMEM;
	n = policy_set(device_of(dev), text, rules);
	return n < 0 ? n : size;
}
static DEVICE_ATTR_ADMIN_RW(policy);

/* Counters tell what a guest does, so they are for root. */
#define BAR_ATTR(n, what, perm, store)                                                             \
	static struct bar_attr bar##n##_##what = {                                                 \
		.attr = __ATTR(bar##n##_##what, perm, what##_show, store),                         \
		.bar = n,                                                                          \
	}
#define BAR_ATTRS(n)                                                                               \
	BAR_ATTR(n, mode, 0644, mode_store);                                                       \
	BAR_ATTR(n, counters, 0400, NULL);                                                         \
	BAR_ATTR(n, latency, 0400, NULL)
#define BAR_LIST(n)                                                                                \
	&bar##n##_mode.attr.attr, &bar##n##_counters.attr.attr, &bar##n##_latency.attr.attr

BAR_ATTRS(0);
BAR_ATTRS(1);
BAR_ATTRS(2);
BAR_ATTRS(3);
BAR_ATTRS(4);
BAR_ATTRS(5);

static struct attribute *attrs[] = {
	&dev_attr_abi.attr, &dev_attr_timing.attr, &dev_attr_policy.attr, BAR_LIST(0), BAR_LIST(1),
	BAR_LIST(2),        BAR_LIST(3),           BAR_LIST(4),           BAR_LIST(5), NULL,
};

/* The files of BARs that are not there, or are the upper half of another, are not there either. */
static umode_t visible(struct kobject *kobj, struct attribute *attr, int i)
{
	struct device_attribute *d = container_of(attr, struct device_attribute, attr);

	if (attr == &dev_attr_abi.attr || attr == &dev_attr_timing.attr ||
	    attr == &dev_attr_policy.attr)
		return attr->mode;
	return pci_resource_len(to_pci_dev(kobj_to_dev(kobj)), bar_of(d)) ? attr->mode : 0;
}

static const struct attribute_group group = {
	.name = "berth",
	.attrs = attrs,
	.is_visible = visible,
};

const struct attribute_group *bv_groups[] = { &group, NULL };

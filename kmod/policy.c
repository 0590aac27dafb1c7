// SPDX-License-Identifier: GPL-2.0-only
/* The table of rules: its text, and which rule an access meets. */
#include <linux/kstrtox.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "kmod/berth_vfio_priv.h"

static const char *const verbs[] = {
	[BV_DENY] = "deny", [BV_READ_ONLY] = "read-only", [BV_LOG] = "log",
	[BV_PAGES] = "map", [BV_OPEN] = "open",
};

/* The next word of the line, and the end of the line in its place. */
static char *word(char **line)
{
	char *w;

	do
		w = strsep(line, " \t");
	while (w && !*w);
	return w;
}

static int range_parse(char *text, struct bv_rule *r)
{
	char *first = strsep(&text, "-");

	if (!text || kstrtou64(first, 0, &r->first) || kstrtou64(text, 0, &r->last))
		return -EINVAL;
	return 0;
}

static int rule_parse(char *line, struct bv_rule *r)
{
	char *verb = word(&line), *bar = word(&line), *range = word(&line);
	int at;

	if (!range || word(&line))
		return -EINVAL;
	at = match_string(verbs, ARRAY_SIZE(verbs), verb);
	if (at < 0)
		return -EINVAL;
	if (!strcmp(bar, "config"))
		r->bar = BV_CONFIG;
	else if (kstrtou32(bar, 10, &r->bar) || r->bar >= PCI_STD_NUM_BARS)
		return -EINVAL;
	r->verb = at;
	return range_parse(range, r);
}

/* Of configuration space rules open something; pages of I/O ports are none. */
static bool rule_fits(const struct bv_device *b, const struct bv_rule *r)
{
	bool config = r->bar == BV_CONFIG, opens = r->verb == BV_OPEN;
	struct pci_dev *pdev = b->core.pdev;

	if (r->first > r->last || config != opens)
		return false;
	if (config)
		return r->last < pdev->cfg_size;
	if (r->verb == BV_PAGES && (!PAGE_ALIGNED(r->first) || !PAGE_ALIGNED(r->last + 1) ||
				    pci_resource_flags(pdev, r->bar) & IORESOURCE_IO))
		return false;
	return b->mode[r->bar] == BV_TRAP && r->last < pci_resource_len(pdev, r->bar);
}

static int rule_order(const void *left, const void *right)
{
	const struct bv_rule *l = left, *r = right;

	if (l->bar != r->bar)
		return l->bar < r->bar ? -1 : 1;
	return l->first < r->first ? -1 : l->first > r->first;
}

static int lines_parse(const struct bv_device *b, char *text, struct bv_rule *rules)
{
	u32 n = 0;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		if (!*line)
			continue;
		if (n == BERTH_VFIO_RULES)
			return -E2BIG;
		if (rule_parse(line, &rules[n]) || !rule_fits(b, &rules[n]))
			return -EINVAL;
		n++;
	}
	return n;
}

/**
 * bv_rules_parse - rules from what was written to the policy
 * @b: the function, whose lock the caller holds
 * @text: the table
 * @rules: room for BERTH_VFIO_RULES; sorted by BAR and first byte
 *
 * Return: how many; EINVAL: a line is no rule that fits this function, or ranges overlap; E2BIG:
 * too many; ENOMEM.
 */
int bv_rules_parse(const struct bv_device *b, const char *text, struct bv_rule *rules)
{
	char *copy = kstrdup(text, GFP_KERNEL);
	int n, i;

	if (!copy)
		return -ENOMEM;
	n = lines_parse(b, copy, rules);
	kfree(copy);
	if (n <= 0)
		return n;
	sort(rules, n, sizeof(*rules), rule_order, NULL);
	for (i = 1; i < n; i++)
		if (rules[i].bar == rules[i - 1].bar && rules[i].first <= rules[i - 1].last)
			return -EINVAL;
	return n;
}

/**
 * bv_rules_print - the policy as text, as it may be written again
 * @b: the function, whose lock the caller holds
 * @page: sysfs's page
 *
 * Return: its length. BERTH_VFIO_RULES rules fit into a page: none takes more than 51 bytes.
 */
ssize_t bv_rules_print(const struct bv_device *b, char *page)
{
	ssize_t used = 0;
	u32 i;

	for (i = 0; i < b->n_rules; i++) {
		if (b->rules[i].bar == BV_CONFIG)
			used += sysfs_emit_at(page, used, "%s config 0x%llx-0x%llx\n",
					      verbs[b->rules[i].verb], b->rules[i].first,
					      b->rules[i].last);
		else
			used += sysfs_emit_at(page, used, "%s %u 0x%llx-0x%llx\n",
					      verbs[b->rules[i].verb], b->rules[i].bar,
					      b->rules[i].first, b->rules[i].last);
	}
	return used;
}

static bool forbids(const struct bv_rule *r, bool write)
{
	return r->verb == BV_DENY || (r->verb == BV_READ_ONLY && write);
}

/**
 * bv_rules_judge - whether rules forbid accesses to a BAR, or want them told
 * @b: the function, whose lock the caller holds, or which is open
 * @bar: the BAR
 *
 * Return: one does.
 */
bool bv_rules_judge(const struct bv_device *b, u32 bar)
{
	const struct bv_rule *r;

	for (r = b->rules; r < b->rules + b->n_rules; r++)
		if (r->bar == bar && r->verb != BV_PAGES)
			return true;
	return false;
}

/* The first rule of the BAR that does not end before the offset; or one of a later BAR, or none. */
static const struct bv_rule *rule_from(const struct bv_device *b, u32 bar, u64 offset)
{
	u32 low = 0, high = b->n_rules, at;
	const struct bv_rule *r;

	while (low < high) {
		at = low + (high - low) / 2;
		r = &b->rules[at];
		if (r->bar < bar || (r->bar == bar && r->last < offset))
			low = at + 1;
		else
			high = at;
	}
	return b->rules + low;
}

/**
 * bv_rule_hit - the rule that an access meets
 * @b: the function, which is open
 * @bar: the BAR
 * @offset: the first byte
 * @count: how many; not 0
 * @write: they are written
 *
 * Return: a rule that forbids the access, if there is one; else one that wants it told; else NULL.
 */
const struct bv_rule *bv_rule_hit(const struct bv_device *b, u32 bar, u64 offset, size_t count,
				  bool write)
{
	const struct bv_rule *r = rule_from(b, bar, offset), *told = NULL;
	u64 last = offset + min_t(u64, count, VFIO_PCI_OFFSET_MASK) - 1;

	for (; r < b->rules + b->n_rules && r->bar == bar && r->first <= last; r++) {
		if (forbids(r, write))
			return r;
		if (r->verb == BV_LOG)
			told = r;
	}
	return told;
}

/**
 * bv_rules_map - whether a rule lets pages of a trapped BAR be mapped
 * @b: the function, which is open
 * @bar: the BAR
 * @first: the first byte
 * @last: the last one
 *
 * Return: one rule does, for all of them.
 */
bool bv_rules_map(const struct bv_device *b, u32 bar, u64 first, u64 last)
{
	const struct bv_rule *r;

	for (r = b->rules; r < b->rules + b->n_rules; r++)
		if (r->verb == BV_PAGES && r->bar == bar && first >= r->first && last <= r->last)
			return true;
	return false;
}

/**
 * bv_rules_open - whether a rule lets a byte of configuration space be written
 * @b: the function, which is open
 * @offset: the byte
 *
 * Return: one does.
 */
bool bv_rules_open(const struct bv_device *b, u64 offset)
{
	const struct bv_rule *r;

	for (r = b->rules; r < b->rules + b->n_rules; r++)
		if (r->verb == BV_OPEN && offset >= r->first && offset <= r->last)
			return true;
	return false;
}

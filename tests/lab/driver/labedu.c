// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for QEMU's edu, as a guest has it that is given one: registers, an interrupt (MSI) for arithmetic that is done,
 * and DMA to the device and back with an interrupt each. The file "works" beside the function's own in sysfs does it all:
 * "ok", or what was wrong.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/random.h>

/* QEMU's docs/specs/edu.rst */
enum {
	IDENTITY = 0x0,
	ALIVE = 0x4,
	FACTORIAL = 0x8,
	STATUS = 0x20,
	CAUSE = 0x24,
	ACKNOWLEDGE = 0x64,
	SOURCE = 0x80,
	DESTINATION = 0x88,
	COUNT = 0x90,
	DMA = 0x98,
	BUFFER = 0x40000,
};
enum { STATUS_TELL = 0x80, DMA_START = 1, DMA_TO_US = 2, DMA_TELL = 4 };
enum { CAUSE_COMPUTED = 0x1, CAUSE_MOVED = 0x100 };
#define IDENTITY_OF 0x010000ed
#define BYTES       4096
#define PATIENCE    (120 * HZ) /* decides nothing: an emulated machine on a busy host is slow */

struct edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct completion told;
	u32 cause;
	u8 *here;
	dma_addr_t at;
};

static irqreturn_t on_message(int number, void *arg)
{
	struct edu *d = arg;

	d->cause = readl(d->regs + CAUSE);
	writel(d->cause, d->regs + ACKNOWLEDGE);
	complete(&d->told);
	return IRQ_HANDLED;
}

static bool told(struct edu *d, u32 cause)
{
	return wait_for_completion_timeout(&d->told, PATIENCE) && d->cause == cause;
}

static const char *compute(struct edu *d)
{
	u32 v = get_random_u32();

	writel(v, d->regs + ALIVE);
	if (readl(d->regs + ALIVE) != ~v)
		return "what is written is not inverted";
	writel(STATUS_TELL, d->regs + STATUS);
	writel(10, d->regs + FACTORIAL);
	if (!told(d, CAUSE_COMPUTED))
		return "no interrupt when it has computed";
	return readl(d->regs + FACTORIAL) == 3628800 ? NULL : "10! is another";
}

static bool move(struct edu *d, u64 from, u64 to, u32 how)
{
	writeq(from, d->regs + SOURCE);
	writeq(to, d->regs + DESTINATION);
	writeq(BYTES, d->regs + COUNT);
	writel(DMA_START | DMA_TELL | how, d->regs + DMA);
	return told(d, CAUSE_MOVED);
}

/* The first page goes there, and comes back as the second. */
static const char *there_and_back(struct edu *d)
{
	get_random_bytes(d->here, BYTES);
	memset(d->here + BYTES, 0, BYTES);
	if (!move(d, d->at, BUFFER, 0))
		return "no interrupt after DMA to it";
	if (!move(d, BUFFER, d->at + BYTES, DMA_TO_US))
		return "no interrupt after DMA from it";
	return memcmp(d->here, d->here + BYTES, BYTES) ? "other bytes came back" : NULL;
}

static ssize_t works_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct edu *d = dev_get_drvdata(dev);
	const char *bad = compute(d);

	for (int round = 0; !bad && round < 4; round++)
		bad = there_and_back(d);
	return sysfs_emit(to, "%s\n", bad ?: "ok");
}

static DEVICE_ATTR_RO(works);
static struct attribute *edu_attrs[] = { &dev_attr_works.attr, NULL };
ATTRIBUTE_GROUPS(edu);

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *d = devm_kzalloc(&pdev->dev, sizeof(*d), GFP_KERNEL);
	int rc;

	if (!d)
		return -ENOMEM;
	d->pdev = pdev;
	init_completion(&d->told);
	rc = pcim_enable_device(pdev);
	if (!rc)
		rc = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(28));
	if (rc)
		return rc;
	d->regs = pcim_iomap(pdev, 0, 0);
	d->here = dmam_alloc_coherent(&pdev->dev, 2 * BYTES, &d->at, GFP_KERNEL);
	if (!d->regs || !d->here)
		return -ENOMEM;
	if (readl(d->regs + IDENTITY) != IDENTITY_OF)
		return -ENODEV;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, d);
	rc = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (rc < 0)
		return rc;
	writel(~0u, d->regs + ACKNOWLEDGE);
	rc = request_irq(pci_irq_vector(pdev, 0), on_message, 0, "labedu", d);
	if (rc)
		pci_free_irq_vectors(pdev);
	return rc;
}

static void edu_remove(struct pci_dev *pdev)
{
	free_irq(pci_irq_vector(pdev, 0), pci_get_drvdata(pdev));
	pci_free_irq_vectors(pdev);
	pci_clear_master(pdev);
}

static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };

static struct pci_driver edu_driver = {
	.name = "labedu",
	.id_table = ids,
	.probe = edu_probe,
	.remove = edu_remove,
	.dev_groups = edu_groups,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Drives QEMU's edu in the inner guests of berth's lab");
MODULE_LICENSE("GPL");

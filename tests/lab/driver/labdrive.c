// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for bar-forward/devices/gpu.json, as a guest's driver of a card works: it maps BARs, moves memory by DMA and
 * checks every byte, takes interrupts of each kind, and ends by itself when the card is gone. The lab's guests load it.
 *
 * What it is told and what it found go over files beside the function's own in sysfs:
 *
 *   regs, dma, irqs  reading one does that test: "ok", or what was wrong
 *   sent             the same for DMA to the card alone
 *   load             1 has threads access registers and do DMA without a pause; 0 ends them; reads what they did
 *   poke             OFFSET VALUE: four bytes of BAR 0; OFFSET: what is read there, from then on
 *
 * irq= is which interrupts it asks for: msix, msi or intx; the best there are, if nothing is said. seed= has it do the same
 * each time, but for addresses of memory.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#ifndef PCI_IRQ_INTX
#define PCI_IRQ_INTX PCI_IRQ_LEGACY
#endif

static char *irq = "any";
module_param(irq, charp, 0444);
static ulong seed;
module_param(seed, ulong, 0444);

enum { /* of BAR 0 */
	IDENTITY = 0x0,
	ALIVE = 0x8,
	SCRATCH8 = 0x20,
	SCRATCH16 = 0x22,
	SCRATCH32 = 0x24,
	SCRATCH64 = 0x28,
	WRITES = 0x40,
	SUM = 0x48,
	STATUS = 0x100,
	RAISE = 0x104,
	VECTOR = 0x108,
	SOURCE = 0x1000,
	DESTINATION = 0x1008,
	LENGTH = 0x1010,
	COPY = 0x1018,
	CHECKSUM = 0x1020,
};
enum { COPY_START = 1, COPY_TO_US = 2, COPY_TELL = 4, COPY_FAILED = 8 };
enum { STATUS_COPIED = 0x100, VECTOR_COPIED = 1 };
#define IDENTITY_OF 0xbe471234
#define VECTORS 9
#define WINDOW (1 << 20) /* of BAR 1, which is the card's memory */
#define PATIENCE (120 * HZ) /* decides nothing: an emulated machine on a busy host is slow */

struct lab {
	struct pci_dev *pdev;
	void __iomem *regs, *memory;
	int n_vectors;
	bool intx;
	atomic_t told[VECTORS];
	struct completion copied;
	struct mutex lock; /* the card's engine is one */
	struct rnd_state random;
	struct task_struct *mmio, *mover;
	unsigned long n_mmio, n_moved, n_bad;
	unsigned int place;
	bool gone;
	char bad[160];
};

/* --- interrupts --- */

static irqreturn_t handle(struct lab *d, int vector)
{
	atomic_inc(&d->told[vector]);
	if (vector == VECTOR_COPIED || d->intx)
		complete(&d->copied);
	return IRQ_HANDLED;
}

static irqreturn_t on_vector(int number, void *arg)
{
	struct lab *d = arg;
	int vector = number - pci_irq_vector(d->pdev, 0);

	return handle(d, vector >= 0 && vector < VECTORS ? vector : 0);
}

/* A level: it is ours while a bit is set, and ends when all are cleared. */
static irqreturn_t on_line(int number, void *arg)
{
	struct lab *d = arg;
	u32 status = readl(d->regs + STATUS);

	if (!status || status == ~0u)
		return IRQ_NONE;
	writel(status, d->regs + STATUS);
	return handle(d, 0);
}

static unsigned int kinds(void)
{
	if (!strcmp(irq, "msix"))
		return PCI_IRQ_MSIX;
	if (!strcmp(irq, "msi"))
		return PCI_IRQ_MSI;
	return !strcmp(irq, "intx") ? PCI_IRQ_INTX : PCI_IRQ_MSIX | PCI_IRQ_MSI | PCI_IRQ_INTX;
}

static int take_irqs(struct lab *d)
{
	int rc;

	d->n_vectors = pci_alloc_irq_vectors(d->pdev, 1, VECTORS, kinds());
	if (d->n_vectors < 0)
		return d->n_vectors;
	d->intx = !pci_dev_msi_enabled(d->pdev);
	for (int i = 0; i < d->n_vectors; i++) {
		rc = request_irq(pci_irq_vector(d->pdev, i), d->intx ? on_line : on_vector,
				 d->intx ? IRQF_SHARED : 0, "labdrive", d);
		if (rc) {
			while (i--)
				free_irq(pci_irq_vector(d->pdev, i), d);
			pci_free_irq_vectors(d->pdev);
			return rc;
		}
	}
	return 0;
}

static void drop_irqs(struct lab *d)
{
	for (int i = 0; i < d->n_vectors; i++)
		free_irq(pci_irq_vector(d->pdev, i), d);
	pci_free_irq_vectors(d->pdev);
}

/* All-ones is what a card that is gone reads; QEMU has one that it ejected read 0. */
static bool here(struct lab *d)
{
	return readl(d->regs + IDENTITY) == IDENTITY_OF;
}

/* --- DMA --- */

/* As zlib has it. */
static u32 crc_of(const u8 *bytes, size_t n)
{
	u32 crc = ~0u;

	while (n--) {
		crc ^= *bytes++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static int copy(struct lab *d, u64 from, u64 to, u64 n, u32 how)
{
	bool tell = d->intx || d->n_vectors > VECTOR_COPIED;
	unsigned long until = jiffies + PATIENCE;
	u32 now;

	reinit_completion(&d->copied);
	writeq(from, d->regs + SOURCE);
	writeq(to, d->regs + DESTINATION);
	writeq(n, d->regs + LENGTH);
	writel(COPY_START | how | (tell ? COPY_TELL : 0), d->regs + COPY);
	/* A card that is gone tells nothing: one look a second. */
	while (tell && !wait_for_completion_timeout(&d->copied, HZ))
		if (!here(d) || time_after(jiffies, until))
			break;
	do {
		now = readl(d->regs + COPY);
		if (now == ~0u)
			return -ENODEV;
		cond_resched();
	} while (now & COPY_START && time_before(jiffies, until));
	if (!d->intx)
		writel(STATUS_COPIED, d->regs + STATUS);
	return now & COPY_START ? -ETIMEDOUT : now & COPY_FAILED ? -EIO : 0;
}

static int fails(struct lab *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(d->bad, sizeof(d->bad), fmt, args);
	va_end(args);
	return -EIO;
}

/* By memory mapped for it; the card says what it got. */
static int there(struct lab *d, u8 *out, u32 n, u32 at)
{
	struct device *dev = &d->pdev->dev;
	dma_addr_t a;
	u32 crc;
	int rc;

	prandom_bytes_state(&d->random, out, n);
	a = dma_map_single(dev, out, n, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, a))
		return fails(d, "cannot map %u bytes", n);
	rc = copy(d, a, at, n, 0);
	crc = readl(d->regs + CHECKSUM);
	dma_unmap_single(dev, a, n, DMA_TO_DEVICE);
	if (rc)
		return rc == -ENODEV ? rc : fails(d, "%u bytes to the card: %d", n, rc);
	if (crc != crc_of(out, n))
		return crc == ~0u ? -ENODEV : fails(d, "%u bytes have %08x there, %08x here", n, crc, crc_of(out, n));
	return 0;
}

/* And back: what comes is what went. */
static int there_and_back(struct lab *d, u8 *out, u8 *in, u32 n, u32 at)
{
	struct device *dev = &d->pdev->dev;
	int rc = there(d, out, n, at);
	dma_addr_t a;

	if (rc)
		return rc;
	memset(in, 0x5a, n);
	a = dma_map_single(dev, in, n, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, a))
		return fails(d, "cannot map %u bytes", n);
	rc = copy(d, at, a, n, COPY_TO_US);
	dma_unmap_single(dev, a, n, DMA_FROM_DEVICE);
	if (rc)
		return rc == -ENODEV ? rc : fails(d, "%u bytes from the card: %d", n, rc);
	return memcmp(in, out, n) ? fails(d, "%u bytes came back as others", n) : 0;
}

static int try_sending(struct lab *d)
{
	u8 *out = kmalloc(65536, GFP_KERNEL);
	int rc = out ? 0 : -ENOMEM;

	for (u32 i = 0; !rc && i < 16; i++)
		rc = there(d, out, 65536 >> i, 4096 * i);
	kfree(out);
	return rc;
}

static int try_dma(struct lab *d)
{
	static const u32 sizes[] = { 1, 3, 64, 4095, 4096, 4097, 65536, 65537, 1 << 18 };
	u8 *out = kmalloc(1 << 18, GFP_KERNEL), *in = kmalloc(1 << 18, GFP_KERNEL);
	int rc = out && in ? 0 : -ENOMEM;
	u8 seen[64];

	for (u32 i = 0; !rc && i < ARRAY_SIZE(sizes); i++)
		rc = there_and_back(d, out, in, sizes[i], 4096 + 17 * i);
	if (!rc) { /* what DMA brought is what the BAR shows */
		memcpy_fromio(seen, d->memory + 4096 + 17 * (ARRAY_SIZE(sizes) - 1), sizeof(seen));
		if (memcmp(seen, out, sizeof(seen)))
			rc = fails(d, "BAR 1 shows other bytes than DMA wrote");
	}
	kfree(out);
	kfree(in);
	return rc;
}

/* Memory that both have for long, as rings of descriptors are kept in: two pieces, one copied onto the other. */
static int try_coherent(struct lab *d)
{
	dma_addr_t a, b;
	u8 *x = dma_alloc_coherent(&d->pdev->dev, 65536, &a, GFP_KERNEL);
	u8 *y = dma_alloc_coherent(&d->pdev->dev, 65536, &b, GFP_KERNEL);
	int rc = x && y ? 0 : fails(d, "no coherent memory");

	for (int round = 0; !rc && round < 8; round++) {
		prandom_bytes_state(&d->random, x, 65536);
		rc = copy(d, a, 0, 65536, 0);
		if (!rc)
			rc = copy(d, 0, b, 65536, COPY_TO_US);
		if (!rc && memcmp(x, y, 65536))
			rc = fails(d, "coherent memory, round %d: other bytes", round);
	}
	if (x)
		dma_free_coherent(&d->pdev->dev, 65536, x, a);
	if (y)
		dma_free_coherent(&d->pdev->dev, 65536, y, b);
	return rc;
}

/* --- registers --- */

static int try_widths(struct lab *d)
{
	u64 v = (u64)prandom_u32_state(&d->random) << 32 | prandom_u32_state(&d->random);

	writeb(v, d->regs + SCRATCH8);
	writew(v >> 8, d->regs + SCRATCH16);
	writel(v >> 16, d->regs + SCRATCH32);
	writeq(v, d->regs + SCRATCH64);
	if (readb(d->regs + SCRATCH8) != (u8)v || readw(d->regs + SCRATCH16) != (u16)(v >> 8) ||
	    readl(d->regs + SCRATCH32) != (u32)(v >> 16) || readq(d->regs + SCRATCH64) != v)
		return fails(d, "a register does not keep %016llx", v);
	writel(v, d->regs + ALIVE);
	return readl(d->regs + ALIVE) == ~(u32)v ? 0 : fails(d, "inverted %08x is %08x", (u32)v, readl(d->regs + ALIVE));
}

/* Each write of any width is one, none lost, none twice, none in another order (the sum is of what was written). */
static int try_counts(struct lab *d, u32 rounds)
{
	u64 before = readq(d->regs + WRITES), sum = readq(d->regs + SUM), wanted = 0, v;

	for (u32 i = 0; i < rounds; i++) {
		writeb(1, d->regs + WRITES);
		writew(1, d->regs + WRITES);
		writel(1, d->regs + WRITES);
		writeq(1, d->regs + WRITES);
		v = prandom_u32_state(&d->random);
		writel(v, d->regs + SUM);
		wanted += v;
	}
	v = readq(d->regs + WRITES) - before;
	if (v != 4ull * rounds)
		return fails(d, "%u writes are %llu", 4 * rounds, v);
	v = readq(d->regs + SUM) - sum;
	return v == wanted ? 0 : fails(d, "the sum is %llx, not %llx", v, wanted);
}

static int try_irqs(struct lab *d)
{
	unsigned long until = jiffies + PATIENCE;

	for (int round = 0; round < 20; round++)
		for (int i = 0; i < d->n_vectors; i++) {
			int before = atomic_read(&d->told[i]);

			writel(d->intx ? 1 : i, d->regs + (d->intx ? RAISE : VECTOR));
			while (atomic_read(&d->told[i]) == before && time_before(jiffies, until))
				usleep_range(50, 200);
			if (atomic_read(&d->told[i]) != before + 1)
				return fails(d, "vector %d, round %d: %d interrupts, not one", i, round,
					     atomic_read(&d->told[i]) - before);
		}
	return 0;
}

/* --- without a pause --- */

static int mmio_loop(void *arg)
{
	struct lab *d = arg;

	while (!kthread_should_stop()) {
		u32 v = d->n_mmio, got;

		if (!READ_ONCE(d->gone)) {
			writel(v, d->regs + ALIVE);
			got = readl(d->regs + ALIVE);
			if (got != ~v && !here(d))
				WRITE_ONCE(d->gone, true);
			else if (got != ~v)
				d->n_bad++;
			d->n_mmio++;
		} else {
			msleep(20);
		}
		cond_resched();
	}
	return 0;
}

static int mover_loop(void *arg)
{
	struct lab *d = arg;
	u8 *out = kmalloc(16384, GFP_KERNEL), *in = kmalloc(16384, GFP_KERNEL);
	int rc = 0;

	while (!kthread_should_stop()) {
		if (!rc && out && in && !READ_ONCE(d->gone)) {
			mutex_lock(&d->lock);
			rc = there_and_back(d, out, in, 16384, 0);
			mutex_unlock(&d->lock);
			if (rc && here(d))
				d->n_bad++;
			else if (rc)
				WRITE_ONCE(d->gone, true);
			d->n_moved += !rc;
		} else {
			msleep(20);
		}
	}
	kfree(out);
	kfree(in);
	return 0;
}

static void end_load(struct lab *d)
{
	if (d->mmio)
		kthread_stop(d->mmio);
	if (d->mover)
		kthread_stop(d->mover);
	d->mmio = d->mover = NULL;
}

static int begin_load(struct lab *d)
{
	if (d->mmio)
		return -EBUSY;
	d->n_mmio = d->n_moved = d->n_bad = 0;
	d->mmio = kthread_run(mmio_loop, d, "lab-mmio");
	d->mover = kthread_run(mover_loop, d, "lab-mover");
	if (!IS_ERR(d->mmio) && !IS_ERR(d->mover))
		return 0;
	d->mmio = IS_ERR(d->mmio) ? NULL : d->mmio;
	d->mover = IS_ERR(d->mover) ? NULL : d->mover;
	end_load(d);
	return -ENOMEM;
}

/* --- files --- */

static struct lab *lab_of(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t tell(struct lab *d, int rc, char *to)
{
	if (!rc)
		return sysfs_emit(to, "ok\n");
	if (rc == -EIO)
		return sysfs_emit(to, "%s\n", d->bad);
	return sysfs_emit(to, "errno %d\n", -rc);
}

static ssize_t regs_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);
	int rc = 0;

	for (int i = 0; !rc && i < 50; i++)
		rc = try_widths(d);
	return tell(d, rc ?: try_counts(d, 200), to);
}

static ssize_t dma_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);
	int rc;

	mutex_lock(&d->lock);
	rc = try_dma(d) ?: try_coherent(d);
	mutex_unlock(&d->lock);
	return tell(d, rc, to);
}

static ssize_t sent_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);
	int rc;

	mutex_lock(&d->lock);
	rc = try_sending(d);
	mutex_unlock(&d->lock);
	return tell(d, rc, to);
}

static ssize_t irqs_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);
	int rc;

	mutex_lock(&d->lock);
	rc = try_irqs(d);
	mutex_unlock(&d->lock);
	return rc ? tell(d, rc, to) : sysfs_emit(to, "ok %d %s\n", d->n_vectors,
					    d->intx ? "intx" : d->pdev->msix_enabled ? "msix" : "msi");
}

static ssize_t load_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);

	return sysfs_emit(to, "mmio %lu moved %lu bad %lu %s\n", d->n_mmio, d->n_moved, d->n_bad,
			  d->gone ? "gone" : "here");
}

static ssize_t load_store(struct device *dev, struct device_attribute *a, const char *from, size_t n)
{
	struct lab *d = lab_of(dev);
	int rc = 0;

	if (*from == '1')
		rc = begin_load(d);
	else
		end_load(d);
	return rc ?: n;
}

static ssize_t poke_show(struct device *dev, struct device_attribute *a, char *to)
{
	struct lab *d = lab_of(dev);

	return sysfs_emit(to, "%08x\n", readl(d->regs + d->place));
}

static ssize_t poke_store(struct device *dev, struct device_attribute *a, const char *from, size_t n)
{
	struct lab *d = lab_of(dev);
	unsigned int at, value;
	int words = sscanf(from, "%x %x", &at, &value);

	if (words < 1 || at > 0x1ffc || at % 4)
		return -EINVAL;
	d->place = at;
	if (words == 2)
		writel(value, d->regs + at);
	return n;
}

static DEVICE_ATTR_RO(regs);
static DEVICE_ATTR_RO(dma);
static DEVICE_ATTR_RO(sent);
static DEVICE_ATTR_RO(irqs);
static DEVICE_ATTR_RW(load);
static DEVICE_ATTR_RW(poke);
static struct attribute *lab_attrs[] = { &dev_attr_regs.attr, &dev_attr_dma.attr, &dev_attr_sent.attr, &dev_attr_irqs.attr,
					 &dev_attr_load.attr, &dev_attr_poke.attr, NULL };
ATTRIBUTE_GROUPS(lab);

/* --- the function --- */

static int lab_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct lab *d = devm_kzalloc(&pdev->dev, sizeof(*d), GFP_KERNEL);
	int rc;

	if (!d)
		return -ENOMEM;
	d->pdev = pdev;
	init_completion(&d->copied);
	mutex_init(&d->lock);
	prandom_seed_state(&d->random, seed ?: get_random_u64());
	rc = pcim_enable_device(pdev);
	if (!rc)
		rc = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (rc)
		return rc;
	d->regs = pcim_iomap(pdev, 0, 8192);
	d->memory = pcim_iomap(pdev, 1, WINDOW);
	if (!d->regs || !d->memory)
		return -ENOMEM;
	if (readl(d->regs + IDENTITY) != IDENTITY_OF)
		return -ENODEV;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, d);
	return take_irqs(d);
}

static void lab_remove(struct pci_dev *pdev)
{
	struct lab *d = pci_get_drvdata(pdev);

	end_load(d);
	drop_irqs(d);
	pci_clear_master(pdev);
}

static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0xbe47) }, {} };

static struct pci_driver lab_driver = {
	.name = "labdrive",
	.id_table = ids,
	.probe = lab_probe,
	.remove = lab_remove,
	.dev_groups = lab_groups,
};
module_pci_driver(lab_driver);

MODULE_DESCRIPTION("Drives the card of memory of berth's lab");
MODULE_LICENSE("GPL");

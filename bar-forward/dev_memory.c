/* SPDX-License-Identifier: MIT */
#include "bar-forward/dev_memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bar-forward/memdma.h"
#include "bar-forward/memfault.h"
#include "bar-forward/memirq.h"
#include "bar-forward/memregs.h"
#include "bar-forward/memrom.h"
#include "base/io.h"
#include "base/own.h"
#include "base/text.h"

struct device {
	struct pcidesc *desc;
	struct pcispace space;
	struct dev_facts facts;
	struct memstate m;
	struct memirq irq;
	struct memdma dma;
	int image; /* the description as another process gets it; -1: nobody did */
};

/* --- facts --- */

static void put_facts(struct device *d, const char *name)
{
	struct dev_facts *f = &d->facts;
	const struct desc_cap *pcie = pcidesc_cap(d->desc, CAP_PCIE);

	text_copy(f->name, sizeof(f->name), name);
	for (uint32_t i = 0; i < PCIDESC_BARS; i++) {
		const struct desc_bar *b = &d->desc->bar[i];
		struct dev_region *r = &f->region[i];

		*r = (struct dev_region) { .size = b->size,
					   .read = b->size,
					   .write = b->size,
					   .io = b->io,
					   .map = b->map,
					   .n_areas = b->n_areas };
		memcpy(r->areas, b->areas, sizeof(r->areas));
		if (b->n_areas == 1 && b->areas[0].size == b->size)
			r->n_areas = 0; /* all of it */
	}
	f->region[DEV_ROM] = (struct dev_region) { .size = d->desc->rom, .read = d->desc->rom };
	f->region[DEV_CONFIG] = (struct dev_region) { .size = pcie ? PCISPACE_SIZE : 256,
						      .read = true,
						      .write = true };
	memirq_info(d->desc, f->irq);
	f->reset = pcie && pcie->flr;
	f->wide = true;
	text_copy(f->backend, sizeof(f->backend), memory_device_ops.name);
}

/* --- accesses --- */

static bool in(uint64_t at, uint32_t width, uint64_t first, uint64_t size)
{
	return at >= first && width <= size && at - first <= size - width;
}

static uint8_t *msix_table(const struct device *d, uint32_t bar, uint64_t at, uint32_t width)
{
	const struct desc_cap *x = pcidesc_cap(d->desc, CAP_MSIX);

	if (!x || bar != x->bar || !in(at, width, x->table, 16U * x->vectors))
		return NULL;
	return d->m.s->table + (at - x->table);
}

static uint8_t *msix_pending(const struct device *d, uint32_t bar, uint64_t at, uint32_t width)
{
	const struct desc_cap *x = pcidesc_cap(d->desc, CAP_MSIX);

	if (!x || bar != x->pba_bar || !in(at, width, x->pba, (x->vectors + 63U) / 64 * 8))
		return NULL;
	return (uint8_t *)d->m.s->pending + (at - x->pba);
}

static void bar_read(struct device *d, struct access *a, uint32_t bar, uint64_t at, uint8_t *bytes,
		     uint32_t width)
{
	const uint8_t *x = msix_table(d, bar, at, width);

	if (!x)
		x = msix_pending(d, bar, at, width);
	if (!x && d->desc->bar[bar].memory)
		x = d->m.store[bar] + at;
	if (x)
		memstate_move(bytes, x, width);
	else
		memregs_read(a, (uint8_t)bar, at, bytes, width);
}

static void bar_write(struct device *d, struct access *a, uint32_t bar, uint64_t at,
		      const uint8_t *bytes, uint32_t width)
{
	uint8_t *table = msix_table(d, bar, at, width);

	if (table)
		access_bytes(a, table, bytes, width);
	else if (msix_pending(d, bar, at, width))
		return;
	else if (d->desc->bar[bar].memory)
		access_store(a, bar, at, bytes, width);
	else
		memregs_write(a, (uint8_t)bar, at, bytes, width);
}

static void config_read(struct device *d, uint64_t at, uint8_t *bytes, uint32_t width)
{
	memcpy(bytes, d->m.s->config + at, width);
	if (memirq_line(&d->m) && in(PCI_STATUS, 1, at, width))
		bytes[PCI_STATUS - at] |= PCI_STATUS_INTERRUPT;
}

static void config_write(struct device *d, struct access *a, uint64_t at, const uint8_t *bytes,
			 uint32_t width)
{
	const struct desc_cap *pcie = pcidesc_cap(d->desc, CAP_PCIE);
	uint64_t flr = d->space.pcie + PCI_EXP_DEVCTL + 1U;
	uint8_t new[8];

	for (uint32_t i = 0; i < width; i++)
		new[i] = pcispace_write(&d->space, (uint32_t)at + i, d->m.s->config[at + i],
					bytes[i]);
	access_bytes(a, d->m.s->config + at, new, width);
	if (pcie && pcie->flr && in(flr, 1, at, width) &&
	    (bytes[flr - at] & PCI_EXP_DEVCTL_BCR_FLR >> 8)) {
		access_add(a, &d->m.s->resets, 1);
		access_reset(a);
	}
}

static void flip(const struct mem_fault *f, uint8_t *bytes, uint32_t width)
{
	for (uint32_t i = 0; i < width; i++)
		bytes[i] ^= (uint8_t)(f->value >> (8 * i));
}

static void any_read(struct device *d, struct access *a, uint32_t region, uint64_t at,
		     uint8_t *bytes, uint32_t width)
{
	const struct mem_fault *f = &d->m.s->fault;

	if (region == DEV_CONFIG)
		config_read(d, at, bytes, width);
	else if (f->kind == FAULT_ONES)
		memset(bytes, 0xff, width);
	else if (region == DEV_ROM)
		memrom_read(d->desc, at, bytes, width);
	else
		bar_read(d, a, region, at, bytes, width);
	if (region <= DEV_BAR5 && f->kind == FAULT_FLIP)
		flip(f, bytes, width);
}

static void any_write(struct device *d, struct access *a, uint32_t region, uint64_t at,
		      const uint8_t *bytes, uint32_t width)
{
	if (region == DEV_CONFIG)
		config_write(d, a, at, bytes, width);
	else if (region <= DEV_BAR5 && d->m.s->fault.kind != FAULT_ONES)
		bar_write(d, a, region, at, bytes, width);
}

/* That it happened is a part of what happens. */
static void count(struct device *d, struct access *a, uint32_t region)
{
	if (region <= DEV_BAR5) {
		access_add(a, &d->m.s->bar_done, 1);
		memfault_count(a);
	}
	access_add(a, &d->m.s->done, 1);
}

static bool is_access(const struct device *d, uint32_t region, uint64_t at, uint32_t width)
{
	return region < DEV_REGIONS && width <= 8 && (width & (width - 1)) == 0 && width &&
	       in(at, width, 0, d->facts.region[region].size) &&
	       (width < 8 || !d->facts.region[region].io);
}

/* What an access may have set off: a hang ends, interrupts, transfers. */
static void after(struct device *d, uint64_t fault, uint64_t busy)
{
	if (d->m.s->fault.kind != fault)
		memfault_wake(&d->m);
	memirq_deliver(&d->irq, &d->m);
	if (d->m.s->engine.busy && !busy)
		memirq_kick(&d->irq);
}

static int access_one(struct device *d, uint32_t region, uint64_t at, uint8_t *out,
		      const uint8_t *in_bytes, uint32_t width)
{
	uint64_t fault, busy, result = 0;
	struct access a;
	int rc;

	if (!is_access(d, region, at, width))
		return -EIO;
	memstate_lock(&d->m);
	rc = memfault_pass(&d->m, region <= DEV_BAR5);
	if (rc) {
		memstate_unlock(&d->m);
		memirq_deliver(&d->irq, &d->m);
		return rc;
	}
	fault = d->m.s->fault.kind;
	busy = d->m.s->engine.busy;
	access_begin(&a, &d->m);
	count(d, &a, region);
	if (out) {
		any_read(d, &a, region, at, out, width);
		memcpy(&result, out, width);
		access_set(&a, &d->m.s->result, result);
	} else {
		any_write(d, &a, region, at, in_bytes, width);
	}
	access_end(&a);
	memstate_unlock(&d->m);
	after(d, fault, busy);
	return 0;
}

static int memory_read(struct device *d, uint32_t region, uint64_t offset, void *bytes,
		       uint32_t width)
{
	return access_one(d, region, offset, bytes, NULL, width);
}

static int memory_write(struct device *d, uint32_t region, uint64_t offset, const void *bytes,
			uint32_t width)
{
	return access_one(d, region, offset, NULL, bytes, width);
}

static int memory_reset(struct device *d, struct err *e)
{
	struct access a;
	int rc;

	if (!d->facts.reset)
		return err_set(e, -ENOTTY, "%s cannot be reset alone", d->facts.name);
	memstate_lock(&d->m);
	rc = memfault_pass(&d->m, false);
	if (!rc) {
		access_begin(&a, &d->m);
		access_add(&a, &d->m.s->resets, 1);
		access_reset(&a);
		access_end(&a);
	}
	memstate_unlock(&d->m);
	return rc ? err_set(e, rc, "%s is gone", d->facts.name) : 0;
}

/* --- the rest of the contract --- */

static const struct dev_facts *memory_facts(const struct device *d)
{
	return &d->facts;
}

/* What is not granted lies in the same memory: a client of such a device is trusted with it. */
static int memory_region_fd(struct device *d, uint32_t region, const struct vu_area *areas,
			    uint32_t n, uint64_t *offset)
{
	int fd;

	(void)areas, (void)n;
	if (region > DEV_BAR5 || !d->desc->bar[region].map)
		return -EINVAL;
	*offset = 0;
	fd = fcntl(d->m.store_fd[region], F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int memory_irqs(struct device *d, const struct vu_irqs *set, const int *fds, struct err *e)
{
	return memirq_set(&d->irq, &d->m, set, fds, e);
}

static int memory_map(struct device *d, const struct map *row, struct err *e)
{
	return memdma_map(&d->dma, row, e);
}

static int memory_unmap(struct device *d, const struct map *row, struct err *e)
{
	return memdma_unmap(&d->dma, row, e);
}

static int memory_present(struct device *d)
{
	return memfault_now(&d->m) == FAULT_GONE ? -ENODEV : 0;
}

static int memory_poll_fd(const struct device *d)
{
	return d->irq.poll;
}

static int memory_attend(struct device *d, struct dev_dma *dma)
{
	bool more;
	int rc;

	memirq_attend(&d->irq);
	rc = memdma_step(&d->dma, &d->m, dma, &more);
	if (more)
		memirq_kick(&d->irq);
	memirq_deliver(&d->irq, &d->m);
	return rc;
}

static void memory_dma_done(struct device *d, int rc, const uint8_t *bytes)
{
	memdma_done(&d->dma, &d->m, rc, bytes);
	memirq_deliver(&d->irq, &d->m);
	memirq_kick(&d->irq);
}

static void memory_close(struct device *d)
{
	if (!d)
		return;
	memirq_close(&d->irq);
	memdma_close(&d->dma);
	memstate_close(&d->m);
	own_close_fd(&d->image);
	free(d->desc);
	free(d);
}

/* --- making one --- */

/* fds: of a device that another process has; NULL: a new one. */
static int make(struct device **to, struct pcidesc *desc, const int *fds, const char *name,
		struct err *e)
{
	struct device *d = calloc(1, sizeof(*d));
	int rc;

	if (!d) {
		free(desc);
		return err_set(e, -ENOMEM, "out of memory");
	}
	d->desc = desc;
	d->image = -1;
	memstate_none(&d->m);
	rc = memirq_open(&d->irq, fds);
	if (rc)
		err_set(e, rc, "no descriptors for a device: %s", strerror(-rc));
	rc = rc ? rc : pcispace_build(&d->space, desc, e);
	if (fds)
		memstate_take(&d->m, fds + 2);
	rc = rc    ? rc
	     : fds ? memstate_join(&d->m, desc, &d->space, e)
		   : memstate_make(&d->m, desc, &d->space, e);
	if (rc) {
		memory_close(d);
		return rc;
	}
	put_facts(d, name);
	memirq_kick(&d->irq); /* there may be a transfer to go on with */
	*to = d;
	return 0;
}

int memory_device_make(struct device **d, struct pcidesc *desc, struct err *e)
{
	return make(d, desc, NULL, desc->name, e);
}

/* As another process gets the description. */
static int make_image(struct device *d, struct err *e)
{
	own_fd int fd = memfd_create("berth-description", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc = fd < 0 ? -errno : io_write(fd, d->desc, sizeof(*d->desc));

	if (!rc &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		rc = -errno;
	if (rc)
		return err_set(e, rc, "cannot make memory: %s", strerror(-rc));
	d->image = take_fd(&fd);
	return 0;
}

static int memory_open(struct device **d, const char *what, struct device *beside, struct err *e)
{
	struct pcidesc *desc;
	int rc = pcidesc_read(&desc, what, e);

	(void)beside; /* each is a group of its own */
	if (!rc)
		rc = make(d, desc, NULL, what, e);
	if (rc)
		return rc;
	rc = make_image(*d, e);
	if (rc)
		memory_close(*d);
	return rc;
}

_Static_assert(MEMORY_DEVICE_FDS == MEMSTATE_STORES + 3, "the block, what backs it, and the kick");

void memory_device_fds(const struct device *d, int fds[MEMORY_DEVICE_FDS])
{
	fds[0] = d->irq.kick;
	fds[1] = d->irq.kicked;
	memstate_fds(&d->m, fds + 2);
}

int memory_device_join(struct device **d, struct pcidesc *desc, const int fds[MEMORY_DEVICE_FDS],
		       struct err *e)
{
	return make(d, desc, fds, desc->name, e);
}

void memory_device_status(struct device *d, struct memory_status *s)
{
	const struct mem_state *now = d->m.s;

	memstate_lock(&d->m);
	*s = (struct memory_status) { .done = now->done,
				      .result = now->result,
				      .waited = now->waited,
				      .transfers = now->transfers,
				      .resets = now->resets,
				      .fault = memfault_now(&d->m) };
	memstate_unlock(&d->m);
}

void memory_device_fault(struct device *d, enum desc_fault kind, uint64_t value, uint64_t count)
{
	struct access a;

	memstate_lock(&d->m);
	access_begin(&a, &d->m);
	memfault_set(&a, kind, value, count);
	access_end(&a);
	memstate_unlock(&d->m);
	memfault_wake(&d->m);
	memirq_kick(&d->irq);
	memirq_deliver(&d->irq, &d->m);
}

/* --- for workers --- */

/* The description, and those of MEMORY_DEVICE_FDS that are there: which are follows from the description. */
static uint32_t memory_share(const struct device *d, int fds[DEV_FDS_MAX])
{
	_Static_assert(MEMORY_DEVICE_FDS < DEV_FDS_MAX, "room for all");
	int all[MEMORY_DEVICE_FDS];
	uint32_t n = 0;

	if (d->image < 0)
		return 0;
	memory_device_fds(d, all);
	fds[n++] = d->image;
	for (uint32_t i = 0; i < MEMORY_DEVICE_FDS; i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	return n;
}

static int read_image(int fd, struct pcidesc **desc, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(**desc))
		return err_set(e, -EPROTO, "the device comes from another version of berth");
	*desc = malloc(sizeof(**desc));
	if (!*desc)
		return err_set(e, -ENOMEM, "out of memory");
	if (pread(fd, *desc, sizeof(**desc), 0) == (ssize_t)sizeof(**desc))
		return 0;
	free(*desc);
	return err_set(e, -EIO, "cannot read the device's description");
}

/* Who shares is trusted. */
static int memory_join(struct device **d, const char *what, const struct dev_facts *facts,
		       const int *fds, uint32_t n, struct err *e)
{
	int all[MEMORY_DEVICE_FDS], rc;
	struct pcidesc *desc = NULL;
	uint32_t next = 1;

	(void)facts; /* the description has them */
	rc = n ? read_image(fds[0], &desc, e) : err_set(e, -EPROTO, "no descriptors");
	for (uint32_t i = 0; !rc && i < MEMORY_DEVICE_FDS; i++) {
		bool there = i < MEMORY_DEVICE_FDS - MEMSTATE_STORES ||
			     memstate_wants(desc, i - (MEMORY_DEVICE_FDS - MEMSTATE_STORES));

		all[i] = there && next < n ? fds[next++] : -1;
	}
	for (uint32_t i = rc ? 0 : next; i < n; i++)
		close(fds[i]);
	if (rc)
		return rc;
	rc = make(d, desc, all, what, e);
	if (rc)
		close(fds[0]);
	if (!rc) { /* what the last one left is put in its place, so that mark() reads what is true */
		memstate_lock(&(*d)->m);
		memstate_unlock(&(*d)->m);
		(*d)->image = fds[0]; /* to be shared on */
	}
	return rc;
}

static uint64_t memory_mark(struct device *d)
{
	return d->m.s->done;
}

static bool memory_ran(struct device *d, uint64_t mark, uint64_t *result)
{
	struct memory_status s;

	memory_device_status(d, &s);
	*result = s.result;
	return s.done != mark;
}

const struct device_ops memory_device_ops = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.facts = memory_facts,
	.read = memory_read,
	.write = memory_write,
	.region_fd = memory_region_fd,
	.reset = memory_reset,
	.irqs = memory_irqs,
	.map = memory_map,
	.unmap = memory_unmap,
	.present = memory_present,
	.poll_fd = memory_poll_fd,
	.attend = memory_attend,
	.dma_done = memory_dma_done,
	.share = memory_share,
	.join = memory_join,
	.mark = memory_mark,
	.ran = memory_ran,
};
